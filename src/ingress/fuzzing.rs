//! What the fuzz targets reach of this room; nothing else uses it.

use http::HeaderMap;

use super::auth::Auth;
pub use super::proxy_protocol::{Found, find as find_proxy_header};
pub use super::trusted_proxies::TrustedProxies;
use crate::config;

/// Whether credentials of any bytes are let in.
pub fn lets_in(config: &config::Auth, headers: &HeaderMap) -> bool {
    Auth::new(config).check(headers).is_ok()
}
