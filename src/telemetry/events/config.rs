//! What the log tells of the configuration. Keys only, never a value that the configuration itself would not show.

use std::fmt::Display;

use tracing::{error, info, warn};

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
pub struct ConfigProblem<'a, P> {
    /// What, and what is allowed.
    pub problem: &'a P,
}

impl<P: Display> ConfigProblem<'_, P> {
    /// Writes the line.
    pub fn emit(&self) {
        error!("configuration: {}", self.problem);
    }
}

/// The configuration was read again and is wrong.
pub struct ConfigRefused<'a, P> {
    /// All that is wrong with it.
    pub problems: &'a [P],
    /// Whether that may be only because no further file can be open now.
    pub is_out_of_handles: bool,
}

impl<P: Display> ConfigRefused<'_, P> {
    /// Writes a line for each problem, and one for what comes of it.
    pub fn emit(&self) {
        for problem in self.problems {
            ConfigProblem { problem }.emit();
        }
        if self.is_out_of_handles {
            error!(
                problems = self.problems.len(),
                "configuration read again: too many files are open to read all of it; the old one stays in force, and it is read once more as soon as there is room"
            );
        } else {
            error!(
                problems = self.problems.len(),
                "configuration read again: it is wrong and was refused as a whole; the old one stays in force"
            );
        }
    }
}
