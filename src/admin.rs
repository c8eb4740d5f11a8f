//! The operator's listener: metrics, detailed health and status. Reads what other rooms tell; changes nothing.

mod page;
mod places;
mod server;
mod status;

use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::extract::State;
use axum::response::{IntoResponse, Json, Response};
use axum::routing::get;
use http::{HeaderValue, StatusCode, header};
use tokio::net::TcpListener;
use tower::ServiceBuilder;
use tower_http::set_header::SetResponseHeaderLayer;
use tower_http::timeout::TimeoutLayer;

use crate::lifecycle::{Phase, TaskGroup};
pub use status::{
    Books, BrokerSummary, CertificateSummary, ConfigSummary, ListenerStatus, SpoolSummary, Status,
};

/// Longest time for any answer here; all of them are made from memory.
const TIMEOUT: Duration = Duration::from_secs(10);

/// What the pages show, asked anew for each.
pub trait Operated: Send + Sync + 'static {
    /// Everything of `/status`.
    fn status(&self) -> Status;
    /// The text of `/metrics`.
    fn metrics(&self) -> String;
}

/// The pages' state.
type Server = State<Arc<dyn Operated>>;

/// Serves the pages for ever; each connection is a task of the group.
pub async fn serve(listener: TcpListener, operated: Arc<dyn Operated>, tasks: &TaskGroup) {
    server::accept(listener, router(operated), tasks).await;
}

fn router(operated: Arc<dyn Operated>) -> Router {
    let no_store = HeaderValue::from_static("no-store");
    Router::new()
        .route("/", get(page))
        .route("/metrics", get(metrics))
        .route("/health", get(health))
        .route("/ready", get(ready))
        .route("/live", get(live))
        .route("/status", get(status))
        .layer(
            ServiceBuilder::new()
                // All answers are made from memory; one that takes long is a fault, and is told.
                .layer(TimeoutLayer::with_status_code(
                    StatusCode::SERVICE_UNAVAILABLE,
                    TIMEOUT,
                ))
                // What was true a moment ago is of no use to an operator.
                .layer(SetResponseHeaderLayer::overriding(
                    header::CACHE_CONTROL,
                    no_store,
                )),
        )
        .with_state(operated)
}

async fn metrics(State(server): Server) -> Response {
    let media_type = "text/plain; version=0.0.4; charset=utf-8";
    ([(header::CONTENT_TYPE, media_type)], server.metrics()).into_response()
}

async fn page(State(server): Server) -> Response {
    page::answer(&server.status())
}

async fn status(State(server): Server) -> Json<Status> {
    Json(server.status())
}

/// The public listener's `/health`, with everything that an operator wants to know next.
async fn health(State(server): Server) -> Response {
    let status = server.status();
    let is_healthy = status.phase == Phase::Serving && !status.spool.failed;
    (code(is_healthy), Json(status)).into_response()
}

async fn ready(State(server): Server) -> Response {
    let status = server.status();
    let spool = &status.spool;
    let is_ready = status.phase == Phase::Serving && !spool.full && !spool.failed;
    (code(is_ready), Json(status)).into_response()
}

async fn live() -> &'static str {
    "ok"
}

fn code(is_well: bool) -> StatusCode {
    if is_well {
        StatusCode::OK
    } else {
        StatusCode::SERVICE_UNAVAILABLE
    }
}
