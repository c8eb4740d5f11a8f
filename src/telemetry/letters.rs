//! The metrics of the dead letters once they are kept.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use metrics::{Counter, Gauge, Label};
use metrics_exporter_prometheus::PrometheusRecorder;

use super::recorder::{counter, gauge};
use super::{Telemetry, names};

/// The handles of the store of dead letters.
pub(super) struct LetterMetrics {
    dropped: Counter,
    dropped_so_far: AtomicU64,
    purged: Counter,
    failing: Gauge,
    are_failing: AtomicBool,
}

impl LetterMetrics {
    pub(super) fn new(recorder: &PrometheusRecorder) -> Self {
        Self {
            dropped: counter(recorder, &names::DEAD_LETTERS_DROPPED, vec![]),
            dropped_so_far: AtomicU64::new(0),
            purged: counter(recorder, &names::DEAD_LETTERS_PURGED, vec![]),
            failing: gauge(recorder, &names::DEAD_LETTERS_FAILING, vec![]),
            are_failing: AtomicBool::new(false),
        }
    }
}

impl Telemetry {
    /// The oldest dead letters made room for new ones.
    pub fn letters_dropped(&self, letters: u64) {
        self.letters.dropped.increment(letters);
        self.letters
            .dropped_so_far
            .fetch_add(letters, Ordering::Relaxed);
    }

    /// How many dead letters made room for new ones since the start.
    pub fn letters_dropped_so_far(&self) -> u64 {
        self.letters.dropped_so_far.load(Ordering::Relaxed)
    }

    /// Dead letters were removed because somebody asked for it.
    pub fn letters_purged(&self, letters: u64) {
        self.letters.purged.increment(letters);
    }

    /// Whether dead letters cannot be written.
    pub fn letters_failing(&self, failing: bool) {
        self.letters.are_failing.store(failing, Ordering::Relaxed);
        self.letters.failing.set(f64::from(u8::from(failing)));
    }

    /// Whether dead letters wait because they cannot be written.
    pub fn are_letters_failing(&self) -> bool {
        self.letters.are_failing.load(Ordering::Relaxed)
    }

    /// So many bytes of letters lie on a shelf.
    pub fn letters_kept(&self, shelf: &'static str, bytes: u64) {
        let labels = vec![Label::new("shelf", shelf)];
        gauge(&self.recorder, &names::DEAD_LETTERS_BYTES, labels).set(bytes as f64);
    }
}
