//! Where every request of the public listener passes: its id, its route, its answer, its count. One place in a row
//! instead of layers on top of each other, for the ingest paths pay for every step.

mod endpoint;
mod passage;

use std::sync::Arc;
use std::sync::atomic::Ordering;

use arc_swap::ArcSwap;
use axum::body::Body;
use axum::response::{IntoResponse, Response};
use http::request::Parts;
use http::{HeaderValue, Method, Request, StatusCode, Version, header};
use hyper::body::{Body as _, Incoming};

use super::body::{BodyLimits, RequestBody, Rest, Rests};
use super::client::Client;
use super::cores::Cores;
use super::cors::{Permission, is_preflight, preflight};
use super::head::Head;
use super::health;
use super::held_body::guarded_body;
use super::policy::Policy;
use super::refusal::{Code, Refusal, Shedding};
use super::request_id::{RequestIds, X_REQUEST_ID, is_loggable};
use super::turns::Turns;
use crate::budget::ByteBudget;
use crate::config::{Config, Durability};
use crate::lifecycle::{Lifecycle, Phase};
use crate::spool::Spool;
use crate::telemetry::events::RequestRefused;
use crate::telemetry::{Refusals, Telemetry};
use endpoint::Endpoint;
use passage::Passage;

const OPENAPI: &str = include_str!("../../openapi.yaml");

/// More headers than any client sends on purpose; HTTP/1 has the same limit in its parser.
const MAX_HEADERS: usize = 100;

/// The state that requests share.
pub(super) struct Gate {
    /// Loaded once a request.
    policy: ArcSwap<Policy>,
    pub(super) spool: Spool,
    pub(super) telemetry: Arc<Telemetry>,
    refusals: Refusals,
    shedding: Shedding,
    pub(super) lifecycle: Lifecycle,
    pub(super) budget: ByteBudget,
    pub(super) body_limits: BodyLimits,
    pub(super) request_timeout: std::time::Duration,
    /// Whether an answer waits until a Broker has the events.
    pub(super) waits_for_brokers: bool,
    /// Large bodies are decoded beside the runtime.
    pub(super) cores: Cores,
    rests: Rests,
    ids: RequestIds,
    overload_status: StatusCode,
}

/// An answer, and what of its request's body is still to come where the connection outlives that.
pub(super) struct Answered {
    pub(super) response: Response,
    pub(super) rest: Option<Box<Rest>>,
}

/// What a request asks for, and what else of it its answer depends on.
struct RequestContext {
    endpoint: Endpoint,
    id: HeaderValue,
    version: Version,
    is_head: bool,
    is_tunnel: bool,
    permission: Option<Permission>,
}

impl RequestContext {
    /// Whether nothing more may be read from its connection: where the next request begins is in doubt, or it
    /// sends ahead into a tunnel that it does not get.
    fn ends_connection(&self, outcome: &Result<Response, Refusal>) -> bool {
        self.is_tunnel || outcome.as_ref().err().is_some_and(Refusal::ends_connection)
    }
}

impl Gate {
    pub(super) fn new(
        config: &Config,
        spool: Spool,
        telemetry: Arc<Telemetry>,
        lifecycle: Lifecycle,
        budget: ByteBudget,
    ) -> Self {
        Self {
            policy: ArcSwap::from_pointee(Policy::new(config, &telemetry, None)),
            spool,
            refusals: telemetry.refusals(Code::ALL.iter().map(|code| code.word())),
            shedding: Shedding::default(),
            telemetry,
            body_limits: BodyLimits {
                turns: Arc::new(Turns::new(budget.clone())),
                lifecycle: lifecycle.clone(),
                max_bytes: config.ingest.max_content_length.as_usize(),
                silence: config.server.body_read_timeout,
                whole: config.server.body_timeout,
            },
            lifecycle,
            budget,
            request_timeout: config.server.request_timeout,
            waits_for_brokers: config.ingest.durability == Durability::Broker,
            cores: Cores::new(),
            rests: Rests::new(),
            ids: RequestIds::new(),
            overload_status: StatusCode::from_u16(config.ingest.overload_status)
                .expect("the configuration allows 429 and 503 only"),
        }
    }

    /// The policy in force at this moment.
    pub(super) fn policy(&self) -> Arc<Policy> {
        self.policy.load_full()
    }

