//! The metrics of the outputs on this machine: files and standard output.

use metrics::Counter;
use metrics_exporter_prometheus::PrometheusRecorder;

use super::recorder::{Flag, counter};
use super::{Telemetry, names};

/// The handles of the output on this machine.
pub(super) struct OutputMetrics {
    failing: Flag,
    events_removed: Counter,
    bytes_removed: Counter,
}

impl OutputMetrics {
    pub(super) fn new(recorder: &PrometheusRecorder) -> Self {
        Self {
            failing: Flag::new(recorder, &names::OUTPUT_FAILING, false),
            events_removed: counter(recorder, &names::OUTPUT_EVENTS_REMOVED, vec![]),
            bytes_removed: counter(recorder, &names::OUTPUT_BYTES_REMOVED, vec![]),
        }
    }
}

impl Telemetry {
    /// Whether the output on this machine cannot be written.
    pub fn output_failing(&self, failing: bool) {
        self.output.failing.set(failing);
    }

    /// Whether events wait because the output on this machine cannot be written.
    pub fn is_output_failing(&self) -> bool {
        self.output.failing.is_set()
    }

    /// An old file of the file output made room for new ones.
    pub fn output_removed(&self, events: u64, bytes: u64) {
        self.output.events_removed.increment(events);
        self.output.bytes_removed.increment(bytes);
    }
}
