//! The metrics of a configuration that is read again.

use jiff::Timestamp;
use metrics::{Counter, Gauge, Label};
use metrics_exporter_prometheus::PrometheusRecorder;

use super::names;
use super::recorder::{Flag, counter, gauge};

/// How the configuration was read again.
pub struct Reloads {
    applied: Counter,
    refused: Counter,
    last_successful: Flag,
    loaded_at: Gauge,
}

impl Reloads {
    pub(super) fn new(recorder: &PrometheusRecorder) -> Self {
        let outcome = |word| {
            let labels = vec![Label::new("outcome", word)];
            counter(recorder, &names::CONFIG_RELOADS, labels)
        };
        Self {
            applied: outcome("applied"),
            refused: outcome("refused"),
            last_successful: Flag::new(recorder, &names::CONFIG_LAST_RELOAD_SUCCESSFUL, true),
            loaded_at: gauge(recorder, &names::CONFIG_LOADED, vec![]),
        }
    }

    /// The server starts with what was read at this time.
    pub fn started(&self, at: Timestamp) {
        self.loaded_at.set(at.as_duration().as_secs_f64());
    }

    /// What was read at this time is in force, as far as it needs no restart.
    pub fn applied(&self, at: Timestamp) {
        self.applied.increment(1);
        self.last_successful.set(true);
        self.started(at);
    }

    /// What was read is wrong, and what was in force stays.
    pub fn refused(&self) {
        self.refused.increment(1);
        self.last_successful.set(false);
    }

    /// Whether what was read last is wrong.
    pub fn is_refused(&self) -> bool {
        !self.last_successful.is_set()
    }
}
