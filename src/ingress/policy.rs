//! The rules that requests are taken by, as far as they can be changed while the server runs. A request keeps the
//! ones that it began with to its end.

use super::answers::Answers;
use super::auth::Auth;
use super::trusted_proxies::TrustedProxies;
use crate::config::Config;
use crate::pipeline::Pipeline;

/// All that is made anew when the configuration is read again.
pub(super) struct Policy {
    pub(super) auth: Auth,
    pub(super) trusted_proxies: TrustedProxies,
    pub(super) pipeline: Pipeline,
    pub(super) answers: Answers,
}

impl Policy {
    pub(super) fn new(config: &Config) -> Self {
        Self {
            auth: Auth::new(&config.auth),
            trusted_proxies: TrustedProxies::new(&config.server.trusted_proxies),
            pipeline: Pipeline::new(config),
            answers: Answers::new(&config.ingest),
        }
    }
}
