//! What is logged of single requests and events, for those who look for one: at `debug`, for there can be many.

use std::fmt::Display;
use std::net::IpAddr;

use tracing::debug;

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
