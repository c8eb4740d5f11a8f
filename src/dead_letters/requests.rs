//! Requests: files by which the command line asks a server, running or to be started, to do something with the
//! letters. Each is written under another name first, so that a server reads it whole or not at all.

use std::collections::BTreeSet;
use std::ffi::OsString;
use std::fs::{self, File};
use std::io::{self, Write};
use std::os::unix::fs::{MetadataExt, fchown};
use std::path::{Path, PathBuf};
use std::process;
use std::time::SystemTime;

use serde::{Deserialize, Serialize};

use super::files::{NumberedFile, UNDER_WAY, at, list, tidy};
use super::shelf_kind::{PerShelf, ShelfKind};
use crate::event::Position;
use crate::folders::{make_folder, sync_folder, unless_gone};
use crate::units::timestamp::since_epoch;

/// The folder of the requests, beside the shelves.
const FOLDER: &str = "requests";

/// What is to be done with letters.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Action {
    /// They are sent the normal way again.
    Replay,
    /// They are removed.
    Purge,
}

impl Action {
    /// The word in requests and in the log.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Replay => "replay",
            Self::Purge => "purge",
        }
    }
}

/// What is asked for.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Request {
    /// What is to be done.
    pub action: Action,
    /// The letters that it is about; all of them without.
    ids: Option<BTreeSet<Position>>,
    /// The newest file of each shelf when it was made: what came later is not meant. Else a letter of an event that
    /// fails again would be sent again when a crash makes the request begin anew, and a purge would take what nobody
    /// has seen.
    through: PerShelf<u64>,
    /// How much of that file is meant. Requests of older versions mean all of it.
    #[serde(default)]
    newest: Newest,
}

/// How much of the newest file of each shelf is meant: it may be written on until the request is looked at.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Newest {
    /// What it was long when the request was made.
    Bytes(PerShelf<u64>),
    /// All but so many bytes at its end. This stays true when letters before them are taken out.
    AllBut(PerShelf<u64>),
}

impl Default for Newest {
    fn default() -> Self {
        Self::AllBut(PerShelf::default())
    }
}

/// A request that waits in the folder.
#[derive(Debug)]
pub struct QueuedRequest {
    /// Its file.
    pub path: PathBuf,
    /// What it asks for, or why it is no request, or none that may be read.
    pub request: io::Result<Request>,
}

impl Request {
    /// A request about these letters, or about all that there are now.
    ///
    /// # Errors
    /// I/O errors, naming the path.
    pub fn new(folder: &Path, action: Action, ids: Option<BTreeSet<Position>>) -> io::Result<Self> {
        let (mut through, mut bytes) = (PerShelf::default(), PerShelf::default());
        for kind in ShelfKind::ALL {
            let shelf = folder.join(kind.folder_name());
            let files = list(&shelf).map_err(|error| at(&shelf, &error))?;
            if let Some(newest) = files.last() {
                through[kind as usize] = newest.number;
                bytes[kind as usize] = newest.bytes;
            }
        }
        Ok(Self {
            action,
            ids,
            through,
            newest: Newest::Bytes(bytes),
        })
    }

    /// Puts it into the folder, where a server finds it, now or at its next start.
    ///
    /// # Errors
    /// I/O errors, naming the path.
    pub fn submit(&self, folder: &Path) -> io::Result<()> {
        let folder = folder.join(FOLDER);
        self.write(&folder).map_err(|error| at(&folder, &error))
    }

    fn write(&self, folder: &Path) -> io::Result<()> {
        loop {
            make_folder(folder)?;
            // Names are in the order of the requests, and no two processes choose the same.
            let micros = since_epoch(SystemTime::now()).as_micros();
            let path = folder.join(format!("{micros:020}-{}.json", process::id()));
            // A server that starts takes what is being written for the rest of a crash, and removes it.
            if let Some(()) = unless_gone(self.write_to(&path))? {
                return Ok(());
            }
        }
    }

    fn write_to(&self, path: &Path) -> io::Result<()> {
        let under_way = path.with_extension(UNDER_WAY);
        self.write_whole(&under_way)
            .and_then(|()| fs::rename(&under_way, path))
            .inspect_err(|_| {
                // What failed is mostly a full disk.
                let _stays_until_the_next_start = fs::remove_file(&under_way);
            })?;
        sync_folder_of(path)
    }

    fn write_whole(&self, path: &Path) -> io::Result<()> {
        let mut file = File::create(path)?;
        // Where root asks, the server is to read it and to remove it.
        let owner = fs::metadata(path.parent().unwrap_or(path))?;
        let _only_root_can = fchown(&file, Some(owner.uid()), Some(owner.gid()));
        file.write_all(&serde_json::to_vec(self)?)?;
        file.sync_all()
    }

