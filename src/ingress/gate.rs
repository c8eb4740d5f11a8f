//! Where every request of the public listener passes: its id, its route, its answer, its count. One place in a row
//! instead of layers on top of each other, for the ingest paths pay for every step.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use arc_swap::ArcSwap;
use axum::body::Body;
use axum::response::Response;
use http::{HeaderValue, Method, Request, StatusCode, Version, header};
use hyper::body::{Body as _, Incoming};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::Instant;
use tower::ServiceExt;

use super::body::{BodyLimits, RequestBody};
use super::client::Client;
use super::cors::{is_preflight, preflight};
use super::held_body::guarded_body;
use super::ingest::Head;
use super::policy::Policy;
use super::refusal::{Code, Refusal};
use super::request_id::{RequestIds, X_REQUEST_ID};
use super::routes;
use crate::budget::ByteBudget;
use crate::config::Config;
use crate::lifecycle::{Lifecycle, Phase};
use crate::pipeline::Api;
use crate::spool::Spool;
use crate::telemetry::{Refusals, Route, Telemetry};

/// More headers than any client sends on purpose; HTTP/1 has the same limit in its parser.
const MAX_HEADERS: usize = 100;

/// The largest answer that may wait for an HTTP/2 client as long as its connection is open.
const SMALL_ANSWER: u64 = 4 * 1024;

/// Bodies that are thrown away at once. Each holds a stream for a few seconds, of which the byte budget knows nothing; 8 KiB, about.
const MAX_RESTS: usize = 4096;

/// The state that requests share.
pub(super) struct Gate {
    /// Loaded once a request.
    policy: ArcSwap<Policy>,
    pub(super) spool: Spool,
    pub(super) telemetry: Arc<Telemetry>,
    refusals: Refusals,
    pub(super) lifecycle: Lifecycle,
    pub(super) budget: ByteBudget,
    pub(super) body_limits: BodyLimits,
    pub(super) request_timeout: std::time::Duration,
    /// Large bodies are decoded beside the runtime, as many at once as there are cores.
    pub(super) decoders: Arc<Semaphore>,
    rests: Arc<Semaphore>,
    ids: RequestIds,
    overload_status: StatusCode,
    rare_routes: axum::Router,
}

/// An answer, and what of its request's body is still to come where the connection outlives that.
pub(super) struct Answered {
    pub(super) response: Response,
    pub(super) rest: Option<Box<Rest>>,
}

/// What is left of a body.
pub(super) struct Rest {
    body: RequestBody,
    _permit: OwnedSemaphorePermit,
}

impl Rest {
    /// Takes it, for a while.
    pub(super) async fn throw_away(self) {
        self.body.throw_away().await;
    }
}

/// What is asked for.
enum Asked {
    /// Events come in.
    Ingest(Api),
    /// What may be done where events come in.
    IngestOptions,
    /// Anything else.
    Rare(Route),
}

