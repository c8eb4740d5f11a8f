//! What load balancers and orchestrators ask, and the answers: a word, and a status that they act upon.

use axum::body::Body;
use axum::response::Response;
use http::{HeaderValue, StatusCode, header};

use crate::lifecycle::Phase;
use crate::spool::SpoolStatus;

/// What is asked.
#[derive(Clone, Copy)]
pub(super) enum Question {
    /// Whether the process turns.
    IsAlive,
    /// Whether this node takes events. A Broker that is down, or a full spool, does not count: the node holds data
    /// and must not be terminated.
    IsServing,
    /// Also whether the spool has room.
    HasRoom,
}

/// The answer.
pub(super) fn answer(question: Question, phase: Phase, spool: SpoolStatus) -> Response {
    let trouble = match (question, phase) {
        (Question::IsAlive, _) => None,
        (_, Phase::Serving) if spool.failed => Some("spool_failed"),
        (Question::HasRoom, Phase::Serving) if spool.full => Some("spool_full"),
        (_, Phase::Serving) => None,
        (_, phase) => Some(phase.as_str()),
    };
    let word = trouble.unwrap_or("ok");
    let mut response = Response::new(Body::from(format!("{{\"status\":\"{word}\"}}")));
    let headers = response.headers_mut();
    let json = HeaderValue::from_static("application/json");
    headers.insert(header::CONTENT_TYPE, json);
    // A balancer that remembers health is worse than one that does not ask.
    let no_store = HeaderValue::from_static("no-store");
    headers.insert(header::CACHE_CONTROL, no_store);
    if trouble.is_some() {
        headers.insert(header::RETRY_AFTER, HeaderValue::from(1));
        *response.status_mut() = StatusCode::SERVICE_UNAVAILABLE;
    }
    response
}
