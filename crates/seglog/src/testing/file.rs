//! An open file of the folder.

use std::io::{self, IoSlice};
use std::sync::{Mutex, MutexGuard, PoisonError};

use super::MemoryFolder;
use super::state::{EIO, State};
use crate::folder::{File, FileId};

#[derive(Debug)]
pub(super) struct MemoryFile {
    folder: MemoryFolder,
    index: usize,
    id: FileId,
    life: u64,
    holds_lock: Mutex<bool>,
}

impl MemoryFile {
    pub(super) fn new(folder: MemoryFolder, index: usize, id: FileId, life: u64) -> Self {
        Self {
            folder,
            index,
            id,
            life,
            holds_lock: Mutex::new(false),
        }
    }

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
    fn id(&self) -> io::Result<FileId> {
        self.living().map(|_| self.id)
    }

    fn has_name(&self) -> io::Result<bool> {
        let state = self.living()?;
        Ok(state.names.values().any(|index| *index == self.index))
    }

    fn bytes(&self) -> io::Result<u64> {
        Ok(self.living()?.files[self.index].now.len() as u64)
    }

    fn read_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<usize> {
        let mut state = self.living()?;
        match &mut state.faults.reads_left {
            Some(0) => return Err(io::Error::from_raw_os_error(EIO)),
            Some(left) => *left -= 1,
            None => {}
        }
        let wanted = state.faults.moves(buffer.len())?;
        let contents = &state.files[self.index];
        let there = contents.now.get(offset as usize..).unwrap_or_default();
        let read = there.len().min(wanted);
        let bad = &contents.unreadable;
        if bad.start < offset as usize + read && (offset as usize) < bad.end {
            return Err(io::Error::from_raw_os_error(EIO));
        }
        buffer[..read].copy_from_slice(&there[..read]);
        Ok(read)
    }

    fn write_at(&self, pieces: &[IoSlice<'_>], offset: u64) -> io::Result<usize> {
        let mut state = self.living()?;
        let whole = pieces.iter().fold(Vec::new(), |mut whole, piece| {
            whole.extend_from_slice(piece);
            whole
        });
        let wanted = state.faults.moves(whole.len())?;
        let written = state.allow(self.index, wanted, offset)?;
        state.files[self.index].write(&whole[..written], offset as usize);
        if state.faults.is_cut_off {
            return Err(io::Error::from_raw_os_error(EIO));
        }
        Ok(written)
    }

    fn set_bytes(&self, bytes: u64) -> io::Result<()> {
        let mut state = self.living()?;
        state.may_change()?;
        state.files[self.index].now.resize(bytes as usize, 0);
        Ok(())
    }

    fn sync(&self) -> io::Result<()> {
        self.folder.until_syncs_go_on();
        let mut state = self.living()?;
        match &mut state.faults.syncs_left {
            Some(0) => {
                state.files[self.index].fail_to_sync();
                return Err(io::Error::from_raw_os_error(EIO));
            }
            Some(left) => *left -= 1,
            None => {}
        }
        state.note_sync_of(self.index);
        state.files[self.index].sync();
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
