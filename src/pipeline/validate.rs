//! The rules that a single event must keep: `[validate]` and the limits on events of `[ingest]`. Pure.

use std::collections::BTreeSet;
use std::time::Duration;

use jiff::Timestamp;

use super::fields::{FieldPath, Fields, Value, unescaped_len};
use super::scan::Kind;
use super::schema::Schema;
use super::splice::EventText;
use super::timestamp;
use crate::budget::{Exhausted, Reservation};
use crate::config::{Ingest, Validate};
use crate::event::{Violation, ViolationCode};
use crate::units::{ByteSize, FieldReference, duration};

/// The rules, ready to be applied.
pub(super) struct Rules {
    required: Vec<FieldPath>,
    max_event_bytes: usize,
    max_depth: usize,
    max_fields: usize,
    message: FieldPath,
    max_message_bytes: Option<ByteSize>,
    timestamp: FieldPath,
    timestamp_max_future: Option<Duration>,
    timestamp_max_age: Option<Duration>,
    schema: Option<Schema>,
}

/// On what occasion events are checked.
#[derive(Clone, Copy, Debug)]
pub(super) struct Occasion {
    /// Between which times an event's `@timestamp` must lie; unset: any.
    earliest: Option<Timestamp>,
    latest: Option<Timestamp>,
    /// Whether they have been here before, and have what was added to them then.
    is_replay: bool,
}

impl Occasion {
    /// The same for dead letters: they have become old by waiting, or are sent again for all their age.
    pub(super) fn of_a_replay(self) -> Self {
        Self {
            earliest: None,
            is_replay: true,
            ..self
        }
    }
}

impl Rules {
    /// `added`: the paths of all fields that are added to events.
    pub(super) fn new(
        validate: &Validate,
        ingest: &Ingest,
        added: BTreeSet<Vec<String>>,
        fields: &mut Fields,
    ) -> Self {
        let mut field = |name: &str| {
            let reference: FieldReference = name.parse().expect("a plain name is a reference");
            FieldPath::new(&reference, fields)
        };
        let (message, timestamp) = (field("message"), field("@timestamp"));
        Self {
            required: validate
                .required
                .iter()
                .map(|reference| FieldPath::new(reference, fields))
                .collect(),
            max_event_bytes: ingest.max_event_bytes.as_usize(),
            max_depth: ingest.max_depth,
            max_fields: validate.max_fields,
            message,
            max_message_bytes: validate.max_message_bytes,
            timestamp,
            timestamp_max_future: validate.timestamp_max_future,
            timestamp_max_age: validate.timestamp_max_age,
            schema: validate.schema.clone().map(|file| Schema::new(file, added)),
        }
    }

    /// The longest event, in bytes as it came.
    pub(super) fn max_event_bytes(&self) -> usize {
        self.max_event_bytes
    }

    /// The violation of an event that is too long, if this one is.
    pub(super) fn check_size(&self, bytes: usize) -> Option<Violation> {
        (bytes > self.max_event_bytes).then(|| {
            let message = format!(
                "the event is {bytes} bytes long; at most {} are allowed (ingest.max_event_bytes)",
                self.max_event_bytes
            );
            whole(ViolationCode::EventTooLarge, message)
        })
    }

    /// The violation of an event that is nested too deep, if this one is.
    pub(super) fn check_depth(&self, depth: usize) -> Option<Violation> {
        (depth > self.max_depth).then(|| {
            let message = format!(
                "the event is nested {depth} levels deep; at most {} are allowed (ingest.max_depth)",
                self.max_depth
            );
            whole(ViolationCode::TooDeep, message)
        })
    }

    /// The arrival of a request.
    pub(super) fn arrival(&self, at: Timestamp) -> Occasion {
        let before = |age| at.checked_sub(age).unwrap_or(Timestamp::MIN);
        let after = |future| at.checked_add(future).unwrap_or(Timestamp::MAX);
        Occasion {
            earliest: self.timestamp_max_age.map(before),
            latest: self.timestamp_max_future.map(after),
            is_replay: false,
        }
    }

