//! Ids of events: UUIDv7 (RFC 9562), in the order of arrival, and within a request in the order of its events. Pure
//! but for the count of requests.

use std::cell::Cell;
use std::hash::{BuildHasher, RandomState};
use std::sync::atomic::{AtomicU64, Ordering};

use jiff::Timestamp;
use uuid::Builder;
use uuid::fmt::Hyphenated;

/// Bytes of an id as text.
pub(in crate::pipeline) const LENGTH: usize = Hyphenated::LENGTH;

/// Gives each request a run of ids of its own.
#[derive(Debug, Default)]
pub(in crate::pipeline) struct EventIds {
    /// The standard library's own randomness; ids are to be unique, not secret.
    randomness: RandomState,
    requests: AtomicU64,
}

/// The ids of one request, one after the other.
#[derive(Debug)]
pub(in crate::pipeline) struct IdRun {
    millis: u64,
    /// What is beyond the millisecond, in 4096ths of one: the order of requests within it (RFC 9562, 6.2, method 3).
    fraction: u16,
    /// Begins anywhere in the lower half, so that no request can count beyond the end.
    next: Cell<u64>,
}

impl EventIds {
    /// The ids of a request that arrived at this time.
    pub(in crate::pipeline) fn run(&self, at: Timestamp) -> IdRun {
        let nanos = u128::try_from(at.as_nanosecond()).unwrap_or_default();
        let fraction = (nanos % 1_000_000) * 4096 / 1_000_000;
        let request = self.requests.fetch_add(1, Ordering::Relaxed);
        IdRun {
            millis: u64::try_from(nanos / 1_000_000).unwrap_or_default(),
            fraction: u16::try_from(fraction).unwrap_or_default(),
            // Of 64 bits two are the variant's.
            next: Cell::new(self.randomness.hash_one(request) >> 3),
        }
    }
}

impl IdRun {
    /// The id that the next call of [`Self::write_next`] writes.
    pub(in crate::pipeline) fn peek(&self) -> [u8; LENGTH] {
        let mut text = [0; LENGTH];
        self.write(self.next.get(), &mut text);
        text
    }

    /// Writes the next id over `text`, which is [`LENGTH`] bytes long.
    pub(in crate::pipeline) fn write_next(&self, text: &mut [u8]) {
        let number = self.next.get();
        self.next.set(number.wrapping_add(1));
        self.write(number, text);
    }

    fn write(&self, number: u64, text: &mut [u8]) {
        let mut rest = [0; 10];
        rest[..2].copy_from_slice(&self.fraction.to_be_bytes());
        rest[2..].copy_from_slice(&number.to_be_bytes());
        let id = Builder::from_unix_timestamp_millis(self.millis, &rest).into_uuid();
        id.hyphenated().encode_lower(text);
    }
}

#[cfg(test)]
mod tests {
    use uuid::{Uuid, Variant, Version};

    use super::*;

    fn ids(run: &IdRun, count: usize) -> Vec<Uuid> {
        let next = || {
            let mut text = [0; LENGTH];
            run.write_next(&mut text);
            Uuid::try_parse_ascii(&text).unwrap()
        };
        std::iter::repeat_with(next).take(count).collect()
    }

    #[test]
    fn an_id_is_a_uuid_of_version_7_that_tells_the_time() {
        let at: Timestamp = "2026-11-23T08:15:30.123456789Z".parse().unwrap();
        let id = ids(&EventIds::default().run(at), 1)[0];
        assert_eq!(id.get_version(), Some(Version::SortRand));
        assert_eq!(id.get_variant(), Variant::RFC4122);
        let millis = u128::try_from(at.as_millisecond()).unwrap();
        assert_eq!(id.as_u128() >> 80, millis);
        assert_eq!(id.as_u128() >> 64 & 0xfff, 456_789 * 4096 / 1_000_000);
    }

    #[test]
    fn ids_grow_within_a_request_and_from_request_to_request() {
        let all = EventIds::default();
        let mut last = Uuid::nil();
        for nanos in [0, 250, 500, 999_999, 1_000_000] {
            let at = Timestamp::from_nanosecond(1_800_000_000_000_000_000 + nanos).unwrap();
            for id in ids(&all.run(at), 1000) {
                assert!(id > last, "{id} after {last}");
                last = id;
            }
        }
    }

    #[test]
    fn requests_of_one_moment_share_no_id() {
        let (one, other) = (EventIds::default(), EventIds::default());
        let at = Timestamp::UNIX_EPOCH;
        let mut all: Vec<Uuid> = [&one, &other, &one, &other]
            .iter()
            .flat_map(|from| ids(&from.run(at), 1000))
            .collect();
        all.sort_unstable();
        all.dedup();
        assert_eq!(all.len(), 4000);
    }

    #[test]
    fn a_run_has_room_for_more_than_any_request_holds() {
        let run = IdRun {
            millis: 0,
            fraction: 0,
            next: Cell::new(u64::MAX >> 3),
        };
        let ids = ids(&run, 2);
        assert!(ids[0] < ids[1]);
        assert_eq!(ids[1].get_variant(), Variant::RFC4122);
    }
}
