//! The files of a shelf: numbered, a letter a line. Reads them line by line, and takes letters out of one so that a
//! crash at any moment leaves either the old file or the new one.

use std::ffi::{OsStr, OsString};
use std::fs::{self, File};
use std::io::{self, BufRead, BufReader, Read, Seek, SeekFrom};
use std::ops::Range;
use std::os::unix::fs::{MetadataExt, fchown};
use std::path::{Path, PathBuf};

use seglog::is_out_of_handles;

use crate::folders::unless_gone;
use crate::telemetry::events::RemovedUncounted;

/// What is locked in the folder of all shelves.
pub(super) const LOCK_FILE: &str = "lock";

/// The end of the name of a file under way, which is no letter file yet.
pub(super) const UNDER_WAY: &str = "tmp";

/// Where letters stand in one file, in order.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct LetterRanges {
    /// Byte ranges that do not touch each other.
    ranges: Vec<Range<u64>>,
    letters: usize,
}

/// A file of a shelf, as long as it was when it was looked at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct NumberedFile {
    pub(super) number: u64,
    pub(super) bytes: u64,
}

/// A whole line, without its end.
pub(super) struct Line<'a> {
    /// Its bytes in the file, the line end included.
    pub(super) place: Range<u64>,
    pub(super) text: &'a [u8],
}

impl LetterRanges {
    /// Adds a letter, which stands behind all that are there.
    pub(super) fn push(&mut self, place: Range<u64>) {
        self.letters += 1;
        self.push_range(place);
    }

    /// Adds letters, which stand behind all that are there.
    pub fn append(&mut self, more: Self) {
        self.letters += more.letters;
        for range in more.ranges {
            self.push_range(range);
        }
    }

    fn push_range(&mut self, range: Range<u64>) {
        match self.ranges.last_mut() {
            Some(last) if last.end == range.start => last.end = range.end,
            _ => self.ranges.push(range),
        }
    }

    /// How many letters.
    pub fn letters(&self) -> usize {
        self.letters
    }

    /// Bytes of all of them.
    pub fn bytes(&self) -> u64 {
        self.ranges
            .iter()
            .map(|range| range.end - range.start)
            .sum()
    }
}

/// The file of this number.
pub(super) fn path(folder: &Path, number: u64) -> PathBuf {
    folder.join(file_name(number))
}

fn file_name(number: u64) -> OsString {
    format!("{number:012}.ndjson").into()
}

/// The number of the file of this name; none for files of others.
fn number_of(name: &OsStr) -> Option<u64> {
    let number = name.to_str()?.strip_suffix(".ndjson")?.parse().ok()?;
    (file_name(number) == name).then_some(number)
}

/// The files of a folder, oldest first. A folder that is not there has none.
pub(super) fn list(folder: &Path) -> io::Result<Vec<NumberedFile>> {
    let mut files = Vec::new();
    for entry in entries(folder)? {
        let entry = entry?;
        let Some(number) = number_of(&entry.file_name()) else {
            continue;
        };
        // A running server may have just dropped it to make room.
        let metadata = unless_gone(entry.metadata())?;
        if let Some(metadata) = metadata.filter(|metadata| !metadata.is_dir()) {
            files.push(NumberedFile {
                number,
                bytes: metadata.len(),
            });
        }
    }
    files.sort_unstable_by_key(|file| file.number);
    Ok(files)
}

fn entries(folder: &Path) -> io::Result<impl Iterator<Item = io::Result<fs::DirEntry>>> {
    Ok(unless_gone(fs::read_dir(folder))?.into_iter().flatten())
}

