//! Reads the letters of a folder, beside a running server or without one. Touches nothing.

use std::io;
use std::path::{Path, PathBuf};

use serde::Deserialize;
use serde_json::value::RawValue;

use super::files::{LOCK_FILE, at, for_each_line, list, path};
use super::shelf_kind::ShelfKind;
use crate::event::Position;

/// What a letter says of itself, and its whole text.
#[derive(Clone, Debug, Deserialize)]
pub struct KeptLetter {
    /// The position of its event.
    pub id: String,
    /// When the event became a letter: ISO 8601, UTC.
    pub at: String,
    /// Why, in one word.
    pub reason: String,
    /// The Broker's status, where a Broker rejected it.
    #[serde(default)]
    pub status: Option<u16>,
    /// Its event as it lies: digits and escapes are not to change.
    pub event: Box<RawValue>,
    /// The letter as it lies in its file: a JSON object.
    #[serde(skip)]
    pub text: String,
}

impl KeptLetter {
    /// The letter that a line is; none where it is none, as a crash may leave.
    pub(super) fn parse(line: &[u8]) -> Option<Self> {
        // serde would take an array for a letter too.
        let text = std::str::from_utf8(line)
            .ok()
            .filter(|text| text.starts_with('{'))?;
        let mut letter: Self = serde_json::from_str(text).ok()?;
        text.clone_into(&mut letter.text);
        Some(letter)
    }

    /// The position of its event.
    pub fn position(&self) -> Option<Position> {
        self.id.parse().ok()
    }
}

/// Whether a folder is one of dead letters, with or without a letter in it.
///
/// # Errors
/// I/O errors, naming the path: of a folder that may not be looked into nobody knows what it is.
pub fn is_folder_of_letters(folder: &Path) -> io::Result<bool> {
    let shelves = ShelfKind::ALL.map(ShelfKind::folder_name);
    for name in shelves.into_iter().chain([LOCK_FILE]) {
        let path = folder.join(name);
        if path.try_exists().map_err(|error| at(&path, &error))? {
            return Ok(true);
        }
    }
    Ok(false)
}

/// Calls `take` with each letter of the folder, those of events that died on arrival first, oldest first. It says
/// whether to go on.
///
/// # Errors
/// I/O errors, naming the path. A folder that is not there holds no letters.
pub fn read(folder: &Path, mut take: impl FnMut(KeptLetter) -> bool) -> io::Result<()> {
    for file in letter_files(folder)? {
        if !read_file(&file, &mut take)? {
            break;
        }
    }
    Ok(())
}

/// The files of the folder with lines that are no letters, and how many of them: what a bad disk or an editor has left.
///
/// # Errors
/// I/O errors, naming the path.
pub fn damaged_lines(folder: &Path) -> io::Result<Vec<(PathBuf, u64)>> {
    let mut damaged = Vec::new();
    for file in letter_files(folder)? {
        let mut lines = 0;
        for_each_line(&file, 0, |line| {
            lines += u64::from(KeptLetter::parse(line.text).is_none());
            true
        })
        .map_err(|error| at(&file, &error))?;
        if lines > 0 {
            damaged.push((file, lines));
        }
    }
    Ok(damaged)
}

/// The files of all shelves, in the order in which they are read.
fn letter_files(folder: &Path) -> io::Result<Vec<PathBuf>> {
    let mut files = Vec::new();
    for kind in ShelfKind::ALL {
        let shelf = folder.join(kind.folder_name());
        let listed = list(&shelf).map_err(|error| at(&shelf, &error))?;
        files.extend(listed.iter().map(|file| path(&shelf, file.number)));
    }
    Ok(files)
}

/// As [`read`], with one file; whether to go on.
pub(super) fn read_file(
    path: &Path,
    take: &mut impl FnMut(KeptLetter) -> bool,
) -> io::Result<bool> {
    let mut goes_on = true;
    for_each_line(path, 0, |line| {
        if let Some(letter) = KeptLetter::parse(line.text) {
            goes_on = take(letter);
        }
        goes_on
    })
    .map_err(|error| at(path, &error))?;
    Ok(goes_on)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_event_is_given_as_it_lies() {
        for event in [
            r#"{"event":{"n":1e400, "m":"\ud800"}}"#,
            r#""text \" with \"event\":1""#,
            "null",
        ] {
            for key in ["event", "\\u0065vent"] {
                let line = format!(
                    r#"{{"id":"1","at":"x","reason":"r", "{key}" : {event} ,"original_bytes":7}}"#
                );
                let letter = KeptLetter::parse(line.as_bytes()).unwrap();
                assert_eq!(letter.event.get(), event, "{line}");
            }
        }
    }

    #[test]
    fn what_is_no_letter_is_none() {
        for line in [
            r#"["4","x","r",400,{"n":1}]"#,
            r#"{"id":"1","at":"x","reason":"r"}"#,
            r#"{"id":"1","at":"x","reason":"r","event":{}"#,
            "",
        ] {
            assert!(KeptLetter::parse(line.as_bytes()).is_none(), "{line}");
        }
    }
}
