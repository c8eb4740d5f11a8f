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

use crate::lifecycle::{Lifecycle, Phase};
use crate::telemetry::{Gauges, Telemetry};
pub use status::{
    Books, BrokerSummary, CertificateSummary, ConfigSummary, ListenerStatus, SpoolSummary, Status,
};

/// Longest time for any answer here; all of them are made from memory.
const TIMEOUT: Duration = Duration::from_secs(10);

/// What the pages show, asked anew for each.
pub trait Operated: Send + Sync + 'static {
    /// Everything of `/status`.
    fn status(&self) -> Status;
    /// What is read off other rooms for `/metrics`.
    fn gauges(&self) -> Gauges;
}

/// The pages' state.
#[derive(Clone)]
struct Admin {
    operated: Arc<dyn Operated>,
    telemetry: Arc<Telemetry>,
    lifecycle: Lifecycle,
}

/// Serves the pages until the life has stopped.
pub async fn serve(
    listener: TcpListener,
    operated: Arc<dyn Operated>,
    telemetry: Arc<Telemetry>,
    lifecycle: Lifecycle,
) {
    let admin = Admin {
        operated,
        telemetry,
        lifecycle: lifecycle.clone(),
    };
    let tasks = lifecycle.task_group();
    let accepting = server::accept(listener, router(admin), &tasks);
    lifecycle.unless_stopped(accepting).await;
    tasks.ended().await;
}

fn router(admin: Admin) -> Router {
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
        .with_state(admin)
}

async fn metrics(State(admin): State<Admin>) -> Response {
    let text = admin.telemetry.render(admin.operated.gauges());
    let media_type = "text/plain; version=0.0.4; charset=utf-8";
    ([(header::CONTENT_TYPE, media_type)], text).into_response()
}

async fn page(State(admin): State<Admin>) -> Response {
    page::answer(&admin.operated.status())
}

async fn status(State(admin): State<Admin>) -> Json<Status> {
    Json(admin.operated.status())
}

/// The public listener's `/health`, with everything that an operator wants to know next.
async fn health(State(admin): State<Admin>) -> Response {
    let status = admin.operated.status();
    let is_healthy = admin.lifecycle.phase() == Phase::Serving && !status.spool.failed;
    (code(is_healthy), Json(status)).into_response()
}

async fn ready(State(admin): State<Admin>) -> Response {
    let status = admin.operated.status();
    let spool = &status.spool;
    let is_ready = admin.lifecycle.phase() == Phase::Serving && !spool.full && !spool.failed;
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
