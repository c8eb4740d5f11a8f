//! One folder of letters: numbered files that are appended to, turned over at a size, and removed from the oldest
//! on when the quota is reached.

#[cfg(test)]
mod tests;

use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use super::files::{self, LetterRanges, NumberedFile, at, list, path};
use crate::folders::{has_name, is_full, is_removed, make_folder, sync_folder, unless_gone};
use crate::telemetry::events::{DeadLettersDropped, DeadLettersNotDropped};
use crate::units::timestamp::since_epoch;

/// A shelf is a row of this many files, so that making room drops about a sixteenth.
const FILES: u64 = 16;

/// A folder of letters.
pub(super) struct Shelf {
    folder: PathBuf,
    max_bytes: u64,
    /// What is open for writing; none before the first letter.
    current: Option<Current>,
    /// The number of the last file that was opened here.
    last: u64,
    /// The file whose letters are being sent again. It is neither counted nor dropped to make room: what was sent of it
    /// may have died again and be counted in another file, and the rest is asked for.
    being_sent: Option<u64>,
    /// The file that is written no more: there was no room to cut off what failed. It has to be before anything else is
    /// written, which is the same letters.
    uncut: Option<Current>,
    /// Makes names durable; tests put their own in its place.
    sync_folder: fn(&Path) -> io::Result<()>,
    /// Cuts a file; tests put their own in its place.
    cut: fn(&File, u64) -> io::Result<()>,
    /// Whether the oldest letters could not be removed.
    is_stuck: bool,
}

struct Current {
    file: File,
    number: u64,
    bytes: u64,
    /// All files before this one, oldest first.
    full: Vec<NumberedFile>,
}

impl Shelf {
    pub(super) fn new(folder: PathBuf, max_bytes: u64) -> Self {
        Self {
            folder,
            max_bytes,
            current: None,
            last: 0,
            being_sent: None,
            uncut: None,
            sync_folder,
            cut: |file, bytes| file.set_len(bytes).and_then(|()| file.sync_all()),
            is_stuck: false,
        }
    }

    pub(super) fn folder(&self) -> &Path {
        &self.folder
    }

    /// Appends lines, all or none, and gives the number of letters that were dropped to make room. They are safe
    /// when this returns.
    pub(super) fn append(&mut self, lines: &[u8]) -> io::Result<u64> {
        self.write(lines)
            .map_err(|error| at(&self.folder, &error))?;
        let (dropped, outcome) = self.make_room();
        // The letters are kept; room is made with the next ones.
        if let (Err(error), false) = (&outcome, self.is_stuck) {
            DeadLettersNotDropped { reason: error }.emit();
        }
        self.is_stuck = outcome.is_err();
        Ok(dropped)
    }

    /// Goes on in a new file with the next letter, so that those before it can be told from it.
    pub(super) fn close(&mut self) {
        self.current = None;
    }

    /// The files, oldest first. What is still to be cut off one is no part of it.
    pub(super) fn files(&self) -> io::Result<Vec<NumberedFile>> {
        let mut files = list(&self.folder)?;
        for file in &mut files {
            file.bytes = self.without_tail(file.number, file.bytes);
        }
        Ok(files)
    }

    /// How long a file is, without what is still to be cut off it; none where it is gone.
    pub(super) fn bytes_of(&self, number: u64) -> io::Result<Option<u64>> {
        let found = unless_gone(fs::metadata(path(&self.folder, number)))?;
        Ok(found.map(|found| self.without_tail(number, found.len())))
    }

    fn without_tail(&self, number: u64, bytes: u64) -> u64 {
        let uncut = self.uncut.as_ref().filter(|uncut| {
            uncut.number == number && has_name(&uncut.file, &path(&self.folder, number))
        });
        uncut.map_or(bytes, |uncut| bytes.min(uncut.bytes))
    }

    /// Leaves this file out when room is made, or none.
    pub(super) fn set_being_sent(&mut self, number: Option<u64>) {
        self.being_sent = number;
    }

    /// Makes durable what was removed.
    pub(super) fn sync(&self) -> io::Result<()> {
        unless_gone((self.sync_folder)(&self.folder))
            .map(drop)
            .map_err(|error| at(&self.folder, &error))
    }

    /// Takes letters out of a closed file; how many they were. None are where the quota dropped it meanwhile, which counted
    /// them.
    pub(super) fn take_out(&mut self, number: u64, gone: &LetterRanges) -> io::Result<u64> {
        let taken = self
            .bytes_of(number)
            .map(Option::unwrap_or_default)
            .and_then(|bytes| files::take_out(&self.folder, number, gone, bytes));
        let left = taken.map_err(|error| at(&path(&self.folder, number), &error))?;
        self.resized(number, left.unwrap_or_default());
        Ok(left.map_or(0, |_| gone.letters() as u64))
    }

    /// Removes a closed file whole; how many letters were in it.
    pub(super) fn remove(&mut self, number: u64) -> io::Result<u64> {
        let removed = self
            .bytes_of(number)
            .map(Option::unwrap_or_default)
            .and_then(|bytes| files::remove(&self.folder, number, bytes));
        let letters = removed.map_err(|error| at(&path(&self.folder, number), &error))?;
        self.resized(number, 0);
        Ok(letters)
    }

    /// Minds the new size of a file in the quota; one of no bytes is gone.
    fn resized(&mut self, number: u64, left: u64) {
        if let Some(current) = &mut self.current {
            current.full.retain_mut(|file| {
                if file.number == number {
                    file.bytes = left;
                }
                file.bytes > 0
            });
        }
    }

