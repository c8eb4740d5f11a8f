//! Letters as they are written, one JSON object a line. Pure.

use serde::Serialize;

use crate::event::Position;
use crate::telemetry::DeathReason;

/// An event that a Broker does not take.
pub struct UndeliverableEvent<'a> {
    /// Its position, which becomes the letter's id.
    pub position: Position,
    /// Its text.
    pub event: &'a [u8],
    /// The Broker's address.
    pub broker: &'a str,
    /// Why it is given up.
    pub reason: DeathReason,
    /// The Broker's status, if it answered.
    pub status: Option<u16>,
    /// What happened, in words.
    pub message: &'a str,
}

/// A letter of an event that a Broker does not take, but for its event. Letters of events that died on
/// arrival are rendered where they die and have the same members, without `status` and `broker`.
#[derive(Serialize)]
struct Letter<'a> {
    id: String,
    reason: &'static str,
    at: &'a str,
    errors: [LetterError<'a>; 1],
    #[serde(skip_serializing_if = "Option::is_none")]
    status: Option<u16>,
    broker: &'a str,
}

#[derive(Serialize)]
struct LetterError<'a> {
    code: &'static str,
    message: &'a str,
}

/// Writes a letter that was rendered on arrival.
pub(super) fn push_arrived(out: &mut Vec<u8>, id: Position, letter: &[u8]) {
    out.extend_from_slice(format!("{{\"id\":\"{id}\",").as_bytes());
    out.extend_from_slice(letter.strip_prefix(b"{").unwrap_or(letter));
    out.push(b'\n');
}

/// The letter of an event that was given up at this time.
pub(super) fn undeliverable(
    event: &UndeliverableEvent<'_>,
    at: &str,
) -> serde_json::Result<Vec<u8>> {
    let reason = event.reason.as_str();
    let letter = Letter {
        id: event.position.to_string(),
        reason,
        at,
        errors: [LetterError {
            code: reason,
            message: event.message,
        }],
        status: event.status,
        broker: event.broker,
    };
    let mut text = serde_json::to_vec(&letter)?;
    // The event goes in as it lies: parsing it could fail, and it is valid already.
    text.pop();
    text.extend_from_slice(b",\"event\":");
    text.extend_from_slice(event.event);
    text.extend_from_slice(b"}\n");
    Ok(text)
}

/// The reason that a letter which was rendered on arrival begins with.
pub(super) fn reason_of(letter: &[u8]) -> DeathReason {
    let word = letter.strip_prefix(b"{\"reason\":\"").unwrap_or_default();
    let end = memchr::memchr(b'"', word).unwrap_or_default();
    DeathReason::from_word(&word[..end])
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::event::ViolationCode;

    #[test]
    fn a_letter_tells_its_reason() {
        for code in ViolationCode::ALL {
            let letter = format!("{{\"reason\":\"{}\",\"at\":\"\"}}", code.as_str());
            assert_eq!(reason_of(letter.as_bytes()), DeathReason::Violation(code));
        }
        for strange in ["{\"reason\":\"of a newer version\"}", "{}", ""] {
            assert_eq!(reason_of(strange.as_bytes()), DeathReason::Unknown);
        }
    }
}
