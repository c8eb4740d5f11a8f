//! The JSON Schema of `validate.schema`. Only where there is one an event becomes a tree, for the check
//! alone: it leaves as it came. Pure.

use std::collections::BTreeSet;
use std::fmt::{self, Write};

use jsonschema::ValidationError;
use jsonschema::error::ValidationErrorKind;
use jsonschema::paths::Location;
use serde_json::{Map, Value};

use super::fields::code_unit;
use super::scan::Scanned;
use super::splice::EventText;
use crate::budget::{Exhausted, Reservation};
use crate::config::SchemaFile;
use crate::event::{Violation, ViolationCode};
use crate::units::FieldReference;

/// Violations of the schema that are told of one event.
const MAX_VIOLATIONS: usize = 10;

/// Bytes of what is told of one violation, and of the reference to its field.
const MAX_TEXT: usize = 256;

/// Bytes of a name that are told with what is wrong with it, which is to fit behind it.
const MAX_SHOWN_NAME: usize = 100;

/// A schema, ready to be applied.
pub(super) struct Schema {
    file: SchemaFile,
    /// The paths of all fields that are added to events: once, though each of thousands of keys may add the same.
    added: BTreeSet<Vec<String>>,
}

impl Schema {
    pub(super) fn new(file: SchemaFile, added: BTreeSet<Vec<String>>) -> Self {
        Self { file, added }
    }

    /// Adds what the schema has against an event. One that `is_replay` fits as it stands, or without what was
    /// added to it when it came.
    pub(super) fn check(
        &self,
        event: EventText<'_>,
        is_replay: bool,
        violations: &mut Vec<Violation>,
        reservation: &mut Reservation,
    ) -> Result<(), Exhausted> {
        let bytes = tree_bytes(event.scanned);
        reservation.grow(bytes)?;
        let text = event.scanned.span.of(event.text);
        self.check_text(text, is_replay, violations);
        reservation.shrink(bytes);
        Ok(())
    }

    fn check_text(&self, text: &[u8], is_replay: bool, violations: &mut Vec<Violation>) {
        let validator = self.file.validator();
        let event =
            serde_json::from_slice(text).or_else(|_| serde_json::from_slice(&readable(text)));
        let Ok(mut event) = event else {
            // Nothing is taken that was not checked.
            violations.push(Violation {
                field: None,
                code: ViolationCode::Schema,
                message: "the event cannot be checked (validate.schema)".to_owned(),
            });
            return;
        };
        let mut fits = validator.is_valid(&event);
        if let Some(object) = event.as_object_mut().filter(|_| is_replay && !fits) {
            for path in &self.added {
                remove(object, path);
            }
            fits = validator.is_valid(&event);
        }
        if !fits {
            let errors = validator.iter_errors(&event).take(MAX_VIOLATIONS);
            violations.extend(errors.map(|error| violation(&error)));
        }
    }
}

/// Memory that the tree of an event takes, at most: its texts, and again where one of them is unescaped or
/// told; and each value, around which no more containers can be than the event is deep.
fn tree_bytes(scanned: &Scanned) -> usize {
    /// A container with room for its first members, which is more than a member or a scalar takes.
    const CONTAINER: usize = 512;
    /// An array in an array takes two bytes of text.
    const PER_BYTE: usize = CONTAINER / 2;
    let text = scanned.span.len();
    let by_values = scanned
        .leaves
        .saturating_mul(scanned.depth.max(1))
        .saturating_mul(CONTAINER);
    2 * text + by_values.min(text.saturating_mul(PER_BYTE))
}

/// Takes away the field that a path leads to, and what is empty without it.
fn remove(object: &mut Map<String, Value>, path: &[String]) {
    let Some((name, inside)) = path.split_first() else {
        return;
    };
    let is_gone = inside.is_empty()
        || object
            .get_mut(name)
            .and_then(Value::as_object_mut)
            .is_some_and(|inner| {
                let had_any = !inner.is_empty();
                remove(inner, inside);
                had_any && inner.is_empty()
            });
    if is_gone {
        object.shift_remove(name);
    }
}

