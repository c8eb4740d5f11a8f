//! `[validate]`: what an event must be. Plain data.

use serde::{Deserialize, Serialize};

use crate::config::{checks, unset};
use crate::units::{ByteSize, FieldReference};

/// What an event must be, and what happens to one that is not.
#[derive(Debug, Clone, PartialEq, Deserialize, Serialize, validator::Validate)]
#[serde(deny_unknown_fields)]
pub struct Validate {
    /// Fields that every event must have.
    pub required: Vec<FieldReference>,
    /// Leaves of one event.
    #[validate(range(min = 1, max = 10_000_000))]
    pub max_fields: usize,
    /// The longest `message`; `None` (written `""`): as long as the event may be.
    #[serde(with = "unset")]
    #[validate(custom(function = checks::size_limit))]
    pub max_message_bytes: Option<ByteSize>,
    /// What happens to an invalid event of the Logstash paths.
    pub on_invalid: OnInvalid,
}

/// What happens to an invalid event of the Logstash paths.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum OnInvalid {
    /// It goes to the dead letters.
    DeadLetter,
    /// It is delivered with a tag and the reasons.
    Tag,
}