    /// Takes all further requests by what is configured now.
    pub(super) fn reload(&self, config: &Config) {
        let previous = self.policy.load();
        let policy = Policy::new(config, &self.telemetry, Some(&previous));
        self.policy.store(Arc::new(policy));
    }

    /// Answers one request.
    pub(super) async fn answer(
        self: &Arc<Self>,
        client: &Client,
        request: Request<Incoming>,
    ) -> Answered {
        let _serving = client.activity.request();
        let (parts, incoming) = request.into_parts();
        let policy = self.policy();
        let context = RequestContext {
            endpoint: Endpoint::of(&parts.method, parts.uri.path()),
            id: self.ids.of(&parts.headers),
            version: parts.version,
            is_head: parts.method == Method::HEAD,
            is_tunnel: parts.method == Method::CONNECT,
            permission: policy.permission(&parts.headers),
        };
        let mut body = RequestBody::new(incoming, &parts, client.standing.has_large_buffers());
        client.activity.limit_reads(body.read_limit());
        let route = context.endpoint.counted_as();
        let passage = Passage::new(&self.telemetry, route, &mut body);

        let served = self.serve(client, &policy, &context, parts, passage.body);
        let outcome = served.await;
        let is_taken = !context.ends_connection(&outcome) && passage.body.take_short_rest().await;
        if !is_taken {
            client.leaves_bytes_unread.store(true, Ordering::Relaxed);
        }
        let outlives_rest = !is_taken && context.version == Version::HTTP_2;
        let response = self.response(client, context, outcome);
        passage.answered(response.status().as_u16());
        Answered {
            response,
            rest: outlives_rest.then(|| self.rests.rest_of(body)).flatten(),
        }
    }

    /// Does what is asked for, where nothing speaks against it.
    async fn serve(
        self: &Arc<Self>,
        client: &Client,
        policy: &Arc<Policy>,
        context: &RequestContext,
        parts: Parts,
        body: &mut RequestBody,
    ) -> Result<Response, Refusal> {
        self.admit(client, context.endpoint, &parts)?;
        match context.endpoint {
            Endpoint::Ingest(api) => {
                let head = Box::new(Head::new(api, policy, client, &context.id, parts));
                // In a box, for an idle connection keeps the room for its next request: 10,000 of them take
                // 30 MiB less.
                Box::pin(self.ingest(policy, head, body)).await
            }
            Endpoint::IngestOptions(_)
                if context.permission.is_some() && is_preflight(&parts.headers) =>
            {
                Ok(preflight())
            }
            Endpoint::Health(question) => {
                let (phase, spool) = (self.lifecycle.phase(), self.spool.status());
                Ok(health::answer(question, phase, spool))
            }
            Endpoint::OpenApi => Ok(openapi()),
            Endpoint::NotFound => Err(Refusal::new(
                Code::NotFound,
                "Below /v1/ there is only /v1/events.",
            )),
            Endpoint::IngestOptions(allow) | Endpoint::NotAllowed(allow) => {
                Err(Refusal::method_not_allowed(allow))
            }
        }
    }

    /// The answer, with all that it bears whatever was asked for.
    fn response(
        &self,
        client: &Client,
        context: RequestContext,
        outcome: Result<Response, Refusal>,
    ) -> Response {
        let mut response = match outcome {
            Ok(response) => response,
            Err(refusal) => self.tell(refusal, client, &context.id),
        };
        response.headers_mut().insert(X_REQUEST_ID, context.id);
        if let Some(permission) = context.permission {
            permission.say(response.headers_mut());
        }
        self.say_if_closing(client, context.version, &mut response);
        // With HTTP/1 hyper leaves the content out.
        if context.is_head && context.version == Version::HTTP_2 {
            response = without_content(response);
        }
        guarded(client, context.version, response)
    }

    /// Refuses what no route is to see.
    fn admit(&self, client: &Client, endpoint: Endpoint, parts: &Parts) -> Result<(), Refusal> {
        let is_health = matches!(endpoint, Endpoint::Health(_));
        if !is_health && client.standing.is_reserve() {
            return Err(Refusal::crowd());
        }
        if has_too_many_headers(parts) {
            return Err(Refusal::new(
                Code::HeadersTooLarge,
                format!("The request has more than {MAX_HEADERS} headers."),
            ));
        }
        if has_other_transfer_coding(parts) {
            return Err(Refusal::doubtful_head(
                "The only Transfer-Encoding that is read is `chunked`; for compression use Content-Encoding.",
            ));
        }
        if parts.uri.path().is_empty() && parts.method != Method::CONNECT {
            return Err(Refusal::doubtful_head("The request has no path."));
        }
        check_host(parts)
    }

