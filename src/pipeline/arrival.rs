//! What the pipeline knows of a request beside its body. Plain data.

use http::{HeaderMap, Method, Version};
use jiff::Timestamp;

/// What is known of a request beside its body.
pub struct Arrival<'a> {
    /// Time of arrival.
    pub at: Timestamp,
    /// The same as text: ISO 8601, UTC, milliseconds.
    pub now: &'a str,
    /// The client's address.
    pub client_ip: &'a str,
    /// The request's method.
    pub method: &'a Method,
    /// Path and query, as sent.
    pub target: &'a str,
    /// The request's version.
    pub version: Version,
    /// `Host`, or the authority of HTTP/2.
    pub host: Option<&'a str>,
    /// All headers.
    pub headers: &'a HeaderMap,
    /// The request's id, as answered.
    pub request_id: &'a str,
    /// Index of the API key that the request bears.
    pub key: Option<usize>,
}

impl Arrival<'_> {
    pub(super) fn http_version(&self) -> &'static str {
        match self.version {
            Version::HTTP_10 => "HTTP/1.0",
            Version::HTTP_2 => "HTTP/2.0",
            _ => "HTTP/1.1",
        }
    }
}
