//! The queue between ingress and forward, and the only place where they meet. This is its async face; what
//! it keeps envelopes in, memory or disk, is behind it. Knows nothing of HTTP and never parses an event.
//!
//! Events are leased for delivery and acked when the output has them, out of order or not. What was leased
//! and not acked is delivered again after a crash, as far as the spool survives one.

mod ages;
mod disk;
mod drain_rate;
mod envelope;
mod fullness;
mod inspection;
mod lane;
mod memory;
#[cfg(test)]
mod samples;
mod side;

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use arc_swap::ArcSwapOption;
use seglog::{Folder, OpenError};
use thiserror::Error;
use tokio::time::Instant;

use crate::budget::Reservation;
use crate::event::{Envelope, Lines, Position};
use crate::telemetry::Telemetry;
use crate::telemetry::events::{Fate, SpoolFull, SpoolHasRoom};
use crate::units::timestamp::since_epoch;
use disk::DiskSpool;
pub use disk::{OpenedSpool, SpoolOptions};
use fullness::{Fullness, News};
pub use inspection::{Exported, InspectError, Inspection, Lost, Overview, Progress, Verdict};
use memory::MemorySpool;

/// When an append to the spool in memory is answered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Acknowledge {
    /// Once the envelope is in the queue (`ingest.durability = "memory"`).
    Queued,
    /// Once the output has every event, or it is a dead letter (`"broker"`).
    Delivered,
}

/// What a client is told when the spool in memory is full, which a Broker empties in no time or not at all.
const FULL_RETRY_AFTER: Duration = Duration::from_secs(5);

/// Why an envelope was not taken, or not confirmed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum AppendError {
    /// No room now. Nothing was kept.
    #[error("the spool is full")]
    Full {
        /// When there may be room again.
        retry_after: Duration,
    },
    /// More than the spool can ever hold. Nothing was kept.
    #[error("at least {bytes} bytes once enriched; the spool holds at most {max_bytes} ({key})")]
    TooLarge {
        /// Size of the envelope.
        bytes: usize,
        /// The limit.
        max_bytes: usize,
        /// The configuration's key that sets it.
        key: &'static str,
    },
    /// Not delivered in time: what was not under way was withdrawn, the rest may still arrive.
    #[error("no output took the events in time")]
    NotDelivered,
    /// Not synced in time: the events may be kept all the same.
    #[error("the disk did not take the events in time")]
    NotSynced,
    /// A write or a sync of the spool failed, now or before. The events are not acknowledged; whether they are kept is
    /// unknown.
    #[error("the spool has failed")]
    Failed,
}

/// Events in a row, from one envelope.
#[derive(Clone, Debug)]
pub struct Part {
    /// Position of the first event.
    pub first: Position,
    /// The events.
    pub lines: Lines,
}

impl Part {
    /// The position behind the last event.
    fn end(&self) -> Position {
        self.first + self.lines.count as Position
    }
}

/// How much one lease may take.
#[derive(Clone, Copy, Debug)]
pub struct LeaseLimits {
    /// Number of events.
    pub max_events: usize,
    /// Bytes of text with line ends; a single longer event is leased all the same, alone.
    pub max_bytes: usize,
    /// Longest wait for more once there is something.
    pub linger: Duration,
}

/// What lies in the spool.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct SpoolStatus {
    /// Bytes of what is not acked, as stored; on disk to about a segment.
    pub bytes: usize,
    /// Events not yet acked.
    pub events: usize,
    /// Age of the oldest of them; zero when there is none.
    pub oldest_age: Duration,
    /// Whether appends are refused for lack of room, or soon will be.
    pub full: bool,
    /// Whether that is for want of room on the disk, or of a file handle, and not within `spool.max_bytes`.
    pub disk_full: bool,
    /// Whether a write or a sync has failed, so that nothing is taken any more.
    pub failed: bool,
    /// Whether its checkpoint cannot be written, or space not be given back.
    pub checkpoint_failing: bool,
}

/// A handle to the spool; clones share it.
#[derive(Clone)]
pub struct Spool {
    store: Store,
    /// How it stood when something found no room, first since [`Self::tell_when_full`] last looked: it may be full many
    /// times a second, and at no moment at which that looks.
    full_at: Arc<ArcSwapOption<SpoolStatus>>,
}

/// What envelopes are kept in.
#[derive(Clone)]
enum Store {
    Memory(Arc<MemorySpool>),
    Disk(Arc<DiskSpool>),
}

impl Spool {
    /// A spool in memory that holds at most `max_bytes` of events.
    pub fn in_memory(
        max_bytes: usize,
        acknowledge: Acknowledge,
        telemetry: Arc<Telemetry>,
    ) -> Self {
        let memory = MemorySpool::new(max_bytes, acknowledge, telemetry);
        Self::new(Store::Memory(Arc::new(memory)))
    }

    /// The spool on disk in a folder, with what an earlier run left in it. An append is answered once its
    /// envelope is as durable as `options.sync` says.
    ///
    /// # Errors
    /// See [`OpenError`].
    pub fn on_disk(
        folder: &Arc<dyn Folder>,
        options: SpoolOptions,
        telemetry: Arc<Telemetry>,
    ) -> Result<(Self, OpenedSpool), OpenError> {
        let (spool, opened) = DiskSpool::open(folder, options, telemetry)?;
        Ok((Self::new(Store::Disk(Arc::new(spool))), opened))
    }

    fn new(store: Store) -> Self {
        Self {
            store,
            full_at: Arc::default(),
        }
    }

