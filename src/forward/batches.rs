//! Where workers get their batches: first those whose last try failed, then new ones from the spool, then those that
//! were put off.

use std::collections::VecDeque;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::Notify;

use super::batch::Batch;
use crate::spool::{LeaseLimits, Spool};

/// What was put off is looked for again this often while there is any.
const LOOK_AGAIN: Duration = Duration::from_secs(1);

/// More batches than this are not put off: they are in memory, and their Broker rejects whatever it is sent.
const MAX_PUT_OFF: usize = 16;

/// The source of batches, shared by all workers of all Brokers.
pub(super) struct Batches {
    spool: Spool,
    limits: LeaseLimits,
    returned: Mutex<Returned>,
    was_returned: Notify,
}

#[derive(Default)]
struct Returned {
    /// To be tried before everything else.
    first: VecDeque<Batch>,
    /// To be tried when nothing else is there.
    last: VecDeque<Batch>,
}

impl Batches {
    pub(super) fn new(spool: Spool, limits: LeaseLimits) -> Self {
        Self {
            spool,
            limits,
            returned: Mutex::default(),
            was_returned: Notify::new(),
        }
    }

    /// The next batch, when there is one.
    pub(super) async fn next(&self) -> Batch {
        loop {
            if let Some(batch) = self.take_returned() {
                return batch;
            }
            let is_put_off = !self.returned().last.is_empty();
            tokio::select! {
                () = self.was_returned.notified() => {}
                // What the spool had may be withdrawn while a lease waits for more.
                () = tokio::time::sleep(LOOK_AGAIN), if is_put_off => {}
                parts = self.spool.lease(self.limits) => {
                    // The notice of what was put off may have been taken by this worker, which has other work now.
                    self.wake_for_returned();
                    return Batch { parts };
                }
            }
        }
    }

    /// Gives batches back to be tried again, before everything else and in this order.
    pub(super) fn give_back(&self, batches: impl DoubleEndedIterator<Item = Batch>) {
        let mut returned = self.returned();
        for batch in batches.rev() {
            returned.first.push_front(batch);
        }
        drop(returned);
        self.was_returned.notify_one();
    }

    /// Gives batches back to be tried when nothing else is there: others may show that it was not the Broker.
    pub(super) fn put_off(&self, batches: impl Iterator<Item = Batch>) {
        self.returned().last.extend(batches);
        self.was_returned.notify_one();
    }

    /// The Broker takes events: what was put off is tried again at once.
    pub(super) fn recall(&self) {
        let mut returned = self.returned();
        if !returned.last.is_empty() {
            let put_off = std::mem::take(&mut returned.last);
            returned.first.extend(put_off);
            drop(returned);
            self.was_returned.notify_one();
        }
    }

    fn take_returned(&self) -> Option<Batch> {
        let mut returned = self.returned();
        let batch = match returned.first.pop_front() {
            Some(batch) => batch,
            None if returned.last.len() < MAX_PUT_OFF && self.spool.has_events_to_lease() => {
                return None;
            }
            None => returned.last.pop_front()?,
        };
        drop(returned);
        self.wake_for_returned();
        Some(batch)
    }

    fn wake_for_returned(&self) {
        let returned = self.returned();
        if !returned.first.is_empty() || !returned.last.is_empty() {
            self.was_returned.notify_one();
        }
    }

    fn returned(&self) -> MutexGuard<'_, Returned> {
        self.returned.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use tokio::time::Instant;

    use super::*;
    use crate::event::{Envelope, Lines, Origin};
    use crate::spool::{Acknowledge, Part};
    use crate::telemetry::{Output, Telemetry};

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

    fn put_off() -> Batch {
        let part = Part {
            first: 0,
            lines: lines("{\"old\":1},\n"),
        };
        Batch { parts: vec![part] }
    }

    fn batches(acknowledge: Acknowledge) -> (Batches, Spool) {
        let telemetry = Arc::new(Telemetry::new(vec![], 1, Output::Http));
        let spool = Spool::in_memory(1000, acknowledge, telemetry);
        let limits = LeaseLimits {
            max_events: 1000,
            max_bytes: 1000,
            linger: Duration::from_millis(5),
        };
        (Batches::new(spool.clone(), limits), spool)
    }

    #[tokio::test(start_paused = true)]
    async fn new_events_come_before_what_was_put_off() {
        let (batches, spool) = batches(Acknowledge::Queued);
        batches.put_off([put_off()].into_iter());
        let soon = Instant::now() + Duration::from_secs(1);
        spool
            .append(envelope("{\"new\":1},\n"), soon)
            .await
            .unwrap();
        let begun = Instant::now();
        assert_eq!(
            &batches.next().await.single().unwrap().1[..],
            b"{\"new\":1}"
        );
        assert!(
            begun.elapsed() < Duration::from_secs(1),
            "the linger was not begun again and again"
        );
        assert_eq!(
            &batches.next().await.single().unwrap().1[..],
            b"{\"old\":1}"
        );
    }

    #[tokio::test(start_paused = true)]
    async fn what_is_put_off_is_bounded() {
        let (batches, spool) = batches(Acknowledge::Queued);
        batches.put_off((0..MAX_PUT_OFF).map(|_| put_off()));
        let soon = Instant::now() + Duration::from_secs(1);
        spool
            .append(envelope("{\"new\":1},\n"), soon)
            .await
            .unwrap();
        let next = async || batches.next().await.single().unwrap().1;
        assert_eq!(&next().await[..], b"{\"old\":1}");
        assert_eq!(&next().await[..], b"{\"new\":1}");
    }

    #[tokio::test(start_paused = true)]
    async fn what_was_put_off_comes_even_if_the_new_events_are_withdrawn() {
        let (batches, spool) = batches(Acknowledge::Delivered);
        batches.put_off([put_off()].into_iter());
        let soon = Instant::now() + Duration::from_millis(1);
        let append = spool.append(envelope("{\"new\":1},\n"), soon);
        let (refused, batch) = tokio::join!(append, batches.next());
        assert!(refused.is_err());
        assert_eq!(&batch.single().unwrap().1[..], b"{\"old\":1}");
    }
}
