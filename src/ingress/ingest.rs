//! The ingest paths: a request with events, from its head to its answer.

use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use axum::response::Response;
use bytes::Bytes;
use http::request::Parts;
use http::{HeaderValue, Version, header};
use jiff::Timestamp;
use tokio::time::{Instant, timeout, timeout_at};

use super::api_key::ApiKey;
use super::auth::Sender;
use super::body::RequestBody;
use super::buckets::Cost;
use super::client::{Client, ClientIp};
use super::gate::Gate;
use super::limits::{Allowance, RateLimited};
use super::policy::Policy;
use super::refusal::{Code, Refusal};
use super::turns::Turn;
use crate::budget::Reservation;
use crate::event::Origin;
use crate::lifecycle::blocking;
use crate::pipeline::{self, Api, Arrival, DecodeError, Decoded, Rejected};
use crate::units::timestamp;

/// Bodies above this are decoded beside the runtime: a megabyte takes about as long as a hundred small requests.
const LARGE_BODY: usize = 256 * 1024;

/// A head that is larger in memory than those of honest clients is counted like a body.
const SMALL_HEAD: usize = 4 * 1024;

/// What a header takes in memory beside its text, about, however short it is: a map has places for up to twice as many.
const HEADER_BYTES: usize = 200;

/// What a request of HTTP/2 takes in memory until its answer, about: one connection can have 250
/// of them, each for 14 bytes on the wire.
const STREAM_BYTES: usize = 8 * 1024;

/// Within this time the allocator has given back what a body took.
const BODY_LINGERS: Duration = Duration::from_secs(1);

/// What is known of a request before its body. In a box while it waits: it goes through many hands.
pub(super) struct Head {
    api: Api,
    /// The client's address, through all proxies that are trusted.
    client_ip: ClientIp,
    /// What the answer bears as `X-Request-Id`.
    id: HeaderValue,
    parts: Parts,
}

impl Head {
    pub(super) fn new(
        api: Api,
        policy: &Policy,
        client: &Client,
        id: &HeaderValue,
        parts: Parts,
    ) -> Self {
        let proxies = &policy.trusted_proxies;
        let address = proxies.client_ip(client.ip.address, &parts.headers);
        Self {
            api,
            client_ip: client.ip.or(address),
            id: id.clone(),
            parts,
        }
    }
}

impl Gate {
    /// Takes the events of a request, or refuses it whole.
    pub(super) async fn ingest(
        self: &Arc<Self>,
        policy: &Arc<Policy>,
        head: Box<Head>,
        body: &mut RequestBody,
    ) -> Result<Response, Refusal> {
        let sender = policy.auth.check(&head.parts)?;
        let outcome = self.ingest_from(sender, policy, head, body).await;
        if let (Err(_), Some(key)) = (&outcome, policy.auth.key_of(sender)) {
            key.refused();
        }
        outcome
    }

    async fn ingest_from(
        self: &Arc<Self>,
        sender: Sender,
        policy: &Arc<Policy>,
        head: Box<Head>,
        body: &mut RequestBody,
    ) -> Result<Response, Refusal> {
        let api = head.api;
        let key = policy.auth.key_of(sender);
        let allowance = policy.limits.allowance(key, head.client_ip.address);
        self.check_unread(key, &allowance, &head, body)?;
        let stream_bytes = stream_bytes(&head.parts);
        let read = self.read(sender, head, body).await;
        let deadline = Instant::now() + self.request_timeout;
        let decoded = match read {
            Ok(request) => self.decode(policy, request, deadline).await,
            Err(refusal) => Err(refusal),
        };
        let cost = self.charge(&allowance, &decoded, body)?;
        let (decoded, mut reservation) = decoded?;
        let of_body = self.split_off_body(decoded.held_bytes + stream_bytes, &mut reservation);
        let Decoded {
            envelope, rejected, ..
        } = decoded;
        let accepted = envelope.events();
        let reservation = Arc::new(reservation);
        if accepted == 0 && !rejected.is_empty() {
            self.count_rejected(&rejected);
            let held = for_answer(reservation, &rejected);
            return Err(Refusal::invalid_events(rejected, held));
        }
        let held = Some(Arc::clone(&reservation));
        let appending = self.spool.append_held(envelope, held, deadline);
        let appended = counting_body(of_body, appending).await;
        appended.inspect_err(|_| allowance.give_back(cost))?;
        if let Some(key) = key {
            key.took(accepted as u64);
        }
        self.count_rejected(&rejected);
        Ok(match api {
            Api::Logstash => policy.answers.logstash(),
            Api::Events if rejected.is_empty() => policy.answers.accepted(accepted),
            Api::Events => {
                let held = for_answer(reservation, &rejected);
                policy.answers.partly(accepted, &rejected, held)
            }
        })
    }

