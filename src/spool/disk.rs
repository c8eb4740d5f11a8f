//! The spool on disk: one thread owns the log and commits in groups ([`writer`]); two feeds, one for events and one for
//! dead letters, give out what is committed, from memory while they keep up and from the disk when they do not.
//! What is acked goes into a checkpoint twice a second.

mod backlog;
mod feed;
mod lane_reader;
mod opening;
mod pending;
mod reading;
mod shared;
#[cfg(test)]
mod tests;
mod writer;

use std::sync::Arc;

use tokio::sync::{Notify, oneshot};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::lane::Threshold;
use super::side::Side;
use super::{AppendError, LeaseLimits, Part, SpoolStatus};
use crate::budget::Reservation;
use crate::event::Envelope;
use crate::lifecycle::blocking;
use crate::telemetry::events::SpoolDamaged;
pub use opening::{OpenedSpool, SpoolOptions};
use pending::{Pending, PendingAppend};
use reading::Reading;
use shared::Shared;

/// So much is read from the disk at a time when a lease wants less.
const PIECE_BYTES: usize = 1024 * 1024;

/// The async face of the spool on disk.
pub(super) struct DiskSpool {
    shared: Arc<Shared>,
    /// Cancelled when the writer has ended.
    ended: CancellationToken,
    live: Outlet,
    dead: Outlet,
}

/// Where one feed is read. Whoever holds the reading has the turn; others wait for theirs.
struct Outlet {
    side: Side,
    arrived: Arc<Notify>,
    reading: tokio::sync::Mutex<Reading>,
}

impl Outlet {
    fn new(side: Side, arrived: &Arc<Notify>) -> Self {
        Self {
            side,
            arrived: Arc::clone(arrived),
            reading: tokio::sync::Mutex::default(),
        }
    }
}

impl DiskSpool {
    /// Hands an envelope to the writer and waits for its commit. Dropping the future takes it back if the writer has
    /// not taken it up yet.
    pub(super) async fn append(
        &self,
        envelope: Envelope,
        held: Option<Arc<Reservation>>,
        deadline: Instant,
    ) -> Result<(), AppendError> {
        if self.shared.has_failed() {
            return Err(AppendError::Failed);
        }
        let (answer, answered) = oneshot::channel();
        let ticket = self
            .shared
            .pending
            .push(PendingAppend::new(envelope, held, answer));
        let mut take_back = TakeBack {
            pending: &self.shared.pending,
            ticket: Some(ticket),
        };
        match tokio::time::timeout_at(deadline, answered).await {
            Ok(answer) => {
                take_back.ticket = None;
                // Without an answer the writer has ended.
                answer.unwrap_or(Err(AppendError::Failed))
            }
            Err(_) => Err(AppendError::NotSynced),
        }
    }

    /// Why an envelope whose body has so many bytes would be refused now, as far as that can be told beforehand.
    pub(super) fn refuses(&self, body_bytes: u64) -> Option<AppendError> {
        self.shared.refuses(body_bytes)
    }

    pub(super) async fn lease(&self, limits: LeaseLimits) -> Vec<Part> {
        self.lease_from(&self.live, limits).await
    }

    pub(super) async fn lease_letters(&self, limits: LeaseLimits) -> Vec<Part> {
        self.lease_from(&self.dead, limits).await
    }

    async fn lease_from(&self, outlet: &Outlet, limits: LeaseLimits) -> Vec<Part> {
        let mut reading = outlet.reading.lock().await;
        loop {
            self.wait(outlet, Threshold::ANYTHING).await;
            self.read_from_disk(outlet, &mut reading, limits).await;
            if !limits.linger.is_zero() {
                let full = self.wait(outlet, Threshold::full(limits));
                let _full_or_time_is_up = tokio::time::timeout(limits.linger, full).await;
                self.read_from_disk(outlet, &mut reading, limits).await;
            }
            let parts = self.shared.backlog().lease(outlet.side, limits);
            // What was read may all have been done before.
            if !parts.is_empty() {
                return parts;
            }
        }
    }

