//! Every refusal of a request: one closed list, and the one place that makes an answer of it (RFC 9457).

mod code;
mod shedding;

use std::borrow::Cow;
use std::sync::Arc;
use std::time::Duration;

use axum::body::Body;
use axum::response::Response;
use http::{HeaderMap, HeaderValue, StatusCode, header};

use super::held_body::held_body;
use crate::budget::Reservation;
use crate::pipeline::{DecodeError, LineColumn, Rejected, push_rejected};
use crate::spool::AppendError;
pub(super) use code::Code;
pub use code::ProblemType;
pub(super) use shedding::Shedding;

/// How credentials are sent.
const WAYS: &str = "HTTP Basic, `Authorization: Bearer KEY` or `X-Api-Key: KEY`";

/// A refused request.
#[derive(Debug)]
pub(super) struct Refusal {
    code: Code,
    detail: Cow<'static, str>,
    more: More,
}

/// What some refusals say beside the common.
#[derive(Debug)]
enum More {
    Nothing,
    /// The methods that are allowed.
    Allow(&'static str),
    /// It is the connections that there are too many of.
    Crowd,
    /// No credentials came: tell how to send them.
    Challenge,
    /// Where the body breaks.
    At(LineColumn),
    /// Which events, and why; and what keeps their memory counted until the answer is sent.
    Rejected(Vec<Rejected>, Arc<Reservation>),
    /// When to come back, in seconds, where that was measured.
    RetryAfter(u64),
    /// Where its body begins and ends is doubtful, so nothing more is read from the connection.
    Close,
}

impl Refusal {
    pub(super) fn new(code: Code, detail: impl Into<Cow<'static, str>>) -> Self {
        Self {
            code,
            detail: detail.into(),
            more: More::Nothing,
        }
    }

    pub(super) fn code(&self) -> Code {
        self.code
    }

    /// Whether the server had no room or no time for the request, whatever was in it.
    pub(super) fn is_for_want_of_room(&self) -> bool {
        matches!(self.code, Code::Overloaded | Code::Timeout)
    }

    /// The same, where it is the failed spool that ends the server.
    pub(super) fn for_failed_spool(self) -> Self {
        match self.code {
            Code::Draining => Self {
                code: Code::SpoolFailed,
                ..self
            },
            _ => self,
        }
    }

    /// 405.
    pub(super) fn method_not_allowed(allow: &'static str) -> Self {
        Self {
            more: More::Allow(allow),
            ..Self::new(
                Code::MethodNotAllowed,
                format!("This path takes the methods {allow}."),
            )
        }
    }

    /// 503 (or as configured) on a connection that is there for health checks only.
    pub(super) fn crowd() -> Self {
        Self {
            more: More::Crowd,
            ..Self::new(
                Code::Overloaded,
                "Too many connections are open (server.max_connections); reuse connections, or come back later.",
            )
        }
    }

    /// 401 for a request without credentials.
    pub(super) fn challenge() -> Self {
        Self {
            more: More::Challenge,
            ..Self::new(Code::Unauthenticated, format!("Send credentials: {WAYS}."))
        }
    }

    /// 401 for a request with an `Authorization` of a scheme that is not known.
    pub(super) fn other_scheme() -> Self {
        let detail = format!(
            "The credentials that were sent are not accepted here. `Authorization` has another scheme than those that are: {WAYS}."
        );
        Self::new(Code::Unauthenticated, detail)
    }

    /// 401 for a request with credentials that are nobody's.
    pub(super) fn wrong_credentials() -> Self {
        Self::new(
            Code::Unauthenticated,
            "The credentials that were sent are not accepted here.",
        )
    }

    /// 422.
    pub(super) fn invalid_events(rejected: Vec<Rejected>, reservation: Arc<Reservation>) -> Self {
        Self {
            more: More::Rejected(rejected, reservation),
            ..Self::new(
                Code::InvalidEvents,
                "No event was kept; `rejected` tells what is wrong with each.",
            )
        }
    }

    /// Says after which time another try is worth it, in whole seconds that are never too few.
    pub(super) fn retry_after(self, wait: Duration) -> Self {
        let seconds = wait.as_secs() + u64::from(wait.subsec_nanos() > 0);
        Self {
            more: More::RetryAfter(seconds.max(1)),
            ..self
        }
    }

    /// 400 for a head that two servers could read differently; the connection ends with it.
    pub(super) fn doubtful_head(detail: &'static str) -> Self {
        Self {
            more: More::Close,
            ..Self::new(Code::MalformedBody, detail)
        }
    }

    /// Whether the connection must end with this answer.
    pub(super) fn ends_connection(&self) -> bool {
        matches!(self.more, More::Close)
    }

    /// The answer. `overload_status` is the configured status of `overloaded`.
    pub(super) fn into_answer(self, request_id: &str, overload_status: StatusCode) -> Response {
        let status = match self.code {
            Code::Overloaded => overload_status,
            code => StatusCode::from_u16(code.describe().status).expect("the table has statuses"),
        };
        let mut response = Response::new(self.problem(status, request_id));
        *response.status_mut() = status;
        self.insert_headers(response.headers_mut());
        response
    }

