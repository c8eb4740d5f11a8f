//! All Brokers: whether one of them takes a batch now, and which one gets it.

use std::sync::Arc;

use tokio::sync::Notify;
use tokio::time::Instant;

use super::balancer;
use super::broker::{Broker, Offer, Slot};

/// The Brokers, and the notice of any change.
pub(super) struct Brokers {
    all: Vec<Arc<Broker>>,
    changed: Arc<Notify>,
}

/// What the Brokers take now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Admission {
    /// Any batch: one that is up has room.
    Free,
    /// One batch, to see whether a Broker works again; none that is up has room.
    Probe,
}

/// Whether the Brokers together take anything.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Intake {
    Open(Admission),
    /// Until this moment, unless one of them changes before.
    ShutUntil(Instant),
    /// Until one of them changes.
    Shut,
}

impl Brokers {
    /// `changed` is told by each of them.
    pub(super) fn new(all: Vec<Arc<Broker>>, changed: Arc<Notify>) -> Self {
        Self { all, changed }
    }

    pub(super) fn all(&self) -> &[Arc<Broker>] {
        &self.all
    }

    /// Waits until a batch may be sent. To be asked by one task at a time, like [`Brokers::change`].
    pub(super) async fn admission(&self) -> Admission {
        loop {
            match self.intake(Instant::now()) {
                Intake::Open(admission) => return admission,
                Intake::Shut => self.changed.notified().await,
                Intake::ShutUntil(moment) => {
                    let changed = self.changed.notified();
                    let _whichever_comes_first = tokio::time::timeout_at(moment, changed).await;
                }
            }
        }
    }

    /// Those that rest, and did not ask for it, may be probed now.
    pub(super) fn end_rests(&self) {
        for broker in &self.all {
            broker.end_rest();
        }
    }

    /// How many requests may be under way at those that are up.
    pub(super) fn slots_up(&self) -> usize {
        self.all.iter().map(|broker| broker.slots_up()).sum()
    }

    /// Resolves when the Brokers take something else than they did.
    pub(super) async fn change(&self, admission: Admission) {
        while self.intake(Instant::now()) == Intake::Open(admission) {
            self.changed.notified().await;
        }
    }

    /// A slot for the next batch: at a Broker that is to be probed, else at one of those that are up.
    pub(super) fn take(&self) -> Option<Slot> {
        let now = Instant::now();
        let is_rested = |broker: &&Arc<Broker>| matches!(broker.offer(now), Offer::Probe);
        match self.all.iter().find(is_rested) {
            Some(rested) => rested.take(now),
            None => self.take_but(&[]),
        }
    }

    /// A slot at a Broker that is up and not among these.
    pub(super) fn take_but(&self, left_out: &[usize]) -> Option<Slot> {
        let now = Instant::now();
        let (costs, offering): (Vec<_>, Vec<_>) = self
            .all
            .iter()
            .filter(|broker| !left_out.contains(&broker.identity.index))
            .filter_map(|broker| match broker.offer(now) {
                Offer::Slot { cost } => Some((cost, broker)),
                Offer::Probe | Offer::NotBefore(_) | Offer::None => None,
            })
            .unzip();
        let drawn = balancer::draw(&costs, fastrand::f64())?;
        offering[drawn].take(now)
    }

    /// The best of what they offer.
    fn intake(&self, now: Instant) -> Intake {
        let mut best = Intake::Shut;
        for broker in &self.all {
            best = match (broker.offer(now), best) {
                (Offer::Slot { .. }, _) => return Intake::Open(Admission::Free),
                (Offer::Probe, _) => Intake::Open(Admission::Probe),
                (Offer::NotBefore(moment), Intake::ShutUntil(earliest)) => {
                    Intake::ShutUntil(moment.min(earliest))
                }
                (Offer::NotBefore(moment), Intake::Shut) => Intake::ShutUntil(moment),
                (Offer::NotBefore(_) | Offer::None, best) => best,
            };
        }
        best
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::forward::broker::identities;
    use crate::forward::circuit_breaker::Trip;

    fn brokers(count: usize) -> Brokers {
        let urls = vec!["http://127.0.0.1:9/".parse().unwrap(); count];
        let changed = Arc::default();
        let broker = |identity| Broker::unconnected(identity, 1, Arc::clone(&changed));
        let all = identities(&urls).into_iter().map(broker).collect();
        Brokers::new(all, Arc::clone(&changed))
    }

    fn fail(slot: &Slot, rest: Duration) {
        let failing = Trip {
            retry_after: Some(rest),
            ..Trip::default()
        };
        slot.note_broker_failure(failing, "x");
    }

    #[tokio::test(start_paused = true)]
    async fn while_all_rest_the_first_that_is_rested_is_probed_once() {
        let brokers = brokers(2);
        let fail_next = |rest| {
            let slot = brokers.take().unwrap();
            fail(&slot, rest);
            slot.broker().identity.index
        };
        fail_next(Duration::from_secs(60));
        let rest = Duration::from_secs(3);
        let rested = fail_next(rest);
        let begun = Instant::now();
        assert_eq!(brokers.admission().await, Admission::Probe);
        assert_eq!(begun.elapsed(), rest);
        let probe = brokers.take().unwrap();
        assert_eq!(probe.broker().identity.index, rested);
        let waiting = tokio::time::timeout(Duration::from_secs(50), brokers.admission());
        assert!(waiting.await.is_err(), "one probe at a time");
        assert!(probe.note_delivery());
        drop(probe);
        assert_eq!(brokers.admission().await, Admission::Free);
    }

    #[tokio::test(start_paused = true)]
    async fn what_failed_at_one_goes_to_another() {
        let brokers = brokers(2);
        let slot = brokers.take().unwrap();
        let index = slot.broker().identity.index;
        drop(slot);
        for _ in 0..10 {
            assert_ne!(
                brokers.take_but(&[index]).unwrap().broker().identity.index,
                index
            );
        }
        assert!(brokers.take_but(&[0, 1]).is_none());
    }

    #[tokio::test(start_paused = true)]
    async fn a_change_is_noticed() {
        let brokers = brokers(1);
        let slot = brokers.take().unwrap();
        let (admission, ()) = tokio::join!(brokers.admission(), async { drop(slot) });
        assert_eq!(admission, Admission::Free);
        let ((), ()) = tokio::join!(brokers.change(admission), async {
            let slot = brokers.take().unwrap();
            fail(&slot, Duration::from_secs(3));
        });
    }
}
