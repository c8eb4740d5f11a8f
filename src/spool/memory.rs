//! The spool in memory. Nothing in it survives the process.

mod queue;
#[cfg(test)]
mod tests;

use std::sync::Arc;

use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::lane::Threshold;
use super::{Acknowledge, AppendError, LeaseLimits, Part, SpoolStatus};
use crate::event::{Envelope, Position};
use crate::telemetry::Telemetry;
use crate::telemetry::events::Fate;
use queue::{Queue, Withdrawn};

/// The async face of the spool in memory.
pub(super) struct MemorySpool {
    queue: Queue,
    acknowledge: Acknowledge,
    /// Only one lease of events gathers a batch at a time; the others wait their turn.
    gathering: tokio::sync::Mutex<()>,
    /// Nobody is to wait for a delivery any more.
    ending: CancellationToken,
}

impl MemorySpool {
    pub(super) fn new(
        max_bytes: usize,
        acknowledge: Acknowledge,
        telemetry: Arc<Telemetry>,
    ) -> Self {
        Self {
            queue: Queue::new(max_bytes, telemetry),
            acknowledge,
            gathering: tokio::sync::Mutex::default(),
            ending: CancellationToken::new(),
        }
    }

    pub(super) async fn append(
        &self,
        envelope: Envelope,
        deadline: Instant,
    ) -> Result<(), AppendError> {
        match self.acknowledge {
            Acknowledge::Queued => self.queue.append(envelope).map(drop),
            Acknowledge::Delivered => {
                let (first, mut delivered) = self.queue.append_watched(envelope)?;
                let withdrawal = Withdrawal {
                    queue: &self.queue,
                    first: Some(first),
                };
                let in_time = tokio::time::timeout_at(deadline, &mut delivered);
                let _or_time_is_up = self.ending.run_until_cancelled(in_time).await;
                match withdrawal.now() {
                    Withdrawn::NothingLeft => Ok(()),
                    Withdrawn::WhatWasLeft => Err(AppendError::NotDelivered),
                }
            }
        }
    }

    /// From now on nobody waits for a delivery: what is not delivered counts as not delivered in time.
    pub(super) fn end_waits(&self) {
        self.ending.cancel();
    }

    /// Why an envelope whose body has so many bytes would be refused now, as far as that can be told beforehand.
    pub(super) fn refuses(&self, body_bytes: u64) -> Option<AppendError> {
        self.queue
            .refuses(usize::try_from(body_bytes).unwrap_or(usize::MAX))
    }

    pub(super) async fn lease(&self, limits: LeaseLimits) -> Vec<Part> {
        let _turn = self.gathering.lock().await;
        loop {
            self.queue.events_waiting(Threshold::ANYTHING).await;
            if !limits.linger.is_zero() {
                let full = self.queue.events_waiting(Threshold::full(limits));
                let _full_or_time_is_up = tokio::time::timeout(limits.linger, full).await;
            }
            let parts = self.queue.lease(limits);
            // What there was may have been withdrawn while this waited for more.
            if !parts.is_empty() {
                return parts;
            }
        }
    }

    pub(super) fn has_events_to_lease(&self) -> bool {
        self.queue.has_events_to_lease()
    }

    pub(super) async fn lease_letters(&self, limits: LeaseLimits) -> Vec<Part> {
        self.queue.lease_letters(limits).await
    }

    pub(super) fn ack(&self, parts: &[Part]) {
        for part in parts {
            self.queue.ack(part.first, part.lines.count);
        }
    }

    pub(super) fn status(&self) -> SpoolStatus {
        self.queue.status()
    }

    pub(super) fn fate_at_the_end(&self) -> Fate {
        match self.acknowledge {
            Acknowledge::Queued => Fate::Lost,
            Acknowledge::Delivered => Fate::GivenUp,
        }
    }

    pub(super) async fn drained(&self) {
        self.queue.drained().await;
    }

    #[cfg(test)]
    pub(super) fn entries(&self) -> usize {
        self.queue.entries()
    }
}

/// Withdraws an envelope when nobody waits for it any more. Once all of it is acked there is nothing left to
/// withdraw, and that is how a delivery is told from a time-out: the two can come in the same moment.
struct Withdrawal<'a> {
    queue: &'a Queue,
    first: Option<Position>,
}

impl Withdrawal<'_> {
    fn now(mut self) -> Withdrawn {
        self.withdraw()
    }

    fn withdraw(&mut self) -> Withdrawn {
        match self.first.take() {
            Some(first) => self.queue.withdraw(first),
            None => Withdrawn::NothingLeft,
        }
    }
}

impl Drop for Withdrawal<'_> {
    fn drop(&mut self) {
        self.withdraw();
    }
}
