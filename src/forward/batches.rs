//! Where workers get their batches: first those whose last try failed, then new ones from the spool, then those that
//! were put off.

use std::collections::VecDeque;
use std::sync::{Mutex, MutexGuard, PoisonError};

use tokio::sync::Notify;

use super::batch::Batch;
use crate::spool::{LeaseLimits, Spool};

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
            tokio::select! {
                () = self.was_returned.notified() => {}
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
            None if self.spool.has_events_to_lease() => return None,
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
