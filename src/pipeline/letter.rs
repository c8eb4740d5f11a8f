//! Dead letters of events that died on arrival, as they ride in the spool: one object a line. Pure.

use super::json::{Members, push_string};
use super::violations;
use crate::event::{LINE_END, Violation};

/// Writes a letter whose event is the object that `event` writes.
pub(super) fn push(
    out: &mut Vec<u8>,
    at: &str,
    violations: &[Violation],
    event: impl FnOnce(&mut Vec<u8>),
) {
    let mut object = open(out, at, violations);
    event(object.key("event"));
    object.close(b'}');
    out.extend_from_slice(LINE_END);
}

/// Writes a letter whose event is kept as text, cut to `text` of `original_bytes`.
pub(super) fn push_text(
    out: &mut Vec<u8>,
    at: &str,
    violations: &[Violation],
    text: &str,
    original_bytes: usize,
) {
    let mut object = open(out, at, violations);
    push_string(object.key("event"), text);
    object
        .key("original_bytes")
        .extend_from_slice(original_bytes.to_string().as_bytes());
    object.close(b'}');
    out.extend_from_slice(LINE_END);
}

fn open<'a>(out: &'a mut Vec<u8>, at: &str, violations: &[Violation]) -> Members<'a> {
    let reason = violations
        .first()
        .expect("an event dies of at least one violation");
    let mut object = Members::open(out, b'{');
    // The reason comes first: whoever files the letter reads it without parsing the rest.
    push_string(object.key("reason"), reason.code.as_str());
    push_string(object.key("at"), at);
    violations::push_json(object.key("errors"), violations);
    object
}
