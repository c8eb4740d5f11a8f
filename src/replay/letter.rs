//! Finds the event in a letter, as it lies: its digits and escapes are not to change. Pure.

use crate::pipeline::scan::{Scanner, Span};

/// The JSON text of a letter's event. `letter` is one that was read from a shelf.
pub(super) fn event_of(letter: &str) -> &[u8] {
    let text = letter.as_bytes();
    let mut event = None;
    let scanned = Scanner::default().value(text, 0, |member| {
        if member.key.of(text) == b"event" {
            event = Some(member.value);
        }
    });
    scanned
        .ok()
        .and(event)
        .map(|event: Span| event.of(text))
        .expect("the shelf gives whole letters, and each has its event")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_event_is_found_as_it_lies() {
        for event in [
            r#"{"event":{"n":1e400, "m":"\ud800"}}"#,
            r#""text \" with \"event\":1""#,
            "null",
        ] {
            for letter in [
                format!(r#"{{"id":"1","event":{event}}}"#),
                format!(r#"{{"id":"1", "event" : {event} ,"original_bytes":7}}"#),
            ] {
                assert_eq!(event_of(&letter), event.as_bytes(), "{letter}");
            }
        }
    }
}
