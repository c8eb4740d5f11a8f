//! The lock of a folder: who holds it is the only one that writes there.

use std::fs::{File, OpenOptions, TryLockError};
use std::io::{self, ErrorKind};
use std::path::{Path, PathBuf};

use super::{has_name, make_folder};

/// Held as long as it lives; the system gives it back when the process ends, however it ends.
#[derive(Debug)]
pub struct FolderLock {
    folder: PathBuf,
    name: &'static str,
    file: File,
}

impl FolderLock {
    /// Takes the lock of a folder that is there; none where somebody else holds it. `name`: of the file that is locked. It
    /// stays when nobody holds it.
    ///
    /// # Errors
    /// Where the file cannot be made or locked.
    pub fn take(folder: &Path, name: &'static str) -> io::Result<Option<Self>> {
        let file = OpenOptions::new()
            .create(true)
            .truncate(false)
            .write(true)
            .open(folder.join(name))?;
        match file.try_lock() {
            Ok(()) => Ok(Some(Self {
                folder: folder.to_owned(),
                name,
                file,
            })),
            Err(TryLockError::WouldBlock) => Ok(None),
            // There are file systems without locks.
            Err(TryLockError::Error(error)) => {
                let told = format!("{name} cannot be locked: {error}");
                Err(io::Error::new(error.kind(), told))
            }
        }
    }

    /// Takes it anew where its file was removed or moved away, mostly with the folder, which is made again: others would
    /// find the folder free.
    ///
    /// # Errors
    /// Where that cannot be done, or somebody else has found it free.
    pub fn hold_on(&mut self) -> io::Result<()> {
        let path = self.folder.join(self.name);
        if has_name(&self.file, &path) {
            return Ok(());
        }
        make_folder(&self.folder)?;
        let taken = Self::take(&self.folder, self.name)?;
        let lost = || {
            let reason = format!("{} was removed, and another has locked it", path.display());
            io::Error::new(ErrorKind::ResourceBusy, reason)
        };
        *self = taken.ok_or_else(lost)?;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    #[test]
    fn one_holds_it_at_a_time() {
        let folder = tempfile::tempdir().unwrap();
        let take = || FolderLock::take(folder.path(), "lock").unwrap();
        let held = take();
        assert!(held.is_some());
        assert!(take().is_none());
        drop(held);
        assert!(take().is_some());
    }

    #[test]
    fn it_is_held_on_to_when_its_folder_is_removed() {
        let around = tempfile::tempdir().unwrap();
        let folder = around.path().join("folder");
        fs::create_dir(&folder).unwrap();
        let take = || FolderLock::take(&folder, "lock").unwrap();
        let mut held = take().unwrap();
        held.hold_on().unwrap();
        fs::remove_dir_all(&folder).unwrap();
        held.hold_on().unwrap();
        assert!(take().is_none());
        fs::remove_file(folder.join("lock")).unwrap();
        let other = take();
        assert!(other.is_some());
        let error = held.hold_on().unwrap_err();
        assert_eq!(error.kind(), ErrorKind::ResourceBusy);
        drop(other);
        held.hold_on().unwrap();
        assert!(take().is_none());
    }
}
