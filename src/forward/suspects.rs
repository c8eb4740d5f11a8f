//! How many slots the suspects have: batches that failed in a way that may be due to their events. An event that hangs a
//! Broker holds its slot until the time is up; were all slots held by such, nothing would be taken that shows whose fault
//! it is.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use tokio::sync::Notify;

/// Of the slots at Brokers that are up, suspects hold this part at most.
const PART_OF_SLOTS: usize = 2;

/// The suspects that are under way.
#[derive(Debug)]
pub(super) struct Suspects {
    slots: AtomicUsize,
    under_way: AtomicUsize,
    ended: Notify,
}

/// A suspect on its way, for as long as this lives.
#[derive(Debug)]
pub(super) struct SuspectUnderWay(Arc<Suspects>);

impl Suspects {
    /// `slots` is how many requests may be under way at all Brokers together.
    pub(super) fn new(slots: usize) -> Self {
        Self {
            slots: AtomicUsize::new(slots),
            under_way: AtomicUsize::new(0),
            ended: Notify::new(),
        }
    }

    /// From now on so many requests may be under way at the Brokers that are up.
    pub(super) fn share(&self, slots: usize) {
        self.slots.store(slots, Ordering::Relaxed);
    }

    /// Whether another one may be sent.
    pub(super) fn have_room(&self) -> bool {
        let most = self.slots.load(Ordering::Relaxed) / PART_OF_SLOTS;
        self.under_way.load(Ordering::Relaxed) < most.max(1)
    }

    /// One is sent.
    pub(super) fn begin(self: &Arc<Self>) -> SuspectUnderWay {
        self.under_way.fetch_add(1, Ordering::Relaxed);
        SuspectUnderWay(Arc::clone(self))
    }

    /// Resolves when one has come to an end, to whoever waits next.
    pub(super) async fn ended(&self) {
        self.ended.notified().await;
    }
}

impl Drop for SuspectUnderWay {
    fn drop(&mut self) {
        self.0.under_way.fetch_sub(1, Ordering::Relaxed);
        self.0.ended.notify_one();
    }
}
