//! What the writer and the async side share: the backlog behind a lock that is never held across a wait or a system
//! call, and who is to be told of what.

use std::ops::Range;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant, SystemTime};

use seglog::{Acked, Folder, Log, Place};
use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;

use super::backlog::{Backlog, Wakes};
use super::feed::Behind;
use super::lane_reader::LaneReader;
use super::pending::{Pending, PendingAppend};
use crate::event::Position;
use crate::spool::side::Side;
use crate::spool::{AppendError, SpoolStatus};
use crate::telemetry::Telemetry;
use crate::units::timestamp::since_epoch;

pub(super) struct Shared {
    pub(super) folder: Arc<dyn Folder>,
    pub(super) telemetry: Arc<Telemetry>,
    pub(super) pending: Pending,
    /// Asked at each request, so not read off `failure`, which takes a lock for that.
    has_failed: AtomicBool,
    failure: CancellationToken,
    pub(super) all_acked: Notify,
    pub(super) live_arrived: Arc<Notify>,
    pub(super) dead_arrived: Arc<Notify>,
    backlog: Mutex<Backlog>,
    /// What was done before this run of the program.
    done: Arc<Acked>,
    /// As the writer published it last. Refusals only read it: they are to be cheap when there are the most of them.
    capacity: PublishedCapacity,
    max_payload_bytes: u64,
    /// Space can be given back, and is waited for.
    is_purge_requested: AtomicBool,
}

/// What the writer found out about the log's room.
#[derive(Clone, Copy, Debug)]
pub(super) struct Capacity {
    /// What it can still take, at most.
    pub(super) available_bytes: u64,
    /// Little is left, or it refused something that it still could not take.
    pub(super) is_full: bool,
    pub(super) is_disk_full: bool,
    /// When another try is worth it for who finds no room.
    pub(super) retry_after: Duration,
}

/// A [`Capacity`] that is published with every group and read by every request. A reader may see parts of two of them,
/// of which each was true a moment ago; one value behind a pointer is made anew and changes its place each time.
#[derive(Default)]
struct PublishedCapacity {
    available_bytes: AtomicU64,
    is_full: AtomicBool,
    is_disk_full: AtomicBool,
    retry_after_millis: AtomicU64,
}

impl PublishedCapacity {
    fn new(capacity: Capacity) -> Self {
        let published = Self::default();
        published.store(capacity);
        published
    }

    fn store(&self, capacity: Capacity) {
        let retry_after = u64::try_from(capacity.retry_after.as_millis()).unwrap_or(u64::MAX);
        self.available_bytes
            .store(capacity.available_bytes, Ordering::Relaxed);
        self.is_full.store(capacity.is_full, Ordering::Relaxed);
        self.is_disk_full
            .store(capacity.is_disk_full, Ordering::Relaxed);
        self.retry_after_millis
            .store(retry_after, Ordering::Relaxed);
    }

    fn load(&self) -> Capacity {
        Capacity {
            available_bytes: self.available_bytes.load(Ordering::Relaxed),
            is_full: self.is_full.load(Ordering::Relaxed),
            is_disk_full: self.is_disk_full.load(Ordering::Relaxed),
            retry_after: Duration::from_millis(self.retry_after_millis.load(Ordering::Relaxed)),
        }
    }
}

impl Shared {
    pub(super) fn new(
        folder: Arc<dyn Folder>,
        telemetry: Arc<Telemetry>,
        backlog: Backlog,
        capacity: Capacity,
        max_payload_bytes: u64,
    ) -> Self {
        Self {
            folder,
            telemetry,
            pending: Pending::default(),
            has_failed: AtomicBool::new(false),
            failure: CancellationToken::new(),
            all_acked: Notify::new(),
            live_arrived: Arc::default(),
            dead_arrived: Arc::default(),
            done: Arc::new(backlog.acked().clone()),
            backlog: Mutex::new(backlog),
            capacity: PublishedCapacity::new(capacity),
            max_payload_bytes,
            is_purge_requested: AtomicBool::new(false),
        }
    }

    pub(super) fn backlog(&self) -> MutexGuard<'_, Backlog> {
        self.backlog.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn has_failed(&self) -> bool {
        self.has_failed.load(Ordering::Acquire)
    }