    /// Whether it is about all letters.
    pub(super) fn is_for_all(&self) -> bool {
        self.ids.is_none()
    }

    /// How many letters it names; none when it is about all.
    pub fn named(&self) -> Option<usize> {
        self.ids.as_ref().map(BTreeSet::len)
    }

    /// Whether it is about this letter.
    pub(super) fn wants(&self, id: Option<Position>) -> bool {
        match &self.ids {
            None => true,
            Some(ids) => id.is_some_and(|id| ids.contains(&id)),
        }
    }

    /// Whether it is about letters of this file.
    pub(super) fn covers(&self, shelf: ShelfKind, number: u64) -> bool {
        number <= self.through[shelf as usize]
    }

    /// How many bytes at the end of this file, which is written no more, came later than the request.
    pub(super) fn later_bytes(&self, shelf: ShelfKind, file: NumberedFile) -> u64 {
        match self.newest {
            _ if file.number != self.through[shelf as usize] => 0,
            Newest::Bytes(meant) => file.bytes.saturating_sub(meant[shelf as usize]),
            Newest::AllBut(later) => later[shelf as usize],
        }
    }

    /// Whether what it means stays the same when letters are taken out, by itself or by another.
    pub(super) fn is_settled(&self) -> bool {
        matches!(self.newest, Newest::AllBut(_))
    }

    /// The same request, to be told from what came later by the end of each shelf's newest file.
    pub(super) fn settled(self, later: PerShelf<u64>) -> Self {
        Self {
            newest: Newest::AllBut(later),
            ..self
        }
    }
}

/// The requests that wait, oldest first, but for those to be passed over.
pub(super) fn waiting(folder: &Path, passed_over: &[PathBuf]) -> io::Result<Vec<QueuedRequest>> {
    let folder = folder.join(FOLDER);
    let names = names(&folder).map_err(|error| at(&folder, &error))?;
    let paths = names.into_iter().map(|name| folder.join(name));
    let mut paths: Vec<_> = paths.filter(|path| !passed_over.contains(path)).collect();
    paths.sort_unstable();
    let waiting = paths.into_iter().map(|path| read(path).transpose());
    waiting.flatten().collect()
}

/// Writes a request anew that waits.
pub(super) fn replace(path: &Path, request: &Request) -> io::Result<()> {
    request.write_to(path).map_err(|error| at(path, &error))
}

fn names(folder: &Path) -> io::Result<Vec<OsString>> {
    let entries = unless_gone(fs::read_dir(folder))?.into_iter().flatten();
    let names = entries.map(|entry| entry.map(|entry| entry.file_name()));
    let is_request = |name: &OsString| Path::new(name).extension().is_some_and(|end| end == "json");
    names
        .filter(|name| name.as_ref().map_or(true, is_request))
        .collect()
}

/// None where somebody else has removed it meanwhile. A file that cannot be read now may hold a request all the same.
fn read(path: PathBuf) -> io::Result<Option<QueuedRequest>> {
    let text = match fs::read(&path) {
        // That will not change by itself, and others wait behind it.
        Err(error) if error.kind() == io::ErrorKind::PermissionDenied => Some(Err(error)),
        outcome => unless_gone(outcome)
            .map_err(|error| at(&path, &error))?
            .map(Ok),
    };
    Ok(text.map(|text| QueuedRequest {
        request: text.and_then(|text| Ok(serde_json::from_slice(&text)?)),
        path,
    }))
}

/// Removes a request that is done. One that somebody else has removed is none any more.
///
/// # Errors
/// I/O errors, naming the path.
pub fn remove_request(path: &Path) -> io::Result<()> {
    unless_gone(fs::remove_file(path))
        .and_then(|_| sync_folder_of(path))
        .map_err(|error| at(path, &error))
}

/// Renames what is no request, so that it is not looked at again; its new name.
///
/// # Errors
/// I/O errors, naming the path.
pub fn set_request_aside(path: &Path) -> io::Result<PathBuf> {
    let aside = path.with_extension("unreadable");
    fs::rename(path, &aside)
        .and_then(|()| sync_folder_of(path))
        .map_err(|error| at(path, &error))?;
    Ok(aside)
}

fn sync_folder_of(path: &Path) -> io::Result<()> {
    path.parent().map_or(Ok(()), sync_folder)
}

