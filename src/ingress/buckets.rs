//! The token buckets of one sender: for events and for bytes, each where there is a limit. Pure: the time is given.

use std::num::NonZeroU64;
use std::time::Duration;

use tokio::time::Instant;

use super::token_bucket::{TokenBucket, Wait};

/// How much may be sent in a second; 0: no limit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Rates {
    pub(super) events: u64,
    pub(super) bytes: u64,
}

impl Rates {
    /// Whether there is any limit.
    pub(super) fn are_limits(self) -> bool {
        self.events > 0 || self.bytes > 0
    }
}

/// What a request takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Cost {
    pub(super) events: u64,
    pub(super) bytes: u64,
}

/// What is measured.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Measure {
    Events,
    Bytes,
}

impl Cost {
    fn of(self, measure: Measure) -> u64 {
        match measure {
            Measure::Events => self.events,
            Measure::Bytes => self.bytes,
        }
    }
}

/// A limit that a request is above, and for how long.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Exceeded {
    pub(super) measure: Measure,
    pub(super) per_second: u64,
    pub(super) wait: Duration,
}

/// The buckets of one sender.
#[derive(Debug)]
pub(super) struct Buckets {
    made: Instant,
    rates: Rates,
    events: Option<TokenBucket>,
    bytes: Option<TokenBucket>,
}

impl Buckets {
    /// Full ones.
    pub(super) fn new(rates: Rates, now: Instant) -> Self {
        let bucket = |per_second| NonZeroU64::new(per_second).map(TokenBucket::new);
        Self {
            made: now,
            rates,
            events: bucket(rates.events),
            bytes: bucket(rates.bytes),
        }
    }

    /// What they were made for.
    pub(super) fn rates(&self) -> Rates {
        self.rates
    }

    /// Refuses what could not be taken now; of two limits the one that lasts longer is told.
    pub(super) fn check(&self, now: Instant, cost: Cost) -> Result<(), Exceeded> {
        let now = self.time(now);
        let all = self.buckets().filter_map(|(measure, bucket)| {
            let wait = bucket.check(now, cost.of(measure)).err()?;
            Some(exceeded(bucket, measure, wait))
        });
        match all.max_by_key(|exceeded| exceeded.wait) {
            Some(exceeded) => Err(exceeded),
            None => Ok(()),
        }
    }

    /// Refuses a request whose body is not read yet where it could not be taken whatever it holds: its bytes,
    /// where they are declared, or a single one; a single event. Where what it really holds is not known, the
    /// wait is long enough for anything.
    pub(super) fn check_unread(
        &self,
        now: Instant,
        declared_bytes: Option<u64>,
    ) -> Result<(), Exceeded> {
        let cost = Cost {
            events: 1,
            bytes: declared_bytes.unwrap_or(1),
        };
        self.check(now, cost).map_err(|exceeded| {
            let not_known = self
                .buckets()
                .filter(|(measure, _)| *measure == Measure::Events || declared_bytes.is_none());
            let until_full = not_known.map(|(_, bucket)| self.until_full(bucket, now));
            Exceeded {
                // Also for the limit that did not refuse it: it may do so when that time is over.
                wait: until_full.fold(exceeded.wait, Duration::max),
                ..exceeded
            }
        })
    }

    /// Takes all of the cost, or nothing.
    pub(super) fn take(&self, now: Instant, cost: Cost) -> Result<(), Exceeded> {
        self.check(now, cost)?;
        let now = self.time(now);
        take_from_all(
            self.buckets(),
            |(measure, bucket)| {
                let taken = bucket.take(now, cost.of(*measure));
                taken.map_err(|wait| exceeded(bucket, *measure, wait))
            },
            |(measure, bucket)| bucket.give_back(cost.of(measure)),
        )
    }

    /// Puts back what was taken.
    pub(super) fn give_back(&self, cost: Cost) {
        for (measure, bucket) in self.buckets() {
            bucket.give_back(cost.of(measure));
        }
    }

    /// How long it takes until they are as new.
    pub(super) fn debt(&self, now: Instant) -> Duration {
        let debts = self
            .buckets()
            .map(|(_, bucket)| self.until_full(bucket, now));
        debts.max().unwrap_or_default()
    }

