//! Which of the public listener's few things a request asks for. Pure.

use http::Method;

use crate::pipeline::Api;
use crate::telemetry::Route;

/// What is asked for.
pub(super) enum Endpoint {
    /// Events come in.
    Ingest(Api),
    /// What may be done where events come in.
    IngestOptions,
    /// Anything else.
    Rare(Route),
}

impl Endpoint {
    /// What a request with this method and path asks for; the first row that fits decides.
    pub(super) fn of(method: &Method, path: &str) -> Self {
        let is_event_method = *method == Method::POST || *method == Method::PUT;
        let is_options = *method == Method::OPTIONS;
        match path {
            "/health" | "/ready" | "/live" => Self::Rare(Route::Health),
            "/openapi.yaml" => Self::Rare(Route::Other),
            "/v1/events" if is_event_method => Self::Ingest(Api::Events),
            "/v1/events" if is_options => Self::IngestOptions,
            _ if path.starts_with("/v1/") => Self::Rare(Route::Other),
            _ if is_event_method => Self::Ingest(Api::Logstash),
            _ if is_options => Self::IngestOptions,
            _ if *method == Method::HEAD || (*method == Method::GET && path == "/") => {
                Self::Rare(Route::Health)
            }
            _ => Self::Rare(Route::Other),
        }
    }

    /// The route that its request counts under.
    pub(super) fn counted_as(&self) -> Route {
        match self {
            Self::Ingest(Api::Logstash) => Route::Logstash,
            Self::Ingest(Api::Events) => Route::Events,
            Self::IngestOptions => Route::Other,
            Self::Rare(route) => *route,
        }
    }
}
