//! What could not be delivered: letters of events that died on arrival or that a Broker rejected, one JSON object a
//! line, on two shelves with a quota each, so that a flood of nonsense evicts no event that a Broker rejected; and
//! the requests to send them again or to remove them.
//!
//! Everything here blocks on the file system; callers are on a thread where that is allowed.

mod files;
mod letter;
mod reader;
mod recalled;
mod requests;
mod shelf;
mod shelf_kind;
mod shelves;
#[cfg(test)]
mod tests;

use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use jiff::Timestamp;
use thiserror::Error;

use crate::config;
use crate::event::{Lines, Position};
use crate::folders::sync_folder;
use crate::telemetry::events::{EventDeadLettered, LettersNotRecalled};
use crate::telemetry::{DeathReason, Telemetry};
use crate::units::timestamp;
pub use files::LetterRanges;
pub use letter::UndeliverableEvent;
use letter::{push_arrived, reason_of, undeliverable};
pub use reader::{KeptLetter, damaged_lines, is_folder_of_letters, read};
use recalled::Recalled;
pub use requests::{Action, QueuedRequest, Request, remove_request, set_request_aside};
use shelf_kind::ShelfKind;
use shelves::Shelves;
pub use shelves::{LetterBatch, LetterFile, ReadLimits};

/// How far the clock of files may be behind the one that tells when something was.
const CLOCK_SLACK: Duration = Duration::from_secs(10);

/// The store. Clones share it, and the lock of its folder.
#[derive(Clone)]
pub struct DeadLetters {
    shelves: Arc<Shelves>,
    recalled: Arc<Recalled>,
    telemetry: Arc<Telemetry>,
}

/// The folder cannot be used.
#[derive(Debug, Error)]
pub enum OpenError {
    /// Somebody else writes to it.
    #[error("{} is locked: another server or a purge is using it", folder.display())]
    Locked {
        /// The folder.
        folder: PathBuf,
    },
    /// It cannot be made or written.
    #[error("{}", folder.display())]
    Folder {
        /// The folder.
        folder: PathBuf,
        /// The I/O error.
        source: io::Error,
    },
}

impl DeadLetters {
    /// Opens the configured folder, which is made if it is not there, and locks it.
    ///
    /// # Errors
    /// See [`OpenError`].
    pub fn open(
        config: &config::DeadLetters,
        telemetry: Arc<Telemetry>,
    ) -> Result<Self, OpenError> {
        let shelves = Shelves::open(&config.dir, config.max_bytes.bytes())?;
        let letters = Self {
            shelves: Arc::new(shelves),
            recalled: Arc::default(),
            telemetry,
        };
        // Before the first scrape.
        letters.measure();
        Ok(letters)
    }

    /// To be told at start, after a crash, which positions may come again: a letter that was kept since then, and
    /// whose position is open, is counted and not written when it comes. Letters of a file that cannot be read or synced
    /// are written a second time at worst.
    ///
    /// # Errors
    /// I/O errors of listing the files, naming the path.
    pub fn recall(&self, since: SystemTime, is_open: impl Fn(Position) -> bool) -> io::Result<()> {
        let since = since.checked_sub(CLOCK_SLACK).unwrap_or(since);
        for kind in ShelfKind::ALL {
            let shelf = self.shelves.folder().join(kind.folder_name());
            for file in files::list(&shelf).map_err(|error| files::at(&shelf, &error))? {
                let path = files::path(&shelf, file.number);
                match recent_ids(&path, since, &is_open) {
                    Ok(ids) => ids.into_iter().for_each(|id| self.recalled.add(id)),
                    Err(error) => {
                        let (path, reason) = (&path, &error);
                        LettersNotRecalled { path, reason }.emit();
                    }
                }
            }
        }
        Ok(())
    }

    /// Keeps letters that were rendered on arrival, of several envelopes at once; each position is that of the
    /// first one beside it. They are safe when this returns.
    ///
    /// # Errors
    /// I/O errors, naming the path; no letter of the call is kept then.
    pub fn keep_arrived(&self, parts: &[(Position, Lines)]) -> io::Result<()> {
        let letters = || {
            parts
                .iter()
                .flat_map(|(first, lines)| (*first..).zip(lines.iter()))
        };
        let kept_before = self.recalled.among(letters().map(|(id, _)| id));
        let bytes = parts
            .iter()
            .map(|(_, lines)| lines.bytes.len() + 24 * lines.count);
        let mut text = Vec::with_capacity(bytes.sum());
        for (id, letter) in letters().filter(|(id, _)| !kept_before.contains(id)) {
            push_arrived(&mut text, id, letter);
        }
        self.write(ShelfKind::Arrival, &text)?;
        self.recalled.forget(&kept_before);
        for (id, letter) in letters() {
            self.note(id, reason_of(letter));
        }
        Ok(())
    }

    /// Keeps an event that a Broker does not take. It is safe when this returns.
    ///
    /// # Errors
    /// I/O errors, naming the path; the letter is not kept then.
    pub fn keep_undeliverable(&self, event: &UndeliverableEvent<'_>) -> io::Result<()> {
        let kept_before = self.recalled.among(std::iter::once(event.position));
        if kept_before.is_empty() {
            let at = timestamp::to_text(Timestamp::now());
            self.write(ShelfKind::Broker, &undeliverable(event, &at)?)?;
        }
        self.recalled.forget(&kept_before);
        self.note(event.position, event.reason);
        Ok(())
    }

