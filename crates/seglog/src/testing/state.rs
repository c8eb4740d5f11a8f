//! What the folder holds: what was written, and what of it is durable.

use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::ops::Range;

use crate::folder::FileId;
use crate::layout::generation_of;

/// The unit that a disk writes whole or not at all.
const SECTOR_BYTES: usize = 512;

/// Error number of an input/output error on Linux.
pub(super) const EIO: i32 = 5;
/// Error number of too many open files on Linux.
pub(super) const EMFILE: i32 = 24;
/// Error number of a full disk on Linux.
const ENOSPC: i32 = 28;
/// Error number of a quota that is used up on Linux.
const EDQUOT: i32 = 122;

#[derive(Debug, Default)]
pub(super) struct State {
    pub(super) files: Vec<Contents>,
    pub(super) names: BTreeMap<String, usize>,
    pub(super) durable_names: BTreeMap<String, usize>,
    /// What happened to names since the folder was synced, in order.
    pub(super) renamings: Vec<Renaming>,
    /// Counts the crashes: files that were opened before one are dead.
    pub(super) life: u64,
    pub(super) is_locked: bool,
    /// What names lead to.
    pub(super) device: u64,
    pub(super) faults: Faults,
    /// Of segments.
    pub(super) syncs: u64,
}

#[derive(Clone, Debug, Default)]
pub(super) struct Contents {
    pub(super) now: Vec<u8>,
    pub(super) durable: Vec<u8>,
    /// The sectors that the next sync has to write.
    dirty: BTreeSet<usize>,
    /// On a bad place of the disk.
    pub(super) unreadable: Range<usize>,
}

#[derive(Clone, Debug)]
pub(super) enum Renaming {
    Made(String, usize),
    Removed(String),
    Renamed(String, String),
}

#[derive(Clone, Debug, Default)]
pub(super) struct Faults {
    /// Bytes that can still be written before the process is cut off.
    pub(super) writes_left: Option<u64>,
    /// Syncs that still succeed.
    pub(super) syncs_left: Option<u64>,
    /// Reads that still succeed.
    pub(super) reads_left: Option<u64>,
    /// The most that all files may take.
    pub(super) capacity: Option<u64>,
    /// Writing over takes room as well, and where there is none nothing but a removal succeeds.
    pub(super) is_strict: bool,
    pub(super) is_cut_off: bool,
    pub(super) is_out_of_handles: bool,
    pub(super) refuses_removals: bool,
    /// The most that a read or a write moves.
    pub(super) at_once: Option<usize>,
    was_interrupted: bool,
}

impl Faults {
    /// How many of these bytes a read or a write moves; every other one is interrupted before it does.
    pub(super) fn moves(&mut self, bytes: usize) -> io::Result<usize> {
        let Some(at_once) = self.at_once else {
            return Ok(bytes);
        };
        self.was_interrupted = !self.was_interrupted;
        if self.was_interrupted {
            return Err(io::ErrorKind::Interrupted.into());
        }
        Ok(bytes.min(at_once))
    }
}

impl Contents {
    /// All of it is on the disk.
    fn durable(contents: Vec<u8>) -> Self {
        Self {
            now: contents.clone(),
            durable: contents,
            ..Self::default()
        }
    }

    pub(super) fn write(&mut self, bytes: &[u8], offset: usize) {
        let end = offset + bytes.len();
        if self.now.len() < end {
            self.now.resize(end, 0);
        }
        self.now[offset..end].copy_from_slice(bytes);
        let sectors = offset / SECTOR_BYTES..end.div_ceil(SECTOR_BYTES);
        self.dirty.extend(sectors);
    }

    pub(super) fn sync(&mut self) {
        self.durable.resize(self.now.len(), 0);
        for sector in std::mem::take(&mut self.dirty) {
            let start = self.now.len().min(sector * SECTOR_BYTES);
            let end = self.now.len().min(start + SECTOR_BYTES);
            self.durable[start..end].copy_from_slice(&self.now[start..end]);
        }
    }

    /// What Linux could not write it takes for written: no later sync tries again, and reading finds it.
    pub(super) fn fail_to_sync(&mut self) {
        self.dirty.clear();
    }

    pub(super) fn lose_power(&mut self, random: &mut Random) {
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
        *self = Self {
            unreadable: self.unreadable.clone(),
            ..Self::durable(std::mem::take(&mut self.now))
        };
    }
}

pub(super) fn apply(names: &mut BTreeMap<String, usize>, renaming: Renaming) {
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
    /// Counts a sync that succeeded, if it was of a segment.
    pub(super) fn note_sync_of(&mut self, index: usize) {
        let is_it = |name: &String| generation_of(name).is_some() && self.names[name] == index;
        self.syncs += u64::from(self.names.keys().any(is_it));
    }

    pub(super) fn id_of(&self, index: usize) -> FileId {
        FileId {
            device: self.device,
            inode: index as u64,
        }
    }

    /// Adds a file that is durable.
    pub(super) fn add(&mut self, name: &str, contents: Vec<u8>) {
        self.files.push(Contents::durable(contents));
        let index = self.files.len() - 1;
        self.names.insert(name.to_owned(), index);
        self.durable_names.insert(name.to_owned(), index);
    }

    pub(super) fn note(&mut self, renaming: Renaming) {
        apply(&mut self.names, renaming.clone());
        self.renamings.push(renaming);
    }

    pub(super) fn used_bytes(&self) -> u64 {
        let lengths = self
            .names
            .values()
            .map(|index| self.files[*index].now.len());
        lengths.sum::<usize>() as u64
    }

    /// Whether there is room to change anything at all.
    pub(super) fn may_change(&self) -> io::Result<()> {
        let is_used_up = |capacity| self.used_bytes() >= capacity;
        if self.faults.is_strict && self.faults.capacity.is_some_and(is_used_up) {
            return Err(io::Error::from_raw_os_error(EDQUOT));
        }
        Ok(())
    }

    /// How much of a write of so many bytes is done; and whether it is cut off there.
    pub(super) fn allow(&mut self, file: usize, bytes: usize, offset: u64) -> io::Result<usize> {
        let mut allowed = bytes as u64;
        if let Some(capacity) = self.faults.capacity {
            let growth = if self.faults.is_strict {
                allowed
            } else {
                (offset + allowed).saturating_sub(self.files[file].now.len() as u64)
            };
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

/// A xorshift generator: the same seed, the same crash.
#[derive(Debug)]
pub(super) struct Random(pub(super) u64);

impl Random {
    pub(super) fn below(&mut self, end: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0 % end
    }
}
