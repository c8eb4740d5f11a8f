//! What is counted of those who send: by API key, by why they were refused, and by the limit that was reached.

use metrics::Counter;

use super::recorder::{Family, counter, label};
use super::{Telemetry, names};

/// Which limit a request was refused for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RateLimit {
    /// `events_per_second` of a key.
    KeyEvents,
    /// `bytes_per_second` of a key.
    KeyBytes,
    /// `limits.events_per_second_per_client`.
    ClientEvents,
    /// `limits.bytes_per_second_per_client`.
    ClientBytes,
}

impl RateLimit {
    pub(super) const ALL: [Self; 4] = [
        Self::KeyEvents,
        Self::KeyBytes,
        Self::ClientEvents,
        Self::ClientBytes,
    ];

    /// The word in metrics.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::KeyEvents => "key_events",
            Self::KeyBytes => "key_bytes",
            Self::ClientEvents => "client_events",
            Self::ClientBytes => "client_bytes",
        }
    }
}

/// The handles of one API key.
pub struct KeyMetrics {
    /// Events that were taken.
    pub events: Counter,
    /// Requests that were refused.
    pub refused: Counter,
}

/// The handles of refusals, one for each problem code.
pub struct Refusals(Family<&'static str>);

impl Refusals {
    /// A request was refused with this problem code.
    pub fn count(&self, code: &'static str) {
        self.0.add(code, 1);
    }
}

impl Telemetry {
    /// The handles of refusals for these problem codes.
    pub fn refusals(&self, codes: impl IntoIterator<Item = &'static str>) -> Refusals {
        let metric = &names::REQUESTS_REFUSED;
        Refusals(Family::new(&self.recorder, metric, "code", codes, |code| {
            code
        }))
    }

    /// The handles of one API key; `name` is its label. Asked for again they go on counting where they were.
    pub fn key(&self, name: &str) -> KeyMetrics {
        let key = || vec![label("key", name)];
        KeyMetrics {
            events: counter(&self.recorder, &names::KEY_EVENTS, key()),
            refused: counter(&self.recorder, &names::KEY_REQUESTS_REFUSED, key()),
        }
    }

    /// A request was refused because a limit was reached.
    pub fn rate_limited(&self, limit: RateLimit) {
        self.rate_limited.add(limit, 1);
    }
}
