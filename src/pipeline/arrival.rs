//! What the pipeline knows of a request beside its body. Plain data.

use http::{HeaderMap, HeaderName, HeaderValue, Method, Version, header};
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
    /// Headers that never reach an event.
    pub drop_headers: &'a [HeaderName],
    /// The request's id, as answered.
    pub request_id: &'a str,
    /// Index of the API key that the request bears.
    pub key: Option<usize>,
}

impl Arrival<'_> {
    /// Whether a header never reaches an event.
    pub(super) fn drops(&self, name: &HeaderName) -> bool {
        name == header::AUTHORIZATION || self.drop_headers.contains(name)
    }

    /// A header that may be shown in an event. Of several the last one counts, as in Logstash.
    pub(super) fn shown_header(&self, name: &HeaderName) -> Option<&HeaderValue> {
        let last = self.headers.get_all(name).iter().next_back();
        last.filter(|_| !self.drops(name))
    }

    /// [`Self::host`] where it may be shown in an event.
    pub(super) fn shown_host(&self) -> Option<&str> {
        self.host.filter(|_| !self.drops(&header::HOST))
    }

    pub(super) fn http_version(&self) -> &'static str {
        match self.version {
            Version::HTTP_09 => "HTTP/0.9",
            Version::HTTP_10 => "HTTP/1.0",
            Version::HTTP_2 => "HTTP/2.0",
            Version::HTTP_3 => "HTTP/3.0",
            _ => "HTTP/1.1",
        }
    }
}
