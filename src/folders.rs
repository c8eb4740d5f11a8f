//! Folders: that they can be written, that they outlast a loss of power (a name is durable when the folder
//! that it stands in is synced, fsync(2)), and that others remove files in them or write there too.

mod lock;

use std::fs::{self, File};
use std::io;
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
        // Another process was faster.
        Err(error) if error.kind() != io::ErrorKind::AlreadyExists => Err(error),
        _ => sync_folder(around.unwrap_or(Path::new("."))),
    }
}

/// Makes and removes a file, to find out whether the folder can be written.
///
/// # Errors
/// Why it cannot.
pub fn check_writable(folder: &Path) -> io::Result<()> {
    let probe = folder.join(".headgate-writable");
    File::create(&probe)?;
    fs::remove_file(probe)
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