    /// What is reserved beside what stays until the answer, where that may be long: the body, mostly.
    fn split_off_body(
        &self,
        stays_bytes: usize,
        reservation: &mut Reservation,
    ) -> Option<Reservation> {
        let bytes = reservation.bytes().saturating_sub(stays_bytes);
        self.waits_for_brokers.then(|| reservation.split_off(bytes))
    }

    /// Charges the sender for what came: its bytes also where it was cut short or refused for what it is, so that a
    /// limit on bytes holds for nonsense too. What found no room here is no fault of the client's.
    fn charge(
        &self,
        allowance: &Allowance<'_>,
        decoded: &Result<(Decoded, Reservation), Refusal>,
        body: &RequestBody,
    ) -> Result<Cost, Refusal> {
        let events = match decoded {
            Ok((decoded, _)) => decoded.envelope.events() as u64,
            Err(_) => 0,
        };
        let cost = Cost {
            events,
            bytes: body.bytes as u64,
        };
        let is_shed = matches!(decoded, Err(refusal) if refusal.is_for_want_of_room());
        if !is_shed {
            let charged = allowance.charge(cost);
            charged.map_err(|limited| self.count_limited(limited))?;
        }
        Ok(cost)
    }

    /// Refuses what can be refused before a byte of the body is asked for.
    fn check_unread(
        &self,
        key: Option<&ApiKey>,
        allowance: &Allowance<'_>,
        head: &Head,
        body: &RequestBody,
    ) -> Result<(), Refusal> {
        if let Some(key) = key {
            key.check_origin(&head.parts.headers)?;
        }
        body.check_length(&self.body_limits, &self.budget)?;
        let checked = allowance.check_unread(body.rest());
        checked.map_err(|limited| self.count_limited(limited))?;
        match self.spool.refuses(body.rest_at_least()) {
            Some(refused) => Err(refused.into()),
            None => Ok(()),
        }
    }

    /// Reads the body of a request that nothing has refused yet.
    async fn read(
        &self,
        sender: Sender,
        head: Box<Head>,
        body: &mut RequestBody,
    ) -> Result<IngestRequest, Refusal> {
        let is_packed = !pipeline::content_codings(&head.parts.headers)?.is_empty();
        let mut reservation = self.budget.reservation();
        let waiting_bytes = waiting_bytes(&head.parts);
        if waiting_bytes > SMALL_HEAD {
            reservation.grow(waiting_bytes).map_err(DecodeError::from)?;
        }
        let reading = body.read(is_packed, &self.body_limits, &mut reservation);
        let bytes = reading.await?;
        Ok(IngestRequest {
            head,
            key: sender.key,
            is_packed,
            bytes,
            reservation,
            turn: body.take_turn(),
        })
    }

    /// The refusal, counted.
    fn count_limited(&self, limited: RateLimited) -> Refusal {
        self.telemetry.rate_limited(limited.limit);
        limited.refusal
    }

    /// Makes an envelope of a request, here or beside the runtime.
    async fn decode(
        self: &Arc<Self>,
        policy: &Arc<Policy>,
        request: IngestRequest,
        deadline: Instant,
    ) -> Result<(Decoded, Reservation), Refusal> {
        // How large a packed body is inside nobody knows: a hundred bytes can be a hundred megabytes.
        if request.is_packed || request.bytes.len() > LARGE_BODY {
            // In a box, for most requests have no use for it.
            Box::pin(self.decode_beside(policy, request, deadline)).await
        } else {
            Ok(self.decode_here(policy, request)?)
        }
    }

