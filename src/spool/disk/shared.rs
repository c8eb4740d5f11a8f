//! What the writer and the async side share: the lanes, what is acked, where the log ends. The lock is never held
//! across a wait or a system call.

use std::ops::Range;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use seglog::{Acked, Folder, Place, Segment};
use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;

use super::feed::{Behind, Feed};
use super::pending::{Pending, Request};
use super::source::{Extent, Source};
use super::{LeaseLimits, PIECE_BYTES};
use crate::event::Position;
use crate::spool::ages::Ages;
use crate::spool::drain_rate::DrainRate;
use crate::spool::side::Side;
use crate::spool::{AppendError, SpoolStatus};
use crate::telemetry::Telemetry;

/// Acks may be so scattered before leasing waits for the oldest: each range takes room in every checkpoint.
const MAX_ACKED_RANGES: usize = 10_000;

pub(super) struct Shared {
    pub(super) folder: Arc<dyn Folder>,
    pub(super) telemetry: Arc<Telemetry>,
    pub(super) pending: Pending,
    pub(super) failure: CancellationToken,
    pub(super) all_acked: Notify,
    pub(super) live_arrived: Arc<Notify>,
    pub(super) dead_arrived: Arc<Notify>,
    lanes: Mutex<Lanes>,
    /// What was done before this run of the program.
    done: Arc<Acked>,
    /// Bytes that the log can still take, at most; and whether it refused something that it still could not take.
    available_bytes: AtomicU64,
    is_full: AtomicBool,
}

/// What is committed and not acked, and how it goes out.
pub(super) struct Lanes {
    live: Feed,
    dead: Feed,
    acked: Acked,
    /// Events that are committed and not acked.
    open: u64,
    committed: Position,
    segments: Vec<Segment>,
    ages: Ages,
    drain_rate: DrainRate,
    /// Since the start.
    acked_events: u64,
}

/// What the writer found out about the log's room.
#[derive(Clone, Copy, Debug)]
pub(super) struct Outlook {
    pub(super) available_bytes: u64,
    pub(super) is_full: bool,
}

impl Shared {
    pub(super) fn new(
        folder: Arc<dyn Folder>,
        telemetry: Arc<Telemetry>,
        lanes: Lanes,
        outlook: Outlook,
    ) -> Self {
        Self {
            folder,
            telemetry,
            pending: Pending::default(),
            failure: CancellationToken::new(),
            all_acked: Notify::new(),
            live_arrived: Arc::default(),
            dead_arrived: Arc::default(),
            done: Arc::new(lanes.acked.clone()),
            lanes: Mutex::new(lanes),
            available_bytes: AtomicU64::new(outlook.available_bytes),
            is_full: AtomicBool::new(outlook.is_full),
        }
    }

    pub(super) fn lanes(&self) -> MutexGuard<'_, Lanes> {
        self.lanes.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn has_failed(&self) -> bool {
        self.failure.is_cancelled()
    }

    /// A reader for one side that goes on here.
    pub(super) fn source(&self, side: Side, behind: Behind) -> Source {
        Source::new(
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
        let is_refused = body_bytes > self.available_bytes.load(Ordering::Relaxed)
            && self.is_full.load(Ordering::Relaxed);
        is_refused.then(|| AppendError::Full {
            retry_after: self.lanes().time_to_purge(),
        })
    }

    pub(super) fn look_out(&self, outlook: Outlook) {
        let available = outlook.available_bytes;
        self.available_bytes.store(available, Ordering::Relaxed);
        self.is_full.store(outlook.is_full, Ordering::Relaxed);
    }

    /// Requests that were committed, with their places.
    pub(super) fn publish(&self, committed: &[(Request, Place)], newest: Option<&Segment>) {
        let mut lanes = self.lanes();
        if let Some(newest) = newest {
            lanes.note_newest(newest);
        }
        let (mut live, mut dead) = (false, false);
        let now = now_millis();
        for (request, place) in committed {
            let envelope = &request.envelope;
            let first_dead = place.first + envelope.live.count as Position;
            live |= lanes.live.push(place.first, envelope.live.clone(), *place);
            dead |= lanes.dead.push(first_dead, envelope.dead.clone(), *place);
            lanes.committed = place.first + envelope.events() as Position;
            lanes.open += envelope.events() as u64;
            lanes.ages.note(place.first, now);
        }
        drop(lanes);
        if live {
            self.live_arrived.notify_one();
        }
        if dead {
            self.dead_arrived.notify_one();
        }
    }

    /// Notes that events are done; how many of them were not before.
    pub(super) fn ack(&self, positions: Range<Position>) -> u64 {
        let mut lanes = self.lanes();
        let was_held_back = lanes.is_scattered();
        let newly = lanes.acked.ack(positions);
        lanes.open -= newly;
        lanes.acked_events += newly;
        let is_drained = lanes.is_drained();
        drop(lanes);
        if is_drained {
            self.all_acked.notify_waiters();
        }
        if was_held_back {
            self.live_arrived.notify_one();
            self.dead_arrived.notify_one();
        }
        newly
    }

    pub(super) fn status(&self) -> SpoolStatus {
        let lanes = self.lanes();
        let taken_at = lanes.ages.taken_at(lanes.acked.low());
        let age = taken_at
            .filter(|_| lanes.open > 0)
            .map(|taken_at| now_millis().saturating_sub(taken_at));
        SpoolStatus {
            bytes: lanes.bytes(),
            events: usize::try_from(lanes.open).unwrap_or(usize::MAX),
            oldest_age: Duration::from_millis(age.unwrap_or_default()),
            full: self.is_full.load(Ordering::Relaxed),
            failed: self.has_failed(),
        }
    }
}

impl Lanes {
    pub(super) fn new(
        feeds: [Feed; 2],
        acked: Acked,
        open: u64,
        committed: Position,
        segments: Vec<Segment>,
    ) -> Self {
        let [live, dead] = feeds;
        let mut ages = Ages::default();
        for segment in &segments {
            ages.note(segment.first, segment.made_at);
        }
        Self {
            live,
            dead,
            acked,
            open,
            committed,
            segments,
            ages,
            drain_rate: DrainRate::default(),
            acked_events: 0,
        }
    }

