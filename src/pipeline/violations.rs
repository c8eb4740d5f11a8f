//! Violations as JSON: in answers, in dead letters and in `[headgate][errors]`. Pure.

use super::Rejected;
use super::json::{Members, push_string, string_len};
use crate::event::Violation;

/// Room for the names, the code and the brackets of one.
const FRAME: usize = 96;

/// Bytes that [`push_json`] writes, at most.
pub(super) fn room(violations: &[Violation]) -> usize {
    let one = |violation: &Violation| {
        let field = violation.field.as_ref();
        let field = field.map_or(0, |field| string_len(&field.to_string()));
        FRAME + field + string_len(&violation.message)
    };
    2 + violations.iter().map(one).sum::<usize>()
}

/// Writes `[{"field":…,"code":…,"message":…}]`; an event as a whole has no field.
pub(super) fn push_json(out: &mut Vec<u8>, violations: &[Violation]) {
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

/// Writes `[{"index":…,"errors":[…]}]`.
pub fn push_rejected(out: &mut Vec<u8>, rejected: &[Rejected]) {
    let mut array = Members::open(out, b'[');
    for event in rejected {
        let mut object = Members::open(array.next(), b'{');
        let index = event.index.to_string();
        object.key("index").extend_from_slice(index.as_bytes());
        push_json(object.key("errors"), &event.violations);
        object.close(b'}');
    }
    array.close(b']');
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::event::ViolationCode;

    #[test]
    fn there_is_room_for_every_code_and_every_text() {
        for code in ViolationCode::ALL {
            for text in ["", "plain", "\u{1}\"\\é"] {
                let violation = Violation {
                    field: format!("[{text}x]").parse().ok(),
                    code,
                    message: text.to_owned(),
                };
                for count in [0, 1, 3] {
                    let violations = vec![violation.clone(); count];
                    let mut out = Vec::new();
                    push_json(&mut out, &violations);
                    assert!(out.len() <= room(&violations), "{}", out.len());
                }
            }
        }
    }
}
