//! Files the letters of events that died on arrival, and keeps trying when the disk does not take them.

use std::io;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use super::Shared;
use crate::lifecycle::blocking;
use crate::spool::LeaseLimits;
use crate::telemetry::Telemetry;
use crate::telemetry::events::{DeadLettersFailed, DeadLettersWrittenAgain};

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
        let write = move || dead_letters.keep_arrived(&letters);
        shared.letter_writes.until_kept(write).await;
        shared.spool.ack(&parts);
    }
}

/// Who writes letters, and how many of them cannot.
pub(super) struct LetterWrites {
    /// Locked until what changes is told, or it could be told in another order than it happened.
    failing: Mutex<usize>,
    telemetry: Arc<Telemetry>,
}

impl LetterWrites {
    pub(super) fn new(telemetry: Arc<Telemetry>) -> Self {
        Self {
            failing: Mutex::new(0),
            telemetry,
        }
    }

    /// Runs a write, on a thread where it may block, until it succeeds. What fails is reported once for all,
    /// and once when it is over.
    pub(super) async fn until_kept(
        &self,
        write: impl Fn() -> io::Result<()> + Send + Sync + 'static,
    ) {
        let write = Arc::new(write);
        let mut has_failed = false;
        loop {
            let write = Arc::clone(&write);
            let outcome = blocking(move || write()).await;
            match outcome {
                Ok(()) if has_failed => return self.note_success(),
                Ok(()) => return,
                Err(error) if !has_failed => self.note_failure(&error),
                Err(_) => {}
            }
            has_failed = true;
            tokio::time::sleep(PAUSE).await;
        }
    }

    fn note_failure(&self, error: &io::Error) {
        let mut failing = self.failing();
        *failing += 1;
        if *failing == 1 {
            self.telemetry.letters_failing(true);
            DeadLettersFailed { reason: error }.emit();
        }
    }

    fn note_success(&self) {
        let mut failing = self.failing();
        *failing -= 1;
        if *failing == 0 {
            self.telemetry.letters_failing(false);
            DeadLettersWrittenAgain.emit();
        }
    }

    fn failing(&self) -> MutexGuard<'_, usize> {
        self.failing.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicBool, Ordering};

    use super::*;
    use crate::config::OutputType;
    use crate::telemetry::Gauges;

    #[tokio::test(start_paused = true)]
    async fn what_cannot_be_written_is_told_until_all_of_it_is() {
        let telemetry = Arc::new(Telemetry::new(vec![], 1, OutputType::Http));
        let writes = LetterWrites::new(Arc::clone(&telemetry));
        let fails = |telemetry: &Telemetry| {
            let text = telemetry.render(Gauges::default());
            let is_measured = text.contains("\nheadgate_dead_letters_failing 1\n");
            assert_eq!(telemetry.are_letters_failing(), is_measured);
            is_measured
        };
        let has_room = [Arc::new(AtomicBool::new(false)), Arc::default()];
        let write = |has_room: &Arc<AtomicBool>| {
            let has_room = Arc::clone(has_room);
            move || match has_room.load(Ordering::Relaxed) {
                true => Ok(()),
                false => Err(io::ErrorKind::StorageFull.into()),
            }
        };
        let room_comes = async {
            for has_room in &has_room {
                tokio::time::sleep(3 * PAUSE).await;
                assert!(fails(&telemetry));
                has_room.store(true, Ordering::Relaxed);
            }
        };
        let [first, second] = &has_room;
        tokio::join!(
            writes.until_kept(write(first)),
            writes.until_kept(write(second)),
            room_comes
        );
        assert!(!fails(&telemetry));
    }
}
