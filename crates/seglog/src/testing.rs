//! A folder in memory for tests: it forgets what was not synced, tears what is being written, and fails when it is
//! told to.

use std::collections::BTreeMap;
use std::io::{self, IoSlice};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::folder::{Entry, File, Folder, Mode};

/// The unit that a disk writes whole or not at all.
const SECTOR_BYTES: usize = 512;

/// Error number of an input/output error on Linux.
const EIO: i32 = 5;
/// Error number of a full disk on Linux.
const ENOSPC: i32 = 28;

/// The folder. Clones are the same folder.
#[derive(Clone, Debug)]
pub struct MemoryFolder {
    path: PathBuf,
    state: Arc<Mutex<State>>,
}

#[derive(Debug, Default)]
struct State {
    files: Vec<Contents>,
    names: BTreeMap<String, usize>,
    durable_names: BTreeMap<String, usize>,
    /// What happened to names since the folder was synced, in order.
    renamings: Vec<Renaming>,
    /// Counts the crashes: files that were opened before one are dead.
    life: u64,
    is_locked: bool,
    faults: Faults,
    syncs: u64,
}

#[derive(Clone, Debug, Default)]
struct Contents {
    now: Vec<u8>,
    durable: Vec<u8>,
}

#[derive(Clone, Debug)]
enum Renaming {
    Made(String, usize),
    Removed(String),
    Renamed(String, String),
}

#[derive(Clone, Debug, Default)]
struct Faults {
    /// Bytes that can still be written before the process is cut off.
    writes_left: Option<u64>,
    /// Syncs that still succeed.
    syncs_left: Option<u64>,
    /// The most that all files may take.
    capacity: Option<u64>,
    is_cut_off: bool,
}

