//! The queue between ingress and forward, and the only place where they meet. This is its async face; what
//! it keeps envelopes in is behind it. Knows nothing of HTTP and never parses an event.
//!
//! Events are leased for delivery and acked when the output has them, out of order or not. What was leased
//! and not acked is delivered again after a crash, as far as the spool survives one.

mod memory;

use std::sync::Arc;
use std::time::Duration;

use thiserror::Error;
use tokio::time::Instant;

use crate::event::{Envelope, Lines, Position};
use crate::telemetry::Telemetry;
use memory::{Queue, Withdrawn};

/// When an append is answered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Acknowledge {
    /// Once the envelope is in the queue (`ingest.durability = "memory"`).
    Queued,
    /// Once the output has every event, or it is a dead letter (`"broker"`).
    Delivered,
}

/// Why an envelope was not taken, or not confirmed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum AppendError {
    /// No room now. Nothing was kept.
    #[error("the spool is full")]
    Full,
    /// More than the spool can ever hold. Nothing was kept.
    #[error("{bytes} bytes once enriched; the spool holds at most {max_bytes}")]
    TooLarge {
        /// Size of the envelope.
        bytes: usize,
        /// `spool.memory_bytes`.
        max_bytes: usize,
    },
    /// Not delivered in time: what was not under way was withdrawn, the rest may still arrive.
    #[error("no output took the events in time")]
    NotDelivered,
}

/// Events in a row, from one envelope.
#[derive(Clone, Debug)]
pub struct Part {
    /// Position of the first event.
    pub first: Position,
    /// The events.
    pub lines: Lines,
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
    /// Bytes, until the last event of an envelope is acked.
    pub bytes: usize,
    /// Events not yet acked.
    pub events: usize,
    /// Age of the oldest of them; zero when there is none.
    pub oldest_age: Duration,
    /// Whether appends are refused for lack of room.
    pub full: bool,
}

/// A handle to the spool; clones share it.
#[derive(Clone)]
pub struct Spool {
    queue: Arc<Queue>,
    acknowledge: Acknowledge,
    /// Only one lease of events gathers a batch at a time; the others wait their turn.
    gathering: Arc<tokio::sync::Mutex<()>>,
}

impl Spool {
    /// A spool in memory that holds at most `max_bytes` of events.
    pub fn in_memory(
        max_bytes: usize,
        acknowledge: Acknowledge,
        telemetry: Arc<Telemetry>,
    ) -> Self {
        Self {
            queue: Arc::new(Queue::new(max_bytes, telemetry)),
            acknowledge,
            gathering: Arc::default(),
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
        if envelope.events() == 0 {
            return Ok(());
        }
        match self.acknowledge {
            Acknowledge::Queued => self.queue.append(envelope).map(drop),
            Acknowledge::Delivered => {
                let (first, mut delivered) = self.queue.append_watched(envelope)?;
                let withdrawal = Withdrawal {
                    queue: &self.queue,
                    first: Some(first),
                };
                let _or_time_is_up = tokio::time::timeout_at(deadline, &mut delivered).await;
                match withdrawal.now() {
                    Withdrawn::NothingLeft => Ok(()),
                    Withdrawn::WhatWasLeft => Err(AppendError::NotDelivered),
                }
            }
        }
    }

    /// Waits for events and leases as many as `limits` allow, oldest first; at least one.
    pub async fn lease(&self, limits: LeaseLimits) -> Vec<Part> {
        let _turn = self.gathering.lock().await;
        loop {
            self.queue.events_waiting(1, 1).await;
            if !limits.linger.is_zero() {
                let full = self
                    .queue
                    .events_waiting(limits.max_events, limits.max_bytes);
                let _full_or_time_is_up = tokio::time::timeout(limits.linger, full).await;
            }
            let parts = self.queue.lease(limits);
            // What there was may have been withdrawn while this waited for more.
            if !parts.is_empty() {
                return parts;
            }
        }
    }

    /// Whether a lease would find events now.
    pub fn has_events_to_lease(&self) -> bool {
        self.queue.has_events_to_lease()
    }

    /// Waits for dead letters and leases those of one envelope.
    pub async fn lease_dead(&self) -> Part {
        self.queue.lease_dead().await
    }

    /// The output has these events (or they are dead letters): they are done.
    pub fn ack(&self, parts: &[Part]) {
        for part in parts {
            self.queue.ack(part.first, part.lines.count);
        }
    }

    /// What lies in the spool now.
    pub fn status(&self) -> SpoolStatus {
        self.queue.status()
    }

    /// Whether events are lost when the process ends.
    pub fn is_volatile(&self) -> bool {
        true
    }

    /// Resolves when every event is acked.
    pub async fn drained(&self) {
        self.queue.drained().await;
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
