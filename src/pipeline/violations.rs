//! Violations as JSON: in answers, in dead letters and in `[headgate][errors]`. Pure.

use super::json::{Members, push_string};
use crate::event::Violation;

/// Writes `[{"field":…,"code":…,"message":…}]`; an event as a whole has no field.
pub fn push_json(out: &mut Vec<u8>, violations: &[Violation]) {
    let mut array = Members::open(out, b'[');
    for violation in violations {
        let mut object = Members::open(array.next(), b'{');
        if let Some(field) = &violation.field {
            push_string(object.key("field"), &field.to_string());
        }
        push_string(object.key("code"), violation.code.as_str());
        push_string(object.key("message"), &violation.message);
        object.close(b'}');
    }
    array.close(b']');
}
