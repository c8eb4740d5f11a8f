//! What an envelope is built by: rules and additions that do not change within a request, and limits. Plain data.

use crate::config::OnInvalid;
use crate::pipeline::fields::Fields;
use crate::pipeline::source_key::SourceKey;
use crate::pipeline::splice::Additions;
use crate::pipeline::validate::{Occasion, Rules};
use crate::telemetry::Sources;

/// What becomes of an event that breaks a rule.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::pipeline) enum Invalid {
    /// It is not kept: the client is told (the application API).
    Reject,
    /// It is kept, one way or the other (the Logstash paths).
    Keep(OnInvalid),
}

/// The limits on one envelope.
#[derive(Clone, Copy, Debug)]
pub struct EnvelopeLimits {
    /// Events, the rejected ones included.
    pub max_events: usize,
    /// Bytes of those that are kept, enriched.
    pub max_bytes: usize,
}

impl EnvelopeLimits {
    /// No limits.
    pub const NONE: Self = Self {
        max_events: usize::MAX,
        max_bytes: usize::MAX,
    };

    /// What keeps to these limits and to others.
    pub(in crate::pipeline) fn and(self, others: Self) -> Self {
        Self {
            max_events: self.max_events.min(others.max_events),
            max_bytes: self.max_bytes.min(others.max_bytes),
        }
    }
}

/// What does not change within a request.
pub(in crate::pipeline) struct Context<'a> {
    pub(in crate::pipeline) fields: &'a Fields,
    pub(in crate::pipeline) rules: &'a Rules,
    pub(in crate::pipeline) occasion: Occasion,
    pub(in crate::pipeline) additions: Additions<'a>,
    pub(in crate::pipeline) invalid: Invalid,
    /// Bytes of an event that is kept as text; what is longer is cut.
    pub(in crate::pipeline) max_text_bytes: usize,
    pub(in crate::pipeline) source_key: &'a SourceKey,
    pub(in crate::pipeline) sources: &'a Sources,
    /// The time of arrival, as text.
    pub(in crate::pipeline) now: &'a str,
    /// Bytes of the decoded body: what an envelope's size is guessed from.
    pub(in crate::pipeline) body_bytes: usize,
}