    /// Counts and logs a refusal, and puts it into words for the client.
    fn tell(&self, refusal: Refusal, client: &Client, id: &HeaderValue) -> Response {
        self.refusals.count(refusal.code().word());
        self.shedding.note(&refusal);
        // An id is visible ASCII, the client's own or ours.
        let id = id.to_str().unwrap_or_default();
        RequestRefused {
            request_id: Some(id).filter(|id| is_loggable(id)),
            peer: client.ip.address,
            code: refusal.code().word(),
        }
        .emit();
        refusal.into_answer(id, self.overload_status)
    }

    /// Says `Connection: close` where the connection will be closed: bytes of the body are still to come, it is one
    /// of the reserve, or the server is about to stop. HTTP/2 has no such header: there the connection itself is told.
    fn say_if_closing(&self, client: &Client, version: Version, response: &mut Response) {
        let is_refused_reserve = !response.status().is_success() && client.standing.is_reserve();
        if version == Version::HTTP_2 {
            if is_refused_reserve {
                client.activity.dismiss();
            }
            return;
        }
        let is_unread = client.leaves_bytes_unread.load(Ordering::Relaxed);
        let is_ending = self.lifecycle.phase() >= Phase::Draining;
        if is_unread || is_refused_reserve || is_ending {
            let close = HeaderValue::from_static("close");
            response.headers_mut().insert(header::CONNECTION, close);
        }
    }
}

/// The description of the public listener's API.
fn openapi() -> Response {
    ([(header::CONTENT_TYPE, "application/yaml")], OPENAPI).into_response()
}

/// The answer, watched until the client has taken it where HTTP/2 could hold it for long.
fn guarded(client: &Client, version: Version, response: Response) -> Response {
    let has_content = response.body().size_hint().lower() > 0;
    if has_content && version == Version::HTTP_2 {
        response.map(|body| guarded_body(body, client.activity.answer()))
    } else {
        response
    }
}

/// The answer to HEAD: with the length that its content would have, and without it (RFC 9110, 9.3.2).
fn without_content(response: Response) -> Response {
    let (mut parts, content) = response.into_parts();
    let length = parts.headers.entry(header::CONTENT_LENGTH);
    if let Some(bytes) = content.size_hint().exact() {
        length.or_insert(bytes.into());
    }
    Response::from_parts(parts, Body::empty())
}

/// The pieces in which HTTP/2 may send a cookie are one header (RFC 9113, 8.2.3): clients with many cookies do that.
fn has_too_many_headers(parts: &Parts) -> bool {
    let all = parts.headers.len();
    let pieces = || parts.headers.get_all(header::COOKIE).iter().count();
    all > MAX_HEADERS && all - pieces().saturating_sub(1) > MAX_HEADERS
}

/// Refuses two hosts, which two servers could read differently, and a user before a host (RFC 3986, 3.2.1): in a URI that
/// is an error (RFC 9110, 4.2.4), and mostly a password with it would become part of events.
fn check_host(parts: &Parts) -> Result<(), Refusal> {
    let mut hosts = parts.headers.get_all(header::HOST).iter();
    let host = hosts.next().map(HeaderValue::as_bytes);
    if hosts.next().is_some() {
        return Err(Refusal::doubtful_head(
            "The request has more than one Host.",
        ));
    }
    let authority = parts.uri.authority().map(|it| it.as_str().as_bytes());
    let names_user = |host: &[u8]| memchr::memchr(b'@', host).is_some();
    if host.is_some_and(names_user) || authority.is_some_and(names_user) {
        return Err(Refusal::doubtful_head(
            "The request names a user before the host; send credentials in Authorization.",
        ));
    }
    Ok(())
}

/// hyper reads any list of codings that ends in `chunked`, and passes the others on undone.
fn has_other_transfer_coding(parts: &Parts) -> bool {
    let mut codings = parts.headers.get_all(header::TRANSFER_ENCODING).iter();
    let is_chunked = |value: &HeaderValue| {
        value
            .as_bytes()
            .trim_ascii()
            .eq_ignore_ascii_case(b"chunked")
    };
    match codings.next() {
        None => false,
        Some(only) => !is_chunked(only) || codings.next().is_some(),
    }
}
