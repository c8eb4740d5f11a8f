//! Where batches come from: those that failed and are due again, and new ones from the spool.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use futures_util::future::BoxFuture;
use tokio::sync::Notify;
use tokio::time::Instant;

use super::brokers::Admission;
use super::retry_queue::{Choice, RetryQueue};
use super::shipment::Shipment;
use super::suspects::Suspects;
use crate::lifecycle::Lifecycle;
use crate::spool::{LeaseLimits, Part, Spool};

type Lease = BoxFuture<'static, Vec<Part>>;

/// The source of batches.
pub(super) struct Batches {
    spool: Spool,
    limits: LeaseLimits,
    lifecycle: Lifecycle,
    /// The lease under way. It outlives who waits for it: whenever a batch comes back somebody looks anew,
    /// and a linger that began anew each time would never end.
    lease: tokio::sync::Mutex<Option<Lease>>,
    retry_queue: Mutex<RetryQueue>,
    suspects: Arc<Suspects>,
    came_back: Notify,
}

impl Batches {
    /// `slots` is how many requests may be under way at all Brokers together.
    pub(super) fn new(
        spool: Spool,
        limits: LeaseLimits,
        slots: usize,
        lifecycle: Lifecycle,
    ) -> Self {
        let retry_queue = RetryQueue::new(slots);
        Self {
            spool,
            limits,
            lifecycle,
            suspects: retry_queue.suspects(),
            retry_queue: Mutex::new(retry_queue),
            lease: tokio::sync::Mutex::default(),
            came_back: Notify::new(),
        }
    }

    /// The batches among them that failed in a way that may be due to their events.
    pub(super) fn suspects(&self) -> &Suspects {
        &self.suspects
    }

    /// The next batch, when there is one. To be asked by one task at a time; nothing is lost when it stops
    /// asking, and what it has waited of the linger counts the next time.
    pub(super) async fn next(&self, admission: Admission) -> Shipment {
        let mut lease = self.lease.lock().await;
        let mut has_looked_for_new = false;
        loop {
            let has_new = !has_looked_for_new && self.spool.has_events_to_lease();
            let choice = self
                .retry_queue()
                .choose(admission, has_new, Instant::now());
            let (may_lease, look_again) = match choice {
                Choice::Send(shipment) => return shipment,
                Choice::Lease(look_again) => (true, look_again),
                Choice::Wait(look_again) => (false, look_again),
            };
            tokio::select! {
                () = self.came_back.notified() => {}
                () = self.suspects.ended() => {}
                () = until(look_again) => has_looked_for_new = admission == Admission::Probe,
                parts = self.leased(&mut lease), if may_lease => {
                    *lease = None;
                    return Shipment::new(parts);
                }
            }
        }
    }

    /// Goes on with the lease that was begun, or begins one.
    fn leased<'a>(&self, lease: &'a mut Option<Lease>) -> &'a mut Lease {
        lease.get_or_insert_with(|| {
            let (spool, limits, lifecycle) =
                (self.spool.clone(), self.limits, self.lifecycle.clone());
            Box::pin(lease_while_more_may_come(spool, limits, lifecycle))
        })
    }

    /// Whether events arrive in the order in which they came.
    pub(super) fn keeps_order(&self) -> bool {
        self.retry_queue().keeps_order()
    }

    /// Gives batches back, to be tried again at this moment.
    pub(super) fn give_back(&self, shipments: impl IntoIterator<Item = Shipment>, due: Instant) {
        let mut retry_queue = self.retry_queue();
        for shipment in shipments {
            retry_queue.add(shipment, due);
        }
        drop(retry_queue);
        self.came_back.notify_one();
    }

    /// Gives batches back that new ones may pass: others may show that it was not the Broker.
    pub(super) fn put_off(&self, shipments: impl IntoIterator<Item = Shipment>) {
        let mut retry_queue = self.retry_queue();
        for shipment in shipments {
            retry_queue.put_off(shipment, Instant::now());
        }
        drop(retry_queue);
        self.came_back.notify_one();
    }

    /// A Broker takes events: what was put off is tried again at once.
    pub(super) fn recall(&self) {
        if self.retry_queue().recall(Instant::now()) {
            self.came_back.notify_one();
        }
    }

    /// A batch that had waited was taken: another one of its kind is tried again at once.
    pub(super) fn end_next_pause(&self) {
        self.retry_queue().end_next_pause(Instant::now());
        self.came_back.notify_one();
    }

    /// A Broker came up: what waited for that is tried again at once.
    pub(super) fn end_pauses(&self) {
        self.retry_queue().end_pauses(Instant::now());
        self.came_back.notify_one();
    }

    fn retry_queue(&self) -> MutexGuard<'_, RetryQueue> {
        self.retry_queue
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }
}

