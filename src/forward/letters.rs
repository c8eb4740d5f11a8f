//! Files the letters of events that died on arrival, and keeps trying when the disk does not take them.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use super::Shared;
use crate::lifecycle::blocking;
use crate::spool::LeaseLimits;
use crate::telemetry::events::DeadLettersFailed;

/// The pause before a letter that could not be written is tried again.
const PAUSE: Duration = Duration::from_secs(1);

/// Letters that are written together share a sync.
const LIMITS: LeaseLimits = LeaseLimits {
    max_events: 10_000,
    max_bytes: 1024 * 1024,
    linger: Duration::ZERO,
};

/// Files letters for ever.
pub(super) async fn file_letters(shared: Shared) {
    loop {
        let parts = shared.spool.lease_letters(LIMITS).await;
        let dead_letters = shared.dead_letters.clone();
        let letters: Vec<_> = parts
            .iter()
            .map(|part| (part.first, part.lines.clone()))
            .collect();
        until_kept(move || dead_letters.keep_arrived(&letters)).await;
        shared.spool.ack(&parts);
    }
}

/// Runs a write, on a thread where it may block, until it succeeds. The first failure is logged.
pub(super) async fn until_kept(write: impl Fn() -> io::Result<()> + Send + Sync + 'static) {
    let write = Arc::new(write);
    let mut has_failed = false;
    loop {
        let write = Arc::clone(&write);
        let Err(error) = blocking(move || write()).await else {
            return;
        };
        if !has_failed {
            DeadLettersFailed { reason: &error }.emit();
            has_failed = true;
        }
        tokio::time::sleep(PAUSE).await;
    }
}