/// Calls `take` with each line from the byte `from` on, as long as it says to go on. A last line without an end is
/// under way, or was torn by a crash, and is left out. A file that is not there has no lines.
pub(super) fn for_each_line(
    path: &Path,
    from: u64,
    mut take: impl FnMut(Line<'_>) -> bool,
) -> io::Result<()> {
    let Some(mut file) = unless_gone(File::open(path))? else {
        return Ok(());
    };
    file.seek(SeekFrom::Start(from))?;
    let mut reader = BufReader::with_capacity(64 * 1024, file);
    let mut line = Vec::new();
    let mut start = from;
    loop {
        line.clear();
        let end = start + reader.read_until(b'\n', &mut line)? as u64;
        let Some(text) = line.strip_suffix(b"\n") else {
            return Ok(());
        };
        let place = start..end;
        if !take(Line { place, text }) {
            return Ok(());
        }
        start = end;
    }
}

/// Takes letters out of a file, and removes it when nothing is left; how many bytes are. None where the file is gone
/// itself, because the quota dropped it. What stands behind its first `bytes` goes too. A loss of power brings the letters
/// back until the folder is synced.
pub(super) fn take_out(
    folder: &Path,
    number: u64,
    gone: &LetterRanges,
    bytes: u64,
) -> io::Result<Option<u64>> {
    let path = path(folder, number);
    let Some(mut old) = unless_gone(File::open(&path))? else {
        return Ok(None);
    };
    let left = bytes.saturating_sub(gone.bytes());
    if left == 0 {
        fs::remove_file(&path)?;
    } else {
        let under_way = path.with_extension(UNDER_WAY);
        write_without(&mut old, gone, bytes, &under_way)
            .and_then(|()| fs::rename(&under_way, &path))
            .inspect_err(|_| {
                // What failed is mostly a full disk.
                let _stays_until_the_next_start = fs::remove_file(&under_way);
            })?;
    }
    Ok(Some(left))
}

fn write_without(old: &mut File, gone: &LetterRanges, bytes: u64, path: &Path) -> io::Result<()> {
    let mut new = File::create(path)?;
    keep_access(old, &new)?;
    copy_without(old, gone, bytes, &mut new)?;
    new.sync_all()
}

/// Whoever takes letters out, those who could read the file still can: a server must not fail to start because an
/// administrator has purged.
fn keep_access(old: &File, new: &File) -> io::Result<()> {
    let access = old.metadata()?;
    // Only an administrator may give files away, and only to him do they not belong to the same anyway.
    let _same_owner_mostly = fchown(new, Some(access.uid()), Some(access.gid()));
    new.set_permissions(access.permissions())
}

fn copy_without(old: &mut File, gone: &LetterRanges, bytes: u64, new: &mut File) -> io::Result<()> {
    let mut at = 0;
    for range in &gone.ranges {
        old.seek(SeekFrom::Start(at))?;
        io::copy(&mut old.by_ref().take(range.start - at), new)?;
        at = range.end;
    }
    old.seek(SeekFrom::Start(at))?;
    io::copy(&mut old.take(bytes.saturating_sub(at)), new)?;
    Ok(())
}

/// Removes a file; how many letters were found in its first `bytes`. One that is gone already held none, and one that cannot
/// be read goes all the same: it would else be in the way for good. Where no file can be opened at all just now it stays. A
/// loss of power brings it back until the folder is synced.
pub(super) fn remove(folder: &Path, number: u64, bytes: u64) -> io::Result<u64> {
    let path = path(folder, number);
    let mut letters = 0;
    let read = for_each_line(&path, 0, |line| {
        let counts = line.place.end <= bytes;
        letters += u64::from(counts);
        counts
    });
    let unreadable = unless_out_of_handles(read)?.err();
    unless_gone(fs::remove_file(&path))?;
    if let Some(error) = &unreadable {
        RemovedUncounted {
            path: &path,
            reason: error,
        }
        .emit();
    }
    Ok(letters)
}

/// What reading a file came to, as far as that tells of the file: without a handle for it nobody knows what is in it.
pub(super) fn unless_out_of_handles<T>(outcome: io::Result<T>) -> io::Result<io::Result<T>> {
    match outcome {
        Err(error) if is_out_of_handles(&error) => Err(error),
        outcome => Ok(outcome),
    }
}

/// Removes what a crash left of a rewriting.
pub(super) fn tidy(folder: &Path) -> io::Result<()> {
    let tidied = || {
        for entry in entries(folder)? {
            let path = entry?.path();
            if path.extension().is_some_and(|end| end == UNDER_WAY) {
                unless_gone(fs::remove_file(&path))?;
            }
        }
        Ok(())
    };
    tidied().map_err(|error| at(folder, &error))
}

/// An error with the path that it is about.
pub(super) fn at(path: &Path, error: &io::Error) -> io::Error {
    io::Error::new(error.kind(), format!("{}: {error}", path.display()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lines(path: &Path, from: u64) -> Vec<(Range<u64>, String)> {
        let mut lines = Vec::new();
        for_each_line(path, from, |line| {
            let text = String::from_utf8(line.text.to_vec()).unwrap();
            lines.push((line.place, text));
            true
        })
        .unwrap();
        lines
    }

    #[test]
    fn lines_have_their_places_and_a_torn_one_is_left_out() {
        let folder = tempfile::tempdir().unwrap();
        let path = path(folder.path(), 1);
        assert!(lines(&path, 0).is_empty());
        fs::write(&path, "one\n\nthree\nto").unwrap();
        let three = (5..11, "three".to_owned());
        assert_eq!(
            lines(&path, 0),
            [(0..4, "one".into()), (4..5, String::new()), three.clone()]
        );
        assert_eq!(lines(&path, 5), [three]);
    }

    #[test]
    fn letters_are_taken_out_and_the_rest_stays_as_it_was() {
        for (gone, left) in [
            (&[(0, 2)][..], "b\nc\nd\ntorn"),
            (&[(2, 4), (6, 8)], "a\nc\ntorn"),
            (&[(2, 4), (4, 6)], "a\nd\ntorn"),
            (&[], "a\nb\nc\nd\ntorn"),
        ] {
            let folder = tempfile::tempdir().unwrap();
            fs::write(path(folder.path(), 7), "a\nb\nc\nd\ntorn").unwrap();
            let mut places = LetterRanges::default();
            for (start, end) in gone {
                places.push(*start..*end);
            }
            assert_eq!(places.letters(), gone.len());
            let bytes = take_out(folder.path(), 7, &places, 12).unwrap();
            assert_eq!(bytes, Some(left.len() as u64));
            let text = fs::read_to_string(path(folder.path(), 7)).unwrap();
            assert_eq!(text, left, "without {gone:?}");
        }
    }

    #[test]
    fn a_file_without_letters_goes_and_one_that_is_gone_is_no_fault() {
        let folder = tempfile::tempdir().unwrap();
        fs::write(path(folder.path(), 7), "a\nb\n").unwrap();
        let mut all = LetterRanges::default();
        all.push(0..2);
        all.push(2..4);
        for left in [Some(0), None] {
            assert_eq!(take_out(folder.path(), 7, &all, 4).unwrap(), left);
            assert!(list(folder.path()).unwrap().is_empty());
        }
        assert_eq!(remove(folder.path(), 7, 4).unwrap(), 0);
    }

    #[test]
    fn a_file_that_cannot_be_opened_now_is_not_one_that_cannot_be_read() {
        const EIO: i32 = 5;
        const ENFILE: i32 = 23;
        const EMFILE: i32 = 24;
        let of = |errno| unless_out_of_handles::<()>(Err(io::Error::from_raw_os_error(errno)));
        assert!(of(EMFILE).is_err() && of(ENFILE).is_err());
        assert!(of(EIO).unwrap().is_err());
        unless_out_of_handles(Ok(())).unwrap().unwrap();
    }

    #[test]
    fn what_a_crash_left_is_no_letter_and_is_tidied() {
        let folder = tempfile::tempdir().unwrap();
        let left = path(folder.path(), 7).with_extension(UNDER_WAY);
        fs::write(&left, "half").unwrap();
        assert!(list(folder.path()).unwrap().is_empty());
        tidy(folder.path()).unwrap();
        assert!(!left.exists());
        tidy(&folder.path().join("none")).unwrap();
    }

    #[test]
    fn files_of_other_names_are_not_ours() {
        let folder = tempfile::tempdir().unwrap();
        for name in [
            "7.ndjson",
            "+00000000008.ndjson",
            "000000000009 (copy).ndjson",
            "x",
        ] {
            fs::write(folder.path().join(name), "{}\n").unwrap();
        }
        fs::create_dir(path(folder.path(), 10)).unwrap();
        fs::write(path(folder.path(), 11), "{}\n").unwrap();
        let ours = NumberedFile {
            number: 11,
            bytes: 3,
        };
        assert_eq!(list(folder.path()).unwrap(), [ours]);
    }
}
