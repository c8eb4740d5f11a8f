//! Which Broker gets a batch: drawn by lot, and one that is likely to answer in half the time gets twice as
//! many. Pure: time and chance are given.

use std::time::Duration;

use tokio::time::Instant;

/// After so long an observation weighs a third of what it did. One that was slow is tried more often that way.
const MEMORY: Duration = Duration::from_secs(5);

/// What an answer takes at least, so that requests under way count also where nothing was observed yet.
const FLOOR_SECONDS: f64 = 0.001;

/// How long the answers of a Broker take: a moving average that fades.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Latency {
    seconds: f64,
    observed_at: Option<Instant>,
}

impl Latency {
    /// Notes what an answer took.
    pub(super) fn observe(&mut self, took: Duration, now: Instant) {
        let weight_of_old = self.faded(now);
        self.seconds = took.as_secs_f64() * (1.0 - weight_of_old) + self.seconds * weight_of_old;
        self.observed_at = Some(now);
    }

    /// What an answer is expected to take.
    fn expected_seconds(&self, now: Instant) -> f64 {
        self.seconds * self.faded(now)
    }

    fn faded(&self, now: Instant) -> f64 {
        self.observed_at.map_or(0.0, |at| {
            let age = now.saturating_duration_since(at);
            (-age.as_secs_f64() / MEMORY.as_secs_f64()).exp()
        })
    }
}

/// How long a batch would take at a Broker that has so many requests under way.
pub(super) fn cost(latency: Latency, in_flight: usize, now: Instant) -> f64 {
    (latency.expected_seconds(now) + FLOOR_SECONDS) * (in_flight + 1) as f64
}

/// The index of the one that is drawn; none where there is none to draw. `random` is uniform in 0..1.
///
/// The cheaper of two would leave one that is a little slower without any batch as long as few are under way, and so
/// without an answer that could show it to be quick: after one slow answer, for minutes.
pub(super) fn draw(costs: &[f64], random: f64) -> Option<usize> {
    let share = |cost: &f64| cost.recip();
    let mut rest = random * costs.iter().map(share).sum::<f64>();
    let is_reached = |cost: &f64| {
        rest -= share(cost);
        rest < 0.0
    };
    // Rounding may leave a rest behind the last.
    let last = costs.len().checked_sub(1)?;
    Some(costs.iter().position(is_reached).unwrap_or(last))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn latency(millis: u64, now: Instant) -> Latency {
        let mut latency = Latency::default();
        latency.observe(Duration::from_millis(millis), now);
        latency
    }

    /// How often each is drawn in six hundred draws that are spread evenly.
    fn draws<const COUNT: usize>(costs: [f64; COUNT]) -> [u32; COUNT] {
        let mut drawn = [0; COUNT];
        for step in 0..600 {
            drawn[draw(&costs, (f64::from(step) + 0.5) / 600.0).unwrap()] += 1;
        }
        drawn
    }

    #[test]
    fn each_gets_as_many_as_it_answers_in_the_same_time() {
        assert_eq!(draws([7.0; 3]), [200; 3]);
        assert_eq!(draws([1.0, 2.0]), [400, 200]);
        assert_eq!(draws([0.003, 0.001, 0.0015]), [100, 300, 200]);
        assert_eq!(draws([1.0]), [600]);
        assert_eq!(draw(&[1.0, 1.0], 1.0), Some(1));
        assert_eq!(draw(&[], 0.0), None);
    }

    #[test]
    fn one_slow_answer_is_made_good_where_few_batches_come() {
        let mut now = Instant::now();
        let mut latencies = [latency(300, now), latency(2, now)];
        let mut random = fastrand::Rng::with_seed(7);
        let mut drawn = [0; 2];
        for _ in 0..1200 {
            now += Duration::from_millis(50);
            let costs = latencies.map(|latency| cost(latency, 0, now));
            let chosen = draw(&costs, random.f64()).unwrap();
            latencies[chosen].observe(Duration::from_millis(2), now);
            drawn[chosen] += 1;
        }
        assert!(drawn[0] > 300, "{drawn:?}");
    }

    #[test]
    fn a_slow_one_costs_more_than_many_requests_at_a_quick_one() {
        let now = Instant::now();
        let (slow, quick) = (latency(2000, now), latency(5, now));
        assert!(cost(slow, 0, now) > cost(quick, 50, now));
        assert!(cost(quick, 1, now) > cost(quick, 0, now));
        let unknown = Latency::default();
        assert!(cost(unknown, 1, now) > cost(unknown, 0, now));
    }

    #[test]
    fn a_slow_one_is_forgiven_in_time() {
        let now = Instant::now();
        let slow = latency(2000, now);
        let later = now + Duration::from_secs(120);
        assert!(cost(slow, 0, later) < cost(latency(5, later), 0, later));
    }

    #[test]
    fn answers_weigh_by_their_age() {
        let now = Instant::now();
        let mut latency = latency(10, now);
        for step in 1..=100 {
            latency.observe(
                Duration::from_secs(1),
                now + step * Duration::from_millis(500),
            );
        }
        let end = now + Duration::from_secs(50);
        assert!((latency.expected_seconds(end) - 1.0).abs() < 0.05);
    }
}
