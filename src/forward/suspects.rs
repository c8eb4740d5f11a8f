//! How many slots the suspects have: batches that failed in a way that may be due to their events. An event that hangs a
//! Broker holds its slot until the time is up; were all slots held by such, nothing would be taken that shows whose fault
//! it is.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::Notify;
use tokio::time::Instant;

/// Of the slots at Brokers that are up, suspects hold this part at most. Of a single one they hold half of the time: it is
/// the others' for as long as a suspect held it.
const PART_OF_SLOTS: usize = 2;

/// The suspects that are under way.
#[derive(Debug)]
pub(super) struct Suspects {
    slots: AtomicUsize,
    under_way: AtomicUsize,
    /// Until then a single slot is the others'.
    others_until: Mutex<Option<Instant>>,
    ended: Notify,
}

/// A suspect on its way, for as long as this lives.
#[derive(Debug)]
pub(super) struct SuspectUnderWay {
    suspects: Arc<Suspects>,
    begun: Instant,
}

impl Suspects {
    /// `slots` is how many requests may be under way at all Brokers together.
    pub(super) fn new(slots: usize) -> Self {
        Self {
            slots: AtomicUsize::new(slots),
            under_way: AtomicUsize::new(0),
            others_until: Mutex::default(),
            ended: Notify::new(),
        }
    }

    /// From now on so many requests may be under way at the Brokers that are up.
    pub(super) fn share(&self, slots: usize) {
        self.slots.store(slots, Ordering::Relaxed);
    }

    /// From when on another one may be sent; none before one has ended.
    pub(super) fn have_room_from(&self, now: Instant) -> Option<Instant> {
        let most = self.slots.load(Ordering::Relaxed) / PART_OF_SLOTS;
        let has_room = self.under_way.load(Ordering::Relaxed) < most.max(1);
        let from = match *self.others_until() {
            Some(until) if most == 0 => until.max(now),
            _ => now,
        };
        has_room.then_some(from)
    }

    /// One is sent.
    pub(super) fn begin(self: &Arc<Self>, now: Instant) -> SuspectUnderWay {
        self.under_way.fetch_add(1, Ordering::Relaxed);
        SuspectUnderWay {
            suspects: Arc::clone(self),
            begun: now,
        }
    }

    /// Resolves when one has come to an end, to whoever waits next.
    pub(super) async fn ended(&self) {
        self.ended.notified().await;
    }

    fn others_until(&self) -> MutexGuard<'_, Option<Instant>> {
        self.others_until
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for SuspectUnderWay {
    fn drop(&mut self) {
        let now = Instant::now();
        let suspects = &self.suspects;
        *suspects.others_until() = Some(now + now.saturating_duration_since(self.begun));
        suspects.under_way.fetch_sub(1, Ordering::Relaxed);
        suspects.ended.notify_one();
    }
}