impl Default for MemoryFolder {
    fn default() -> Self {
        Self {
            path: PathBuf::from("/in-memory"),
            state: Arc::default(),
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

    /// The disk is full when all files take so many bytes; none: it is endless.
    pub fn limit_to(&self, bytes: Option<u64>) {
        self.lock().faults.capacity = bytes;
    }

    /// How many syncs of files succeeded.
    pub fn syncs(&self) -> u64 {
        self.lock().syncs
    }

    /// Ends the process: the system keeps everything that was written. Faults are over.
    pub fn kill(&self) {
        let mut state = self.lock();
        state.life += 1;
        state.is_locked = false;
        state.faults = Faults::default();
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

impl Contents {
    fn lose_power(&mut self, random: &mut Random) {
        let (shorter, longer) = {
            let lengths = [self.now.len(), self.durable.len()];
            (lengths[0].min(lengths[1]), lengths[0].max(lengths[1]))
        };
        let length = shorter + random.below((longer - shorter) as u64 + 1) as usize;
        self.now.resize(length, 0);
        self.durable.resize(length, 0);
        for start in (0..length).step_by(SECTOR_BYTES) {
            let sector = start..length.min(start + SECTOR_BYTES);
            if self.now[sector.clone()] != self.durable[sector.clone()] && random.below(2) == 0 {
                let (now, durable) = (&mut self.now, &self.durable);
                now[sector.clone()].copy_from_slice(&durable[sector]);
            }
        }
        self.durable = self.now.clone();
    }
}

fn apply(names: &mut BTreeMap<String, usize>, renaming: Renaming) {
    match renaming {
        Renaming::Made(name, index) => drop(names.insert(name, index)),
        Renaming::Removed(name) => drop(names.remove(&name)),
        Renaming::Renamed(from, to) => {
            if let Some(index) = names.remove(&from) {
                names.insert(to, index);
            }
        }
    }
}

impl State {
    fn note(&mut self, renaming: Renaming) {
        apply(&mut self.names, renaming.clone());
        self.renamings.push(renaming);
    }

    fn used_bytes(&self) -> u64 {
        let lengths = self
            .names
            .values()
            .map(|index| self.files[*index].now.len());
        lengths.sum::<usize>() as u64
    }

    /// How much of a write of so many bytes is done; and whether it is cut off there.
    fn allow(&mut self, file: usize, bytes: usize, offset: u64) -> io::Result<usize> {
        let mut allowed = bytes as u64;
        if let Some(capacity) = self.faults.capacity {
            let growth = (offset + allowed).saturating_sub(self.files[file].now.len() as u64);
            let room = capacity.saturating_sub(self.used_bytes());
            allowed -= growth.saturating_sub(room).min(allowed);
            if allowed == 0 && bytes > 0 {
                return Err(io::Error::from_raw_os_error(ENOSPC));
            }
        }
        if let Some(left) = &mut self.faults.writes_left {
            allowed = allowed.min(*left);
            *left -= allowed;
            self.faults.is_cut_off = allowed < bytes as u64;
        }
        Ok(allowed as usize)
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
        let index = match state.names.get(name) {
            Some(index) => *index,
            None if mode == Mode::Create => {
                state.files.push(Contents::default());
                let index = state.files.len() - 1;
                state.note(Renaming::Made(name.to_owned(), index));
                index
            }
            None => return Err(io::ErrorKind::NotFound.into()),
        };
        Ok(Box::new(MemoryFile {
            folder: self.clone(),
            index,
            life: state.life,
            holds_lock: Mutex::new(false),
        }))
    }

    fn rename(&self, from: &str, to: &str) -> io::Result<()> {
        let mut state = self.living()?;
        if !state.names.contains_key(from) {
            return Err(io::ErrorKind::NotFound.into());
        }
        state.note(Renaming::Renamed(from.to_owned(), to.to_owned()));
        Ok(())
    }

    fn remove(&self, name: &str) -> io::Result<()> {
        let mut state = self.living()?;
        if !state.names.contains_key(name) {
            return Err(io::ErrorKind::NotFound.into());
        }
        state.note(Renaming::Removed(name.to_owned()));
        Ok(())
    }

    fn sync(&self) -> io::Result<()> {
        let mut state = self.living()?;
        state.durable_names = state.names.clone();
        state.renamings.clear();
        Ok(())
    }
}

#[derive(Debug)]
struct MemoryFile {
    folder: MemoryFolder,
    index: usize,
    life: u64,
    holds_lock: Mutex<bool>,
}

impl MemoryFile {
    fn living(&self) -> io::Result<MutexGuard<'_, State>> {
        let state = self.folder.living()?;
        if state.life != self.life {
            return Err(io::Error::from_raw_os_error(EIO));
        }
        Ok(state)
    }
}

impl Drop for MemoryFile {
    fn drop(&mut self) {
        let held = *self
            .holds_lock
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        let mut state = self.folder.lock();
        if held && state.life == self.life {
            state.is_locked = false;
        }
    }
}

impl File for MemoryFile {
    fn bytes(&self) -> io::Result<u64> {
        Ok(self.living()?.files[self.index].now.len() as u64)
    }

    fn read_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<usize> {
        let state = self.living()?;
        let contents = &state.files[self.index].now;
        let there = contents.get(offset as usize..).unwrap_or_default();
        let read = there.len().min(buffer.len());
        buffer[..read].copy_from_slice(&there[..read]);
        Ok(read)
    }

    fn write_at(&self, pieces: &[IoSlice<'_>], offset: u64) -> io::Result<usize> {
        let mut state = self.living()?;
        let whole: Vec<u8> = pieces
            .iter()
            .flat_map(|piece| piece.iter().copied())
            .collect();
        let written = state.allow(self.index, whole.len(), offset)?;
        let contents = &mut state.files[self.index].now;
        let end = offset as usize + written;
        if contents.len() < end {
            contents.resize(end, 0);
        }
        contents[offset as usize..end].copy_from_slice(&whole[..written]);
        if state.faults.is_cut_off {
            return Err(io::Error::from_raw_os_error(EIO));
        }
        Ok(written)
    }

    fn set_bytes(&self, bytes: u64) -> io::Result<()> {
        self.living()?.files[self.index]
            .now
            .resize(bytes as usize, 0);
        Ok(())
    }

    fn sync(&self) -> io::Result<()> {
        let mut state = self.living()?;
        match &mut state.faults.syncs_left {
            Some(0) => return Err(io::Error::from_raw_os_error(EIO)),
            Some(left) => *left -= 1,
            None => {}
        }
        state.syncs += 1;
        let contents = &mut state.files[self.index];
        contents.durable = contents.now.clone();
        Ok(())
    }

    fn lock(&self) -> io::Result<()> {
        let mut state = self.living()?;
        if state.is_locked {
            return Err(io::ErrorKind::WouldBlock.into());
        }
        state.is_locked = true;
        *self
            .holds_lock
            .lock()
            .unwrap_or_else(PoisonError::into_inner) = true;
        Ok(())
    }
}

/// A xorshift generator: the same seed, the same crash.
#[derive(Debug)]
struct Random(u64);

impl Random {
    fn below(&mut self, end: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0 % end
    }
}