    /// Appends an envelope and resolves when it is acknowledged, or at `deadline`.
    ///
    /// Dropping the future before that withdraws what is not yet under way: nobody is told that it was
    /// taken.
    ///
    /// # Errors
    /// See [`AppendError`].
    pub async fn append(&self, envelope: Envelope, deadline: Instant) -> Result<(), AppendError> {
        self.append_held(envelope, None, deadline).await
    }

    /// As [`Self::append`]. `held` is the part of the byte budget that the envelope takes: it stays taken
    /// until the spool on disk has written the envelope, also when nobody waits for that any more.
    ///
    /// # Errors
    /// See [`AppendError`].
    pub async fn append_held(
        &self,
        envelope: Envelope,
        held: Option<Arc<Reservation>>,
        deadline: Instant,
    ) -> Result<(), AppendError> {
        if envelope.events() == 0 {
            return Ok(());
        }
        let appended = match &self.store {
            Store::Memory(memory) => memory.append(envelope, deadline).await,
            Store::Disk(disk) => disk.append(envelope, held, deadline).await,
        };
        appended.inspect_err(|error| self.note_refusal(error))
    }

    /// Why a request with a body of so many bytes would be refused now, as far as that can be told before it is read.
    pub fn refuses(&self, body_bytes: u64) -> Option<AppendError> {
        let refused = match &self.store {
            Store::Memory(memory) => memory.refuses(body_bytes),
            Store::Disk(disk) => disk.refuses(body_bytes),
        };
        refused.inspect(|error| self.note_refusal(error))
    }

    fn note_refusal(&self, error: &AppendError) {
        if matches!(error, AppendError::Full { .. }) && self.full_at.load().is_none() {
            self.full_at.store(Some(Arc::new(self.status())));
        }
    }

    /// Waits for events and leases as many as `limits` allow, oldest first; at least one.
    pub async fn lease(&self, limits: LeaseLimits) -> Vec<Part> {
        match &self.store {
            Store::Memory(memory) => memory.lease(limits).await,
            Store::Disk(disk) => disk.lease(limits).await,
        }
    }

    /// Says in the log when it has become full, and when it has room again; never ends.
    pub async fn tell_when_full(&self) {
        let limit = match &self.store {
            Store::Memory(_) => "spool.memory_bytes is used up; delivery makes room",
            Store::Disk(_) => "spool.max_bytes is used up; delivery makes room",
        };
        let full = |status: SpoolStatus| SpoolFull {
            bytes: status.bytes,
            events: status.events,
            reason: if status.disk_full {
                "the disk has no room for it (bytes or inodes), or too many files are open: make room on the disk"
            } else {
                limit
            },
        };
        let mut fullness = Fullness::default();
        let mut interval = tokio::time::interval(Duration::from_secs(1));
        loop {
            interval.tick().await;
            let full_at = self.full_at.swap(None);
            let status = full_at.as_deref().copied().unwrap_or(self.status());
            let is_full = full_at.is_some() || status.full;
            match fullness.note(is_full, Instant::now()) {
                Some(News::Full) => full(status).emit(),
                Some(News::HasRoom) => SpoolHasRoom.emit(),
                None => {}
            }
        }
    }

    /// Whether a lease would find events now.
    pub fn has_events_to_lease(&self) -> bool {
        match &self.store {
            Store::Memory(memory) => memory.has_events_to_lease(),
            Store::Disk(disk) => disk.has_events_to_lease(),
        }
    }

    /// Waits for dead letters and leases as many as `limits` allow, oldest first; at least one.
    pub async fn lease_letters(&self, limits: LeaseLimits) -> Vec<Part> {
        match &self.store {
            Store::Memory(memory) => memory.lease_letters(limits).await,
            Store::Disk(disk) => disk.lease_letters(limits).await,
        }
    }

    /// The output has these events (or they are dead letters): they are done.
    pub fn ack(&self, parts: &[Part]) {
        match &self.store {
            Store::Memory(memory) => memory.ack(parts),
            Store::Disk(disk) => disk.ack(parts),
        }
    }

    /// What lies in the spool now.
    pub fn status(&self) -> SpoolStatus {
        match &self.store {
            Store::Memory(memory) => memory.status(),
            Store::Disk(disk) => disk.status(),
        }
    }

    /// What becomes of the events in it when the process ends.
    pub fn fate_at_the_end(&self) -> Fate {
        match &self.store {
            Store::Memory(memory) => memory.fate_at_the_end(),
            Store::Disk(_) => Fate::Kept,
        }
    }

    /// Resolves when every event is acked.
    pub async fn drained(&self) {
        match &self.store {
            Store::Memory(memory) => memory.drained().await,
            Store::Disk(disk) => disk.drained().await,
        }
    }

    /// Has every append that waits for a delivery answered now.
    pub fn end_waits(&self) {
        match &self.store {
            Store::Memory(memory) => memory.end_waits(),
            Store::Disk(_) => {}
        }
    }

    /// Resolves when a write or a sync has failed: nothing more is taken, what was acknowledged can still be leased.
    pub async fn failed(&self) {
        match &self.store {
            Store::Memory(_) => std::future::pending().await,
            Store::Disk(disk) => disk.failed().await,
        }
    }

    /// Envelopes that are kept in memory.
    #[cfg(test)]
    fn entries(&self) -> usize {
        match &self.store {
            Store::Memory(memory) => memory.entries(),
            Store::Disk(_) => 0,
        }
    }

    /// Commits what still waits and makes durable what is acked. Nothing is taken afterwards.
    pub async fn close(&self) {
        match &self.store {
            Store::Memory(_) => {}
            Store::Disk(disk) => disk.close().await,
        }
    }
}

/// Positions are the ids of dead letters, so those of a new spool begin above those of any before it.
fn first_position() -> Position {
    let micros = since_epoch(SystemTime::now()).as_micros();
    Position::try_from(micros).unwrap_or_default()
}