    fn note(&self, id: Position, reason: DeathReason) {
        self.telemetry.dead_lettered(reason);
        let reason = reason.as_str();
        EventDeadLettered { id: &id, reason }.emit();
    }

    fn write(&self, shelf: ShelfKind, letters: &[u8]) -> io::Result<()> {
        if letters.is_empty() {
            return Ok(());
        }
        let dropped = self.shelves.append(shelf, letters)?;
        if dropped > 0 {
            self.telemetry.letters_dropped(dropped);
        }
        Ok(())
    }

    /// The oldest request that waits in the folder, but for those to be passed over.
    ///
    /// # Errors
    /// I/O errors, naming the path.
    pub fn next_request(&self, passed_over: &[PathBuf]) -> io::Result<Option<QueuedRequest>> {
        self.shelves.next_request(passed_over)
    }

    /// The files that a request is about, oldest first. Letters that are kept from now on go to others.
    ///
    /// # Errors
    /// I/O errors, naming the path.
    pub fn files(&self, request: &Request) -> io::Result<Vec<LetterFile>> {
        self.shelves.files(request)
    }

    /// Until [`Self::end_sending`] this file, of all on its shelf, makes no room for others, nor counts in the limit: its
    /// letters are being sent again, and some may come back.
    pub fn begin_sending(&self, file: LetterFile) {
        self.shelves.begin_sending(file);
    }

    /// What is left of the file counts again.
    pub fn end_sending(&self, file: LetterFile) {
        self.shelves.end_sending(file);
    }

    /// Letters of a file that a request is about, from the byte `from` on; none when there are no more, or when the
    /// file made room for others before it was begun.
    ///
    /// # Errors
    /// I/O errors, naming the path.
    pub fn read(
        &self,
        file: LetterFile,
        from: u64,
        request: &Request,
        limits: ReadLimits,
    ) -> io::Result<LetterBatch> {
        self.shelves.read(file, from, request, limits)
    }

    /// Takes letters out of a file: what stood behind them is as many bytes nearer to its beginning then.
    ///
    /// # Errors
    /// I/O errors, naming the path; the file is as it was then.
    pub fn take_out(&self, file: LetterFile, gone: &LetterRanges) -> io::Result<()> {
        self.shelves.take_out(file, gone)
    }

    /// Removes the letters that a request is about, and counts them; how many they were. They are gone for good once [`Self::sync`] has
    /// returned.
    ///
    /// # Errors
    /// I/O errors, naming the path; some may be gone then.
    pub fn purge(&self, request: &Request) -> io::Result<u64> {
        let mut purged = 0;
        self.shelves.purge(request, |letters| {
            purged += letters;
            self.telemetry.letters_purged(letters);
        })?;
        Ok(purged)
    }

    /// Tells in the metrics how many bytes are kept. What cannot be looked at is as it was the last time.
    pub fn measure(&self) {
        for kind in ShelfKind::ALL {
            if let Ok(bytes) = self.shelves.bytes(kind) {
                self.telemetry.letters_kept(kind.folder_name(), bytes);
            }
        }
    }

    /// Makes durable what was removed.
    ///
    /// # Errors
    /// I/O errors, naming the path: a loss of power may bring letters back.
    pub fn sync(&self) -> io::Result<()> {
        self.shelves.sync()
    }
}

/// The ids of the open letters in a file that was written since then, which are safe when this returns.
fn recent_ids(
    path: &Path,
    since: SystemTime,
    is_open: impl Fn(Position) -> bool,
) -> io::Result<Vec<Position>> {
    let mut ids = Vec::new();
    if fs::metadata(path)?.modified()? < since {
        return Ok(ids);
    }
    reader::read_file(path, &mut |letter| {
        ids.extend(letter.position().filter(|id| is_open(*id)));
        true
    })?;
    // They may have been written and not synced, and their events are going to be acked because of them.
    File::open(path)?.sync_all()?;
    path.parent().map_or(Ok(()), sync_folder)?;
    Ok(ids)
}

/// Why letters were not purged.
#[derive(Debug, Error)]
pub enum PurgeError {
    /// The folder cannot be used.
    #[error(transparent)]
    Open(#[from] OpenError),
    /// A file cannot be read or written.
    #[error(transparent)]
    Files(#[from] io::Error),
    /// What was done is not durable.
    #[error("dead letters were removed ({purged}), but a loss of power may bring them back")]
    NotDurable {
        /// How many letters.
        purged: u64,
        /// The I/O error.
        source: io::Error,
    },
}

/// Removes letters where no server runs; how many they were.
///
/// # Errors
/// [`OpenError::Locked`] where one does, and else the system's.
pub fn purge(folder: &Path, request: &Request) -> Result<u64, PurgeError> {
    let shelves = Shelves::open(folder, 0)?;
    let mut purged = 0;
    shelves.purge(request, |letters| purged += letters)?;
    match shelves.sync() {
        Ok(()) => Ok(purged),
        Err(source) => Err(PurgeError::NotDurable { purged, source }),
    }
}
