//! The rules that requests are taken by, as far as they can be changed while the server runs. A request keeps the
//! ones that it began with to its end.

use super::answers::Answers;
use super::auth::Auth;
use super::cors::Cors;
use super::limits::Limits;
use crate::config::Config;
use crate::pipeline::Pipeline;
use crate::telemetry::Telemetry;

/// All that is made anew when the configuration is read again.
pub(super) struct Policy {
    pub(super) auth: Auth,
    pub(super) limits: Limits,
    /// None where no page may send: then browsers are told nothing.
    pub(super) cors: Option<Cors>,
    pub(super) pipeline: Pipeline,
    pub(super) answers: Answers,
}

impl Policy {
    /// What has been sent so far counts on against limits that are the same in `previous`.
    pub(super) fn new(config: &Config, telemetry: &Telemetry, previous: Option<&Self>) -> Self {
        Self {
            auth: Auth::new(&config.auth, telemetry, previous.map(|policy| &policy.auth)),
            limits: Limits::new(&config.limits, previous.map(|policy| &policy.limits)),
            cors: Cors::new(&config.cors, &config.auth),
            pipeline: Pipeline::new(config),
            answers: Answers::new(&config.ingest),
        }
    }
}