    /// Notes that a write or a sync has failed, and tells who waits for that.
    pub(super) fn fail(&self) {
        self.has_failed.store(true, Ordering::Release);
        self.failure.cancel();
    }

    /// Resolves when a write or a sync has failed.
    pub(super) async fn failed(&self) {
        self.failure.cancelled().await;
    }

    /// A reader for one side that goes on here.
    pub(super) fn lane_reader(&self, side: Side, behind: Behind) -> LaneReader {
        LaneReader::new(
            Arc::clone(&self.folder),
            side,
            Arc::clone(&self.done),
            behind,
        )
    }

    pub(super) fn refuses(&self, body_bytes: u64) -> Option<AppendError> {
        if self.has_failed() {
            return Some(AppendError::Failed);
        }
        if body_bytes > self.max_payload_bytes {
            return Some(AppendError::TooLarge {
                bytes: usize::try_from(body_bytes).unwrap_or(usize::MAX),
                max_bytes: usize::try_from(self.max_payload_bytes).unwrap_or(usize::MAX),
                key: "spool.max_bytes",
            });
        }
        let capacity = self.capacity();
        let is_refused = capacity.is_full && body_bytes > capacity.available_bytes;
        is_refused.then_some(AppendError::Full {
            retry_after: capacity.retry_after,
        })
    }

    /// Whether somebody waits for space that can be given back.
    pub(super) fn take_purge_request(&self) -> bool {
        self.is_purge_requested.swap(false, Ordering::Relaxed)
    }

    pub(super) fn capacity(&self) -> Capacity {
        self.capacity.load()
    }

    pub(super) fn publish_capacity(&self, capacity: Capacity) {
        self.capacity.store(capacity);
    }

    /// What was committed is there to be leased from now on.
    pub(super) fn publish(&self, committed: &[(PendingAppend, Place)], log: &Log) {
        let mut backlog = self.backlog();
        // A group can go over several: whoever reads behind it must know them all, or takes what is in them for lost.
        let newest = backlog.newest_generation();
        backlog.note_newest(log.segments_from(newest));
        let now = Instant::now();
        let mut wakes = Wakes::default();
        for (append, place) in committed {
            wakes |= backlog.push(&append.envelope, *place, now);
        }
        drop(backlog);
        self.wake(wakes);
    }

    /// Notes that events are done; how many of them were not before.
    pub(super) fn ack(&self, positions: Range<Position>) -> u64 {
        let mut backlog = self.backlog();
        let was_held_back = backlog.is_scattered();
        let newly = backlog.ack(positions);
        let is_drained = backlog.is_drained();
        let makes_room = self.capacity().is_full && backlog.can_purge();
        drop(backlog);
        if is_drained {
            self.all_acked.notify_waiters();
        }
        if makes_room {
            self.is_purge_requested.store(true, Ordering::Relaxed);
            self.pending.wake_writer();
        }
        self.wake(Wakes {
            live: was_held_back,
            dead: was_held_back,
        });
        newly
    }

    fn wake(&self, wakes: Wakes) {
        if wakes.live {
            self.live_arrived.notify_one();
        }
        if wakes.dead {
            self.dead_arrived.notify_one();
        }
    }

    pub(super) fn status(&self) -> SpoolStatus {
        let backlog = self.backlog();
        let oldest_age = backlog
            .oldest_taken_at()
            .map_or(Duration::ZERO, |taken_at| taken_at.elapsed());
        let capacity = self.capacity();
        SpoolStatus {
            bytes: backlog.bytes(),
            events: usize::try_from(backlog.open()).unwrap_or(usize::MAX),
            oldest_age,
            full: capacity.is_full,
            disk_full: capacity.is_disk_full,
            failed: self.has_failed(),
            checkpoint_failing: self.telemetry.is_checkpoint_failing(),
        }
    }
}

/// Milliseconds since the Unix epoch.
pub(super) fn now_millis() -> u64 {
    let millis = since_epoch(SystemTime::now()).as_millis();
    u64::try_from(millis).unwrap_or(u64::MAX)
}
