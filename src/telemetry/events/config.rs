//! What the log tells of the configuration. Keys only, never a value that the configuration itself would not show.

use tracing::{error, info, warn};

use crate::config::{ConfigErrors, Problem};

/// Something about the configuration that works but is worth a thought.
pub struct ConfigWarning<'a> {
    /// What and why.
    pub message: &'a str,
}

impl ConfigWarning<'_> {
    /// Writes the line.
    pub fn emit(&self) {
        warn!("configuration: {}", self.message);
    }
}

/// The configuration was read again and is right.
pub struct ConfigApplied<'a> {
    /// The keys whose new values are in force.
    pub applied: &'a [String],
    /// The keys whose new values wait for a restart.
    pub needs_restart: &'a [String],
}

impl ConfigApplied<'_> {
    /// Writes the lines.
    pub fn emit(&self) {
        if !self.applied.is_empty() {
            info!(
                keys = self.applied.join(", "),
                "configuration read again: the new values of these keys are in force"
            );
        }
        if !self.needs_restart.is_empty() {
            warn!(
                keys = self.needs_restart.join(", "),
                "configuration read again: the new values of these keys need a restart; until then the old ones stay"
            );
        }
        if self.applied.is_empty() && self.needs_restart.is_empty() {
            info!("configuration read again: no key has a new value");
        }
    }
}

/// Something is wrong in the configuration that was read.
pub struct ConfigProblem<'a> {
    /// What, and what is allowed.
    pub problem: &'a Problem,
}

impl ConfigProblem<'_> {
    /// Writes the line.
    pub fn emit(&self) {
        error!("configuration: {}", self.problem);
    }
}

/// The configuration was read again and is wrong.
pub struct ConfigRefused<'a> {
    /// All that is wrong with it.
    pub errors: &'a ConfigErrors,
}

impl ConfigRefused<'_> {
    /// Writes a line for each problem, and one for what comes of it.
    pub fn emit(&self) {
        let problems = self.errors.problems();
        for problem in problems {
            ConfigProblem { problem }.emit();
        }
        if self.errors.is_out_of_handles() {
            error!(
                problems = problems.len(),
                "configuration read again: too many files are open to read all of it; the old one stays in force, and it is read once more as soon as there is room"
            );
        } else {
            error!(
                problems = problems.len(),
                "configuration read again: it is wrong and was refused as a whole; the old one stays in force"
            );
        }
    }
}
