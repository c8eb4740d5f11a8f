//! The metrics of the dead letters once they are kept.

use metrics::{Counter, Label};
use metrics_exporter_prometheus::PrometheusRecorder;

use super::recorder::{Family, Flag, counter, gauge};
use super::{Telemetry, names};

/// The handles of the store of dead letters.
pub(super) struct LetterMetrics {
    dropped: Family<()>,
    purged: Counter,
    failing: Flag,
}

impl LetterMetrics {
    pub(super) fn new(recorder: &PrometheusRecorder) -> Self {
        Self {
            dropped: Family::single(recorder, &names::DEAD_LETTERS_DROPPED, vec![]),
            purged: counter(recorder, &names::DEAD_LETTERS_PURGED, vec![]),
            failing: Flag::new(recorder, &names::DEAD_LETTERS_FAILING, false),
        }
    }
}

impl Telemetry {
    /// The oldest dead letters made room for new ones.
    pub fn letters_dropped(&self, letters: u64) {
        self.letters.dropped.add((), letters);
    }

    /// How many dead letters made room for new ones since the start.
    pub fn letters_dropped_so_far(&self) -> u64 {
        self.letters.dropped.sum()
    }

    /// Dead letters were removed because somebody asked for it.
    pub fn letters_purged(&self, letters: u64) {
        self.letters.purged.increment(letters);
    }

    /// Whether dead letters cannot be written.
    pub fn letters_failing(&self, failing: bool) {
        self.letters.failing.set(failing);
    }

    /// Whether dead letters wait because they cannot be written.
    pub fn are_letters_failing(&self) -> bool {
        self.letters.failing.is_set()
    }

    /// So many bytes of letters lie on a shelf.
    pub fn letters_kept(&self, shelf: &'static str, bytes: u64) {
        let labels = vec![Label::new("shelf", shelf)];
        gauge(&self.recorder, &names::DEAD_LETTERS_BYTES, labels).set(bytes as f64);
    }
}
