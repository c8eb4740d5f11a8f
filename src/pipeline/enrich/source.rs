//! Where the value of an added field comes from, and how it is written. Pure.

use http::{HeaderName, HeaderValue, header};

use super::event_id::{self, IdRun};
use super::{headers, trace};
use crate::pipeline::Arrival;
use crate::pipeline::json::push_string;

/// One added value.
#[derive(Clone, Debug)]
pub(super) enum ValueSource {
    /// A value known from the start, as JSON.
    Fixed(Vec<u8>),
    Now,
    ClientIp,
    Headers,
    HttpVersion,
    Method,
    Target,
    UserAgent,
    UrlDomain,
    UrlPort,
    BodyBytes,
    MimeType,
    RequestId,
    TraceId,
    EventId,
}

/// A value that is added to every event, whatever its request.
pub(in crate::pipeline) struct FixedValue {
    pub(in crate::pipeline) json: Vec<u8>,
    /// Whether an event's own goes for it.
    pub(in crate::pipeline) replaces_own: bool,
    /// For each object that is merged on the way, whether an event's own goes that is none.
    pub(in crate::pipeline) replaced_on_the_way: Vec<bool>,
}

/// What sources take their values from.
pub(in crate::pipeline) struct Request<'a> {
    pub(in crate::pipeline) arrival: &'a Arrival<'a>,
    /// Headers that never reach an event.
    pub(in crate::pipeline) drop_headers: &'a [HeaderName],
    /// Bytes of its body without content codings: the length that Logstash tells.
    pub(in crate::pipeline) body_bytes: usize,
    /// Where events get ids.
    pub(in crate::pipeline) ids: Option<IdRun>,
}

impl Request<'_> {
    /// Whether a header never reaches an event.
    pub(super) fn drops(&self, name: &HeaderName) -> bool {
        name == header::AUTHORIZATION || self.drop_headers.contains(name)
    }

    /// A header that may be shown in an event. Of several the last one counts, as in Logstash.
    fn shown_header(&self, name: &HeaderName) -> Option<&HeaderValue> {
        let last = self.arrival.headers.get_all(name).iter().next_back();
        last.filter(|_| !self.drops(name))
    }

    /// The host where it may be shown in an event.
    pub(super) fn shown_host(&self) -> Option<&str> {
        self.arrival.host.filter(|_| !self.drops(&header::HOST))
    }

    fn port(&self) -> Option<u16> {
        domain_and_port(self.shown_host()?).1
    }
}

impl ValueSource {
    pub(super) fn fixed(value: &serde_json::Value) -> Self {
        Self::Fixed(value.to_string().into_bytes())
    }

    /// The value of `@version`, which is 1 since Logstash 1.2.
    pub(super) fn version_1() -> Self {
        Self::Fixed(b"\"1\"".to_vec())
    }

    /// Whether the request has a value for it.
    pub(super) fn has_value(&self, request: &Request<'_>) -> bool {
        match self {
            Self::UserAgent => request.shown_header(&header::USER_AGENT).is_some(),
            Self::MimeType => request.shown_header(&header::CONTENT_TYPE).is_some(),
            Self::UrlDomain => request.shown_host().is_some(),
            Self::UrlPort => request.port().is_some(),
            Self::TraceId => trace::id(request.arrival.headers).is_some(),
            Self::EventId => request.ids.is_some(),
            Self::Fixed(_)
            | Self::Now
            | Self::ClientIp
            | Self::Headers
            | Self::HttpVersion
            | Self::Method
            | Self::Target
            | Self::BodyBytes
            | Self::RequestId => true,
        }
    }

    /// Writes the value as JSON; false, and nothing written, when the request has none.
    pub(super) fn render(&self, request: &Request<'_>, out: &mut Vec<u8>) -> bool {
        let arrival = request.arrival;
        let header = |name| request.shown_header(name).map(headers::text);
        match self {
            Self::Fixed(json) => out.extend_from_slice(json),
            Self::Now => push_string(out, arrival.now),
            Self::ClientIp => push_string(out, arrival.client_ip),
            Self::Headers => headers::render(request, out),
            Self::HttpVersion => push_string(out, arrival.http_version()),
            Self::Method => push_string(out, arrival.method.as_str()),
            Self::Target => push_string(out, arrival.target),
            Self::BodyBytes => push_string(out, &request.body_bytes.to_string()),
            Self::UserAgent => return push_some(out, header(&header::USER_AGENT).as_deref()),
            Self::MimeType => return push_some(out, header(&header::CONTENT_TYPE).as_deref()),
            Self::RequestId => push_string(out, arrival.request_id),
            Self::TraceId => return push_some(out, trace::id(arrival.headers)),
            Self::EventId => match &request.ids {
                Some(ids) => push_id(out, ids),
                None => return false,
            },
            Self::UrlDomain => {
                let domain = request.shown_host().map(|host| domain_and_port(host).0);
                return push_some(out, domain);
            }
            Self::UrlPort => match request.port() {
                Some(port) => out.extend_from_slice(port.to_string().as_bytes()),
                None => return false,
            },
        }
        true
    }
}

