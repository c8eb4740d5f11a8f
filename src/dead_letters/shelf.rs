//! One folder of letters: numbered files that are appended to, turned over at a size, and removed from the oldest
//! on when the quota is reached.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use super::files::{self, LetterRanges, NumberedFile, at, list, path};
use crate::folders::{has_name, make_folder, sync_folder, unless_gone};
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
    /// Makes names durable; tests put their own in its place.
    sync_folder: fn(&Path) -> io::Result<()>,
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
            sync_folder,
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
        let left = files::take_out(&self.folder, number, gone)
            .map_err(|error| at(&path(&self.folder, number), &error))?;
        self.resized(number, left.unwrap_or_default());
        Ok(left.map_or(0, |_| gone.letters() as u64))
    }

    /// Removes a closed file whole; how many letters were in it.
    pub(super) fn remove(&mut self, number: u64) -> io::Result<u64> {
        let letters = files::remove(&self.folder, number)
            .map_err(|error| at(&path(&self.folder, number), &error))?;
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
            let _stays_torn = failed
                .file
                .set_len(failed.bytes)
                .and_then(|()| failed.file.sync_all());
        }
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
            match files::remove(&self.folder, oldest.number) {
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

#[cfg(test)]
mod tests {
    use super::*;

    fn text(folder: &Path) -> String {
        list(folder)
            .unwrap()
            .iter()
            .map(|file| fs::read_to_string(path(folder, file.number)).unwrap())
            .collect()
    }

    #[test]
    fn the_oldest_letters_make_room_and_are_counted() {
        let folder = tempfile::tempdir().unwrap();
        let mut shelf = Shelf::new(folder.path().join("arrival"), 160);
        let mut dropped = 0;
        for number in 100..200 {
            dropped += shelf
                .append(format!("letter {number}\n").as_bytes())
                .unwrap();
        }
        let kept = text(&folder.path().join("arrival"));
        let fills_the_quota = 160 - 160 / FILES as usize..=160;
        assert!(fills_the_quota.contains(&kept.len()), "{}", kept.len());
        assert!(kept.ends_with("letter 198\nletter 199\n"));
        assert_eq!(dropped as usize + kept.lines().count(), 100);
    }

    #[test]
    fn a_file_that_cannot_be_read_makes_room_all_the_same() {
        let folder = tempfile::tempdir().unwrap();
        let unreadable = path(folder.path(), 1);
        // A loop of links cannot be opened, whoever asks.
        std::os::unix::fs::symlink(&unreadable, &unreadable).unwrap();
        let mut shelf = Shelf::new(folder.path().into(), 20);
        for (letter, dropped) in [("one one one\n", 0), ("two two two\n", 1)] {
            assert_eq!(shelf.append(letter.as_bytes()).unwrap(), dropped);
        }
        assert!(fs::symlink_metadata(unreadable).is_err());
        assert_eq!(text(folder.path()), "two two two\n");
    }

    #[test]
    fn a_new_start_goes_on_in_a_new_file() {
        let folder = tempfile::tempdir().unwrap();
        for letter in ["one\n", "two\n"] {
            let mut shelf = Shelf::new(folder.path().into(), 1 << 20);
            shelf.append(letter.as_bytes()).unwrap();
        }
        assert_eq!(text(folder.path()), "one\ntwo\n");
        assert_eq!(list(folder.path()).unwrap().len(), 2);
    }

    #[test]
    fn a_folder_that_cannot_be_synced_gets_no_empty_files() {
        let folder = tempfile::tempdir().unwrap();
        let mut shelf = Shelf::new(folder.path().into(), 1 << 20);
        shelf.fail_syncs(true);
        for _ in 0..3 {
            let failed = shelf.append(b"one\n").unwrap_err();
            assert!(failed.to_string().ends_with("not synced"), "{failed}");
            assert!(list(folder.path()).unwrap().is_empty());
        }
        shelf.fail_syncs(false);
        shelf.append(b"one\n").unwrap();
        assert_eq!(text(folder.path()), "one\n");
    }

    #[test]
    fn a_file_that_was_moved_away_takes_no_more_letters() {
        let (folder, elsewhere) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        let mut shelf = Shelf::new(folder.path().into(), 1 << 20);
        shelf.append(b"one\n").unwrap();
        let number = list(folder.path()).unwrap()[0].number;
        let moved = path(elsewhere.path(), number);
        fs::rename(path(folder.path(), number), &moved).unwrap();
        shelf.append(b"two\n").unwrap();
        assert_eq!(text(folder.path()), "two\n");
        assert_eq!(fs::read_to_string(moved).unwrap(), "one\n");
    }

    #[test]
    fn a_file_that_another_one_took_the_place_of_takes_no_more_letters() {
        let folder = tempfile::tempdir().unwrap();
        let mut shelf = Shelf::new(folder.path().into(), 1 << 20);
        shelf.append(b"one\n").unwrap();
        // As an editor does, and `sed -i`.
        let edited = folder.path().join("edited");
        fs::write(&edited, "edited\n").unwrap();
        let number = list(folder.path()).unwrap()[0].number;
        fs::rename(edited, path(folder.path(), number)).unwrap();
        shelf.append(b"two\n").unwrap();
        assert_eq!(text(folder.path()), "edited\ntwo\n");
    }

    #[test]
    fn numbers_grow_when_every_file_before_is_gone() {
        let folder = tempfile::tempdir().unwrap();
        let mut shelf = Shelf::new(folder.path().into(), 1 << 20);
        let mut last = 0;
        for _ in 0..3 {
            shelf.append(b"letter\n").unwrap();
            let files = list(folder.path()).unwrap();
            assert!(files.len() == 1 && files[0].number > last, "{files:?}");
            last = files[0].number;
            shelf.close();
            assert_eq!(shelf.remove(last).unwrap(), 1);
        }
    }

    #[test]
    fn letters_that_made_room_are_not_taken_out_too() {
        let folder = tempfile::tempdir().unwrap();
        let mut shelf = Shelf::new(folder.path().into(), 20);
        shelf.append(b"one one one\n").unwrap();
        let number = list(folder.path()).unwrap()[0].number;
        let mut chosen = LetterRanges::default();
        chosen.push(0..12);
        assert_eq!(shelf.append(b"two two two\n").unwrap(), 1);
        assert_eq!(shelf.take_out(number, &chosen).unwrap(), 0);
    }

    #[test]
    fn letters_that_were_taken_out_count_no_more_in_the_quota() {
        let folder = tempfile::tempdir().unwrap();
        let mut shelf = Shelf::new(folder.path().into(), 1600);
        let long = "x".repeat(790) + "\n";
        shelf
            .append([&long[..], &long].concat().as_bytes())
            .unwrap();
        shelf.close();
        let number = list(folder.path()).unwrap()[0].number;
        shelf.append(b"new\n").unwrap();
        let mut first = LetterRanges::default();
        first.push(0..long.len() as u64);
        shelf.take_out(number, &first).unwrap();
        let newer = "y".repeat(50) + "\n";
        assert_eq!(shelf.append(newer.as_bytes()).unwrap(), 0);
        assert_eq!(text(folder.path()), [&long, "new\n", &newer].concat());
        shelf.remove(number).unwrap();
        assert_eq!(shelf.append(newer.as_bytes()).unwrap(), 0);
    }
}
