//! The metrics of the spool on disk.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use metrics::{Counter, Gauge, Histogram};
use metrics_exporter_prometheus::PrometheusRecorder;

use super::recorder::{Family, Flag, counter, gauge, histogram};
use super::{Telemetry, names};

/// The handles of the spool.
pub(super) struct SpoolMetrics {
    at_start: AtomicU64,
    at_start_gauge: Gauge,
    sync_duration: Histogram,
    checkpoint_failing: Flag,
    corrupt_records: Counter,
    lost: Family<()>,
}

impl SpoolMetrics {
    pub(super) fn new(recorder: &PrometheusRecorder) -> Self {
        Self {
            at_start: AtomicU64::new(0),
            at_start_gauge: gauge(recorder, &names::SPOOL_EVENTS_AT_START, vec![]),
            sync_duration: histogram(recorder, &names::SPOOL_SYNC_DURATION, vec![]),
            checkpoint_failing: Flag::new(recorder, &names::SPOOL_CHECKPOINT_FAILING, false),
            corrupt_records: counter(recorder, &names::SPOOL_CORRUPT_RECORDS, vec![]),
            lost: Family::single(recorder, &names::SPOOL_LOST_EVENTS, vec![]),
        }
    }

    pub(super) fn events_at_start(&self) -> u64 {
        self.at_start.load(Ordering::Relaxed)
    }

    pub(super) fn events_lost(&self) -> u64 {
        self.lost.sum()
    }
}

impl Telemetry {
    /// So many events lay in the spool at the start.
    pub fn spool_opened(&self, events: u64) {
        self.spool.at_start.store(events, Ordering::Relaxed);
        self.spool.at_start_gauge.set(events as f64);
    }

    /// The spool was synced.
    pub fn spool_synced(&self, took: Duration) {
        self.spool.sync_duration.record(took.as_secs_f64());
    }

    /// Whether the spool's checkpoint cannot be written, or space not be given back.
    pub fn checkpoint_failing(&self, failing: bool) {
        self.spool.checkpoint_failing.set(failing);
    }

    /// Whether it was so the last time.
    pub fn is_checkpoint_failing(&self) -> bool {
        self.spool.checkpoint_failing.is_set()
    }

    /// A stretch of the spool cannot be read; so many events that were not delivered yet were in it.
    pub fn spool_lost(&self, events: u64) {
        self.spool.corrupt_records.increment(1);
        self.spool.lost.add((), events);
    }
}
