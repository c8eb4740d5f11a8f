//! What is logged of requests and events. Of single ones, for those who look for one, at `debug`, for there can be many; of
//! load that makes the server refuse them a warning when it begins.

use std::fmt::Display;
use std::net::IpAddr;

use tracing::{debug, warn};

/// A request was refused.
pub struct RequestRefused<'a> {
    /// What the client reads as `request_id` and `X-Request-Id`; none where it is the client's own and could
    /// be anything.
    pub request_id: Option<&'a str>,
    /// Who opened the connection, as far as a PROXY header does not name somebody else.
    pub peer: IpAddr,
    /// The problem code.
    pub code: &'static str,
}

impl RequestRefused<'_> {
    /// Writes the line.
    pub fn emit(&self) {
        debug!(
            request_id = self.request_id,
            peer = %self.peer,
            code = self.code,
            "a request was refused"
        );
    }
}

/// Requests are refused because of load. Logged once, until none was for a while.
pub struct RequestsShed {
    /// The problem code.
    pub code: &'static str,
    /// What there is too little of, and what helps.
    pub reason: &'static str,
}

impl RequestsShed {
    /// Writes the line.
    pub fn emit(&self) {
        warn!(
            code = self.code,
            reason = self.reason,
            "requests are refused because of load"
        );
    }
}

/// More connections came than there may be. Logged once, until none did for a while.
pub struct TooManyConnections {
    /// `server.max_connections`.
    pub limit: usize,
}

impl TooManyConnections {
    /// Writes the line.
    pub fn emit(&self) {
        warn!(
            limit = self.limit,
            "server.max_connections are open: on further ones health checks alone are answered, and requests refused. Have clients use \
             connections again, raise it, or add a node"
        );
    }
}

/// An event became a dead letter.
pub struct EventDeadLettered<'a> {
    /// The letter's id.
    pub id: &'a dyn Display,
    /// Why, in one word.
    pub reason: &'static str,
}

impl EventDeadLettered<'_> {
    /// Writes the line.
    pub fn emit(&self) {
        debug!(id = %self.id, reason = self.reason, "an event became a dead letter");
    }
}