    fn decode_here(
        &self,
        policy: &Policy,
        request: IngestRequest,
    ) -> Result<(Decoded, Reservation), DecodeError> {
        let IngestRequest {
            head,
            key,
            bytes,
            mut reservation,
            is_packed: _,
            turn: _until_decoded,
        } = request;
        let Head {
            api,
            client_ip,
            id,
            parts,
        } = &*head;
        let target = parts
            .uri
            .path_and_query()
            .map_or("/", |target| target.as_str());
        let at = Timestamp::now();
        let arrival = Arrival {
            at,
            now: &timestamp::to_text(at),
            client_ip: &client_ip.text,
            method: &parts.method,
            target: &policy.auth.without_key(target),
            version: parts.version,
            host: host(parts),
            headers: &parts.headers,
            drop_headers: policy.pipeline.drop_headers(),
            body_bytes: bytes.len(),
            // Visible ASCII, the client's own or ours.
            request_id: id.to_str().unwrap_or_default(),
            key,
        };
        let sources = &self.telemetry.sources;
        let decoded = policy
            .pipeline
            .decode(*api, &arrival, bytes, sources, &mut reservation)?;
        Ok((decoded, reservation))
    }

    /// Decodes on a thread of its own, so that a large body does not hold up the small ones.
    async fn decode_beside(
        self: &Arc<Self>,
        policy: &Arc<Policy>,
        request: IngestRequest,
        deadline: Instant,
    ) -> Result<(Decoded, Reservation), Refusal> {
        let turn = timeout_at(deadline, Arc::clone(&self.decoders).acquire_owned())
            .await
            .map_err(|_| {
                Refusal::new(
                    Code::Timeout,
                    "Too many large bodies are being decoded; nothing of this one was kept.",
                )
            })?;
        let (gate, policy) = (Arc::clone(self), Arc::clone(policy));
        let decoded = blocking(move || {
            // Held here, so that a client that goes away does not make room for more work than there are cores.
            let _turn = turn;
            gate.decode_here(&policy, request)
        });
        Ok(decoded.await?)
    }

    fn count_rejected(&self, rejected: &[Rejected]) {
        for event in rejected {
            self.telemetry
                .rejected(Origin::Auto, event.violations[0].code);
        }
    }
}

/// A request whose body has come, ready to be decoded on any thread.
struct IngestRequest {
    head: Box<Head>,
    /// Index of the API key that it bears.
    key: Option<usize>,
    /// Whether its body has a content coding.
    is_packed: bool,
    bytes: Bytes,
    reservation: Reservation,
    turn: Option<Turn>,
}

/// Waits for an append. What the body took counts as long as the allocator may still have it.
async fn counting_body<T>(of_body: Option<Reservation>, appending: impl Future<Output = T>) -> T {
    let mut appending = pin!(appending);
    if let Some(of_body) = of_body {
        // In a box, for most requests have no use for it.
        let in_time = Box::pin(timeout(BODY_LINGERS, appending.as_mut()));
        if let Ok(appended) = in_time.await {
            return appended;
        }
        drop(of_body);
    }
    appending.await
}

/// What a request still holds of the budget while its answer tells of rejected events; the rest is given back.
fn for_answer(reservation: Arc<Reservation>, rejected: &[Rejected]) -> Arc<Reservation> {
    let needed: usize = rejected.iter().map(Rejected::answer_bytes).sum();
    match Arc::try_unwrap(reservation) {
        Ok(mut reservation) => {
            reservation.shrink(reservation.bytes().saturating_sub(needed));
            Arc::new(reservation)
        }
        // Somebody else still needs all of it.
        Err(shared) => shared,
    }
}

/// Bytes that a request takes while its body is waited for, about.
fn waiting_bytes(parts: &Parts) -> usize {
    let target = parts.uri.path().len() + parts.uri.query().map_or(0, str::len);
    let headers = parts.headers.iter();
    let headers: usize = headers
        .map(|(name, value)| HEADER_BYTES + name.as_str().len() + value.len())
        .sum();
    stream_bytes(parts) + target + headers
}

/// Bytes that a stream takes until its answer, about.
fn stream_bytes(parts: &Parts) -> usize {
    if parts.version == Version::HTTP_2 {
        STREAM_BYTES
    } else {
        0
    }
}

/// The authority of the target, which HTTP/2 always has and HTTP/1 where a client takes us for a proxy; else `Host`
/// (RFC 9112, 3.2.2).
fn host(parts: &Parts) -> Option<&str> {
    let authority = parts.uri.authority().map(http::uri::Authority::as_str);
    authority.or_else(|| parts.headers.get(header::HOST)?.to_str().ok())
}
