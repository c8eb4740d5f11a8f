//! Reads the letters of a folder, beside a running server or without one. Touches nothing.

use std::fs::File;
use std::io::{self, BufRead, BufReader};
use std::path::{Path, PathBuf};

use serde::Deserialize;

use super::SHELVES;
use super::shelf::{list, path};

/// What a letter says of itself, and its whole text.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
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
    /// The letter as it lies in its file: a JSON object.
    #[serde(skip)]
    pub text: String,
}

/// Calls `take` with each letter of the folder, those of events that died on arrival first, oldest first. It says
/// whether to go on.
///
/// # Errors
/// The system's, with the path. A folder that is not there holds no letters.
pub fn read(folder: &Path, mut take: impl FnMut(KeptLetter) -> bool) -> io::Result<()> {
    for shelf in SHELVES {
        let shelf = folder.join(shelf);
        if !shelf.exists() {
            continue;
        }
        for (number, _) in list(&shelf).map_err(|error| at(&shelf, &error))? {
            let path = path(&shelf, number);
            if !read_file(&path, &mut take)? {
                return Ok(());
            }
        }
    }
    Ok(())
}

fn read_file(path: &PathBuf, take: &mut impl FnMut(KeptLetter) -> bool) -> io::Result<bool> {
    let file = match File::open(path) {
        Ok(file) => file,
        // A running server has just dropped it to make room.
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(true),
        Err(error) => return Err(at(path, &error)),
    };
    for line in BufReader::new(file).lines() {
        let text = line.map_err(|error| at(path, &error))?;
        // The last line may be under way while a server writes it.
        let Ok(mut letter) = serde_json::from_str::<KeptLetter>(&text) else {
            continue;
        };
        letter.text = text;
        if !take(letter) {
            return Ok(false);
        }
    }
    Ok(true)
}

fn at(path: &Path, error: &io::Error) -> io::Error {
    io::Error::new(error.kind(), format!("{}: {error}", path.display()))
}
