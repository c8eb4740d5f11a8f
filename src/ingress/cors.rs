//! What browsers ask before they let a page send, or read an answer: the CORS protocol of
//! <https://fetch.spec.whatwg.org/#http-cors-protocol>. The ingest paths do not go through layers, so it is
//! written out here.

use std::collections::HashSet;

use axum::response::{IntoResponse, Response};
use http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header};

use crate::config::{AllowedOrigins, Auth, Cors};

/// Methods beside those that need no leave (GET, HEAD, POST).
const ALLOW_METHODS: HeaderValue = HeaderValue::from_static("POST, PUT");

/// What clients of this server have reason to send. `*` would not include `authorization`.
const ALLOW_HEADERS: HeaderValue = HeaderValue::from_static(
    "authorization, baggage, content-encoding, content-type, traceparent, tracestate, x-amzn-trace-id, x-api-key, \
     x-request-id, x-requested-with",
);

/// What pages may read of an answer beside its body.
const EXPOSE_HEADERS: HeaderValue = HeaderValue::from_static("Retry-After, X-Request-Id");

/// Browsers keep the answer to a preflight for two hours at most.
const MAX_AGE: HeaderValue = HeaderValue::from_static("7200");

const VARY: HeaderValue = HeaderValue::from_static("Origin");
const VARY_OF_PREFLIGHT: HeaderValue = HeaderValue::from_static(
    "Origin, Access-Control-Request-Method, Access-Control-Request-Headers",
);

/// Whether a list of headers has `Origin` in it, or all of them.
fn names_origin(list: &HeaderValue) -> bool {
    list.as_bytes().split(|byte| *byte == b',').any(|name| {
        let name = name.trim_ascii();
        name == b"*" || name.eq_ignore_ascii_case(b"origin")
    })
}

/// Origins of web pages, for looking them up.
pub(super) struct Origins {
    is_any: bool,
    named: HashSet<Vec<u8>>,
}

impl Origins {
    /// All of these; none where there is not one.
    pub(super) fn new<'a>(all: impl IntoIterator<Item = &'a AllowedOrigins>) -> Option<Self> {
        let mut origins = Self {
            is_any: false,
            named: HashSet::new(),
        };
        for some in all {
            origins.is_any |= some.is_any();
            origins.named.extend(some.named().map(Into::into));
        }
        (origins.is_any || !origins.named.is_empty()).then_some(origins)
    }

    /// Those of `[cors]` and of all keys: whose pages may send and read answers.
    pub(super) fn of_all(cors: &Cors, auth: &Auth) -> Option<Self> {
        let of_keys = auth.keys.iter().map(|key| &key.allowed_origins);
        Self::new(std::iter::once(&cors.allowed_origins).chain(of_keys))
    }

    /// Whether a request with this `Origin`, or without one, is from a page of these.
    pub(super) fn allow(&self, origin: Option<&HeaderValue>) -> bool {
        self.is_any || origin.is_some_and(|origin| self.names(origin))
    }

    /// What the answer to a request with these headers says.
    pub(super) fn permission(&self, headers: &HeaderMap) -> Permission {
        match headers.get(header::ORIGIN) {
            Some(origin) if self.names(origin) => Permission::Named(origin.clone()),
            Some(_) if self.is_any => Permission::Any,
            _ => Permission::Denied,
        }
    }

    fn names(&self, origin: &HeaderValue) -> bool {
        self.named.contains(origin.as_bytes())
    }
}

/// What an answer says to the browser that asked.
pub(super) enum Permission {
    /// Nothing: the page may not, or it is no page that asks.
    Denied,
    /// Any page may.
    Any,
    /// The page of this origin may. It may also send what the browser keeps for this server (a password that
    /// was typed, a client certificate), for sendBeacon() cannot do without: its preflight fails unless that
    /// is allowed. There are no cookies.
    Named(HeaderValue),
}

impl Permission {
    /// Says it, in any answer.
    pub(super) fn say(self, headers: &mut HeaderMap) {
        // Also where nothing is allowed: an answer that was kept for one origin must not be given to another.
        if !headers.get_all(header::VARY).iter().any(names_origin) {
            headers.append(header::VARY, VARY);
        }
        let origin = match self {
            Self::Denied => return,
            Self::Any => HeaderValue::from_static("*"),
            Self::Named(origin) => {
                let yes = HeaderValue::from_static("true");
                headers.insert(header::ACCESS_CONTROL_ALLOW_CREDENTIALS, yes);
                origin
            }
        };
        headers.insert(header::ACCESS_CONTROL_ALLOW_ORIGIN, origin);
        headers.insert(header::ACCESS_CONTROL_EXPOSE_HEADERS, EXPOSE_HEADERS);
    }
}

/// Whether an `OPTIONS` request is a browser's question whether a page may send.
pub(super) fn is_preflight(headers: &HeaderMap) -> bool {
    headers.contains_key(header::ORIGIN)
        && headers.contains_key(header::ACCESS_CONTROL_REQUEST_METHOD)
}

/// The answer to it, but for the permission.
pub(super) fn preflight() -> Response {
    const ANSWER: [(HeaderName, HeaderValue); 4] = [
        (header::ACCESS_CONTROL_ALLOW_METHODS, ALLOW_METHODS),
        (header::ACCESS_CONTROL_ALLOW_HEADERS, ALLOW_HEADERS),
        (header::ACCESS_CONTROL_MAX_AGE, MAX_AGE),
        (header::VARY, VARY_OF_PREFLIGHT),
    ];
    (StatusCode::NO_CONTENT, ANSWER).into_response()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn answers_vary_by_origin_beside_what_else_they_vary_by() {
        for (configured, expected) in [
            (None, vec!["Origin"]),
            (Some("Accept"), vec!["Accept", "Origin"]),
            (Some("accept, origin"), vec!["accept, origin"]),
            (Some("*"), vec!["*"]),
        ] {
            let mut headers = HeaderMap::new();
            if let Some(list) = configured {
                headers.insert(header::VARY, HeaderValue::from_static(list));
            }
            Permission::Denied.say(&mut headers);
            let said: Vec<_> = headers.get_all(header::VARY).iter().collect();
            assert_eq!(said, expected);
        }
    }
}
