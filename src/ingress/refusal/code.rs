//! The problem codes: a closed list, with status, word and title of each. Pure.

/// A kind of refusal, as problem documents tell of it (RFC 9457).
#[derive(Clone, Copy, Debug)]
pub struct ProblemType {
    /// The status; `overloaded` may be configured to another one.
    pub status: u16,
    /// The code, which is part of the API.
    pub word: &'static str,
    /// A short summary for people.
    pub title: &'static str,
}

/// Makes the list of codes, with what the problem documents say of each (RFC 9457, 3.1), of one table: what is in one
/// and not in the other would go unseen.
macro_rules! codes {
    ($($name:ident: $status:literal, $word:literal, $title:literal;)*) => {
        /// Why a request is refused; the words are part of the API.
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub(in crate::ingress) enum Code {
            $($name,)*
        }

        impl Code {
            /// Every code.
            pub(in crate::ingress) const ALL: &[Self] = &[$(Self::$name,)*];

            /// What its problem documents say.
            pub(in crate::ingress) const fn describe(self) -> ProblemType {
                match self {
                    $(Self::$name => ProblemType {
                        status: $status,
                        word: $word,
                        title: $title,
                    },)*
                }
            }
        }
    };
}

codes! {
    MalformedBody: 400, "malformed_body", "The request cannot be read";
    BadContentEncoding: 400, "bad_content_encoding", "The body does not inflate";
    Unauthenticated: 401, "unauthenticated", "Credentials are needed";
    Forbidden: 403, "forbidden", "The key is not for this sender";
    NotFound: 404, "not_found", "There is nothing here";
    MethodNotAllowed: 405, "method_not_allowed", "The method is not allowed here";
    BodyTimeout: 408, "body_timeout", "The body took too long";
    BodyTooLarge: 413, "body_too_large", "The body is too large";
    TooManyEvents: 413, "too_many_events", "The body holds too many events";
    UnsupportedContentEncoding: 415, "unsupported_content_encoding", "The content coding is not supported";
    InvalidEvents: 422, "invalid_events", "No event is valid";
    RateLimited: 429, "rate_limited", "Too much was sent";
    HeadersTooLarge: 431, "headers_too_large", "There are too many headers";
    Overloaded: 503, "overloaded", "Too much is under way";
    SpoolFull: 503, "spool_full", "The spool is full";
    SpoolFailed: 503, "spool_failed", "The spool has failed";
    Draining: 503, "draining", "The server is stopping";
    BrokerUnavailable: 503, "broker_unavailable", "No output took the events in time";
    Timeout: 503, "timeout", "The server was too slow";
}

impl Code {
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