    /// Every rule on fields that the event breaks; what looking takes is reserved meanwhile.
    pub(super) fn check_fields(
        &self,
        event: EventText<'_>,
        occasion: &Occasion,
        reservation: &mut Reservation,
    ) -> Result<Vec<Violation>, Exhausted> {
        let EventText {
            text,
            scanned,
            found,
        } = event;
        let mut violations = Vec::new();
        for field in &self.required {
            let value = field.value(text, found);
            if value.is_none_or(|value| value.kind == Kind::Null) {
                violations.push(missing(&field.reference));
            }
        }
        let has_too_many = scanned.leaves > self.max_fields;
        if has_too_many {
            let message = format!(
                "the event has {} values; at most {} are allowed (validate.max_fields)",
                scanned.leaves, self.max_fields
            );
            violations.push(whole(ViolationCode::TooManyFields, message));
        }
        violations.extend(self.check_message(event));
        if occasion.earliest.is_some() || occasion.latest.is_some() {
            violations.extend(self.check_time(event, occasion));
        }
        // What has too many values would take as much memory.
        if let Some(schema) = self.schema.as_ref().filter(|_| !has_too_many) {
            schema.check(event, occasion.is_replay, &mut violations, reservation)?;
        }
        Ok(violations)
    }

    /// Whether the event's time lies where it may. One that is no time is not a matter of rules.
    fn check_time(&self, event: EventText<'_>, occasion: &Occasion) -> Option<Violation> {
        let value = self.timestamp.value(event.text, event.found)?;
        let time = timestamp::of(event.text, value)?;
        let told = |code, limit: Option<Duration>, words: &str| {
            let limit = duration::format(limit.unwrap_or_default());
            Some(Violation {
                field: Some(self.timestamp.reference.clone()),
                code,
                message: format!("the time is more than {limit} {words}"),
            })
        };
        if occasion.latest.is_some_and(|latest| time > latest) {
            let words = "ahead of its arrival (validate.timestamp_max_future)";
            let limit = self.timestamp_max_future;
            return told(ViolationCode::TimestampInFuture, limit, words);
        }
        if occasion.earliest.is_some_and(|earliest| time < earliest) {
            let words = "before its arrival (validate.timestamp_max_age)";
            let limit = self.timestamp_max_age;
            return told(ViolationCode::TimestampTooOld, limit, words);
        }
        None
    }

    fn check_message(&self, event: EventText<'_>) -> Option<Violation> {
        let limit = self.max_message_bytes?;
        let text = event.text;
        let value = self.message.value(text, event.found)?;
        if value.span.len() <= limit.as_usize() {
            return None;
        }
        let bytes = text_bytes(text, value);
        (bytes > limit.as_usize()).then(|| Violation {
            field: Some(self.message.reference.clone()),
            code: ViolationCode::MessageTooLarge,
            message: format!(
                "the message is {bytes} bytes long; at most {} are allowed (validate.max_message_bytes)",
                limit.as_usize()
            ),
        })
    }
}

/// The violation of an element that is no object.
pub(super) fn not_an_object() -> Violation {
    whole(
        ViolationCode::NotAnObject,
        "an event is a JSON object; this element is none".to_owned(),
    )
}

fn missing(reference: &FieldReference) -> Violation {
    Violation {
        field: Some(reference.clone()),
        code: ViolationCode::Required,
        message: format!("the field {reference} is required and must not be null"),
    }
}

fn whole(code: ViolationCode, message: String) -> Violation {
    Violation {
        field: None,
        code,
        message,
    }
}

/// Bytes of a value: of the text that a string stands for, else as written.
fn text_bytes(text: &[u8], value: Value) -> usize {
    let raw = value.span.of(text);
    match raw {
        [b'"', inside @ .., b'"'] => unescaped_len(inside),
        _ => raw.len(),
    }
}
