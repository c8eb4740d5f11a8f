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
    /// A rule that this version does not know: a newer one wrote the letter into the spool.
    Unknown,
}

impl DeathReason {
    /// The reasons that are no violation of a rule of this version.
    const OTHERS: [Self; 3] = [Self::RejectedByBroker, Self::Poison, Self::Unknown];

    /// All reasons.
    pub(super) fn all() -> impl Iterator<Item = Self> {
        let violations = ViolationCode::ALL.into_iter().map(Self::Violation);
        violations.chain(Self::OTHERS)
    }

    /// The word in dead letters and metrics.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Violation(code) => code.as_str(),
            Self::RejectedByBroker => "rejected_by_broker",
            Self::Poison => "poison",
            Self::Unknown => "unknown",
        }
    }

    /// The reason that has this word.
    pub fn from_word(word: &[u8]) -> Self {
        Self::all()
            .find(|reason| reason.as_str().as_bytes() == word)
            .unwrap_or(Self::Unknown)
    }
}
