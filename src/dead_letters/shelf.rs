//! One folder of letters: numbered files that are appended to, turned over at a size, and removed from the oldest
//! on when the quota is reached.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use crate::telemetry::events::{DeadLettersDropped, DeadLettersFailed};

/// A shelf is a row of this many files, so that making room drops about a sixteenth.
const FILES: u64 = 16;

/// A folder of letters.
pub(super) struct Shelf {
    folder: PathBuf,
    max_bytes: u64,
    /// What is open for writing; none before the first letter.
    current: Option<Current>,
}

struct Current {
    file: File,
    bytes: u64,
    /// Of all files before this one: number and bytes, oldest first.
    full: Vec<(u64, u64)>,
}

impl Shelf {
    pub(super) fn new(folder: PathBuf, max_bytes: u64) -> Self {
        Self {
            folder,
            max_bytes,
            current: None,
        }
    }

    /// Appends lines, all or none, and gives the number of letters that were dropped to make room.
    pub(super) fn append(&mut self, lines: &[u8]) -> io::Result<u64> {
        self.write(lines).map_err(|error| {
            io::Error::new(error.kind(), format!("{}: {error}", self.folder.display()))
        })?;
        let (dropped, outcome) = self.make_room();
        if let Err(error) = outcome {
            // The letters are kept; room is made with the next ones.
            DeadLettersFailed { reason: &error }.emit();
        }
        Ok(dropped)
    }

    fn write(&mut self, lines: &[u8]) -> io::Result<()> {
        let turn_at = self.max_bytes / FILES;
        let needs_next = match &self.current {
            None => true,
            Some(current) => current.is_full_for(lines, turn_at) || !current.is_there(),
        };
        if needs_next {
            self.open_next()?;
        }
        let current = self
            .current
            .as_mut()
            .expect("open_next has opened one where there was none");
        if let Err(error) = current.file.write_all(lines) {
            // Part of it may be in the file; without the rest it would spoil the next letter.
            if current.file.set_len(current.bytes).is_err() {
                self.current = None;
            }
            return Err(error);
        }
        current.bytes += lines.len() as u64;
        Ok(())
    }

    fn open_next(&mut self) -> io::Result<()> {
        fs::create_dir_all(&self.folder)?;
        let full = list(&self.folder)?;
        let number = full.last().map_or(1, |(number, _)| number + 1);
        let file = OpenOptions::new()
            .append(true)
            .create_new(true)
            .open(path(&self.folder, number))?;
        self.current = Some(Current {
            file,
            bytes: 0,
            full,
        });
        Ok(())
    }

    /// Drops the oldest files until the quota is kept; how many letters that were, and why it ended early.
    fn make_room(&mut self) -> (u64, io::Result<()>) {
        let mut dropped = 0;
        let Some(current) = &mut self.current else {
            return (dropped, Ok(()));
        };
        let mut bytes = current.bytes + current.full.iter().map(|(_, bytes)| bytes).sum::<u64>();
        while bytes > self.max_bytes && !current.full.is_empty() {
            let (number, freed) = current.full[0];
            let path = path(&self.folder, number);
            match remove(&path) {
                Ok(letters) => dropped += letters,
                Err(error) => return (dropped, Err(error)),
            }
            current.full.remove(0);
            bytes -= freed;
        }
        (dropped, Ok(()))
    }
}

/// Removes a file of letters; how many they were. One that is gone already held none.
fn remove(path: &Path) -> io::Result<u64> {
    let letters = match fs::read(path) {
        Ok(text) => memchr::memchr_iter(b'\n', &text).count() as u64,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(0),
        Err(error) => return Err(error),
    };
    fs::remove_file(path)?;
    DeadLettersDropped { path, letters }.emit();
    Ok(letters)
}

impl Current {
    fn is_full_for(&self, lines: &[u8], turn_at: u64) -> bool {
        self.bytes > 0 && self.bytes + lines.len() as u64 > turn_at
    }

    /// Whether the file still has a name: what is written would go with one that was removed.
    fn is_there(&self) -> bool {
        self.file
            .metadata()
            .is_ok_and(|metadata| metadata.nlink() > 0)
    }
}

/// The file of this number.
pub(super) fn path(folder: &Path, number: u64) -> PathBuf {
    folder.join(format!("{number:012}.ndjson"))
}

/// Number and bytes of each file, oldest first.
pub(super) fn list(folder: &Path) -> io::Result<Vec<(u64, u64)>> {
    let mut files = Vec::new();
    for entry in fs::read_dir(folder)? {
        let entry = entry?;
        let name = entry.file_name();
        let number = name.to_str().and_then(|name| name.strip_suffix(".ndjson"));
        if let Some(number) = number.and_then(|number| number.parse().ok()) {
            files.push((number, entry.metadata()?.len()));
        }
    }
    files.sort_unstable();
    Ok(files)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(folder: &Path) -> String {
        list(folder)
            .unwrap()
            .iter()
            .map(|(number, _)| fs::read_to_string(path(folder, *number)).unwrap())
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
        assert!(kept.len() <= 160, "{} bytes are kept", kept.len());
        assert!(kept.ends_with("letter 198\nletter 199\n"));
        assert_eq!(dropped as usize + kept.lines().count(), 100);
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
}