impl Asked {
    fn counted_as(&self) -> Route {
        match self {
            Self::Ingest(Api::Logstash) => Route::Logstash,
            Self::Ingest(Api::Events) => Route::Events,
            Self::IngestOptions => Route::Other,
            Self::Rare(route) => *route,
        }
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
        let cores = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
        Self {
            rare_routes: routes::router(lifecycle.clone(), spool.clone()),
            policy: ArcSwap::from_pointee(Policy::new(config, &telemetry, None)),
            spool,
            refusals: telemetry.refusals(&Code::ALL.map(Code::word)),
            telemetry,
            lifecycle,
            budget,
            body_limits: BodyLimits {
                max_bytes: config.ingest.max_content_length.as_usize(),
                silence: config.server.body_read_timeout,
                whole: config.server.body_timeout,
            },
            request_timeout: config.server.request_timeout,
            decoders: Arc::new(Semaphore::new(cores)),
            rests: Arc::new(Semaphore::new(MAX_RESTS)),
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
        let began = Instant::now();
        let id = self.ids.of(request.headers());
        let asked = route(request.method(), request.uri().path());
        let (parts, incoming) = request.into_parts();
        let version = parts.version;
        // With HTTP/1 hyper sees to it.
        let is_bare = version == Version::HTTP_2 && parts.method == Method::HEAD;
        // What a client sends ahead into a tunnel that it does not get is no request.
        let is_tunnel = parts.method == Method::CONNECT;
        let policy = self.policy();
        let permission = policy.permission(&parts.headers);
        let mut body = RequestBody::new(incoming, &parts);
        client.activity.limit_reads(body.read_limit());
        let outcome = match self.admit(client, &asked, &parts) {
            Err(refusal) => Err(refusal),
            Ok(()) => match asked {
                Asked::Ingest(api) => {
                    let head = Box::new(Head::new(api, &policy, client, &id, parts));
                    // In a box, for an idle connection keeps the room for its next request: 10,000 of them take 30 MiB less.
                    Box::pin(self.ingest(&policy, head, &mut body)).await
                }
                Asked::IngestOptions if permission.is_some() && is_preflight(&parts.headers) => {
                    Ok(preflight())
                }
                Asked::IngestOptions | Asked::Rare(_) => Ok(Box::pin(self.rare(parts)).await),
            },
        };
        let ends_connection =
            is_tunnel || outcome.as_ref().err().is_some_and(Refusal::ends_connection);
        let is_taken = !ends_connection && body.is_taken().await;
        if !is_taken {
            client.leaves_bytes_unread.store(true, Ordering::Relaxed);
        }
        let mut response = self.word(outcome, &id);
        response.headers_mut().insert(X_REQUEST_ID, id);
        if let Some(permission) = permission {
            permission.say(response.headers_mut());
        }
        self.say_if_closing(client, version, &mut response);
        if is_bare {
            response = without_content(response);
        }
        let status = response.status().as_u16();
        let (took, wire_bytes) = (began.elapsed(), body.bytes as u64);
        self.telemetry
            .request(asked.counted_as(), status, took, wire_bytes);
        let outlives_rest = !is_taken && version == Version::HTTP_2;
        Answered {
            response: guarded(client, version, response),
            rest: outlives_rest.then(|| self.rest_of(body)).flatten(),
        }
    }

    /// What is to be thrown away of a body; nothing where there is too much of that already.
    fn rest_of(&self, body: RequestBody) -> Option<Box<Rest>> {
        let permit = Arc::clone(&self.rests).try_acquire_owned().ok()?;
        Some(Box::new(Rest {
            body,
            _permit: permit,
        }))
    }

    /// Refuses what no route is to see.
    fn admit(
        &self,
        client: &Client,
        asked: &Asked,
        parts: &http::request::Parts,
    ) -> Result<(), Refusal> {
        let is_health = matches!(asked, Asked::Rare(Route::Health));
        if !is_health && client.standing.is_reserve() {
            return Err(Refusal::new(
                Code::Overloaded,
                "Too many connections are open (server.max_connections); reuse connections, or come back later.",
            ));
        }
        if self.lifecycle.phase() >= Phase::Closing && !is_health {
            return Err(Refusal::new(
                Code::Draining,
                "The server is stopping; send the request to another one.",
            ));
        }
        if parts.headers.len() > MAX_HEADERS {
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
        if parts.headers.get_all(header::HOST).iter().nth(1).is_some() {
            return Err(Refusal::doubtful_head(
                "The request has more than one Host.",
            ));
        }
        Ok(())
    }

    async fn rare(&self, parts: http::request::Parts) -> Response {
        let request = Request::from_parts(parts, Body::empty());
        match self.rare_routes.clone().oneshot(request).await {
            Ok(response) => response,
            Err(never) => match never {},
        }
    }

    /// Counts and words a refusal, wherever it came from.
    fn word(&self, outcome: Result<Response, Refusal>, id: &HeaderValue) -> Response {
        let refusal = match outcome {
            Err(refusal) => refusal,
            Ok(mut response) => match response.extensions_mut().remove::<Refusal>() {
                Some(refusal) => refusal,
                None => return response,
            },
        };
        self.refusals.count(refusal.code() as usize);
        // An id is visible ASCII, the client's own or ours.
        let id = id.to_str().unwrap_or_default();
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

/// The answer, watched until the client has taken it where HTTP/2 could hold it for long.
fn guarded(client: &Client, version: Version, response: Response) -> Response {
    let is_large = response.body().size_hint().lower() > SMALL_ANSWER;
    if is_large && version == Version::HTTP_2 {
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

/// The first row that fits decides.
fn route(method: &Method, path: &str) -> Asked {
    let is_event_method = *method == Method::POST || *method == Method::PUT;
    let is_options = *method == Method::OPTIONS;
    match path {
        "/health" | "/ready" | "/live" => Asked::Rare(Route::Health),
        "/openapi.yaml" => Asked::Rare(Route::Other),
        "/v1/events" if is_event_method => Asked::Ingest(Api::Events),
        "/v1/events" if is_options => Asked::IngestOptions,
        _ if path.starts_with("/v1/") => Asked::Rare(Route::Other),
        _ if is_event_method => Asked::Ingest(Api::Logstash),
        _ if is_options => Asked::IngestOptions,
        _ if *method == Method::HEAD || (*method == Method::GET && path == "/") => {
            Asked::Rare(Route::Health)
        }
        _ => Asked::Rare(Route::Other),
    }
}

/// hyper reads any list of codings that ends in `chunked`, and passes the others on undone.
fn has_other_transfer_coding(parts: &http::request::Parts) -> bool {
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
