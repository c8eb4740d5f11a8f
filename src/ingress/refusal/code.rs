//! The problem codes: a closed list, with status, word and title of each. Pure.

/// A kind of refusal.
#[derive(Clone, Copy, Debug)]
pub(in crate::ingress) struct ProblemType {
    /// The status; `overloaded` may be configured to another one.
    pub(in crate::ingress) status: u16,
    /// The code, which is part of the API.
    pub(in crate::ingress) word: &'static str,
    /// A short summary for people.
    pub(in crate::ingress) title: &'static str,
}

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

    /// What the problem documents say of it (RFC 9457, 3.1).
    pub(in crate::ingress) const fn describe(self) -> ProblemType {
        let (status, word, title) = match self {
            Self::MalformedBody => (400, "malformed_body", "The request cannot be read"),
            Self::BadContentEncoding => (400, "bad_content_encoding", "The body does not inflate"),
            Self::Unauthenticated => (401, "unauthenticated", "Credentials are needed"),
            Self::Forbidden => (403, "forbidden", "The key is not for this sender"),
            Self::NotFound => (404, "not_found", "There is nothing here"),
            Self::MethodNotAllowed => (405, "method_not_allowed", "The method is not allowed here"),
            Self::BodyTimeout => (408, "body_timeout", "The body took too long"),
            Self::BodyTooLarge => (413, "body_too_large", "The body is too large"),
            Self::TooManyEvents => (413, "too_many_events", "The body holds too many events"),
            Self::UnsupportedContentEncoding => (
                415,
                "unsupported_content_encoding",
                "The content coding is not supported",
            ),
            Self::InvalidEvents => (422, "invalid_events", "No event is valid"),
            Self::RateLimited => (429, "rate_limited", "Too much was sent"),
            Self::HeadersTooLarge => (431, "headers_too_large", "There are too many headers"),
            Self::Overloaded => (503, "overloaded", "Too much is under way"),
            Self::SpoolFull => (503, "spool_full", "The spool is full"),
            Self::SpoolFailed => (503, "spool_failed", "The spool has failed"),
            Self::Draining => (503, "draining", "The server is stopping"),
            Self::BrokerUnavailable => (
                503,
                "broker_unavailable",
                "No output took the events in time",
            ),
            Self::Timeout => (503, "timeout", "The server was too slow"),
        };
        ProblemType {
            status,
            word,
            title,
        }
    }

    /// The code itself.
    pub(in crate::ingress) const fn word(self) -> &'static str {
        self.describe().word
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
