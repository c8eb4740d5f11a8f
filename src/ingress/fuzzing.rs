//! What the fuzz targets reach of this room; nothing else uses it.

use http::request::Parts;

use super::auth::Auth;
pub use super::proxy_protocol::{Found, find as find_proxy_header};
pub use super::trusted_proxies::TrustedProxies;
use crate::config;
use crate::config::OutputType;
use crate::telemetry::Telemetry;

/// The credentials that a configuration accepts.
pub struct Credentials(Auth);

impl Credentials {
    /// Those of this configuration.
    pub fn new(config: &config::Auth) -> Self {
        let telemetry = Telemetry::new(vec![], 1, OutputType::Stdout);
        Self(Auth::new(config, &telemetry, None))
    }

    /// Whether a request with this head is let in.
    pub fn let_in(&self, head: &Parts) -> bool {
        self.0.check(head).is_ok()
    }
}
