//! The rules that a single event must keep: `[validate]` and the limits on events of `[ingest]`. Pure.

use super::fields::{FieldPath, Fields, Found, Value, unescaped_len};
use super::scan::{Kind, Scanned, Scanner};
use crate::config::{Ingest, Validate};
use crate::event::{Violation, ViolationCode};
use crate::units::{ByteSize, FieldReference};

/// The rules, ready to be applied.
pub(super) struct Rules {
    required: Vec<FieldPath>,
    max_event_bytes: usize,
    max_depth: usize,
    max_fields: usize,
    message: FieldPath,
    max_message_bytes: Option<ByteSize>,
}

impl Rules {
    pub(super) fn new(validate: &Validate, ingest: &Ingest, fields: &mut Fields) -> Self {
        let message: FieldReference = "message".parse().expect("a plain name is a reference");
        Self {
            required: validate
                .required
                .iter()
                .map(|reference| FieldPath::new(reference, fields))
                .collect(),
            max_event_bytes: ingest.max_event_bytes.as_usize(),
            max_depth: ingest.max_depth,
            max_fields: validate.max_fields,
            message: FieldPath::new(&message, fields),
            max_message_bytes: validate.max_message_bytes,
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

    /// Every rule on fields that the event breaks.
    pub(super) fn check_fields(
        &self,
        text: &[u8],
        scanned: &Scanned,
        found: &Found,
        scanner: &mut Scanner,
    ) -> Vec<Violation> {
        let mut violations = Vec::new();
        for field in &self.required {
            let value = field.value(text, found, scanner);
            if value.is_none_or(|value| value.kind == Kind::Null) {
                violations.push(missing(&field.reference));
            }
        }
        if scanned.leaves > self.max_fields {
            let message = format!(
                "the event has {} values; at most {} are allowed (validate.max_fields)",
                scanned.leaves, self.max_fields
            );
            violations.push(whole(ViolationCode::TooManyFields, message));
        }
        violations.extend(self.check_message(text, found, scanner));
        violations
    }

    fn check_message(
        &self,
        text: &[u8],
        found: &Found,
        scanner: &mut Scanner,
    ) -> Option<Violation> {
        let limit = self.max_message_bytes?;
        let value = self.message.value(text, found, scanner)?;
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
