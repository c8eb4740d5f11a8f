//! The routes that are not the ingest paths: health for load balancers, the description of the API, and the refusals
//! of everything else. Rare, so they go through the router.

use axum::Router;
use axum::extract::{OriginalUri, State};
use axum::response::{IntoResponse, Response};
use axum::routing::{MethodRouter, any, get};
use http::{HeaderValue, Method, StatusCode, header};

use super::refusal::{Code, Refusal};
use crate::lifecycle::{Lifecycle, Phase};
use crate::spool::{Spool, SpoolStatus};

/// The description of the public listener's API.
const OPENAPI: &str = include_str!("../../openapi.yaml");

#[derive(Clone)]
struct Health {
    lifecycle: Lifecycle,
    spool: Spool,
}

pub(super) fn router(lifecycle: Lifecycle, spool: Spool) -> Router {
    Router::new()
        .route("/health", read_only(get(health)))
        .route("/ready", read_only(get(ready)))
        .route("/live", read_only(get(live)))
        .route(
            "/openapi.yaml",
            get(openapi).head(only_get).fallback(only_get),
        )
        .fallback(any(other))
        .with_state(Health { lifecycle, spool })
}

fn read_only(methods: MethodRouter<Health>) -> MethodRouter<Health> {
    methods.fallback(async || Refusal::method_not_allowed("GET, HEAD"))
}

async fn only_get() -> Refusal {
    Refusal::method_not_allowed("GET")
}

/// For the load balancer: whether this node takes events. A Broker that is down, or a full spool, does not count:
/// the node holds data that must not be terminated.
async fn health(State(health): State<Health>) -> Response {
    answer(&health.lifecycle, health.spool.status(), false)
}

/// Also not ready while the spool is full.
async fn ready(State(health): State<Health>) -> Response {
    answer(&health.lifecycle, health.spool.status(), true)
}

/// As long as the process turns.
async fn live() -> Response {
    status(StatusCode::OK, "ok")
}

fn answer(lifecycle: &Lifecycle, spool: SpoolStatus, must_have_room: bool) -> Response {
    match lifecycle.phase() {
        Phase::Serving if spool.failed => status(StatusCode::SERVICE_UNAVAILABLE, "spool_failed"),
        Phase::Serving if spool.full && must_have_room => {
            status(StatusCode::SERVICE_UNAVAILABLE, "spool_full")
        }
        Phase::Serving => status(StatusCode::OK, "ok"),
        phase => status(StatusCode::SERVICE_UNAVAILABLE, phase.as_str()),
    }
}

fn status(code: StatusCode, word: &str) -> Response {
    let body = format!("{{\"status\":\"{word}\"}}");
    // Also for HEAD, whose answer has no body to count.
    let length = HeaderValue::from(body.len());
    let json = HeaderValue::from_static("application/json");
    let mut response = (code, body).into_response();
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_LENGTH, length);
    headers.insert(header::CONTENT_TYPE, json);
    // A balancer that remembers health is worse than one that does not ask.
    let no_store = HeaderValue::from_static("no-store");
    headers.insert(header::CACHE_CONTROL, no_store);
    if code == StatusCode::SERVICE_UNAVAILABLE {
        headers.insert(header::RETRY_AFTER, HeaderValue::from(1));
    }
    response
}

async fn openapi() -> Response {
    ([(header::CONTENT_TYPE, "application/yaml")], OPENAPI).into_response()
}

/// What no row above fits: health at `/` and for a shipper's probe, and refusals.
async fn other(
    State(state): State<Health>,
    method: Method,
    OriginalUri(uri): OriginalUri,
) -> Response {
    match uri.path() {
        "/v1/events" => Refusal::method_not_allowed("POST, PUT").into_response(),
        path if path.starts_with("/v1/") => {
            Refusal::new(Code::NotFound, "Below /v1/ there is only /v1/events.").into_response()
        }
        _ if method == Method::HEAD => health(State(state)).await,
        "/" if method == Method::GET => health(State(state)).await,
        "/" => Refusal::method_not_allowed("GET, HEAD, POST, PUT").into_response(),
        _ => Refusal::method_not_allowed("HEAD, POST, PUT").into_response(),
    }
}
