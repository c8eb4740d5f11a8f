//! The ingest paths: a request with events, from its head to its answer.

use std::net::IpAddr;
use std::sync::Arc;

use axum::response::Response;
use bytes::Bytes;
use http::request::Parts;
use http::{HeaderValue, Version, header};
use jiff::Timestamp;
use tokio::time::Instant;

use super::body::RequestBody;
use super::gate::Gate;
use super::policy::Policy;
use super::refusal::{Code, Refusal};
use crate::budget::Reservation;
use crate::event::Origin;
use crate::lifecycle::blocking;
use crate::pipeline::{self, Api, Arrival, DecodeError, Decoded, Rejected};
use crate::units::timestamp;

/// Bodies above this are decoded beside the runtime: a megabyte takes about as long as a hundred small requests.
const LARGE_BODY: usize = 256 * 1024;

/// What is known of a request before its body.
pub(super) struct Head {
    pub(super) api: Api,
    pub(super) client_ip: IpAddr,
    /// What the answer bears as `X-Request-Id`.
    pub(super) id: HeaderValue,
    pub(super) parts: Parts,
}

impl Gate {
    /// Takes the events of a request, or refuses it whole.
    pub(super) async fn ingest(
        self: &Arc<Self>,
        policy: Arc<Policy>,
        head: Head,
        body: &mut RequestBody,
    ) -> Result<Response, Refusal> {
        let api = head.api;
        let sender = policy.auth.check(&head.parts.headers)?;
        body.check_length(&self.body_limits, &self.budget)?;
        if let Some(refused) = self.spool.refuses(body.declared_bytes()) {
            return Err(refused.into());
        }
        let is_packed = !pipeline::content_codings(&head.parts.headers)?.is_empty();
        let mut reservation = self.budget.reservation();
        let bytes = body.read(&self.body_limits, &mut reservation).await?;
        let deadline = Instant::now() + self.request_timeout;
        let request = IngestRequest {
            policy: Arc::clone(&policy),
            head,
            key: sender.key,
            bytes,
            reservation,
        };
        // How large a packed body is inside nobody knows: a hundred bytes can be a hundred megabytes.
        let (decoded, reservation) = if is_packed || request.bytes.len() > LARGE_BODY {
            self.decode_beside(request, deadline).await?
        } else {
            self.decode(request)?
        };
        let accepted = decoded.envelope.events();
        let reservation = Arc::new(reservation);
        if accepted == 0 && !decoded.rejected.is_empty() {
            self.count_rejected(&decoded.rejected);
            let held = for_answer(reservation, &decoded.rejected);
            return Err(Refusal::invalid_events(decoded.rejected, held));
        }
        let held = Some(Arc::clone(&reservation));
        self.spool
            .append_held(decoded.envelope, held, deadline)
            .await?;
        self.count_rejected(&decoded.rejected);
        Ok(match api {
            Api::Logstash => policy.answers.logstash(),
            Api::Events if decoded.rejected.is_empty() => policy.answers.accepted(accepted),
            Api::Events => {
                let held = for_answer(reservation, &decoded.rejected);
                policy.answers.partly(accepted, &decoded.rejected, held)
            }
        })
    }

    fn decode(&self, request: IngestRequest) -> Result<(Decoded, Reservation), DecodeError> {
        let IngestRequest {
            policy,
            head,
            key,
            bytes,
            mut reservation,
        } = request;
        let Head {
            api,
            client_ip,
            id,
            parts,
        } = head;
        let target = parts
            .uri
            .path_and_query()
            .map_or("/", |target| target.as_str());
        let at = Timestamp::now();
        let arrival = Arrival {
            at,
            now: &timestamp::to_text(at),
            client_ip,
            method: &parts.method,
            target,
            version: parts.version,
            host: host(&parts),
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
            .decode(api, &arrival, bytes, sources, &mut reservation)?;
        Ok((decoded, reservation))
    }

    /// Decodes on a thread of its own, so that a large body does not hold up the small ones.
    async fn decode_beside(
        self: &Arc<Self>,
        request: IngestRequest,
        deadline: Instant,
    ) -> Result<(Decoded, Reservation), Refusal> {
        let turn = tokio::time::timeout_at(deadline, Arc::clone(&self.decoders).acquire_owned())
            .await
            .map_err(|_| {
                Refusal::new(
                    Code::Timeout,
                    "Too many large bodies are being decoded; nothing of this one was kept.",
                )
            })?;
        let gate = Arc::clone(self);
        let decoded = blocking(move || {
            // Held here, so that a client that goes away does not make room for more work than there are cores.
            let _turn = turn;
            gate.decode(request)
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
    policy: Arc<Policy>,
    head: Head,
    key: Option<usize>,
    bytes: Bytes,
    reservation: Reservation,
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

/// `Host`, or with HTTP/2 the authority.
fn host(parts: &Parts) -> Option<&str> {
    let authority = parts.uri.authority().map(http::uri::Authority::as_str);
    let header = || parts.headers.get(header::HOST)?.to_str().ok();
    if parts.version == Version::HTTP_2 {
        authority.or_else(header)
    } else {
        header()
    }
}