    /// The problem document.
    fn problem(&self, status: StatusCode, request_id: &str) -> Body {
        let ProblemType { word, title, .. } = self.code.describe();
        let mut problem = serde_json::json!({
            "type": format!("/openapi.yaml#{word}"),
            "title": title,
            "status": status.as_u16(),
            "detail": self.detail,
            "code": word,
            "request_id": request_id,
        });
        if let More::At(place) = self.more {
            problem["line"] = place.line.into();
            problem["column"] = place.column.into();
        }
        let mut text = problem.to_string().into_bytes();
        let More::Rejected(rejected, reservation) = &self.more else {
            return Body::from(text);
        };
        text.pop();
        text.extend_from_slice(b",\"rejected\":");
        push_rejected(&mut text, rejected);
        text.push(b'}');
        held_body(text, Arc::clone(reservation))
    }

    fn insert_headers(&self, headers: &mut HeaderMap) {
        headers.insert(
            header::CONTENT_TYPE,
            HeaderValue::from_static("application/problem+json"),
        );
        let seconds = match self.more {
            More::RetryAfter(seconds) => Some(seconds),
            _ => self.code.retry_after(),
        };
        if let Some(seconds) = seconds {
            headers.insert(header::RETRY_AFTER, HeaderValue::from(seconds));
        }
        if let More::Allow(allow) = self.more {
            headers.insert(header::ALLOW, HeaderValue::from_static(allow));
        }
        if self.code == Code::UnsupportedContentEncoding {
            let taken = HeaderValue::from_static("gzip, deflate, zstd, br");
            headers.insert(header::ACCEPT_ENCODING, taken);
        }
        if let More::Challenge = self.more {
            let basic = HeaderValue::from_static(r#"Basic realm="headgate""#);
            headers.insert(header::WWW_AUTHENTICATE, basic);
        }
    }
}

impl From<DecodeError> for Refusal {
    fn from(error: DecodeError) -> Self {
        let code = match &error {
            DecodeError::UnsupportedCoding | DecodeError::TooManyCodings => {
                Code::UnsupportedContentEncoding
            }
            DecodeError::BadCoding => Code::BadContentEncoding,
            DecodeError::BodyTooLarge { .. }
            | DecodeError::InflatesTooMuch { .. }
            | DecodeError::EnvelopeTooLarge { .. }
            | DecodeError::NeverRoom => Code::BodyTooLarge,
            DecodeError::TooManyEvents { .. } => Code::TooManyEvents,
            DecodeError::NoRoom => return overloaded(),
            DecodeError::Empty(_) | DecodeError::Malformed { .. } => Code::MalformedBody,
        };
        let more = match error {
            DecodeError::Empty(place) | DecodeError::Malformed { place, .. } => More::At(place),
            _ => More::Nothing,
        };
        Self {
            more,
            ..Self::new(code, sentence(&error.to_string()))
        }
    }
}

impl From<AppendError> for Refusal {
    fn from(error: AppendError) -> Self {
        match error {
            AppendError::Full { retry_after } => Self::new(
                Code::SpoolFull,
                "The spool is full; nothing of this request was kept. Send it again later.",
            )
            .retry_after(retry_after),
            AppendError::TooLarge { .. } => Self::new(
                Code::BodyTooLarge,
                sentence(&format!("the request takes {error}")),
            ),
            AppendError::NotSynced => Self::new(
                Code::Timeout,
                "The disk was too slow. Whether the events were kept is not known; send the request again.",
            ),
            AppendError::Failed => Self::new(
                Code::SpoolFailed,
                "The server cannot write its spool and takes nothing more; send the request to another one.",
            ),
            AppendError::NotDelivered => Self::new(
                Code::BrokerUnavailable,
                "No output took all events in time. What was not under way was withdrawn; send the request again.",
            ),
        }
    }
}

/// 503 (or as configured): the byte budget is used up.
pub(super) fn overloaded() -> Refusal {
    Refusal::new(
        Code::Overloaded,
        "The requests under way take all the memory that there is for them; nothing of this one was kept. \
         Send it again later.",
    )
}

fn sentence(text: &str) -> String {
    let mut letters = text.chars();
    let first = letters.next().map(|first| first.to_ascii_uppercase());
    first.into_iter().chain(letters).chain(['.']).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_429_or_503_always_says_when_to_come_back() {
        for &code in Code::ALL {
            let answer = Refusal::new(code, "x").into_answer("id", StatusCode::TOO_MANY_REQUESTS);
            let is_for_now = [429, 503].contains(&answer.status().as_u16());
            assert_eq!(
                answer.headers().contains_key(header::RETRY_AFTER),
                is_for_now,
                "{code:?}"
            );
        }
    }

    #[test]
    fn seconds_to_wait_are_rounded_up() {
        for (millis, seconds) in [(0, "1"), (1, "1"), (1000, "1"), (1001, "2"), (59_999, "60")] {
            let refusal = Refusal::new(Code::RateLimited, "x");
            let refusal = refusal.retry_after(Duration::from_millis(millis));
            let answer = refusal.into_answer("id", StatusCode::SERVICE_UNAVAILABLE);
            assert_eq!(answer.headers()[header::RETRY_AFTER], seconds, "{millis}");
        }
    }
}
