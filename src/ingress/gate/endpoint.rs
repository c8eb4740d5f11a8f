//! What a request of the public listener asks for, by its method and path alone: the one table of routes. Pure.

use http::Method;

use crate::ingress::health::Question;
use crate::pipeline::Api;
use crate::telemetry::Route;

/// The methods of a path, as `Allow` names them.
type Allow = &'static str;

/// What is asked for.
#[derive(Clone, Copy)]
pub(super) enum Endpoint {
    /// Events come in.
    Ingest(Api),
    /// What may be done where events come in; these methods, but for what a browser asks.
    IngestOptions(Allow),
    /// Health.
    Health(Question),
    /// The description of this listener's API.
    OpenApi,
    /// Nothing is there.
    NotFound,
    /// Only these methods are of use there.
    NotAllowed(Allow),
}

impl Endpoint {
    /// What a request with this method and path asks for.
    pub(super) fn of(method: &Method, path: &str) -> Self {
        match path {
            "/health" => Self::health(method, Question::IsServing),
            "/ready" => Self::health(method, Question::HasRoom),
            "/live" => Self::health(method, Question::IsAlive),
            "/openapi.yaml" if *method == Method::GET => Self::OpenApi,
            "/openapi.yaml" => Self::NotAllowed("GET"),
            "/v1/events" => Self::ingest(method, Api::Events, "POST, PUT"),
            _ if path.starts_with("/v1/") => Self::NotFound,
            // Shippers look with HEAD whether somebody is there.
            _ if *method == Method::HEAD => Self::Health(Question::IsServing),
            "/" if *method == Method::GET => Self::Health(Question::IsServing),
            "/" => Self::ingest(method, Api::Logstash, "GET, HEAD, POST, PUT"),
            _ => Self::ingest(method, Api::Logstash, "HEAD, POST, PUT"),
        }
    }

    fn health(method: &Method, question: Question) -> Self {
        match *method {
            Method::GET | Method::HEAD => Self::Health(question),
            _ => Self::NotAllowed("GET, HEAD"),
        }
    }

    fn ingest(method: &Method, api: Api, allow: Allow) -> Self {
        match *method {
            Method::POST | Method::PUT => Self::Ingest(api),
            Method::OPTIONS => Self::IngestOptions(allow),
            _ => Self::NotAllowed(allow),
        }
    }

    /// The route that its request counts under.
    pub(super) fn counted_as(self) -> Route {
        match self {
            Self::Ingest(Api::Logstash) => Route::Logstash,
            Self::Ingest(Api::Events) => Route::Events,
            Self::Health(_) => Route::Health,
            Self::IngestOptions(_) | Self::OpenApi | Self::NotFound | Self::NotAllowed(_) => {
                Route::Other
            }
        }
    }
}
