//! What metrics tell apart, each a closed list: routes, and why events died. Plain data.

use crate::event::ViolationCode;

/// The rows of `headgate_requests_total`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Route {
    /// The Logstash paths.
    Logstash,
    /// The application API.
    Events,
    /// Health, readiness, liveness.
    Health,
    /// All others.
    Other,
}

impl Route {
    pub(super) const ALL: [Self; 4] = [Self::Logstash, Self::Events, Self::Health, Self::Other];

    pub(super) const fn as_str(self) -> &'static str {
        match self {
            Self::Logstash => "logstash",
            Self::Events => "events",
            Self::Health => "health",
            Self::Other => "other",
        }
    }
}

/// Why an event became a dead letter.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DeathReason {
    /// It broke a rule on arrival; the first one that it broke.
    Violation(ViolationCode),
    /// A Broker rejected it with one of `broker.rejected_codes`.
    RejectedByBroker,
    /// It failed again and again while its Broker took others.
    Poison,
}

impl DeathReason {
    /// The reasons of those that a Broker did not take.
    pub(super) const AT_BROKER: [Self; 2] = [Self::RejectedByBroker, Self::Poison];

    /// The word in dead letters and metrics.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Violation(code) => code.as_str(),
            Self::RejectedByBroker => "rejected_by_broker",
            Self::Poison => "poison",
        }
    }

    /// The reason that has this word.
    pub fn from_word(word: &[u8]) -> Option<Self> {
        let violations = ViolationCode::ALL.into_iter().map(Self::Violation);
        violations
            .chain(Self::AT_BROKER)
            .find(|reason| reason.as_str().as_bytes() == word)
    }
}
