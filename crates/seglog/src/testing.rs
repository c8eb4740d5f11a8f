//! A folder in memory for tests: it forgets what was not synced, tears what is being written, and fails when it is
//! told to.

mod file;
mod state;

use std::io;
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};

use crate::folder::{Entry, File, FileId, Folder, Mode};
use file::MemoryFile;
use state::{Contents, EIO, EMFILE, Random, Renaming, State, apply};

/// The folder. Clones are the same folder.
#[derive(Clone, Debug)]
pub struct MemoryFolder {
    path: PathBuf,
    state: Arc<Mutex<State>>,
    /// Whether syncs wait, and who is to be told when they go on.
    syncs_wait: Arc<(Mutex<bool>, Condvar)>,
}

impl Default for MemoryFolder {
    fn default() -> Self {
        Self {
            path: PathBuf::from("/in-memory"),
            state: Arc::default(),
            syncs_wait: Arc::default(),
        }
    }
}

impl MemoryFolder {
    /// The process is cut off once so many more bytes are written, in the middle of a write if need be: everything
    /// fails from then on, until [`Self::kill`].
    pub fn cut_off_after(&self, bytes: u64) {
        self.lock().faults.writes_left = Some(bytes);
    }

    /// Whether the process was cut off.
    pub fn is_cut_off(&self) -> bool {
        self.lock().faults.is_cut_off
    }

    /// Syncs fail after so many that succeed.
    pub fn fail_syncs_after(&self, syncs: u64) {
        self.lock().faults.syncs_left = Some(syncs);
    }

    /// Syncs of files wait, or go on.
    pub fn hold_syncs(&self, hold: bool) {
        let (waits, changed) = &*self.syncs_wait;
        *waits.lock().unwrap_or_else(PoisonError::into_inner) = hold;
        changed.notify_all();
    }

    fn until_syncs_go_on(&self) {
        let (waits, changed) = &*self.syncs_wait;
        let waits = waits.lock().unwrap_or_else(PoisonError::into_inner);
        let gone_on = changed.wait_while(waits, |waits| *waits);
        drop(gone_on);
    }

    /// Whether the process has no handle left for another open file.
    pub fn run_out_of_handles(&self, is_out: bool) {
        self.lock().faults.is_out_of_handles = is_out;
    }

    /// Reads and writes move so many bytes at most, and every other one is interrupted: the system may do both.
    pub fn move_at_once(&self, bytes: usize) {
        self.lock().faults.at_once = Some(bytes);
    }

    /// Whether no file can be removed.
    pub fn refuse_removals(&self, refuse: bool) {
        self.lock().faults.refuses_removals = refuse;
    }

    /// The disk is full when all files take so many bytes; none: it is endless.
    pub fn limit_to(&self, bytes: Option<u64>) {
        self.lock().faults.capacity = bytes;
    }

    /// Whether a full disk is as full as with a quota on a file system that copies on write, such as btrfs: writing over
    /// takes room as well, and without any left no file can be cut, renamed or made, only removed.
    pub fn limit_strictly(&self, is_strict: bool) {
        self.lock().faults.is_strict = is_strict;
    }

    /// Another folder with the same files, as they are now, all of it durable.
    pub fn copy(&self) -> Self {
        let mut copy = State::default();
        let state = self.lock();
        for (name, index) in &state.names {
            copy.add(name, state.files[*index].now.clone());
        }
        Self {
            path: self.path.clone(),
            state: Arc::new(Mutex::new(copy)),
            ..Self::default()
        }
    }

    /// Names lead to another disk from now on, as where one is mounted over the folder; with files of the same names.
    pub fn mount_another(&self) {
        self.lock().device += 1;
    }

    /// Puts a file there, durably.
    pub fn put(&self, name: &str, contents: Vec<u8>) {
        self.lock().add(name, contents);
    }

    /// These bytes of a file cannot be read, whoever tries; an empty range heals it.
    pub fn fail_reads_of(&self, name: &str, bytes: Range<usize>) {
        let mut state = self.lock();
        let index = state.names[name];
        state.files[index].unreadable = bytes;
    }

    /// Reads fail after so many that succeed; none: no read fails.
    pub fn fail_reads_after(&self, reads: Option<u64>) {
        self.lock().faults.reads_left = reads;
    }