    fn write(&mut self, lines: &[u8]) -> io::Result<()> {
        self.cut_off_what_is_left()?;
        let turn_at = self.max_bytes / FILES;
        let needs_next = match &self.current {
            None => true,
            // What is written would go with a file that was removed or moved away, or that an editor put another one in the
            // place of.
            Some(current) => {
                let path = path(&self.folder, current.number);
                current.is_full_for(lines, turn_at) || !has_name(&current.file, &path)
            }
        };
        if needs_next {
            self.open_next()?;
        }
        let current = self
            .current
            .as_mut()
            .expect("open_next has opened one where there was none");
        let written = current
            .file
            .write_all(lines)
            .and_then(|()| current.file.sync_data());
        if let Err(error) = written {
            self.cut_off_what_failed();
            return Err(error);
        }
        current.bytes += lines.len() as u64;
        Ok(())
    }

    /// Part of what could not be written or synced may be in the file: without the rest it would spoil the next
    /// letter, and whole it would be there twice when it is written again. That goes to another file, for after a
    /// failed sync nobody knows what this one holds.
    fn cut_off_what_failed(&mut self) {
        let Some(failed) = self.current.take() else {
            return;
        };
        if failed.bytes == 0 {
            // Else every attempt, on a full disk or in a folder that cannot be synced, would leave an empty file.
            let _stays_empty =
                fs::remove_file(path(&self.folder, failed.number)).and_then(|()| self.sync());
        } else {
            self.uncut = Some(failed);
            let _tried_again_with_the_next = self.cut_off_what_is_left();
        }
    }

    /// With a quota of btrfs that is used up no file can be cut; one that was removed need not be, and to let it go gives back
    /// its room. What cannot be cut for another reason stays torn.
    fn cut_off_what_is_left(&mut self) -> io::Result<()> {
        let Some(Current { file, bytes, .. }) = &self.uncut else {
            return Ok(());
        };
        let outcome = (self.cut)(file, *bytes);
        if let Err(error) = &outcome
            && is_full(error)
            && !is_removed(file)
        {
            return outcome;
        }
        self.uncut = None;
        Ok(())
    }

    fn open_next(&mut self) -> io::Result<()> {
        make_folder(&self.folder)?;
        let full = list(&self.folder)?;
        let number = self.next_number(&full);
        let file = OpenOptions::new()
            .append(true)
            .create_new(true)
            .open(path(&self.folder, number))?;
        self.last = number;
        self.current = Some(Current {
            file,
            number,
            bytes: 0,
            full,
        });
        (self.sync_folder)(&self.folder).inspect_err(|_| self.cut_off_what_failed())
    }

    /// Numbers only grow, also when all files before are gone: a request means the letters up to a number, and must
    /// never come to mean later ones. So a file is numbered by the second in which it is opened.
    fn next_number(&self, full: &[NumberedFile]) -> u64 {
        let second = since_epoch(SystemTime::now()).as_secs();
        let newest = full.last().map_or(0, |newest| newest.number);
        second
            .max(newest.saturating_add(1))
            .max(self.last.saturating_add(1))
    }

    /// Drops the oldest files until the quota is kept; how many letters that were, and why it ended early.
    fn make_room(&mut self) -> (u64, io::Result<()>) {
        let mut dropped = 0;
        let Some(current) = &mut self.current else {
            return (dropped, Ok(()));
        };
        let being_sent = self.being_sent;
        let counts = |file: &NumberedFile| Some(file.number) != being_sent;
        let counted = current.full.iter().filter(|file| counts(file));
        let mut bytes = current.bytes + counted.map(|file| file.bytes).sum::<u64>();
        while bytes > self.max_bytes
            && let Some(index) = current.full.iter().position(counts)
        {
            let oldest = current.full[index];
            let path = path(&self.folder, oldest.number);
            // Nothing is still to be cut off when something was written.
            match files::remove(&self.folder, oldest.number, u64::MAX) {
                Ok(letters) => {
                    DeadLettersDropped {
                        path: &path,
                        letters,
                    }
                    .emit();
                    dropped += letters;
                }
                Err(error) => return (dropped, Err(at(&path, &error))),
            }
            // It has happened, and should the folder not be safe a loss of power brings the letters back.
            let _comes_back_at_worst = (self.sync_folder)(&self.folder);
            current.full.remove(index);
            bytes -= oldest.bytes;
        }
        (dropped, Ok(()))
    }
}

#[cfg(test)]
impl Shelf {
    /// From now on nothing can be written to the file that is open, nor can any be cut.
    pub(super) fn use_up_quota(&mut self) {
        self.cut = |_, _| Err(io::ErrorKind::QuotaExceeded.into());
        if let Some(current) = &mut self.current {
            current.file = File::open(path(&self.folder, current.number)).unwrap();
        }
    }

    /// There is room again.
    pub(super) fn raise_quota(&mut self) {
        self.cut = |file, bytes| file.set_len(bytes);
        if let Some(uncut) = &mut self.uncut {
            let path = path(&self.folder, uncut.number);
            let opened = OpenOptions::new().write(true).open(path);
            uncut.file = opened.unwrap_or_else(|_| uncut.file.try_clone().unwrap());
        }
    }

    /// From now on the folder cannot be synced, or can be again.
    pub(super) fn fail_syncs(&mut self, fail: bool) {
        self.sync_folder = if fail {
            |_| Err(io::Error::other("not synced"))
        } else {
            sync_folder
        };
    }
}

impl Current {
    fn is_full_for(&self, lines: &[u8], turn_at: u64) -> bool {
        self.bytes > 0 && self.bytes + lines.len() as u64 > turn_at
    }
}
