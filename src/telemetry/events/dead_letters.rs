//! What is logged of dead letters.

use std::fmt::Display;
use std::path::Path;

use tracing::{error, info, warn};

/// Dead letters cannot be written. Logged once, until they can be again.
pub struct DeadLettersFailed<'a> {
    /// The I/O error, with the path.
    pub reason: &'a dyn Display,
}

impl DeadLettersFailed<'_> {
    /// Writes the line.
    pub fn emit(&self) {
        error!(reason = %self.reason, "dead letters cannot be written; they wait and are tried again, and where many wait so does all delivery");
    }
}

/// Dead letters are written again, all that waited.
pub struct DeadLettersWrittenAgain;

impl DeadLettersWrittenAgain {
    /// Writes the line.
    pub fn emit(&self) {
        info!("dead letters are written again");
    }
}

/// After a crash a file of dead letters cannot be read or synced: of events that come again it is not known whether their
/// letters are in it.
pub struct LettersNotRecalled<'a> {
    /// The file.
    pub path: &'a Path,
    /// The I/O error.
    pub reason: &'a dyn Display,
}

impl LettersNotRecalled<'_> {
    /// Writes the line.
    pub fn emit(&self) {
        warn!(path = %self.path.display(), reason = %self.reason, "a file of dead letters cannot be read: letters in it may be written a second time");
    }
}

/// The oldest dead letters cannot be removed to make room: the folder grows beyond its limit. Logged once,
/// until they can be again.
pub struct DeadLettersNotDropped<'a> {
    /// The I/O error, with the path.
    pub reason: &'a dyn Display,
}

impl DeadLettersNotDropped<'_> {
    /// Writes the line.
    pub fn emit(&self) {
        error!(reason = %self.reason, "dead_letters.max_bytes reached, and the oldest dead letters cannot be removed: new ones are kept all the same");
    }
}

/// The oldest dead letters were removed to make room.
pub struct DeadLettersDropped<'a> {
    /// The file that they were in.
    pub path: &'a Path,
    /// How many.
    pub letters: u64,
}

impl DeadLettersDropped<'_> {
    /// Writes the line.
    pub fn emit(&self) {
        warn!(path = %self.path.display(), letters = self.letters, "dead_letters.max_bytes reached: the oldest dead letters were dropped");
    }
}

/// A request about dead letters begins.
pub struct LettersRequested {
    /// `replay` or `purge`.
    pub action: &'static str,
    /// How many letters it names; none when it is about all.
    pub named: Option<usize>,
}

impl LettersRequested {
    /// Writes the line.
    pub fn emit(&self) {
        let letters = self
            .named
            .map_or_else(|| "all".to_owned(), |named| named.to_string());
        info!(
            action = self.action,
            letters, "a request about dead letters begins"
        );
    }
}

/// A request about dead letters waits: what is in its way passes, or is to be mended. Logged once a request.
pub struct RequestWaits<'a> {
    /// What is in its way.
    pub reason: &'a dyn Display,
}

impl RequestWaits<'_> {
    /// Writes the line.
    pub fn emit(&self) {
        warn!(reason = %self.reason, "a request about dead letters waits and is tried again");
    }
}

/// A file of dead letters cannot be read for long: a replay goes on with the others.
pub struct LettersUnread<'a> {
    /// What failed, with the file.
    pub reason: &'a dyn Display,
}

impl LettersUnread<'_> {
    /// Writes the line.
    pub fn emit(&self) {
        error!(reason = %self.reason, "dead letters cannot be read and stay: mend that and ask for a replay again");
    }
}

/// A replay is done.
#[derive(Debug, Default)]
pub struct ReplayEnded {
    /// Letters that were sent again and are no letters any more.
    pub replayed: u64,
    /// Events of these that still break a rule: letters again, with new ids.
    pub dead_again: u64,
    /// Letters that stay, because the spool can never hold one so large.
    pub too_large: u64,
    /// Files that could not be read to their end: the letters in the rest stay.
    pub unread_files: u64,
}

impl ReplayEnded {
    /// Writes the line.
    pub fn emit(&self) {
        let Self {
            replayed,
            dead_again,
            too_large,
            unread_files,
        } = self;
        if *too_large > 0 || *unread_files > 0 {
            warn!(
                replayed,
                dead_again,
                too_large,
                unread_files,
                "dead letters were sent again, but for those that are larger than the spool can hold or lie in a file that cannot be read"
            );
        } else {
            info!(replayed, dead_again, "dead letters were sent again");
        }
    }
}

/// A purge is done.
pub struct PurgeEnded {
    /// Letters that were removed.
    pub purged: u64,
}

impl PurgeEnded {
    /// Writes the line.
    pub fn emit(&self) {
        info!(purged = self.purged, "dead letters were removed on request");
    }
}

/// A request about dead letters cannot be read, and is not looked at again.
pub struct RequestUnreadable<'a> {
    /// Its file, before it gets another name.
    pub path: &'a Path,
    /// What is wrong with it.
    pub reason: &'a dyn Display,
}

impl RequestUnreadable<'_> {
    /// Writes the line.
    pub fn emit(&self) {
        error!(path = %self.path.display(), reason = %self.reason, "a request about dead letters cannot be read and was set aside");
    }
}

/// The folder of the requests, or a request in it, cannot be looked at for now. Logged once.
pub struct RequestsUnseen<'a> {
    /// The I/O error, with the path.
    pub reason: &'a dyn Display,
}

impl RequestsUnseen<'_> {
    /// Writes the line.
    pub fn emit(&self) {
        error!(reason = %self.reason, "it cannot be seen whether there are requests about dead letters; they wait and are looked for again");
    }
}

/// A request that is done with, or is none, cannot be taken out of the folder.
pub struct RequestStays<'a> {
    /// The I/O error, with the path.
    pub reason: &'a dyn Display,
}

impl RequestStays<'_> {
    /// Writes the line.
    pub fn emit(&self) {
        error!(reason = %self.reason, "a request about dead letters cannot be put away; it is left alone until the next start, which takes it up again");
    }
}