/// Makes the folder of the requests: made by the server, it is the server's to remove them from, whoever asks.
pub(super) fn make_ready(folder: &Path) -> io::Result<()> {
    let folder = folder.join(FOLDER);
    make_folder(&folder)?;
    tidy(&folder)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn next(folder: &Path, passed_over: &[PathBuf]) -> io::Result<Option<QueuedRequest>> {
        Ok(waiting(folder, passed_over)?.into_iter().next())
    }

    #[test]
    fn requests_are_found_in_their_order_until_they_are_done() {
        let folder = tempfile::tempdir().unwrap();
        assert!(next(folder.path(), &[]).unwrap().is_none());
        let chosen = Some(BTreeSet::from([3, 9]));
        for (action, ids) in [(Action::Replay, chosen), (Action::Purge, None)] {
            let request = Request::new(folder.path(), action, ids).unwrap();
            request.submit(folder.path()).unwrap();
            let waiting = next(folder.path(), &[]).unwrap().unwrap();
            assert_eq!(waiting.request.unwrap(), request);
            assert!(
                next(folder.path(), std::slice::from_ref(&waiting.path))
                    .unwrap()
                    .is_none()
            );
            remove_request(&waiting.path).unwrap();
        }
        assert!(next(folder.path(), &[]).unwrap().is_none());
    }

    #[test]
    fn a_request_means_its_letters_and_nothing_later() {
        let folder = tempfile::tempdir().unwrap();
        fs::create_dir(folder.path().join("broker")).unwrap();
        fs::write(folder.path().join("broker/000000000007.ndjson"), "").unwrap();
        let all = Request::new(folder.path(), Action::Replay, None).unwrap();
        assert!(all.is_for_all() && all.wants(Some(1)) && all.wants(None));
        assert!(all.covers(ShelfKind::Broker, 7) && !all.covers(ShelfKind::Broker, 8));
        assert!(!all.covers(ShelfKind::Arrival, 1));
        let later_bytes =
            |number| all.later_bytes(ShelfKind::Broker, NumberedFile { number, bytes: 9 });
        assert_eq!([6, 7].map(later_bytes), [0, 9]);
        let chosen = Some(BTreeSet::from([3]));
        let chosen = Request::new(folder.path(), Action::Replay, chosen).unwrap();
        assert!(chosen.wants(Some(3)) && !chosen.wants(Some(4)) && !chosen.wants(None));
    }

    #[test]
    fn a_request_of_an_older_version_means_its_newest_file_whole() {
        let old = r#"{"action":"purge","ids":null,"through":[0,7]}"#;
        let old: Request = serde_json::from_str(old).unwrap();
        assert!(old.is_settled() && old.covers(ShelfKind::Broker, 7));
        let newest = NumberedFile {
            number: 7,
            bytes: 100,
        };
        assert_eq!(old.later_bytes(ShelfKind::Broker, newest), 0);
    }

    #[test]
    fn a_request_that_cannot_be_read_now_waits_and_one_that_is_gone_is_none() {
        let folder = tempfile::tempdir().unwrap();
        make_ready(folder.path()).unwrap();
        let path = folder.path().join(FOLDER).join("1.json");
        // A loop of links cannot be opened, whoever asks.
        std::os::unix::fs::symlink(&path, &path).unwrap();
        let error = next(folder.path(), &[]).unwrap_err();
        assert!(error.to_string().contains("1.json"), "{error}");
        fs::remove_file(&path).unwrap();
        std::os::unix::fs::symlink("nowhere", &path).unwrap();
        assert!(next(folder.path(), &[]).unwrap().is_none());
    }

    #[test]
    fn what_cannot_be_written_leaves_nothing_behind() {
        let folder = tempfile::tempdir().unwrap();
        let taken = folder.path().join("1.json");
        fs::create_dir(&taken).unwrap();
        let request = Request::new(folder.path(), Action::Replay, None).unwrap();
        replace(&taken, &request).unwrap_err();
        assert!(!taken.with_extension(UNDER_WAY).exists());
    }

    #[test]
    fn a_request_that_a_starting_server_sweeps_away_is_written_again() {
        let folder = tempfile::tempdir().unwrap();
        let root = folder.path().to_owned();
        let starts = std::thread::spawn(move || (0..500).for_each(|_| make_ready(&root).unwrap()));
        let mut submitted = 0;
        while !starts.is_finished() {
            let request = Request::new(folder.path(), Action::Replay, None).unwrap();
            request.submit(folder.path()).unwrap();
            submitted += 1;
        }
        assert_eq!(waiting(folder.path(), &[]).unwrap().len(), submitted);
    }

    #[test]
    fn what_is_no_request_is_set_aside_once() {
        let folder = tempfile::tempdir().unwrap();
        make_ready(folder.path()).unwrap();
        for text in [
            "",
            "{}",
            "nonsense",
            r#"{"action":"replay","new":1,"ids":null,"through":[0,0]}"#,
        ] {
            fs::write(folder.path().join(FOLDER).join("1.json"), text).unwrap();
            let waiting = next(folder.path(), &[]).unwrap().unwrap();
            assert!(waiting.request.is_err(), "{text}");
            let aside = set_request_aside(&waiting.path).unwrap();
            assert_eq!(fs::read_to_string(aside).unwrap(), text);
            assert!(next(folder.path(), &[]).unwrap().is_none());
        }
    }
}
