//! The problem codes: a closed list, with status, word and title of each. Pure.

use http::StatusCode;

/// Why a request is refused; the words are part of the API.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::ingress) enum Code {
    MalformedBody,
    BadContentEncoding,
    Unauthenticated,
    Forbidden,
    NotFound,
    MethodNotAllowed,
    BodyTimeout,
    BodyTooLarge,
    TooManyEvents,
    UnsupportedContentEncoding,
    InvalidEvents,
    RateLimited,
    HeadersTooLarge,
    Overloaded,
    SpoolFull,
    SpoolFailed,
    Draining,
    BrokerUnavailable,
    Timeout,
}

impl Code {
    /// Every code.
    pub(in crate::ingress) const ALL: [Self; 19] = [
        Self::MalformedBody,
        Self::BadContentEncoding,
        Self::Unauthenticated,
        Self::Forbidden,
        Self::NotFound,
        Self::MethodNotAllowed,
        Self::BodyTimeout,
        Self::BodyTooLarge,
        Self::TooManyEvents,
        Self::UnsupportedContentEncoding,
        Self::InvalidEvents,
        Self::RateLimited,
        Self::HeadersTooLarge,
        Self::Overloaded,
        Self::SpoolFull,
        Self::SpoolFailed,
        Self::Draining,
        Self::BrokerUnavailable,
        Self::Timeout,
    ];

    /// Status, code and title. `overloaded` may be configured to another status.
    pub(in crate::ingress) const fn describe(self) -> (StatusCode, &'static str, &'static str) {
        match self {
            Self::MalformedBody => (
                StatusCode::BAD_REQUEST,
                "malformed_body",
                "The body cannot be read",
            ),
            Self::BadContentEncoding => (
                StatusCode::BAD_REQUEST,
                "bad_content_encoding",
                "The body does not inflate",
            ),
            Self::Unauthenticated => (
                StatusCode::UNAUTHORIZED,
                "unauthenticated",
                "Credentials are needed",
            ),
            Self::Forbidden => (
                StatusCode::FORBIDDEN,
                "forbidden",
                "The key is not for this sender",
            ),
            Self::NotFound => (StatusCode::NOT_FOUND, "not_found", "There is nothing here"),
            Self::MethodNotAllowed => (
                StatusCode::METHOD_NOT_ALLOWED,
                "method_not_allowed",
                "The method is not allowed here",
            ),
            Self::BodyTimeout => (
                StatusCode::REQUEST_TIMEOUT,
                "body_timeout",
                "The body took too long",
            ),
            Self::BodyTooLarge => (
                StatusCode::PAYLOAD_TOO_LARGE,
                "body_too_large",
                "The body is too large",
            ),
            Self::TooManyEvents => (
                StatusCode::PAYLOAD_TOO_LARGE,
                "too_many_events",
                "The body holds too many events",
            ),
            Self::UnsupportedContentEncoding => (
                StatusCode::UNSUPPORTED_MEDIA_TYPE,
                "unsupported_content_encoding",
                "The content coding is not supported",
            ),
            Self::InvalidEvents => (
                StatusCode::UNPROCESSABLE_ENTITY,
                "invalid_events",
                "No event is valid",
            ),
            Self::RateLimited => (
                StatusCode::TOO_MANY_REQUESTS,
                "rate_limited",
                "Too much was sent",
            ),
            Self::HeadersTooLarge => (
                StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE,
                "headers_too_large",
                "There are too many headers",
            ),
            Self::Overloaded => (
                StatusCode::SERVICE_UNAVAILABLE,
                "overloaded",
                "Too much is under way",
            ),
            Self::SpoolFull => (
                StatusCode::SERVICE_UNAVAILABLE,
                "spool_full",
                "The spool is full",
            ),
            Self::SpoolFailed => (
                StatusCode::SERVICE_UNAVAILABLE,
                "spool_failed",
                "The spool has failed",
            ),
            Self::Draining => (
                StatusCode::SERVICE_UNAVAILABLE,
                "draining",
                "The server is stopping",
            ),
            Self::BrokerUnavailable => (
                StatusCode::SERVICE_UNAVAILABLE,
                "broker_unavailable",
                "No output took the events in time",
            ),
            Self::Timeout => (
                StatusCode::SERVICE_UNAVAILABLE,
                "timeout",
                "The server was too slow",
            ),
        }
    }

    /// The code itself.
    pub(in crate::ingress) const fn word(self) -> &'static str {
        self.describe().1
    }

    /// Seconds after which another try is worth it.
    pub(super) const fn retry_after(self) -> Option<u64> {
        match self {
            Self::RateLimited | Self::Overloaded | Self::Draining | Self::Timeout => Some(1),
            Self::SpoolFull | Self::SpoolFailed | Self::BrokerUnavailable => Some(5),
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_code_is_counted_under_its_own_word() {
        for (index, code) in Code::ALL.into_iter().enumerate() {
            assert_eq!(code as usize, index, "{}", code.word());
        }
    }
}
