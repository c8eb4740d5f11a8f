//! How fast the spool empties, and so when another try of a client is worth it. Pure: the clock is the caller's.

use std::collections::VecDeque;
use std::time::Duration;

use tokio::time::Instant;

/// The rate is measured over this time: long enough for a Broker that takes a large batch now and then.
const SPAN: Duration = Duration::from_secs(15);

/// What a client is told when nothing drains: a Broker that is down comes back when it comes back.
const UNKNOWN: Duration = Duration::from_secs(30);

const SHORTEST: Duration = Duration::from_secs(1);
const LONGEST: Duration = Duration::from_secs(300);

/// Samples of how many events were done.
#[derive(Debug, Default)]
pub(super) struct DrainRate {
    samples: VecDeque<(Instant, u64)>,
}

impl DrainRate {
    /// Notes how many events are done since the start, from time to time.
    pub(super) fn note(&mut self, now: Instant, done: u64) {
        while self
            .samples
            .front()
            .is_some_and(|(at, _)| now.duration_since(*at) > SPAN)
        {
            self.samples.pop_front();
        }
        self.samples.push_back((now, done));
    }

    /// The time until so many events more are done, as far as it can be told.
    pub(super) fn time_for(&self, events: u64) -> Duration {
        let (Some((begin, before)), Some((end, after))) =
            (self.samples.front(), self.samples.back())
        else {
            return UNKNOWN;
        };
        let took = end.duration_since(*begin);
        if after == before || took.is_zero() {
            return UNKNOWN;
        }
        let rate = (after - before) as f64 / took.as_secs_f64();
        Duration::try_from_secs_f64(events as f64 / rate)
            .unwrap_or(LONGEST)
            .clamp(SHORTEST, LONGEST)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_time_follows_the_rate_of_the_last_seconds() {
        let begin = Instant::now();
        let mut rate = DrainRate::default();
        assert_eq!(rate.time_for(10), UNKNOWN);
        for second in 0..100 {
            // Slow at first, then a hundred events a second.
            let done = if second < 50 {
                second
            } else {
                50 + 100 * (second - 50)
            };
            rate.note(begin + Duration::from_secs(second), done);
        }
        assert_eq!(rate.time_for(1000), Duration::from_secs(10));
        assert_eq!(rate.time_for(1), SHORTEST);
        assert_eq!(rate.time_for(u64::MAX), LONGEST);
        for second in 100..120 {
            rate.note(begin + Duration::from_secs(second), 50 + 100 * 49);
        }
        assert_eq!(rate.time_for(1), UNKNOWN, "nothing drains any more");
    }
}
