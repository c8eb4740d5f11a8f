//! Segments: files of records, each with a header. Pure.

use crate::Position;
use crate::bytes::{Block, checksum_holds, u64_at};
use crate::layout::{Kind, NUMBER_LIMIT, put_preamble, segment_name, version_in};

/// Bytes of a segment's header.
pub const HEADER_BYTES: usize = 64;

/// The header of a segment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Header {
    pub(crate) generation: u64,
    /// Position of the first event that is written to it.
    pub(crate) first: Position,
    /// Milliseconds since the Unix epoch.
    pub(crate) made_at: u64,
}

impl Header {
    pub(crate) fn encode(&self) -> [u8; HEADER_BYTES] {
        let mut block = Block::<HEADER_BYTES>::zeroed();
        put_preamble(&mut block, Kind::Segment);
        block.put(16, &self.generation.to_le_bytes());
        block.put(24, &self.first.to_le_bytes());
        block.put(32, &self.made_at.to_le_bytes());
        block.put_checksum(60, 0..60);
        block.into_bytes()
    }

    /// The header at the beginning of these bytes; none where there is no whole and sound one.
    pub(crate) fn decode(bytes: &[u8]) -> Option<Self> {
        let bytes = bytes.get(..HEADER_BYTES)?;
        version_in(bytes, Kind::Segment)?;
        let header = Self {
            generation: u64_at(bytes, 16),
            first: u64_at(bytes, 24),
            made_at: u64_at(bytes, 32),
        };
        let is_sound = checksum_holds(bytes, 60, 0..60)
            && header.generation < NUMBER_LIMIT
            && header.first < NUMBER_LIMIT;
        is_sound.then_some(header)
    }
}

/// One segment of a log. Generations grow from the oldest to the newest.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Segment {
    /// Which one; no two segments of a log's whole life have the same.
    pub generation: u64,
    /// Position of the first event that was written to it.
    pub first: Position,
    /// When it was begun: milliseconds since the Unix epoch.
    pub made_at: u64,
    /// Length of the file.
    pub file_bytes: u64,
    /// How much of the file is header and records; of a sealed segment that was found at the start, its file's length.
    pub used_bytes: u64,
}

impl Segment {
    /// The name of its file.
    pub fn name(&self) -> String {
        segment_name(self.generation)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_damaged_bit_of_a_header_is_noticed() {
        let header = Header {
            generation: 3,
            first: 1 << 50,
            made_at: 1_700_000_000_000,
        };
        let sound = header.encode();
        assert_eq!(Header::decode(&sound), Some(header));
        for bit in 0..HEADER_BYTES * 8 {
            let mut bytes = sound;
            bytes[bit / 8] ^= 1 << (bit % 8);
            assert_eq!(Header::decode(&bytes), None, "bit {bit}");
        }
    }
}