    pub(super) fn feed(&mut self, side: Side) -> &mut Feed {
        match side {
            Side::Live => &mut self.live,
            Side::Dead => &mut self.dead,
        }
    }

    pub(super) fn committed(&self) -> Position {
        self.committed
    }

    pub(super) fn acked(&self) -> &Acked {
        &self.acked
    }

    pub(super) fn is_drained(&self) -> bool {
        self.open == 0
    }

    /// How many of these events are committed and not acked.
    pub(super) fn open_events(&self, positions: Range<Position>) -> u64 {
        let open = self.acked.open_in(positions);
        open.map(|range| range.end - range.start).sum()
    }

    pub(super) fn can_lease(&mut self, side: Side) -> bool {
        self.feed(side).has_something() && !self.is_held_back(side)
    }

    pub(super) fn can_lease_or_will_wake(
        &mut self,
        side: Side,
        events: usize,
        bytes: usize,
    ) -> bool {
        let has = self.feed(side).has_or_will_wake_at(events, bytes);
        has && !self.is_held_back(side)
    }

    /// Whether this side must wait for older events to be acked, so that the acked ranges stay few. The oldest event
    /// itself never waits.
    fn is_held_back(&mut self, side: Side) -> bool {
        let low = self.acked.low();
        self.is_scattered() && self.feed(side).front().is_none_or(|front| front > low)
    }

    fn is_scattered(&self) -> bool {
        self.acked.ranges().len() >= MAX_ACKED_RANGES
    }

    /// What is to be read from the disk for a lease.
    pub(super) fn next_read(
        &mut self,
        side: Side,
        limits: LeaseLimits,
    ) -> Option<(Behind, Extent)> {
        let behind = self.feed(side).wants_to_read(limits)?;
        let extent = Extent {
            segments: self.segments.clone(),
            end: self.committed,
            wanted: PIECE_BYTES.max(limits.max_bytes),
        };
        Some((behind, extent))
    }

    /// The segments after a purge.
    pub(super) fn replace_segments(&mut self, segments: Vec<Segment>) {
        self.segments = segments;
        self.ages.forget_below(self.acked.low());
    }

    fn note_newest(&mut self, newest: &Segment) {
        match self.segments.last_mut() {
            Some(last) if last.generation == newest.generation => last.clone_from(newest),
            _ => self.segments.push(newest.clone()),
        }
    }

    pub(super) fn note_drain(&mut self, now: tokio::time::Instant) {
        self.drain_rate.note(now, self.acked_events);
    }

    /// The time until the oldest segment can be given back, as far as it can be told.
    pub(super) fn time_to_purge(&self) -> Duration {
        let end = self
            .segments
            .get(1)
            .map_or(self.committed, |next| next.first);
        let events = end.saturating_sub(self.acked.low());
        self.drain_rate.time_for(events)
    }

    /// Bytes of the segments, of the oldest the part that is not done.
    fn bytes(&self) -> usize {
        if self.open == 0 {
            return 0;
        }
        let ends = self.segments.iter().skip(1).map(|segment| segment.first);
        let ends = ends.chain([self.committed]);
        let bytes = self.segments.iter().zip(ends).map(|(segment, end)| {
            let events = end.saturating_sub(segment.first).max(1);
            let open = end.saturating_sub(self.acked.low().max(segment.first));
            (segment.used_bytes as f64 * open as f64 / events as f64) as usize
        });
        bytes.sum()
    }
}

/// Milliseconds since the Unix epoch.
pub(super) fn now_millis() -> u64 {
    let now = SystemTime::now().duration_since(UNIX_EPOCH);
    now.map_or(0, |elapsed| {
        u64::try_from(elapsed.as_millis()).unwrap_or(u64::MAX)
    })
}
