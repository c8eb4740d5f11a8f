//! Folders: that they can be written, that they outlast a loss of power (a name is durable when the folder
//! that it stands in is synced, fsync(2)), and that others remove files in them or write there too.

mod lock;

use std::fs::{self, File};
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::Path;

pub use lock::FolderLock;

/// Makes what was created, renamed or removed in a folder durable.
///
/// # Errors
/// Where the folder cannot be opened or synced.
pub fn sync_folder(folder: &Path) -> io::Result<()> {
    File::open(folder)?.sync_all()
}

/// Makes a folder and those around it, each durable in the one around it. One that is there is left alone.
///
/// # Errors
/// Where one of them cannot be made or synced.
pub fn make_folder(folder: &Path) -> io::Result<()> {
    if folder.is_dir() {
        return Ok(());
    }
    let around = folder.parent().filter(|path| !path.as_os_str().is_empty());
    if let Some(around) = around {
        make_folder(around)?;
    }
    match fs::create_dir(folder) {
        Err(error) if error.kind() != io::ErrorKind::AlreadyExists => Err(error),
        // Unless another process was faster.
        Err(error) if !folder.is_dir() => Err(io::Error::new(
            io::ErrorKind::NotADirectory,
            format!("a file, or a link that leads nowhere, is in the way: {error}"),
        )),
        _ => sync_folder(around.unwrap_or(Path::new("."))),
    }
}

/// Makes and removes a file, to find out whether the folder can be written. It can where the disk is full, also of files:
/// what is delivered makes room, and that waits for the start.
///
/// # Errors
/// Why it cannot.
pub fn check_writable(folder: &Path) -> io::Result<()> {
    let probe = folder.join(".headgate-writable");
    unless_full(File::create(&probe).and_then(|_| fs::remove_file(probe)))
}

fn unless_full(outcome: io::Result<()>) -> io::Result<()> {
    match outcome {
        Err(error) if is_full(&error) => Ok(()),
        outcome => outcome,
    }
}

/// Whether the disk or the owner's share of it is full.
pub fn is_full(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded
    )
}

/// Whether an open file is the one of this name. What is written to one that is not goes with it; and what cannot be found
/// out is not so.
pub fn has_name(file: &File, path: &Path) -> bool {
    let (Ok(ours), Ok(there)) = (file.metadata(), fs::metadata(path)) else {
        return false;
    };
    (ours.dev(), ours.ino()) == (there.dev(), there.ino())
}

/// Whether an open file was removed: its room is given back when it is closed.
pub fn is_removed(file: &File) -> bool {
    file.metadata().is_ok_and(|found| found.nlink() == 0)
}

/// What was done with a file; none where somebody else has removed it meanwhile.
///
/// # Errors
/// All others.
pub fn unless_gone<T>(outcome: io::Result<T>) -> io::Result<Option<T>> {
    match outcome {
        Ok(done) => Ok(Some(done)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_in_the_place_of_a_folder_is_told() {
        let folder = tempfile::tempdir().unwrap();
        let [file, link] = ["file", "link"].map(|name| folder.path().join(name));
        fs::write(&file, "x").unwrap();
        std::os::unix::fs::symlink("nowhere", &link).unwrap();
        for place in [&file, &link, &link.join("below")] {
            let error = make_folder(place).unwrap_err();
            assert!(
                error.to_string().contains("in the way"),
                "{place:?}: {error}"
            );
        }
    }

    #[test]
    fn a_folder_of_a_full_disk_can_be_written_and_no_other_that_takes_no_file() {
        use io::ErrorKind;
        for kind in [ErrorKind::StorageFull, ErrorKind::QuotaExceeded] {
            assert!(unless_full(Err(kind.into())).is_ok(), "{kind:?}");
        }
        for kind in [
            ErrorKind::PermissionDenied,
            ErrorKind::ReadOnlyFilesystem,
            ErrorKind::NotFound,
        ] {
            assert!(unless_full(Err(kind.into())).is_err(), "{kind:?}");
        }
        let folder = tempfile::tempdir().unwrap();
        check_writable(folder.path()).unwrap();
        assert!(fs::read_dir(folder.path()).unwrap().next().is_none());
        assert!(check_writable(&folder.path().join("missing")).is_err());
    }
}