    /// Resolves when so much can be leased or read.
    async fn wait(&self, outlet: &Outlet, threshold: Threshold) {
        while !self
            .shared
            .backlog()
            .can_lease_or_will_wake(outlet.side, threshold)
        {
            outlet.arrived.notified().await;
        }
    }

    /// Fills a lane from the disk while it holds less than a lease may take, or as far as the disk can be read.
    async fn read_from_disk(&self, outlet: &Outlet, reading: &mut Reading, limits: LeaseLimits) {
        loop {
            let next = self.shared.backlog().next_read(outlet.side, limits);
            let Some((behind, extent)) = next else {
                return;
            };
            let make_reader = || self.shared.lane_reader(outlet.side, behind);
            let Some(piece) = reading.next_piece(behind, extent, make_reader).await else {
                if self.shared.backlog().feed(outlet.side).has_in_memory() {
                    return;
                }
                continue;
            };
            for damage in piece.damages {
                self.step_over(damage).await;
            }
            let mut backlog = self.shared.backlog();
            let behind = reading.behind(backlog.committed());
            backlog.feed(outlet.side).refill(piece.parts, behind);
            if behind.is_none() {
                reading.close();
            }
        }
    }

    /// Reports a damaged stretch and sets it aside, unless all that was in it is done.
    async fn step_over(&self, damage: seglog::Damage) {
        if self.shared.backlog().open_events(damage.positions.clone()) == 0 {
            return;
        }
        let folder = Arc::clone(&self.shared.folder);
        let copied = damage.clone();
        let set_aside = blocking(move || seglog::set_aside(&*folder, &copied)).await;
        let lost = self.shared.ack(damage.positions.clone());
        if lost == 0 {
            return;
        }
        self.shared.telemetry.spool_lost(lost);
        SpoolDamaged {
            segment: damage.generation,
            bytes: damage.bytes,
            positions: damage.positions,
            lost,
            set_aside: &match set_aside {
                Ok(Some(file)) => file,
                Ok(None) => "nothing is left of it".to_owned(),
                Err(error) => format!("it could not be: {error}"),
            },
        }
        .emit();
    }

    pub(super) fn has_events_to_lease(&self) -> bool {
        self.shared.backlog().can_lease(Side::Live)
    }

    pub(super) fn ack(&self, parts: &[Part]) {
        // Envelopes of one event come by the hundred, one behind the other.
        for neighbours in parts.chunk_by(|one, next| one.end() == next.first) {
            let (first, last) = (&neighbours[0], &neighbours[neighbours.len() - 1]);
            self.shared.ack(first.first..last.end());
        }
    }

    pub(super) fn status(&self) -> SpoolStatus {
        self.shared.status()
    }

    pub(super) async fn drained(&self) {
        loop {
            let acked = self.shared.all_acked.notified();
            tokio::pin!(acked);
            acked.as_mut().enable();
            if self.shared.backlog().is_drained() {
                return;
            }
            acked.await;
        }
    }

    /// Resolves when a write or a sync has failed.
    pub(super) async fn failed(&self) {
        self.shared.failed().await;
    }

    /// Commits what waits, writes a last checkpoint and ends the writer, and resolves when that has ended, whoever
    /// calls. Nothing is taken afterwards.
    pub(super) async fn close(&self) {
        self.shared.pending.close();
        self.ended.cancelled().await;
    }
}

/// Takes an append back that the writer has not taken up, when nobody waits for it any more.
struct TakeBack<'a> {
    pending: &'a Pending,
    /// None once it was answered.
    ticket: Option<u64>,
}

impl Drop for TakeBack<'_> {
    fn drop(&mut self) {
        if let Some(ticket) = self.ticket {
            self.pending.take_back(ticket);
        }
    }
}
