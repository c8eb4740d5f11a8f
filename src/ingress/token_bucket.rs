//! A token bucket without a lock, and without a clock: the time is given. Pure.
//!
//! It holds one second's worth of tokens when full. What is asked for is given when the bucket holds it; a
//! full bucket gives even more than it holds, and owes it then, so that no request is too large for ever and
//! the long run keeps to the rate.
//!
//! The state is one number, the moment when the bucket will be full again (the "theoretical arrival time" of
//! the generic cell rate algorithm, ITU-T I.371), which moves on by `tokens / rate` with each taking.

use std::num::NonZeroU64;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

/// What a full bucket holds, as the time that it takes to fill it.
const DEPTH: u64 = 1_000_000_000;

/// A bucket that fills at its rate.
#[derive(Debug)]
pub(super) struct TokenBucket {
    per_second: NonZeroU64,
    /// Nanoseconds after the time's origin.
    full_at: AtomicU64,
}

/// Too few tokens: how long it takes until there are enough.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Wait(pub(super) Duration);

impl TokenBucket {
    /// A full bucket.
    pub(super) fn new(per_second: NonZeroU64) -> Self {
        Self {
            per_second,
            full_at: AtomicU64::new(0),
        }
    }

    /// Tokens a second.
    pub(super) fn per_second(&self) -> u64 {
        self.per_second.get()
    }

    /// Whether so many tokens could be taken. `now` is the time since its origin.
    pub(super) fn check(&self, now: Duration, tokens: u64) -> Result<(), Wait> {
        let full_at = self.full_at.load(Ordering::Relaxed);
        self.after(full_at, nanos(now), tokens).map(drop)
    }

    /// Takes so many tokens, or none.
    pub(super) fn take(&self, now: Duration, tokens: u64) -> Result<(), Wait> {
        let now = nanos(now);
        let mut full_at = self.full_at.load(Ordering::Relaxed);
        loop {
            let after = self.after(full_at, now, tokens)?;
            let swap = self.full_at.compare_exchange_weak(
                full_at,
                after,
                Ordering::Relaxed,
                Ordering::Relaxed,
            );
            match swap {
                Ok(_) => return Ok(()),
                Err(changed) => full_at = changed,
            }
        }
    }

    /// Puts back what was taken. What time has put back meanwhile is put back twice, but never above the brim.
    pub(super) fn give_back(&self, tokens: u64) {
        let filling = self.filling(tokens);
        let back = |full_at: u64| Some(full_at.saturating_sub(filling));
        let _always_some = self
            .full_at
            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, back);
    }

    /// When it will be full if nothing more is taken.
    pub(super) fn full_at(&self) -> Duration {
        Duration::from_nanos(self.full_at.load(Ordering::Relaxed))
    }

    /// When it will be full once so many tokens are taken.
    fn after(&self, full_at: u64, now: u64, tokens: u64) -> Result<u64, Wait> {
        let filling = self.filling(tokens);
        let full_at = full_at.max(now);
        let missing = (full_at - now).saturating_add(filling.min(DEPTH));
        match missing.checked_sub(DEPTH) {
            None | Some(0) => Ok(full_at.saturating_add(filling)),
            Some(_) if tokens == 0 => Ok(full_at),
            Some(wait) => Err(Wait(Duration::from_nanos(wait))),
        }
    }

    /// The time that so many tokens take to come, rounded up.
    fn filling(&self, tokens: u64) -> u64 {
        let nanos = (u128::from(tokens) * u128::from(DEPTH)).div_ceil(self.per_second.get().into());
        u64::try_from(nanos).unwrap_or(u64::MAX)
    }
}

