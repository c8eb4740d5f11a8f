//! What load balancers and orchestrators ask, and the answers: a word, and a status that they act upon.

use axum::response::{IntoResponse, Response};
use http::{StatusCode, header};

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
    let headers = [
        (header::CONTENT_TYPE, "application/json"),
        // A balancer that remembers health is worse than one that does not ask.
        (header::CACHE_CONTROL, "no-store"),
    ];
    let answer = (headers, format!("{{\"status\":\"{word}\"}}"));
    if trouble.is_none() {
        return answer.into_response();
    }
    let retry = [(header::RETRY_AFTER, "1")];
    (StatusCode::SERVICE_UNAVAILABLE, retry, answer).into_response()
}