fn push_some(out: &mut Vec<u8>, text: Option<&str>) -> bool {
    if let Some(text) = text {
        push_string(out, text);
    }
    text.is_some()
}

/// Writes the next id.
fn push_id(out: &mut Vec<u8>, ids: &IdRun) {
    out.push(b'"');
    let start = out.len();
    out.resize(start + event_id::LENGTH, 0);
    ids.write_next(&mut out[start..]);
    out.push(b'"');
}

/// `logs.example:8080` and `[2001:db8::1]:8080` taken apart; the brackets are not part of the domain.
fn domain_and_port(host: &str) -> (&str, Option<u16>) {
    if let Some((address, rest)) = host.strip_prefix('[').and_then(|rest| rest.split_once(']')) {
        let port = rest.strip_prefix(':').and_then(|port| port.parse().ok());
        return (address, port);
    }
    match host.rsplit_once(':') {
        Some((domain, port)) if !domain.contains(':') => match port.parse() {
            Ok(port) => (domain, Some(port)),
            Err(_) => (domain, None),
        },
        _ => (host, None),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use http::{HeaderMap, Method, Version};
    use jiff::Timestamp;

    use crate::pipeline::enrich::event_id::EventIds;

    #[test]
    fn a_value_is_there_where_one_is_written() {
        let all = [
            ValueSource::version_1(),
            ValueSource::Now,
            ValueSource::ClientIp,
            ValueSource::Headers,
            ValueSource::HttpVersion,
            ValueSource::Method,
            ValueSource::Target,
            ValueSource::UserAgent,
            ValueSource::UrlDomain,
            ValueSource::UrlPort,
            ValueSource::BodyBytes,
            ValueSource::MimeType,
            ValueSource::RequestId,
            ValueSource::TraceId,
            ValueSource::EventId,
        ];
        let trace = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";
        let sent = [
            ("user-agent", "x"),
            ("content-type", "text/plain"),
            ("traceparent", trace),
        ];
        let sent: HeaderMap = sent
            .map(|(name, value)| (name.parse().unwrap(), value.parse().unwrap()))
            .into_iter()
            .collect();
        let dropped = [header::USER_AGENT, header::CONTENT_TYPE, header::HOST];
        let at = Timestamp::UNIX_EPOCH;
        for (headers, host, drop_headers, missing) in [
            (&HeaderMap::new(), None, &[][..], 6),
            (&sent, Some("h"), &[], 1),
            (&sent, Some("h:80"), &[], 0),
            (&sent, Some("h:80"), &dropped, 4),
        ] {
            let arrival = Arrival {
                at,
                now: "now",
                client_ip: "192.0.2.1",
                method: &Method::POST,
                target: "/",
                version: Version::HTTP_11,
                host,
                headers,
                request_id: "id",
                key: None,
            };
            let ids = host.map(|_| EventIds::default().run(at));
            let request = Request {
                arrival: &arrival,
                drop_headers,
                body_bytes: 0,
                ids,
            };
            let mut written = 0;
            for source in &all {
                let is_written = source.render(&request, &mut Vec::new());
                assert_eq!(source.has_value(&request), is_written, "{source:?}");
                written += usize::from(is_written);
            }
            assert_eq!(all.len() - written, missing);
        }
    }

    #[test]
    fn hosts_are_taken_apart() {
        for (host, expected) in [
            ("localhost:8123", ("localhost", Some(8123))),
            ("logs.example", ("logs.example", None)),
            ("[2001:db8::8a2e]:8080", ("2001:db8::8a2e", Some(8080))),
            ("[::1]", ("::1", None)),
            ("2001:db8::1", ("2001:db8::1", None)),
            ("h:notaport", ("h", None)),
            ("h:99999", ("h", None)),
        ] {
            assert_eq!(domain_and_port(host), expected, "{host}");
        }
    }
}
