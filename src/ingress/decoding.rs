//! From the body as it came to an envelope: on the runtime where that is quick, else on a thread beside it.

use std::borrow::Cow;
use std::sync::Arc;

use http::header;
use http::request::Parts;
use http::uri::PathAndQuery;
use jiff::Timestamp;
use tokio::time::{Instant, timeout_at};

use super::gate::Gate;
use super::head::Head;
use super::policy::Policy;
use super::refusal::{Code, Refusal};
use super::turns::Turn;
use crate::budget::Reservation;
use crate::lifecycle::blocking;
use crate::pipeline::{Arrival, DecodeError, Decoded, EncodedBody};
use crate::units::timestamp;

/// Bodies above this are decoded beside the runtime: a megabyte takes about as long as a hundred small requests.
const LARGE_BODY: usize = 256 * 1024;

/// A request whose body has come, ready to be decoded on any thread.
pub(super) struct Undecoded {
    pub(super) head: Box<Head>,
    /// Index of the API key that it bears.
    pub(super) key: Option<usize>,
    pub(super) body: EncodedBody,
    pub(super) reservation: Reservation,
    pub(super) turn: Option<Turn>,
}

impl Gate {
    /// Makes an envelope of a request, here or beside the runtime.
    pub(super) async fn decode(
        self: &Arc<Self>,
        policy: &Arc<Policy>,
        request: Undecoded,
        deadline: Instant,
    ) -> Result<(Decoded, Reservation), Refusal> {
        // How large a packed body is inside nobody knows: a hundred bytes can be a hundred megabytes.
        if !request.body.codings.is_empty() || request.body.bytes.len() > LARGE_BODY {
            // In a box, for most requests have no use for it.
            Box::pin(self.decode_beside(policy, request, deadline)).await
        } else {
            Ok(self.decode_here(policy, request)?)
        }
    }

    fn decode_here(
        &self,
        policy: &Policy,
        request: Undecoded,
    ) -> Result<(Decoded, Reservation), DecodeError> {
        let Undecoded {
            head,
            key,
            body,
            mut reservation,
            turn: _until_decoded,
        } = request;
        let Head {
            api,
            client_ip,
            id,
            parts,
        } = &*head;
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
            drop_headers: policy.pipeline.drop_headers(),
            // Visible ASCII, the client's own or ours.
            request_id: id.to_str().unwrap_or_default(),
            key,
        };
        let sources = &self.telemetry.sources;
        let decoded = policy
            .pipeline
            .decode(*api, &arrival, body, sources, &mut reservation)?;
        Ok((decoded, reservation))
    }

    /// Decodes on a thread of its own, so that a large body does not hold up the small ones.
    async fn decode_beside(
        self: &Arc<Self>,
        policy: &Arc<Policy>,
        request: Undecoded,
        deadline: Instant,
    ) -> Result<(Decoded, Reservation), Refusal> {
        let core = timeout_at(deadline, Arc::clone(&self.decoders).acquire_owned())
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
            let _core = core;
            gate.decode_here(&policy, request)
        });
        Ok(decoded.await?)
    }
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
