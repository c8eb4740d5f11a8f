//! From the body as it came to an envelope: on the runtime where that is quick, else on a thread beside it.

use std::borrow::Cow;
use std::sync::Arc;

use http::header;
use http::request::Parts;
use http::uri::PathAndQuery;
use jiff::Timestamp;
use tokio::sync::OwnedSemaphorePermit;
use tokio::time::Instant;

use super::gate::Gate;
use super::head::Head;
use super::policy::Policy;
use super::refusal::Refusal;
use super::turns::Turn;
use crate::budget::Reservation;
use crate::config::Ingest;
use crate::lifecycle::blocking;
use crate::pipeline::{Arrival, DecodeError, Decoded, EncodedBody, EnvelopeLimits};
use crate::units::timestamp;

/// Bodies above this are decoded beside the runtime: a megabyte takes about as long as a hundred small requests.
const LARGE_BODY: usize = 256 * 1024;

/// Shorter bodies with more events are decoded beside the runtime too: 250 kB can be a hundred thousand events, and take as
/// long as hundreds of requests.
const MANY_EVENTS: usize = 4000;

/// And so are those that become more than this: with long headers a body of 8 kB is 65 MB.
const LARGE_ENVELOPE: usize = 4 * 1024 * 1024;

/// What is decoded on the runtime.
const SHORT_WORK: EnvelopeLimits = EnvelopeLimits {
    max_events: MANY_EVENTS,
    max_bytes: LARGE_ENVELOPE,
};

/// Packed bodies up to this are inflated on the runtime, as far as they are not large inside: a few hundred events come to
/// that, and where a hundred bytes that are a hundred megabytes wait for a core they must not wait behind them.
const SHORT_PACKED_BODY: usize = 16 * 1024;

/// A body that is longer than this inside waits for a core behind those that are not: where many become a hundred megabytes,
/// who waits for all of them waits for ten seconds. No ratio forbids a body to become so long, so that need not be asked here.
const LONG_BODY: usize = Ingest::FREE_INFLATION;

/// A request whose body has come, ready to be decoded on any thread.
pub(super) struct Undecoded {
    pub(super) head: Box<Head>,
    /// Index of the API key that it bears.
    pub(super) key: Option<usize>,
    pub(super) body: EncodedBody,
    pub(super) reservation: Reservation,
    /// It is over when the request is decoded.
    pub(super) _turn: Option<Turn>,
}

impl Gate {
    /// Makes an envelope of a request, here or beside the runtime.
    pub(super) async fn decode(
        self: &Arc<Self>,
        policy: &Arc<Policy>,
        mut request: Undecoded,
        deadline: Instant,
    ) -> Result<(Decoded, Reservation), Refusal> {
        if request.body.is_packed() && request.body.bytes.len() <= SHORT_PACKED_BODY {
            request = self.inflate_within(request, LARGE_BODY)?;
        }
        // How large a packed body is inside nobody knows: a hundred bytes can be a hundred megabytes.
        if !request.body.is_packed() && request.body.bytes.len() <= LARGE_BODY {
            let body = request.body.clone();
            let reserved = request.reservation.bytes();
            match self.decode_here(policy, &mut request, body, SHORT_WORK) {
                Err(error) if is_beyond_short_work(&error) => {
                    let made = request.reservation.bytes() - reserved;
                    request.reservation.shrink(made);
                }
                decoded => return Ok((decoded?, request.reservation)),
            }
        }
        // In a box, for most requests have no use for it.
        Box::pin(self.decode_beside(policy, request, deadline)).await
    }

    /// The request with its body inflated, where that becomes no longer than this.
    fn inflate_within(
        &self,
        mut request: Undecoded,
        max_bytes: usize,
    ) -> Result<Undecoded, DecodeError> {
        let most = max_bytes.min(self.body_limits.max_bytes);
        let body = request.body;
        request.body = body.inflated_within(most, &mut request.reservation)?;
        Ok(request)
    }

    fn decode_here(
        &self,
        policy: &Policy,
        request: &mut Undecoded,
        body: EncodedBody,
        limits: EnvelopeLimits,
    ) -> Result<Decoded, DecodeError> {
        let Head {
            api,
            client_ip,
            id,
            parts,
        } = &*request.head;
        let target = target(parts);
        let at = Timestamp::now();
        let arrival = Arrival {
            at,
            now: &timestamp::to_text(at),
            client_ip: &client_ip.text,
            method: &parts.method,
            target: &policy.auth.without_key(&target),
            version: parts.version,
            host: host(parts),
            headers: &parts.headers,
            // Visible ASCII, the client's own or ours.
            request_id: id.to_str().unwrap_or_default(),
            key: request.key,
        };
        let sources = &self.telemetry.sources;
        let reservation = &mut request.reservation;
        let pipeline = &policy.pipeline;
        pipeline.decode(*api, &arrival, body, limits, sources, reservation)
    }

