//! `[validate]`: what an event must be. Plain data.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::config::{SchemaFile, checks, unset};
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
    /// How far an event's `@timestamp` may lie after its arrival; `None` (written `""`): as far as it likes.
    #[serde(with = "unset::duration")]
    #[validate(custom(function = checks::time_limit))]
    pub timestamp_max_future: Option<Duration>,
    /// How far an event's `@timestamp` may lie before its arrival; `None` (written `""`): as far as it likes.
    #[serde(with = "unset::duration")]
    #[validate(custom(function = checks::time_limit))]
    pub timestamp_max_age: Option<Duration>,
    /// A JSON Schema that every event must fit; `None` (written `""`): none.
    #[serde(with = "unset")]
    pub schema: Option<SchemaFile>,
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
