//! What could not be delivered: letters of events that died on arrival or that a Broker rejected, one JSON object a
//! line, on two shelves with a quota each, so that a flood of nonsense evicts no event that a Broker rejected.
//!
//! Everything here blocks on the file system; callers are on a thread where that is allowed.

mod reader;
mod shelf;

use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};
use std::{fs, io};

use jiff::Timestamp;
use serde::Serialize;

use crate::config;
use crate::event::{Lines, Position};
use crate::telemetry::{DeathReason, Telemetry};
use crate::units::timestamp;
pub use reader::{KeptLetter, read};
use shelf::Shelf;

/// The folders of the shelves: for events that died on arrival, and for those that a Broker rejected.
const SHELVES: [&str; 2] = ["arrival", "broker"];

/// The store. Clones share it.
#[derive(Clone)]
pub struct DeadLetters {
    on_arrival: Arc<Mutex<Shelf>>,
    by_broker: Arc<Mutex<Shelf>>,
    telemetry: Arc<Telemetry>,
}

/// An event that a Broker rejected.
pub struct RejectedEvent<'a> {
    /// Its position, which becomes the letter's id.
    pub position: Position,
    /// Its text.
    pub event: &'a [u8],
    /// The Broker's address.
    pub broker: &'a str,
    /// The Broker's status.
    pub status: u16,
    /// The beginning of the Broker's answer.
    pub answer: &'a str,
}

/// A letter as it is written, but for its event. Letters of events that died on arrival are rendered where they die and have the
/// same members, without `status` and `broker`.
#[derive(Serialize)]
struct Letter<'a> {
    id: String,
    reason: &'static str,
    at: String,
    errors: [LetterError<'a>; 1],
    status: u16,
    broker: &'a str,
}

#[derive(Serialize)]
struct LetterError<'a> {
    code: &'static str,
    message: &'a str,
}

impl DeadLetters {
    /// The store in the configured folder.
    pub fn new(config: &config::DeadLetters, telemetry: Arc<Telemetry>) -> Self {
        let shelf = |name: &str| {
            let folder = Path::new(&config.dir).join(name);
            Arc::new(Mutex::new(Shelf::new(folder, config.max_bytes.bytes())))
        };
        Self {
            on_arrival: shelf(SHELVES[0]),
            by_broker: shelf(SHELVES[1]),
            telemetry,
        }
    }

    /// Makes the folder and finds out whether it can be written, to be asked at start.
    ///
    /// # Errors
    /// The system's, with the path.
    pub fn check(folder: &Path) -> io::Result<()> {
        let probe = folder.join(".headgate-writable");
        fs::create_dir_all(folder)
            .and_then(|()| fs::write(&probe, ""))
            .and_then(|()| fs::remove_file(&probe))
            .map_err(|error| io::Error::new(error.kind(), format!("{}: {error}", folder.display())))
    }

    /// Keeps letters that were rendered on arrival; `first` is the position of the first one.
    ///
    /// # Errors
    /// The system's, with the path; no letter of the call is kept then.
    pub fn keep_arrived(&self, first: Position, letters: &Lines) -> io::Result<()> {
        let mut text = Vec::with_capacity(letters.bytes.len() + 24 * letters.count);
        let mut reasons = Vec::with_capacity(letters.count);
        for (id, letter) in (first..).zip(letters.iter()) {
            text.extend_from_slice(format!("{{\"id\":\"{id}\",").as_bytes());
            // The letter begins with its reason.
            text.extend_from_slice(letter.strip_prefix(b"{").unwrap_or(letter));
            text.push(b'\n');
            reasons.push(reason_of(letter));
        }
        self.write(&self.on_arrival, &text)?;
        for reason in reasons {
            self.telemetry.dead_lettered(reason);
        }
        Ok(())
    }