    /// Decodes on a thread of its own, so that a large body does not hold up the small ones.
    async fn decode_beside(
        self: &Arc<Self>,
        policy: &Arc<Policy>,
        request: Undecoded,
        deadline: Instant,
    ) -> Result<(Decoded, Reservation), Refusal> {
        let (mut request, core) = self.with_core(request, deadline).await?;
        let (gate, policy) = (Arc::clone(self), Arc::clone(policy));
        // The core goes along, so that a client that goes away does not make room for more work than there are cores; and comes
        // back, so that it is free when this request goes on and not before.
        let decoding = blocking(move || {
            let body = std::mem::take(&mut request.body);
            let decoded = gate.decode_here(&policy, &mut request, body, EnvelopeLimits::NONE);
            (decoded.map(|decoded| (decoded, request.reservation)), core)
        });
        let (decoded, _core) = decoding.await;
        Ok(decoded?)
    }

    /// Waits for a core to decode a request on. How long a packed body is inside only inflating it tells: it is inflated
    /// by then, unless it is long.
    async fn with_core(
        self: &Arc<Self>,
        mut request: Undecoded,
        deadline: Instant,
    ) -> Result<(Undecoded, OwnedSemaphorePermit), Refusal> {
        if request.body.bytes.len() <= LONG_BODY {
            let core = self.cores.one(deadline).await?;
            if !request.body.is_packed() {
                return Ok((request, core));
            }
            let gate = Arc::clone(self);
            let inflating = blocking(move || (gate.inflate_within(request, LONG_BODY), core));
            let (inflated, core) = inflating.await;
            request = inflated?;
            if !request.body.is_packed() {
                return Ok((request, core));
            }
        }
        let core = self.cores.one_for_long(deadline).await?;
        Ok((request, core))
    }
}

/// Whether a limit of [`SHORT_WORK`] was met: where the configuration allows less, its own is told.
fn is_beyond_short_work(error: &DecodeError) -> bool {
    matches!(
        error,
        DecodeError::TooManyEvents {
            max_events: MANY_EVENTS
        } | DecodeError::EnvelopeTooLarge {
            max_bytes: LARGE_ENVELOPE
        }
    )
}

/// Path and query. A target that begins with a scheme may leave the path out, which is `/` then (RFC 9110, 4.2.3).
fn target(parts: &Parts) -> Cow<'_, str> {
    let target = parts.uri.path_and_query();
    match target.map_or("/", PathAndQuery::as_str) {
        query if query.starts_with('?') => Cow::Owned(format!("/{query}")),
        target => Cow::Borrowed(target),
    }
}

/// The authority of the target, which HTTP/2 always has and HTTP/1 where a client takes us for a proxy; else `Host`
/// (RFC 9112, 3.2.2).
fn host(parts: &Parts) -> Option<&str> {
    let authority = parts.uri.authority().map(http::uri::Authority::as_str);
    authority.or_else(|| parts.headers.get(header::HOST)?.to_str().ok())
}

#[cfg(test)]
mod tests {
    use std::net::{IpAddr, Ipv4Addr};
    use std::pin::pin;
    use std::time::Duration;

    use futures_util::FutureExt;
    use futures_util::future::{Either, select};
    use futures_util::stream::{FuturesUnordered, StreamExt};
    use http::{HeaderValue, Request};

    use super::*;
    use crate::budget::ByteBudget;
    use crate::config::{Config, OutputType};
    use crate::ingress::client::ClientIp;
    use crate::ingress::refusal::Code;
    use crate::lifecycle::Lifecycle;
    use crate::pipeline::{Api, ContentCodings};
    use crate::spool::{Acknowledge, Spool};
    use crate::telemetry::Telemetry;

    fn gate() -> Arc<Gate> {
        gate_of(&Config::default())
    }

    fn gate_of(config: &Config) -> Arc<Gate> {
        let telemetry = Arc::new(Telemetry::new(vec![], 1, OutputType::File));
        let spool = Spool::in_memory(1, Acknowledge::Queued, Arc::clone(&telemetry));
        let budget = ByteBudget::new(config.ingest.max_in_flight_bytes.as_usize());
        let gate = Gate::new(config, spool, telemetry, Lifecycle::new(), budget);
        Arc::new(gate)
    }

    /// A request with this text, packed.
    fn packed(gate: &Gate, text: &[u8]) -> Undecoded {
        let packed = zstd::encode_all(text, 1).unwrap();
        request(gate, "zstd", packed)
    }

    fn request(gate: &Gate, coding: &str, bytes: Vec<u8>) -> Undecoded {
        let head = Request::post("/").header("content-encoding", coding);
        request_with(gate, head, bytes)
    }

    fn request_with(gate: &Gate, head: http::request::Builder, bytes: Vec<u8>) -> Undecoded {
        let head = head.header("content-type", "application/json");
        let (parts, ()) = head.body(()).unwrap().into_parts();
        let codings = ContentCodings::of(&parts.headers).unwrap();
        let body = EncodedBody::new(bytes.into(), codings);
        let mut reservation = gate.budget.reservation();
        reservation.grow(body.bytes.len()).unwrap();
        Undecoded {
            head: Box::new(Head {
                api: Api::Logstash,
                client_ip: ClientIp::new(IpAddr::V4(Ipv4Addr::LOCALHOST)),
                id: HeaderValue::from_static("id"),
                parts,
            }),
            key: None,
            body,
            reservation,
            _turn: None,
        }
    }

