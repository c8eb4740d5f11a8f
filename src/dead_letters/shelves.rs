//! Both shelves of a folder, and the lock that makes them ours. The command line uses them where no server runs.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};

use serde_json::value::RawValue;

use super::OpenError;
use super::files::{
    self, LOCK_FILE, LetterRanges, Line, at, for_each_line, list, tidy, unless_out_of_handles,
};
use super::reader::KeptLetter;
use super::requests::{self, QueuedRequest, Request};
use super::shelf::Shelf;
use super::shelf_kind::{PerShelf, ShelfKind};
use crate::folders::{FolderLock, check_writable, is_full, make_folder};

/// The shelves as long as we hold them.
pub(super) struct Shelves {
    folder: PathBuf,
    shelves: PerShelf<Mutex<Shelf>>,
    folder_lock: Mutex<FolderLock>,
}

/// One file of letters that is written no more.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LetterFile {
    shelf: ShelfKind,
    number: u64,
    /// Bytes at its end that a request is not about.
    later_bytes: u64,
}

/// How many letters are read at once; a single larger one is read all the same, alone.
#[derive(Clone, Copy, Debug)]
pub struct ReadLimits {
    /// Number of letters.
    pub max_letters: usize,
    /// Bytes of all of them.
    pub max_bytes: usize,
}

/// Letters of one file.
#[derive(Debug, Default)]
pub struct LetterBatch {
    /// The event of each, as it lies in the file.
    pub events: Vec<Box<RawValue>>,
    /// Where they stand.
    pub places: LetterRanges,
    /// The byte from which to read on.
    pub end: u64,
}

impl Shelves {
    /// Takes the folder, which is made if it is not there; each shelf may grow to `max_bytes`.
    pub(super) fn open(folder: &Path, max_bytes: u64) -> Result<Self, OpenError> {
        let failed = |source| OpenError::Folder {
            folder: folder.to_owned(),
            source,
        };
        make_folder(folder).map_err(failed)?;
        let Some(lock) = FolderLock::take(folder, LOCK_FILE).map_err(failed)? else {
            return Err(OpenError::Locked {
                folder: folder.to_owned(),
            });
        };
        make_ready(folder).map_err(failed)?;
        let shelf =
            |kind: ShelfKind| Mutex::new(Shelf::new(folder.join(kind.folder_name()), max_bytes));
        Ok(Self {
            folder: folder.to_owned(),
            shelves: ShelfKind::ALL.map(shelf),
            folder_lock: Mutex::new(lock),
        })
    }

    pub(super) fn folder(&self) -> &Path {
        &self.folder
    }

    /// Bytes of the letters on a shelf.
    pub(super) fn bytes(&self, kind: ShelfKind) -> io::Result<u64> {
        let files = list(&self.folder.join(kind.folder_name()))?;
        Ok(files.iter().map(|file| file.bytes).sum())
    }

    /// Appends lines to one shelf; how many letters were dropped to make room.
    pub(super) fn append(&self, shelf: ShelfKind, lines: &[u8]) -> io::Result<u64> {
        let folder_lock = self.folder_lock.lock();
        folder_lock
            .unwrap_or_else(PoisonError::into_inner)
            .hold_on()
            .map_err(|error| at(&self.folder, &error))?;
        self.lock(shelf).append(lines)
    }

    /// The oldest request that waits, but for those to be passed over. All that wait are settled before: the first one
    /// would else move the letters by whose places the others tell what came later.
    pub(super) fn next_request(
        &self,
        passed_over: &[PathBuf],
    ) -> io::Result<Option<QueuedRequest>> {
        let mut all = requests::waiting(&self.folder, passed_over)?;
        for QueuedRequest { path, request } in &mut all {
            if let Ok(request) = request
                && !request.is_settled()
            {
                *request = self.settle(request)?;
                match requests::replace(path, request) {
                    // The first one may be the purge that makes room again.
                    Err(error) if is_full(&error) => break,
                    outcome => outcome?,
                }
            }
        }
        Ok(all.into_iter().next())
    }

    fn settle(&self, request: &Request) -> io::Result<Request> {
        let mut later = PerShelf::default();
        for file in self.files(request)? {
            later[file.shelf as usize] += file.later_bytes;
        }
        Ok(request.clone().settled(later))
    }

    /// The files that a request is about, oldest first, closed: new letters go to others.
    pub(super) fn files(&self, request: &Request) -> io::Result<Vec<LetterFile>> {
        let mut all = Vec::new();
        for kind in ShelfKind::ALL {
            let mut shelf = self.lock(kind);
            shelf.close();
            let files = shelf.files().map_err(|error| at(shelf.folder(), &error))?;
            let covered = files
                .into_iter()
                .filter(|file| request.covers(kind, file.number));
            all.extend(covered.map(|file| LetterFile {
                shelf: kind,
                number: file.number,
                later_bytes: request.later_bytes(kind, file),
            }));
        }
        Ok(all)
    }

    /// Letters of a file that a request is about, from the byte `from` on; none when there are no more.
    pub(super) fn read(
        &self,
        file: LetterFile,
        from: u64,
        request: &Request,
        limits: ReadLimits,
    ) -> io::Result<LetterBatch> {
        let path = self.path(file);
        let mut batch = LetterBatch {
            end: from,
            ..LetterBatch::default()
        };
        let mut bytes = 0;
        self.for_each_meant_line(file, &path, from, |line| {
            let letter =
                KeptLetter::parse(line.text).filter(|letter| request.wants(letter.position()));
            if let Some(letter) = letter {
                bytes += letter.text.len();
                if !batch.events.is_empty() && bytes > limits.max_bytes {
                    return false;
                }
                batch.events.push(letter.event);
                batch.places.push(line.place.clone());
            }
            batch.end = line.place.end;
            batch.events.len() < limits.max_letters
        })
        .map_err(|error| at(&path, &error))?;
        Ok(batch)
    }

