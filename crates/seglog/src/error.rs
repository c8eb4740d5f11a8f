//! What can go wrong with a log as a whole.

use std::io;
use std::path::PathBuf;

use thiserror::Error;

/// A log could not be opened. Nothing was changed, unless it says so.
#[derive(Debug, Error)]
pub enum OpenError {
    /// Another process has it open.
    #[error("{}: another process uses this folder", folder.display())]
    Locked {
        /// The folder.
        folder: PathBuf,
    },
    /// It was written by a newer version of this program.
    #[error(
        "{}: written in format {version}; this program reads formats up to {newest}, and has touched nothing",
        file.display()
    )]
    Newer {
        /// The file that tells.
        file: PathBuf,
        /// Its format.
        version: u32,
        /// The newest format that this program knows.
        newest: u32,
    },
    /// The system refused something.
    #[error("{}", path.display())]
    Io {
        /// The file or folder.
        path: PathBuf,
        /// The I/O error.
        source: io::Error,
    },
}

/// A write or a sync failed, so nobody knows what is on the disk. The log takes nothing more until it is opened anew:
/// a second sync would report success for pages that the first one has already given up.
#[derive(Debug, Error)]
#[error("{}: {source}", path.display())]
pub struct Failed {
    /// The file.
    pub path: PathBuf,
    /// The I/O error.
    pub source: io::Error,
}
