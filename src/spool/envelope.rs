//! An envelope as it lies in a record of the spool on disk: a head of fixed length, the events, the dead letters. Pure.
//! docs/SPOOL_FORMAT.md describes it.

use std::ops::Range;

use seglog::StoredRecord;

use crate::event::{Envelope, Origin};

/// Bytes of the head.
pub(super) const HEAD_BYTES: usize = 24;

/// The version of the layout that is written; this one is read.
const VERSION: u8 = 1;

/// What the head says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct EnvelopeHead {
    pub(super) origin: Origin,
    /// Number of events for the output; their positions come first.
    pub(super) live: u32,
    /// Bytes of their text.
    pub(super) live_bytes: u64,
    /// Number of dead letters.
    pub(super) dead: u32,
}

impl EnvelopeHead {
    pub(super) fn of(envelope: &Envelope) -> Self {
        let count = |events| u32::try_from(events).expect("a request has fewer events");
        Self {
            origin: envelope.origin,
            live: count(envelope.live.count),
            live_bytes: envelope.live.bytes.len() as u64,
            dead: count(envelope.dead.count),
        }
    }

    pub(super) fn encode(&self) -> [u8; HEAD_BYTES] {
        let mut bytes = [0; HEAD_BYTES];
        bytes[0] = VERSION;
        bytes[1] = self.origin as u8;
        bytes[4..8].copy_from_slice(&self.live.to_le_bytes());
        bytes[8..16].copy_from_slice(&self.live_bytes.to_le_bytes());
        bytes[16..20].copy_from_slice(&self.dead.to_le_bytes());
        bytes
    }

    /// Where it lies in a record's payload, as far as that reaches.
    pub(super) fn place_in(record: &StoredRecord) -> Range<u64> {
        0..record.payload_bytes.min(HEAD_BYTES as u64)
    }

    /// The head of an envelope in a record of so many events and bytes; none where that cannot hold it, or where it is
    /// of another version: no program that writes such records wrote this one, whatever its checksum says.
    pub(super) fn decode(bytes: &[u8], events: u32, payload_bytes: u64) -> Option<Self> {
        let bytes: &[u8; HEAD_BYTES] = bytes.first_chunk()?;
        let origin = Origin::ALL.get(usize::from(bytes[1])).copied();
        let head = Self {
            // The origin was counted when the envelope came; here it is only for people to look at.
            origin: origin.unwrap_or(Origin::Plain),
            live: u32::from_le_bytes(part(bytes, 4)),
            live_bytes: u64::from_le_bytes(part(bytes, 8)),
            dead: u32::from_le_bytes(part(bytes, 16)),
        };
        let text_bytes = payload_bytes.checked_sub(HEAD_BYTES as u64)?;
        let fits =
            head.live_bytes <= text_bytes && head.live.checked_add(head.dead) == Some(events);
        (bytes[0] == VERSION && fits).then_some(head)
    }
}

fn part<const BYTES: usize>(bytes: &[u8], at: usize) -> [u8; BYTES] {
    let mut part = [0; BYTES];
    part.copy_from_slice(&bytes[at..at + BYTES]);
    part
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_head_is_read_as_it_was_written_and_has_the_documented_layout() {
        let head = EnvelopeHead {
            origin: Origin::JsonLines,
            live: 3,
            live_bytes: 0x0102_0304_0506,
            dead: 9,
        };
        let bytes = head.encode();
        assert_eq!(
            bytes,
            [
                1, 2, 0, 0, 3, 0, 0, 0, 6, 5, 4, 3, 2, 1, 0, 0, 9, 0, 0, 0, 0, 0, 0, 0
            ]
        );
        let payload_bytes = HEAD_BYTES as u64 + head.live_bytes;
        assert_eq!(EnvelopeHead::decode(&bytes, 12, payload_bytes), Some(head));
    }

    #[test]
    fn what_is_of_another_version_or_does_not_fit_its_record_is_not_guessed_at() {
        let head = |live, live_bytes, dead| EnvelopeHead {
            origin: Origin::Json,
            live,
            live_bytes,
            dead,
        };
        let decode = |bytes: [u8; HEAD_BYTES]| EnvelopeHead::decode(&bytes, 5, 124);
        assert!(decode(head(3, 100, 2).encode()).is_some());
        let mut of_another_version = head(3, 100, 2).encode();
        of_another_version[0] = 2;
        assert_eq!(decode(of_another_version), None);
        for wrong in [
            head(3, 101, 2),
            head(3, u64::MAX, 2),
            head(3, 100, 1),
            head(u32::MAX, 100, 6),
        ] {
            assert_eq!(decode(wrong.encode()), None, "{wrong:?}");
        }
        assert_eq!(EnvelopeHead::decode(&head(3, 0, 2).encode(), 5, 23), None);
    }
}
