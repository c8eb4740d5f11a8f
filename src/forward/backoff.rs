//! How long to leave a failing target alone: exponential with full jitter, as in
//! <https://aws.amazon.com/blogs/architecture/exponential-backoff-and-jitter/>. Pure: chance is given.

use std::time::Duration;

use crate::config;

/// The bounds of the pauses.
#[derive(Clone, Copy, Debug)]
pub(super) struct Backoff {
    /// Longest pause after the first failure.
    pub(super) initial: Duration,
    /// Longest pause after any.
    pub(super) max: Duration,
}

impl Backoff {
    pub(super) fn of(config: &config::Broker) -> Self {
        Self {
            initial: config.retry_initial,
            max: config.retry_max,
        }
    }

    /// The pause after so many failures in a row (from 1). `random` is uniform in 0..1.
    pub(super) fn pause(&self, failures: u32, random: f64) -> Duration {
        let doublings = failures.saturating_sub(1).min(30);
        let ceiling = self.initial.saturating_mul(1 << doublings).min(self.max);
        ceiling.mul_f64(random)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_double_up_to_the_limit_and_jitter_is_full() {
        let backoff = Backoff {
            initial: Duration::from_millis(100),
            max: Duration::from_secs(2),
        };
        for (failures, ceiling) in [(1, 100), (2, 200), (5, 1600), (6, 2000), (u32::MAX, 2000)] {
            assert_eq!(backoff.pause(failures, 0.0), Duration::ZERO);
            assert_eq!(
                backoff.pause(failures, 0.5),
                Duration::from_millis(ceiling / 2)
            );
            assert!(backoff.pause(failures, 0.999_999) <= Duration::from_millis(ceiling));
        }
    }
}
