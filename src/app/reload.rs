//! A configuration that is read while the server runs: put in force as far as that needs no restart, or refused.

use std::sync::{MutexGuard, PoisonError};

use jiff::Timestamp;

use super::{App, Server};
use crate::admin::ConfigSummary;
use crate::config::{Changes, Config, ConfigErrors};
use crate::telemetry::Telemetry;
use crate::telemetry::events::{ConfigApplied, ConfigRefused};
use crate::units::timestamp;

/// The configuration in force.
pub(super) struct InForce {
    config: Config,
    loaded_at: Timestamp,
}

impl InForce {
    /// What the server starts with.
    pub(super) fn at_start(config: Config, telemetry: &Telemetry) -> Self {
        let loaded_at = Timestamp::now();
        telemetry.reloads.started(loaded_at);
        Self { config, loaded_at }
    }
}

impl App {
    /// Puts a configuration in force, but for the keys that need a restart, and logs which are which.
    /// Requests under way are finished by the rules that they began with. Who calls this twice at a time
    /// waits.
    pub fn reload(&self, new: &Config) -> Changes {
        let server = &self.server;
        let mut in_force = server.in_force();
        let changes = in_force.config.change_to(new);
        // Also where no key has changed: a file that one names may hold something else.
        server.ingress.reload(&changes.in_force);
        server.replays.reload(&changes.in_force);
        in_force.config = changes.in_force.clone();
        in_force.loaded_at = Timestamp::now();
        server.telemetry.reloads.applied(in_force.loaded_at);
        ConfigApplied {
            applied: &changes.applied,
            needs_restart: &changes.needs_restart,
        }
        .emit();
        changes
    }

    /// Stays with the configuration in force, and logs all that is wrong with the one that was read.
    pub fn refuse_reload(&self, errors: &ConfigErrors) {
        self.server.telemetry.reloads.refused();
        ConfigRefused { errors }.emit();
    }
}

impl Server {
    fn in_force(&self) -> MutexGuard<'_, InForce> {
        // Nothing that may panic leaves it half changed.
        self.in_force.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn config_summary(&self) -> ConfigSummary {
        ConfigSummary {
            loaded_at: timestamp::to_text(self.in_force().loaded_at),
            refused: self.telemetry.reloads.is_refused(),
            certificate_refused: self.telemetry.tls.is_refused(),
        }
    }
}
