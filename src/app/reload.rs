//! A configuration that is read while the server runs: put in force as far as that needs no restart, or refused.

use std::sync::{Mutex, MutexGuard, PoisonError};

use jiff::Timestamp;

use super::{App, Server};
use crate::admin::ConfigSummary;
use crate::config::{Changes, Config, ConfigErrors};
use crate::telemetry::Telemetry;
use crate::telemetry::events::{ConfigApplied, ConfigRefused};
use crate::units::timestamp;

/// The configuration in force.
pub(super) struct InForce {
    /// Locked as long as it takes to put another one in force.
    config: Mutex<Config>,
    /// Apart from it, for who asks for the status meanwhile waits for nothing.
    loaded_at: Mutex<Timestamp>,
}

impl InForce {
    /// What the server starts with.
    pub(super) fn at_start(config: Config, telemetry: &Telemetry) -> Self {
        let loaded_at = Timestamp::now();
        telemetry.reloads.started(loaded_at);
        Self {
            config: Mutex::new(config),
            loaded_at: Mutex::new(loaded_at),
        }
    }

    fn config(&self) -> MutexGuard<'_, Config> {
        // Nothing that may panic leaves it half changed.
        self.config.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn loaded_at(&self) -> MutexGuard<'_, Timestamp> {
        let loaded_at = self.loaded_at.lock();
        loaded_at.unwrap_or_else(PoisonError::into_inner)
    }
}

impl App {
    /// Puts a configuration in force, but for the keys that need a restart, and logs which are which.
    /// Requests under way are finished by the rules that they began with. Who calls this twice at a time
    /// waits.
    pub fn reload(&self, new: &Config) -> Changes {
        let server = &self.server;
        let mut config = server.in_force.config();
        let changes = config.change_to(new);
        // Also where no key has changed: a file that one names may hold something else.
        server.ingress.reload(&changes.in_force);
        server.replays.reload(&changes.in_force);
        config.clone_from(&changes.in_force);
        let loaded_at = Timestamp::now();
        *server.in_force.loaded_at() = loaded_at;
        server.telemetry.reloads.applied(loaded_at);
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
    pub(super) fn config_summary(&self) -> ConfigSummary {
        ConfigSummary {
            loaded_at: timestamp::to_text(*self.in_force.loaded_at()),
            refused: self.telemetry.reloads.is_refused(),
            certificate_refused: self.telemetry.tls.is_refused(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::OutputType;

    #[test]
    fn when_the_configuration_was_loaded_is_known_also_while_another_is_put_in_force() {
        let telemetry = Telemetry::new(vec![], 1, OutputType::Http);
        let in_force = InForce::at_start(Config::default(), &telemetry);
        let _being_changed = in_force.config();
        assert!(*in_force.loaded_at() <= Timestamp::now());
    }
}
