//! Files the letters of events that died on arrival, and keeps trying when the disk does not take them.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use super::Shared;
use crate::lifecycle::blocking;
use crate::telemetry::events::DeadLettersFailed;

/// The pause before a letter that could not be written is tried again.
const PAUSE: Duration = Duration::from_secs(1);

/// Files letters for ever.
pub(super) async fn file_letters(shared: Shared) {
    loop {
        let part = shared.spool.lease_dead().await;
        let (dead_letters, letters) = (shared.dead_letters.clone(), part.clone());
        let letters = [(letters.first, letters.lines)];
        until_kept(move || dead_letters.keep_arrived(&letters)).await;
        shared.spool.ack(&[part]);
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
