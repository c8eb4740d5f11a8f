//! Records: a checksummed head and a payload that is nobody's business here. Pure.

use crate::Position;
use crate::bytes::{Block, checksum_holds, u32_at, u64_at};
use crate::layout::NUMBER_LIMIT;

/// Bytes of a record's head.
pub const HEAD_BYTES: usize = 56;

/// What a record begins with. The first and the last byte stand in no UTF-8 text, so a payload of text holds no head.
pub(crate) const MAGIC: [u8; 4] = [0xFE, b'H', b'G', 0xFF];

/// The checksum of a payload. It is made where the payload is, which may be on another thread than the log's.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Checksum(pub(crate) u32);

impl Checksum {
    /// Of the pieces one after the other.
    pub fn of(pieces: &[&[u8]]) -> Self {
        let mut hasher = crc32fast::Hasher::new();
        for piece in pieces {
            hasher.update(piece);
        }
        Self(hasher.finalize())
    }
}

/// A record that is to be appended.
#[derive(Clone, Copy, Debug)]
pub struct Record<'a> {
    /// How many events it carries; at least one.
    pub events: u32,
    /// When it was made: milliseconds since the Unix epoch. A segment that is begun for it was made then too.
    pub made_at: u64,
    /// Its payload, in pieces that are written one after the other.
    pub pieces: &'a [&'a [u8]],
    /// The payload's checksum.
    pub checksum: Checksum,
}

impl Record<'_> {
    /// Bytes of the payload.
    pub(crate) fn payload_bytes(&self) -> u64 {
        self.pieces.iter().map(|piece| piece.len() as u64).sum()
    }

    /// Bytes that it takes in a segment.
    pub(crate) fn bytes(&self) -> u64 {
        HEAD_BYTES as u64 + self.payload_bytes()
    }
}

/// The head of a record.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Head {
    /// Of the segment that it is written to: what an earlier life of the file left over has another one.
    pub(crate) generation: u64,
    /// Position of its first event.
    pub(crate) first: Position,
    pub(crate) events: u32,
    pub(crate) payload_bytes: u32,
    /// Everything below counted when this was written: it had been acknowledged.
    pub(crate) settled: Position,
    pub(crate) made_at: u64,
    pub(crate) checksum: Checksum,
}

impl Head {
    pub(crate) fn encode(&self) -> [u8; HEAD_BYTES] {
        let mut block = Block::<HEAD_BYTES>::zeroed();
        block.put(0, &MAGIC);
        block.put(8, &self.generation.to_le_bytes());
        block.put(16, &self.first.to_le_bytes());
        block.put(24, &self.events.to_le_bytes());
        block.put(28, &self.payload_bytes.to_le_bytes());
        block.put(32, &self.settled.to_le_bytes());
        block.put(40, &self.made_at.to_le_bytes());
        block.put(48, &self.checksum.0.to_le_bytes());
        block.put_checksum(4, 8..HEAD_BYTES);
        block.into_bytes()
    }

    /// The head at the beginning of these bytes; none where there is no whole and sound one.
    pub(crate) fn decode(bytes: &[u8]) -> Option<Self> {
        let bytes = bytes.get(..HEAD_BYTES)?;
        if !bytes.starts_with(&MAGIC) || !checksum_holds(bytes, 4, 8..HEAD_BYTES) {
            return None;
        }
        let head = Self {
            generation: u64_at(bytes, 8),
            first: u64_at(bytes, 16),
            events: u32_at(bytes, 24),
            payload_bytes: u32_at(bytes, 28),
            settled: u64_at(bytes, 32),
            made_at: u64_at(bytes, 40),
            checksum: Checksum(u32_at(bytes, 48)),
        };
        (head.events > 0 && head.first < NUMBER_LIMIT).then_some(head)
    }
}

/// A record as it lies in a segment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct StoredRecord {
    /// Position of its first event.
    pub first: Position,
    /// How many events it carries.
    pub events: u32,
    /// When it was made: milliseconds since the Unix epoch.
    pub made_at: u64,
    /// Where it begins in its segment.
    pub offset: u64,
    /// Bytes of its payload.
    pub payload_bytes: u64,
    /// Everything below counted when it was written: it had been acknowledged.
    pub(crate) settled: Position,
    pub(crate) checksum: Checksum,
}

impl StoredRecord {
    pub(crate) fn new(head: &Head, offset: u64) -> Self {
        Self {
            first: head.first,
            events: head.events,
            made_at: head.made_at,
            offset,
            payload_bytes: u64::from(head.payload_bytes),
            settled: head.settled,
            checksum: head.checksum,
        }
    }

    /// The position after its last event.
    pub fn end(&self) -> Position {
        self.first + Position::from(self.events)
    }

    /// Where its payload begins in its segment.
    pub(crate) fn payload_offset(&self) -> u64 {
        self.offset + HEAD_BYTES as u64
    }

    /// Where it ends in its segment.
    pub(crate) fn end_offset(&self) -> u64 {
        self.payload_offset() + self.payload_bytes
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn head() -> Head {
        Head {
            generation: 7,
            first: 1 << 40,
            events: 3,
            payload_bytes: 99,
            settled: (1 << 40) - 2,
            made_at: 1_700_000_000_000,
            checksum: Checksum::of(&[b"pay", b"load"]),
        }
    }

    #[test]
    fn a_head_is_read_as_it_was_written() {
        assert_eq!(Head::decode(&head().encode()), Some(head()));
    }

    #[test]
    fn every_damaged_bit_of_a_head_is_noticed() {
        for bit in 0..HEAD_BYTES * 8 {
            let mut bytes = head().encode();
            bytes[bit / 8] ^= 1 << (bit % 8);
            assert_eq!(Head::decode(&bytes), None, "bit {bit}");
        }
        assert_eq!(Head::decode(&head().encode()[..HEAD_BYTES - 1]), None);
    }

    #[test]
    fn no_text_holds_the_magic() {
        assert!(std::str::from_utf8(&MAGIC[..1]).is_err());
        assert!(std::str::from_utf8(&MAGIC[3..]).is_err());
    }

    #[test]
    fn a_checksum_is_that_of_the_whole() {
        assert_eq!(
            Checksum::of(&[b"pay", b"", b"load"]),
            Checksum::of(&[b"payload"])
        );
    }
}
