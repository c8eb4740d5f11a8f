//! Which Broker gets a batch: of two that are drawn by lot, the one that is likely to answer first (power of two
//! choices). Pure: the time and the dice are given.

use std::time::Duration;

use tokio::time::Instant;

/// After so long an observation weighs a third of what it did. One that was slow is tried again that way.
const MEMORY: Duration = Duration::from_secs(10);

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

/// The index of the cheaper one of two that are drawn by lot; none where there is none to draw. `dice` are uniform in
/// 0..1.
pub(super) fn choose(costs: &[f64], dice: [f64; 2]) -> Option<usize> {
    let draw = |dice: f64, among: usize| ((dice * among as f64) as usize).min(among - 1);
    match costs.len() {
        0 => None,
        1 => Some(0),
        count => {
            let one = draw(dice[0], count);
            let other = (one + 1 + draw(dice[1], count - 1)) % count;
            Some(if costs[other] < costs[one] {
                other
            } else {
                one
            })
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn latency(millis: u64, now: Instant) -> Latency {
        let mut latency = Latency::default();
        latency.observe(Duration::from_millis(millis), now);
        latency
    }

    #[test]
    fn the_cheaper_of_any_two_is_chosen_and_the_dearest_never() {
        let costs = [3.0, 1.0, 2.0];
        let mut chosen = [0; 3];
        for one in 0..30 {
            for other in 0..30 {
                let dice = [f64::from(one) / 30.0, f64::from(other) / 30.0];
                chosen[choose(&costs, dice).unwrap()] += 1;
            }
        }
        assert_eq!(chosen, [0, 600, 300]);
        assert_eq!(choose(&[1.0], [0.9, 0.9]), Some(0));
        assert_eq!(choose(&[], [0.0, 0.0]), None);
    }

    #[test]
    fn equal_ones_share() {
        let mut chosen = [0; 3];
        for step in 0..90 {
            chosen[choose(&[1.0; 3], [f64::from(step) / 90.0, 0.5]).unwrap()] += 1;
        }
        assert_eq!(chosen, [30; 3]);
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