/// A valid JSON text as the library reads it: a number beyond every double is the largest one, half a surrogate pair is
/// U+FFFD. Both are allowed in events.
fn readable(text: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(text.len());
    let mut rest = text;
    while let Some(first) = rest.first() {
        let end = match first {
            b'"' => string_end(rest),
            b'-' | b'0'..=b'9' => number_end(rest),
            _ => 1,
        };
        let (token, behind) = rest.split_at(end);
        match first {
            b'"' => push_without_half_pairs(token, &mut out),
            b'-' | b'0'..=b'9' => push_within_doubles(token, &mut out),
            _ => out.extend_from_slice(token),
        }
        rest = behind;
    }
    out
}

fn string_end(text: &[u8]) -> usize {
    let mut at = 1;
    while let Some(found) = memchr::memchr2(b'"', b'\\', text.get(at..).unwrap_or_default()) {
        at += found;
        if text[at] == b'"' {
            return at + 1;
        }
        at += 2;
    }
    text.len()
}

fn number_end(text: &[u8]) -> usize {
    let is_part = |byte: &u8| matches!(byte, b'0'..=b'9' | b'-' | b'+' | b'.' | b'e' | b'E');
    text.iter()
        .position(|byte| !is_part(byte))
        .unwrap_or(text.len())
}

fn push_within_doubles(number: &[u8], out: &mut Vec<u8>) {
    let text = std::str::from_utf8(number).unwrap_or_default();
    if text.parse().is_ok_and(f64::is_finite) {
        out.extend_from_slice(number);
    } else {
        let sign = if number.starts_with(b"-") { "-" } else { "" };
        out.extend_from_slice(format!("{sign}{:e}", f64::MAX).as_bytes());
    }
}

fn push_without_half_pairs(string: &[u8], out: &mut Vec<u8>) {
    let mut rest = string;
    while let Some(backslash) = memchr::memchr(b'\\', rest) {
        let (before, escape) = rest.split_at(backslash);
        out.extend_from_slice(before);
        let (written, length) = match (code_unit(escape), escape.get(6..).and_then(code_unit)) {
            (Some(0xd800..0xdc00), Some(0xdc00..0xe000)) => (&escape[..12], 12),
            (Some(0xd800..0xe000), _) => (&b"\\ufffd"[..], 6),
            _ => (&escape[..2], 2),
        };
        out.extend_from_slice(written);
        rest = &escape[length..];
    }
    out.extend_from_slice(rest);
}

fn violation(error: &ValidationError<'_>) -> Violation {
    let mut message = Bounded(String::new());
    // Names that the schema does not know are told, values never are. What does not fit is cut.
    let _cut = match error.kind() {
        ValidationErrorKind::PropertyNames { error } => {
            let name = error.instance().as_str().unwrap_or_default();
            let shown = &name[..name.floor_char_boundary(MAX_SHOWN_NAME)];
            let dots = if shown.len() < name.len() { "…" } else { "" };
            let reason = error.masked_with("it");
            write!(message, "The name '{shown}{dots}' is not allowed: {reason}")
        }
        _ => write!(message, "{}", error.masked()),
    };
    Violation {
        field: field(error.instance_path()),
        code: ViolationCode::Schema,
        message: message.0,
    }
}

/// The reference to a place in the event; to what is around it where a name on the way cannot stand in a
/// reference, or the whole would be too long.
fn field(place: &Location) -> Option<FieldReference> {
    let mut text = String::new();
    // Its own iterator leaves out empty names.
    for segment in place.as_str().split('/').skip(1) {
        let name = segment.replace("~1", "/").replace("~0", "~");
        let is_name = !name.is_empty() && !name.contains(['[', ']']);
        if !is_name || text.len() + name.len() + 2 > MAX_TEXT {
            break;
        }
        text.push('[');
        text.push_str(&name);
        text.push(']');
    }
    text.parse().ok()
}

/// Text up to [`MAX_TEXT`] bytes.
struct Bounded(String);

impl Write for Bounded {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        let room = MAX_TEXT - self.0.len();
        let taken = text.floor_char_boundary(room);
        self.0.push_str(&text[..taken]);
        if taken < text.len() {
            // Three bytes are left where a character of four did not fit; as good as full.
            return Err(fmt::Error);
        }
        Ok(())
    }
}
