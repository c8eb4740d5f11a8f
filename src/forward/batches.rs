//! Where workers get their batches: first those that another try failed, then new ones from the spool.

use std::collections::VecDeque;
use std::sync::{Mutex, MutexGuard, PoisonError};

use tokio::sync::Notify;

use super::batch::Batch;
use crate::spool::{LeaseLimits, Spool};

/// The source of batches, shared by all workers of all Brokers.
pub(super) struct Batches {
    spool: Spool,
    limits: LeaseLimits,
    returned: Mutex<VecDeque<Batch>>,
    was_returned: Notify,
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
                parts = self.spool.lease(self.limits) => return Batch { parts },
            }
        }
    }

    /// Gives batches back to be tried again, before everything else and in this order.
    pub(super) fn give_back(&self, batches: impl DoubleEndedIterator<Item = Batch>) {
        let mut returned = self.returned();
        for batch in batches.rev() {
            returned.push_front(batch);
        }
        drop(returned);
        self.was_returned.notify_one();
    }

    fn take_returned(&self) -> Option<Batch> {
        let mut returned = self.returned();
        let batch = returned.pop_front();
        if !returned.is_empty() {
            self.was_returned.notify_one();
        }
        batch
    }

    fn returned(&self) -> MutexGuard<'_, VecDeque<Batch>> {
        self.returned.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