fn nanos(time: Duration) -> u64 {
    u64::try_from(time.as_nanos()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn bucket(per_second: u64) -> TokenBucket {
        TokenBucket::new(NonZeroU64::new(per_second).unwrap())
    }

    fn millis(millis: u64) -> Duration {
        Duration::from_millis(millis)
    }

    #[test]
    fn a_full_bucket_holds_one_seconds_worth() {
        let bucket = bucket(5);
        for _ in 0..5 {
            assert_eq!(bucket.take(millis(100), 1), Ok(()));
        }
        assert_eq!(bucket.take(millis(100), 1), Err(Wait(millis(200))));
        assert_eq!(bucket.take(millis(299), 1), Err(Wait(millis(1))));
        assert_eq!(bucket.take(millis(300), 1), Ok(()));
        assert_eq!(bucket.take(millis(300), 3), Err(Wait(millis(600))));
        assert_eq!(bucket.full_at(), millis(1300));
        assert_eq!(bucket.take(millis(60_000), 5), Ok(()));
        assert_eq!(bucket.take(millis(60_000), 1), Err(Wait(millis(200))));
    }

    #[test]
    fn more_than_it_holds_is_given_when_it_is_full_and_owed_then() {
        let bucket = bucket(10);
        assert_eq!(bucket.take(millis(0), 1), Ok(()));
        assert_eq!(bucket.take(millis(0), 1000), Err(Wait(millis(100))));
        assert_eq!(bucket.take(millis(100), 1000), Ok(()));
        assert_eq!(bucket.take(millis(100), 1), Err(Wait(millis(99_100))));
        assert_eq!(bucket.check(millis(100), 0), Ok(()));
        assert_eq!(bucket.take(millis(99_200), 1), Ok(()));
    }

    #[test]
    fn what_is_given_back_can_be_taken_again() {
        let bucket = bucket(10);
        bucket.take(millis(0), 10).unwrap();
        bucket.give_back(4);
        assert_eq!(bucket.take(millis(0), 5), Err(Wait(millis(100))));
        assert_eq!(bucket.take(millis(0), 4), Ok(()));
        bucket.give_back(10);
        bucket.give_back(10);
        assert_eq!(bucket.take(millis(0), 10), Ok(()));
        assert_eq!(bucket.take(millis(0), 1), Err(Wait(millis(100))));
    }

    #[test]
    fn no_number_overflows() {
        let bucket = bucket(1);
        assert_eq!(bucket.take(Duration::MAX, u64::MAX), Ok(()));
        assert!(bucket.take(millis(0), u64::MAX).is_err());
        bucket.give_back(u64::MAX);
    }

    /// The same with tokens that are counted, in tokens and seconds: slow, and simple.
    struct Model {
        tokens: f64,
        per_second: f64,
        at: f64,
    }

    impl Model {
        /// How many tokens are left above those that are asked for.
        fn margin(&mut self, at: f64, tokens: f64) -> f64 {
            let filled = self.tokens + (at - self.at) * self.per_second;
            self.tokens = filled.min(self.per_second);
            self.at = at;
            self.tokens - tokens.min(self.per_second)
        }
    }

    proptest! {
        #[test]
        fn it_does_as_counted_tokens_would(
            per_second in 1_u64..2000,
            takings in prop::collection::vec((0_u64..3_000, 0_u64..3000), 1..60),
        ) {
            let bucket = bucket(per_second);
            let mut model = Model { tokens: per_second as f64, per_second: per_second as f64, at: 0.0 };
            let mut now = 0;
            for (pause, tokens) in takings {
                now += pause;
                let margin = model.margin(now as f64 / 1000.0, tokens as f64);
                let is_taken = bucket.check(millis(now), tokens).is_ok();
                prop_assert_eq!(bucket.take(millis(now), tokens).is_ok(), is_taken);
                // Times are whole nanoseconds, so a hair's breadth may go either way.
                if tokens > 0 && margin.abs() > 1e-3 {
                    prop_assert_eq!(is_taken, margin > 0.0);
                }
                if is_taken {
                    model.tokens -= tokens as f64;
                }
            }
        }

        #[test]
        fn the_wait_is_true_to_the_nanosecond(
            per_second in 1_u64..1_000_000_000,
            debt in 1_u64..10_000_000,
            tokens in 1_u64..10_000_000,
        ) {
            let bucket = bucket(per_second);
            bucket.take(millis(0), debt).unwrap();
            if let Err(Wait(wait)) = bucket.check(millis(0), tokens) {
                let shorter = wait - Duration::from_nanos(1);
                prop_assert!(bucket.check(shorter, tokens).is_err());
                prop_assert_eq!(bucket.take(wait, tokens), Ok(()));
            }
        }

        #[test]
        fn in_the_long_run_no_more_than_the_rate_is_given(
            per_second in 1_u64..10_000,
            takings in prop::collection::vec((0_u64..500, 0_u64..20_000), 1..200),
        ) {
            let bucket = bucket(per_second);
            let (mut now, mut given) = (0, 0);
            for (pause, tokens) in takings {
                now += pause;
                if bucket.take(millis(now), tokens).is_ok() {
                    given += tokens;
                }
            }
            let full_again = bucket.full_at().as_secs_f64().max(now as f64 / 1000.0);
            prop_assert!(given as f64 <= full_again * per_second as f64 + 1.0);
        }
    }
}
