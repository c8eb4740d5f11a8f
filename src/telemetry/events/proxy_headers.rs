//! What is told of PROXY headers.

use std::net::IpAddr;

use tracing::{debug, warn};

use crate::telemetry::ProxyHeaderFault;

/// A connection was closed for its PROXY header, or for the want of one.
pub struct ProxyHeaderRefused {
    /// The other end of the connection.
    pub peer: IpAddr,
    /// What was wrong.
    pub fault: ProxyHeaderFault,
    /// Whether it is the first one since the start; the others are only told to those who debug.
    pub is_first: bool,
}

impl ProxyHeaderRefused {
    /// Writes the line.
    pub fn emit(&self) {
        let Self { peer, fault, .. } = self;
        if self.is_first {
            warn!(
                %peer,
                reason = %fault,
                "a connection was closed for its PROXY header; further ones are counted in headgate_proxy_headers_refused_total and logged at the level debug"
            );
        } else {
            debug!(%peer, reason = %fault, "a connection was closed for its PROXY header");
        }
    }
}