    #[tokio::test]
    async fn a_short_packed_body_waits_for_no_core() {
        let gate = gate();
        let policy = gate.policy();
        let _long_ones = gate.cores.all().await;
        let short = packed(&gate, &b"hello ".repeat(1000));
        let decoded = gate.decode(&policy, short, Instant::now()).await;
        assert_eq!(decoded.unwrap().0.envelope.events(), 1);
        let empty = request(&gate, "zstd", vec![]);
        assert!(gate.decode(&policy, empty, Instant::now()).await.is_ok());
        let large_inside = packed(&gate, &b"hello ".repeat(1_000_000));
        let refused = gate.decode(&policy, large_inside, Instant::now()).await;
        assert_eq!(refused.unwrap_err().code(), Code::Timeout);
        assert_eq!(gate.budget.used(), 0);
    }

    #[tokio::test]
    async fn behind_many_long_bodies_one_that_is_not_waits_for_a_single_one_at_most() {
        let gate = gate();
        let policy = gate.policy();
        let deadline = Instant::now() + Duration::from_mins(1);
        let long = vec![b' '; LONG_BODY + 1];
        for is_packed in [true, false] {
            let mut all_cores = gate.cores.all().await;
            let long_one = || match is_packed {
                true => packed(&gate, &long),
                false => request(&gate, "identity", long.clone()),
            };
            let mut long_ones: FuturesUnordered<_> = (0..4)
                .map(|_| gate.decode(&policy, long_one(), deadline))
                .collect();
            assert!(long_ones.next().now_or_never().is_none(), "all wait");
            let other = packed(&gate, &b"hello ".repeat(LARGE_BODY));
            let mut other = pin!(gate.decode(&policy, other, deadline));
            // As on a machine with one core.
            drop(all_cores.split(1));
            let decoded = loop {
                match select(other.as_mut(), long_ones.next()).await {
                    Either::Left((decoded, _)) => break decoded,
                    Either::Right(_) => assert_eq!(long_ones.len(), 3, "a second one went before"),
                }
            };
            assert_eq!(decoded.unwrap().0.envelope.events(), 1);
            assert_eq!(long_ones.count().await, 4 - usize::from(!is_packed));
        }
        assert_eq!(gate.budget.used(), 0);
    }

    #[tokio::test]
    async fn a_swarm_of_tiny_events_is_decoded_beside_the_runtime_and_a_batch_is_not() {
        let gate = gate();
        let policy = gate.policy();
        let swarm = || request(&gate, "identity", b"{}".repeat(MANY_EVENTS + 1));
        let body_bytes = swarm().body.bytes.len();
        let decoded = gate.decode(&policy, swarm(), Instant::now() + Duration::from_mins(1));
        let (decoded, reservation) = decoded.await.unwrap();
        assert_eq!(decoded.envelope.events(), MANY_EVENTS + 1);
        // What was made of it on the runtime is gone, and counts no more.
        assert_eq!(reservation.bytes(), body_bytes + decoded.held_bytes);
        drop((decoded, reservation));
        let _long_ones = gate.cores.all().await;
        let batch = request(&gate, "identity", b"{}".repeat(MANY_EVENTS));
        let decoded = gate.decode(&policy, batch, Instant::now()).await.unwrap();
        assert_eq!(decoded.0.envelope.events(), MANY_EVENTS);
        drop(decoded);
        let refused = gate.decode(&policy, swarm(), Instant::now()).await;
        assert_eq!(refused.unwrap_err().code(), Code::Timeout);
        assert_eq!(gate.budget.used(), 0);
    }

    #[tokio::test]
    async fn what_becomes_large_by_its_headers_is_decoded_beside_the_runtime() {
        let gate = gate();
        let policy = gate.policy();
        let swelling = || {
            let head = Request::post("/").header("x-long", "x".repeat(10_000));
            request_with(&gate, head, b"{}".repeat(500))
        };
        let decoded = gate.decode(&policy, swelling(), Instant::now() + Duration::from_mins(1));
        assert_eq!(decoded.await.unwrap().0.envelope.events(), 500);
        let _long_ones = gate.cores.all().await;
        let refused = gate.decode(&policy, swelling(), Instant::now()).await;
        assert_eq!(refused.unwrap_err().code(), Code::Timeout);
        assert_eq!(gate.budget.used(), 0);
    }

    #[tokio::test]
    async fn what_the_configuration_does_not_allow_is_refused_without_a_wait_for_a_core() {
        let mut config = Config::default();
        config.ingest.max_events_per_request = 1000;
        let gate = gate_of(&config);
        let _long_ones = gate.cores.all().await;
        let too_many = request(&gate, "identity", b"{}".repeat(1001));
        let refused = gate.decode(&gate.policy(), too_many, Instant::now()).await;
        assert_eq!(refused.unwrap_err().code(), Code::TooManyEvents);
        assert_eq!(gate.budget.used(), 0);
    }
}