    fn until_full(&self, bucket: &TokenBucket, now: Instant) -> Duration {
        bucket.full_at().saturating_sub(self.time(now))
    }

    fn buckets(&self) -> impl Iterator<Item = (Measure, &TokenBucket)> + Clone {
        let events = self.events.iter().map(|bucket| (Measure::Events, bucket));
        let bytes = self.bytes.iter().map(|bucket| (Measure::Bytes, bucket));
        events.chain(bytes)
    }

    fn time(&self, now: Instant) -> Duration {
        now.saturating_duration_since(self.made)
    }
}

/// Takes from each of several, or from none: where one refuses, those before it get back what was taken.
pub(super) fn take_from_all<T, E>(
    all: impl Iterator<Item = T> + Clone,
    take: impl Fn(&T) -> Result<(), E>,
    give_back: impl Fn(T),
) -> Result<(), E> {
    for (taken, one) in all.clone().enumerate() {
        if let Err(refused) = take(&one) {
            all.take(taken).for_each(give_back);
            return Err(refused);
        }
    }
    Ok(())
}

fn exceeded(bucket: &TokenBucket, measure: Measure, wait: Wait) -> Exceeded {
    Exceeded {
        measure,
        per_second: bucket.per_second(),
        wait: wait.0,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const RATES: Rates = Rates {
        events: 10,
        bytes: 1000,
    };

    fn cost(events: u64, bytes: u64) -> Cost {
        Cost { events, bytes }
    }

    #[test]
    fn the_limit_that_lasts_longer_is_told_and_nothing_is_taken() {
        let now = Instant::now();
        let buckets = Buckets::new(RATES, now);
        buckets.take(now, cost(10, 500)).unwrap();
        let refused = buckets.take(now, cost(1, 1000)).unwrap_err();
        assert_eq!(refused.measure, Measure::Bytes);
        assert_eq!(refused.wait, Duration::from_millis(500));
        let refused = buckets.take(now, cost(2, 500)).unwrap_err();
        assert_eq!((refused.measure, refused.per_second), (Measure::Events, 10));
        assert_eq!(refused.wait, Duration::from_millis(200));
        assert_eq!(buckets.take(now, cost(0, 500)), Ok(()));
        buckets.give_back(cost(0, 500));
        assert_eq!(buckets.debt(now), Duration::from_secs(1));
        let later = now + Duration::from_millis(200);
        assert_eq!(buckets.take(later, cost(2, 700)), Ok(()));
    }

    #[test]
    fn before_the_events_are_counted_the_wait_is_long_enough_for_any_number() {
        let now = Instant::now();
        let buckets = Buckets::new(RATES, now);
        buckets.take(now, cost(9, 0)).unwrap();
        assert_eq!(buckets.check_unread(now, Some(1000)), Ok(()));
        buckets.take(now, cost(1, 0)).unwrap();
        let refused = buckets.check_unread(now, Some(10)).unwrap_err();
        assert_eq!(refused.wait, Duration::from_secs(1));
        assert_eq!(buckets.take(now + refused.wait, cost(500, 10)), Ok(()));
    }

    #[test]
    fn the_wait_for_one_limit_is_long_enough_for_the_other() {
        let now = Instant::now();
        for events in [10, 15] {
            let buckets = Buckets::new(RATES, now);
            buckets.take(now, cost(events, 1000)).unwrap();
            let refused = buckets.check_unread(now, Some(900)).unwrap_err();
            let later = now + refused.wait;
            assert_eq!(buckets.take(later, cost(10, 900)), Ok(()), "{events}");
        }
    }

    #[test]
    fn a_body_of_unknown_length_has_at_least_a_byte() {
        let now = Instant::now();
        let buckets = Buckets::new(RATES, now);
        buckets.take(now, cost(0, 999)).unwrap();
        assert_eq!(buckets.check_unread(now, None), Ok(()));
        buckets.take(now, cost(0, 1)).unwrap();
        assert_eq!(buckets.check_unread(now, Some(0)), Ok(()));
        let refused = buckets.check_unread(now, None).unwrap_err();
        assert_eq!(refused.wait, Duration::from_secs(1));
    }
}