    /// How many bytes all files take.
    pub fn bytes(&self) -> u64 {
        self.lock().used_bytes()
    }

    /// How many syncs of segments succeeded.
    pub fn segment_syncs(&self) -> u64 {
        self.lock().syncs
    }

    /// Ends the process: the system keeps everything that was written. Faults are over.
    pub fn kill(&self) {
        let mut state = self.lock();
        state.life += 1;
        state.is_locked = false;
        state.faults = state::Faults::default();
    }

    /// Ends the machine: of what was not synced, some sectors and some names are kept, chosen by `seed`.
    pub fn lose_power(&self, seed: u64) {
        self.kill();
        let mut random = Random(seed | 1);
        let mut state = self.lock();
        let kept = random.below(state.renamings.len() as u64 + 1) as usize;
        let renamings = std::mem::take(&mut state.renamings);
        for renaming in renamings.into_iter().take(kept) {
            apply(&mut state.durable_names, renaming);
        }
        state.names = state.durable_names.clone();
        for contents in &mut state.files {
            contents.lose_power(&mut random);
        }
    }

    /// The contents of a file, to be looked at.
    pub fn contents(&self, name: &str) -> Vec<u8> {
        let state = self.lock();
        state.files[state.names[name]].now.clone()
    }

    /// Changes the contents of a file behind everybody's back.
    pub fn damage(&self, name: &str, change: impl FnOnce(&mut Vec<u8>)) {
        let mut state = self.lock();
        let index = state.names[name];
        let contents = &mut state.files[index];
        change(&mut contents.now);
        contents.durable = contents.now.clone();
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn living(&self) -> io::Result<MutexGuard<'_, State>> {
        let state = self.lock();
        if state.faults.is_cut_off {
            return Err(io::Error::from_raw_os_error(EIO));
        }
        Ok(state)
    }
}

impl Folder for MemoryFolder {
    fn path(&self) -> &Path {
        &self.path
    }

    fn make(&self) -> io::Result<()> {
        self.living().map(drop)
    }

    fn list(&self) -> io::Result<Vec<Entry>> {
        let state = self.living()?;
        let entry = |(name, index): (&String, &usize)| Entry {
            name: name.clone(),
            bytes: state.files[*index].now.len() as u64,
        };
        Ok(state.names.iter().map(entry).collect())
    }

    fn open(&self, name: &str, mode: Mode) -> io::Result<Box<dyn File>> {
        let mut state = self.living()?;
        if state.faults.is_out_of_handles {
            return Err(io::Error::from_raw_os_error(EMFILE));
        }
        let index = match state.names.get(name) {
            Some(index) => *index,
            None if mode == Mode::Create => {
                state.may_change()?;
                state.files.push(Contents::default());
                let index = state.files.len() - 1;
                state.note(Renaming::Made(name.to_owned(), index));
                index
            }
            None => return Err(io::ErrorKind::NotFound.into()),
        };
        let (id, life) = (state.id_of(index), state.life);
        Ok(Box::new(MemoryFile::new(self.clone(), index, id, life)))
    }

    fn rename(&self, from: &str, to: &str) -> io::Result<()> {
        let mut state = self.living()?;
        if !state.names.contains_key(from) {
            return Err(io::ErrorKind::NotFound.into());
        }
        state.may_change()?;
        state.note(Renaming::Renamed(from.to_owned(), to.to_owned()));
        Ok(())
    }

    fn remove(&self, name: &str) -> io::Result<()> {
        let mut state = self.living()?;
        if !state.names.contains_key(name) {
            return Err(io::ErrorKind::NotFound.into());
        }
        if state.faults.refuses_removals {
            return Err(io::ErrorKind::PermissionDenied.into());
        }
        state.note(Renaming::Removed(name.to_owned()));
        Ok(())
    }

    fn id_of(&self, name: &str) -> io::Result<FileId> {
        let state = self.living()?;
        let index = state.names.get(name).copied();
        let id = index.map(|index| state.id_of(index));
        id.ok_or_else(|| io::ErrorKind::NotFound.into())
    }

    fn sync(&self) -> io::Result<()> {
        let mut state = self.living()?;
        state.durable_names = state.names.clone();
        state.renamings.clear();
        Ok(())
    }
}