    /// Keeps an event that a Broker rejected.
    ///
    /// # Errors
    /// The system's, with the path; the letter is not kept then.
    pub fn keep_rejected(&self, rejected: &RejectedEvent<'_>) -> io::Result<()> {
        let reason = DeathReason::RejectedByBroker;
        let message = format!(
            "the Broker answered {}: {}",
            rejected.status, rejected.answer
        );
        let letter = Letter {
            id: rejected.position.to_string(),
            reason: reason.as_str(),
            at: timestamp::to_text(Timestamp::now()),
            errors: [LetterError {
                code: reason.as_str(),
                message: message.trim_end_matches([':', ' ']),
            }],
            status: rejected.status,
            broker: rejected.broker,
        };
        let mut text = serde_json::to_vec(&letter)?;
        // The event goes in as it lies: parsing it could fail, and it is valid already.
        text.pop();
        text.extend_from_slice(b",\"event\":");
        text.extend_from_slice(rejected.event);
        text.extend_from_slice(b"}\n");
        self.write(&self.by_broker, &text)?;
        self.telemetry.dead_lettered(reason);
        Ok(())
    }

    fn write(&self, shelf: &Mutex<Shelf>, letters: &[u8]) -> io::Result<()> {
        let mut shelf = shelf.lock().unwrap_or_else(PoisonError::into_inner);
        let dropped = shelf.append(letters)?;
        drop(shelf);
        if dropped > 0 {
            self.telemetry.letters_dropped(dropped);
        }
        Ok(())
    }
}

/// The reason that a letter begins with.
fn reason_of(letter: &[u8]) -> DeathReason {
    let word = letter.strip_prefix(b"{\"reason\":\"").unwrap_or_default();
    let end = memchr::memchr(b'"', word).unwrap_or_default();
    DeathReason::from_word(&word[..end]).expect("the pipeline writes a letter's reason first")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::event::ViolationCode;

    #[test]
    fn letters_of_both_shelves_are_read_back() {
        let folder = tempfile::tempdir().unwrap();
        let telemetry = Arc::new(Telemetry::new(vec![], 1, crate::telemetry::Output::Http));
        let config = config::DeadLetters {
            dir: folder.path().into(),
            ..config::Config::default().dead_letters
        };
        let store = DeadLetters::new(&config, Arc::clone(&telemetry));
        let arrived =
            br#"{"reason":"too_deep","at":"2026-01-01T00:00:00.000Z","errors":[],"event":"x"}"#;
        let letters = Lines {
            count: 1,
            bytes: [&arrived[..], b",\n"].concat().into(),
        };
        store.keep_arrived(7, &letters).unwrap();
        let rejected = RejectedEvent {
            position: 8,
            event: br#"{"n":1e400,"m":"\ud800"}"#,
            broker: "127.0.0.1:9",
            status: 422,
            answer: "no",
        };
        store.keep_rejected(&rejected).unwrap();
        let mut seen = Vec::new();
        read(folder.path(), |letter| {
            seen.push((letter.id, letter.reason, letter.status));
            assert!(letter.text.ends_with('}'));
            true
        })
        .unwrap();
        assert_eq!(
            seen,
            [
                ("7".into(), "too_deep".into(), None),
                ("8".into(), "rejected_by_broker".into(), Some(422))
            ]
        );
        assert_eq!(telemetry.books().dead_lettered, 2);
    }

    #[test]
    fn a_folder_that_cannot_be_is_told_with_its_path() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("plain-file");
        fs::write(&file, "x").unwrap();
        let error = DeadLetters::check(&file.join("letters")).unwrap_err();
        assert!(error.to_string().contains("plain-file"), "{error}");
        assert!(DeadLetters::check(&folder.path().join("a/b")).is_ok());
    }

    #[test]
    fn a_letter_tells_its_reason() {
        for code in ViolationCode::ALL {
            let letter = format!("{{\"reason\":\"{}\",\"at\":\"\"}}", code.as_str());
            assert_eq!(reason_of(letter.as_bytes()), DeathReason::Violation(code));
        }
    }
}