/// Lingers only as long as new events may come: at the end, and once the spool has failed, what waits for a fuller batch
/// would be left over.
async fn lease_while_more_may_come(
    spool: Spool,
    limits: LeaseLimits,
    lifecycle: Lifecycle,
) -> Vec<Part> {
    tokio::select! {
        parts = spool.lease(limits) => return parts,
        () = lifecycle.closing() => {}
        () = spool.failed() => {}
    }
    let linger = Duration::ZERO;
    spool.lease(LeaseLimits { linger, ..limits }).await
}

/// Resolves at a moment, or never.
async fn until(moment: Option<Instant>) {
    match moment {
        Some(moment) => tokio::time::sleep_until(moment).await,
        None => std::future::pending().await,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::OutputType;
    use crate::event::{Envelope, Lines, Origin};
    use crate::spool::Acknowledge;
    use crate::telemetry::Telemetry;

    fn lines(text: &'static str) -> Lines {
        Lines {
            count: 1,
            bytes: text.into(),
        }
    }

    fn envelope(text: &'static str) -> Envelope {
        Envelope {
            origin: Origin::Json,
            live: lines(text),
            dead: Lines::default(),
            sources: vec![],
        }
    }

    fn old() -> Shipment {
        Shipment::new(vec![Part {
            first: 0,
            lines: lines("{\"old\":1},\n"),
        }])
    }

    fn batches(acknowledge: Acknowledge) -> (Batches, Spool) {
        lingering(acknowledge, Duration::from_millis(5))
    }

    fn lingering(acknowledge: Acknowledge, linger: Duration) -> (Batches, Spool) {
        let telemetry = Arc::new(Telemetry::new(vec![], 1, OutputType::Http));
        let spool = Spool::in_memory(100_000, acknowledge, telemetry);
        let limits = LeaseLimits {
            max_events: 1000,
            max_bytes: 1000,
            linger,
        };
        let lifecycle = Lifecycle::new();
        (Batches::new(spool.clone(), limits, 8, lifecycle), spool)
    }

    fn text(shipment: &Shipment) -> String {
        let (_, event) = shipment.batch.single().unwrap();
        String::from_utf8(event.to_vec()).unwrap()
    }

    async fn append(spool: &Spool) {
        let soon = Instant::now() + Duration::from_secs(1);
        let new = envelope("{\"new\":1},\n");
        spool.append(new, soon).await.unwrap();
    }

    #[tokio::test(start_paused = true)]
    async fn new_events_come_before_what_was_put_off() {
        let (batches, spool) = batches(Acknowledge::Queued);
        batches.put_off([old()]);
        append(&spool).await;
        let begun = Instant::now();
        let next = async || text(&batches.next(Admission::Probe).await);
        assert_eq!(next().await, "{\"new\":1}");
        assert!(
            begun.elapsed() < Duration::from_secs(1),
            "the linger was not begun again and again"
        );
        assert_eq!(next().await, "{\"old\":1}");
    }

    #[tokio::test(start_paused = true)]
    async fn a_linger_goes_on_however_often_somebody_looks_anew() {
        let linger = Duration::from_secs(2);
        let (batches, spool) = lingering(Acknowledge::Queued, linger);
        append(&spool).await;
        let begun = Instant::now();
        let look = Duration::from_millis(700);
        let new = loop {
            let next = batches.next(Admission::Free);
            if let Ok(next) = tokio::time::timeout(look, next).await {
                break next;
            }
        };
        assert_eq!(
            (text(&new).as_str(), begun.elapsed()),
            ("{\"new\":1}", linger)
        );
    }

    #[tokio::test(start_paused = true)]
    async fn what_was_put_off_comes_even_if_the_new_events_are_withdrawn() {
        let (batches, spool) = batches(Acknowledge::Delivered);
        batches.put_off([old()]);
        let soon = Instant::now() + Duration::from_millis(1);
        let append = spool.append(envelope("{\"new\":1},\n"), soon);
        let (refused, next) = tokio::join!(append, batches.next(Admission::Probe));
        assert!(refused.is_err());
        assert_eq!(text(&next), "{\"old\":1}");
    }

    #[tokio::test(start_paused = true)]
    async fn what_failed_comes_again_after_its_pause() {
        let (batches, spool) = batches(Acknowledge::Queued);
        let begun = Instant::now();
        let pause = Duration::from_secs(3);
        batches.give_back([old()], begun + pause);
        append(&spool).await;
        let next = async || text(&batches.next(Admission::Free).await);
        assert_eq!(next().await, "{\"new\":1}");
        assert!(begun.elapsed() < pause);
        assert_eq!(next().await, "{\"old\":1}");
        assert_eq!(begun.elapsed(), pause);
    }

    #[tokio::test(start_paused = true)]
    async fn a_broker_that_comes_up_ends_the_pauses() {
        let (batches, _spool) = batches(Acknowledge::Queued);
        let begun = Instant::now();
        batches.give_back([old()], begun + Duration::from_secs(3600));
        let (next, ()) = tokio::join!(batches.next(Admission::Free), async {
            batches.end_pauses();
        });
        assert_eq!(text(&next), "{\"old\":1}");
        assert!(begun.elapsed() < Duration::from_secs(1));
    }
}