    /// Leaves a file out when room is made.
    pub(super) fn begin_sending(&self, file: LetterFile) {
        self.lock(file.shelf).set_being_sent(Some(file.number));
    }

    /// Counts the file again that was left out.
    pub(super) fn end_sending(&self, file: LetterFile) {
        self.lock(file.shelf).set_being_sent(None);
    }

    /// Takes letters out of a file.
    pub(super) fn take_out(&self, file: LetterFile, gone: &LetterRanges) -> io::Result<()> {
        let mut shelf = self.lock(file.shelf);
        shelf.take_out(file.number, gone)?;
        // It has happened. Should the folder not be safe, a loss of power brings the letters back, and they are sent
        // twice; an error told here would make the caller take the same places out of the new file.
        let _comes_back_at_worst = shelf.sync();
        Ok(())
    }

    /// Makes durable what was removed.
    pub(super) fn sync(&self) -> io::Result<()> {
        let mut all = ShelfKind::ALL.into_iter();
        all.try_for_each(|kind| self.lock(kind).sync())
    }

    /// Removes the letters that a request is about, file by file; `gone` is told how many they were, also where a later file
    /// fails. A loss of power brings them back until [`Self::sync`] has returned.
    pub(super) fn purge(&self, request: &Request, mut gone: impl FnMut(u64)) -> io::Result<()> {
        for file in self.files(request)? {
            let is_whole = request.is_for_all() && file.later_bytes == 0;
            gone(if is_whole && !self.holds_damage(file)? {
                self.lock(file.shelf).remove(file.number)?
            } else {
                self.purge_chosen(file, request)?
            });
        }
        Ok(())
    }

    /// Whether a file has lines that are no letters: these stay. One that cannot be read goes whole.
    fn holds_damage(&self, file: LetterFile) -> io::Result<bool> {
        let mut holds_damage = false;
        let path = self.path(file);
        let read = self.for_each_meant_line(file, &path, 0, |line| {
            holds_damage = KeptLetter::parse(line.text).is_none();
            !holds_damage
        });
        let read = unless_out_of_handles(read).map_err(|error| at(&path, &error))?;
        Ok(read.is_ok() && holds_damage)
    }

    fn purge_chosen(&self, file: LetterFile, request: &Request) -> io::Result<u64> {
        let path = self.path(file);
        let mut chosen = LetterRanges::default();
        let is_chosen = |text: &[u8]| {
            let letter = KeptLetter::parse(text);
            letter.is_some_and(|letter| request.wants(letter.position()))
        };
        self.for_each_meant_line(file, &path, 0, |line| {
            if is_chosen(line.text) {
                chosen.push(line.place);
            }
            true
        })
        .map_err(|error| at(&path, &error))?;
        if chosen.letters() == 0 {
            return Ok(0);
        }
        self.lock(file.shelf).take_out(file.number, &chosen)
    }

    /// Calls `take` with each line from the byte `from` on that is not later than the request, as long as it says to go on.
    fn for_each_meant_line(
        &self,
        file: LetterFile,
        path: &Path,
        from: u64,
        mut take: impl FnMut(Line<'_>) -> bool,
    ) -> io::Result<()> {
        let Some(bytes) = self.lock(file.shelf).bytes_of(file.number)? else {
            return Ok(());
        };
        let end = bytes.saturating_sub(file.later_bytes);
        for_each_line(path, from, |line| line.place.end <= end && take(line))
    }

    fn path(&self, file: LetterFile) -> PathBuf {
        files::path(&self.folder.join(file.shelf.folder_name()), file.number)
    }

    fn lock(&self, kind: ShelfKind) -> MutexGuard<'_, Shelf> {
        let shelf = self.shelves[kind as usize].lock();
        shelf.unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
impl Shelves {
    /// From now on the folders cannot be synced, or can be again.
    pub(super) fn fail_syncs(&self, fail: bool) {
        for kind in ShelfKind::ALL {
            self.lock(kind).fail_syncs(fail);
        }
    }

    /// From now on nothing can be written to the file that is open on a shelf, nor can it be cut.
    pub(super) fn use_up_quota(&self, kind: ShelfKind) {
        self.lock(kind).use_up_quota();
    }

    /// There is room again.
    pub(super) fn raise_quota(&self, kind: ShelfKind) {
        self.lock(kind).raise_quota();
    }
}

/// Finds out whether the folder can be written, and clears up after a crash.
fn make_ready(folder: &Path) -> io::Result<()> {
    check_writable(folder)?;
    requests::make_ready(folder)?;
    for kind in ShelfKind::ALL {
        tidy(&folder.join(kind.folder_name()))?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    #[test]
    fn a_folder_that_is_gone_and_cannot_be_made_is_named() {
        let around = tempfile::tempdir().unwrap();
        let folder = around.path().join("letters");
        let shelves = Shelves::open(&folder, 1000).unwrap();
        fs::remove_dir_all(&folder).unwrap();
        std::os::unix::fs::symlink("nowhere", &folder).unwrap();
        let error = shelves.append(ShelfKind::Broker, b"{}\n").unwrap_err();
        assert!(error.to_string().contains("letters"), "{error}");
    }
}
