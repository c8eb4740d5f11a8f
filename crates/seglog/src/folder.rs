//! The seam between the log and the file system: one folder with flat names. Tests put their own in its place.

use std::fmt::Debug;
use std::fs::{self, OpenOptions};
use std::io::{self, IoSlice, Seek, SeekFrom, Write};
use std::os::unix::fs::{FileExt, MetadataExt};
use std::path::{Path, PathBuf};
use std::sync::OnceLock;

/// One name in a folder.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// The file's name, without the folder.
    pub name: String,
    /// Its length.
    pub bytes: u64,
}

/// Tells a file from all others that there are, whatever its name is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FileId {
    /// What it lies on.
    pub device: u64,
    /// Its number there.
    pub inode: u64,
}

/// How a file is opened.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mode {
    /// To be read; it is there.
    Read,
    /// To be read and written; it is there.
    Write,
    /// To be read and written; made if it is not there.
    Create,
}

/// A folder of files. Names are plain file names.
pub trait Folder: Debug + Send + Sync {
    /// Where it is, for messages.
    fn path(&self) -> &Path;

    /// Makes the folder and those above it, where they are not there.
    ///
    /// # Errors
    /// I/O errors.
    fn make(&self) -> io::Result<()>;

    /// All files, in any order; and folders, which may have the name of one.
    ///
    /// # Errors
    /// I/O errors.
    fn list(&self) -> io::Result<Vec<Entry>>;

    /// Opens a file.
    ///
    /// # Errors
    /// I/O errors.
    fn open(&self, name: &str, mode: Mode) -> io::Result<Box<dyn File>>;

    /// Gives a file another name, in place of what had it.
    ///
    /// # Errors
    /// I/O errors.
    fn rename(&self, from: &str, to: &str) -> io::Result<()>;

    /// Removes a file.
    ///
    /// # Errors
    /// I/O errors.
    fn remove(&self, name: &str) -> io::Result<()>;

    /// The file that has a name now.
    ///
    /// # Errors
    /// I/O errors.
    fn id_of(&self, name: &str) -> io::Result<FileId>;

    /// Makes the names durable.
    ///
    /// # Errors
    /// I/O errors.
    fn sync(&self) -> io::Result<()>;
}

/// An open file.
pub trait File: Debug + Send + Sync {
    /// Which one it is.
    ///
    /// # Errors
    /// I/O errors.
    fn id(&self) -> io::Result<FileId>;

    /// Whether it has a name yet, whichever: the blocks of one without go when it is closed.
    ///
    /// # Errors
    /// I/O errors.
    fn has_name(&self) -> io::Result<bool>;

    /// Its length.
    ///
    /// # Errors
    /// I/O errors.
    fn bytes(&self) -> io::Result<u64>;

    /// Reads at an offset; 0 at the end.
    ///
    /// # Errors
    /// I/O errors.
    fn read_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<usize>;

    /// Writes some of the pieces at an offset; how many bytes that were. Only one thread writes a file.
    ///
    /// # Errors
    /// I/O errors.
    fn write_at(&self, pieces: &[IoSlice<'_>], offset: u64) -> io::Result<usize>;

    /// Cuts or lengthens it.
    ///
    /// # Errors
    /// I/O errors.
    fn set_bytes(&self, bytes: u64) -> io::Result<()>;

    /// Makes its contents durable (fdatasync).
    ///
    /// # Errors
    /// I/O errors. Whether the contents are durable is unknown then, and stays so.
    fn sync(&self) -> io::Result<()>;

    /// Keeps other processes from locking it, as long as it is open.
    ///
    /// # Errors
    /// `WouldBlock` when another process has it locked; else the system's.
    fn lock(&self) -> io::Result<()>;
}

/// Writes all of the pieces at an offset.
pub(crate) fn write_all_at(
    file: &dyn File,
    mut pieces: &mut [IoSlice<'_>],
    offset: u64,
) -> io::Result<()> {
    let mut at = offset;
    // Also leaves out pieces that are empty from the start.
    IoSlice::advance_slices(&mut pieces, 0);
    while !pieces.is_empty() {
        match file.write_at(pieces, at) {
            Ok(0) => return Err(io::ErrorKind::WriteZero.into()),
            Ok(written) => {
                at += written as u64;
                IoSlice::advance_slices(&mut pieces, written);
            }
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(())
}

/// Reads as much as there is, up to the length of the buffer; how much that was.
pub(crate) fn read_full_at(file: &dyn File, buffer: &mut [u8], offset: u64) -> io::Result<usize> {
    let mut filled = 0;
    while filled < buffer.len() {
        match file.read_at(&mut buffer[filled..], offset + filled as u64) {
            Ok(0) => break,
            Ok(read) => filled += read,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(filled)
}

/// An error with the file that it is about.
pub(crate) fn at(folder: &dyn Folder, name: &str, error: &io::Error) -> io::Error {
    let path = folder.path().join(name);
    io::Error::new(error.kind(), format!("{}: {error}", path.display()))
}

/// Whether an error of reading tells of a place on the disk, and not of the file as a whole: EIO on Linux.
pub fn is_bad_sector(error: &io::Error) -> bool {
    const EIO: i32 = 5;
    error.raw_os_error() == Some(EIO)
}

/// Whether an error says that there is no room now, on the disk or for another open file: nothing is lost or unsure.
pub(crate) fn is_out_of_room(error: &io::Error) -> bool {
    is_disk_full(error) || is_out_of_handles(error)
}

/// Whether an error says that there is no room now on the disk, or in the part of it that may be used.
pub(crate) fn is_disk_full(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded | io::ErrorKind::FileTooLarge
    )
}

/// Whether an error says that no further file can be open now, in this process or at all: EMFILE, ENFILE.
pub fn is_out_of_handles(error: &io::Error) -> bool {
    const ENFILE: i32 = 23;
    const EMFILE: i32 = 24;
    matches!(error.raw_os_error(), Some(ENFILE | EMFILE))
}

/// A folder of the file system.
#[derive(Debug)]
pub struct DiskFolder {
    path: PathBuf,
    /// Kept open, so that making names durable cannot fail for want of a file handle.
    handle: OnceLock<fs::File>,
}

impl DiskFolder {
    /// The folder at a path. Nothing is looked at or made.
    pub fn new(path: impl Into<PathBuf>) -> Self {
        Self {
            path: path.into(),
            handle: OnceLock::new(),
        }
    }
}

impl Folder for DiskFolder {
    fn path(&self) -> &Path {
        &self.path
    }

    fn make(&self) -> io::Result<()> {
        let missing: Vec<_> = self
            .path
            .ancestors()
            .take_while(|folder| !folder.as_os_str().is_empty() && !folder.exists())
            .collect();
        fs::create_dir_all(&self.path).map_err(|error| match error.kind() {
            io::ErrorKind::AlreadyExists => io::Error::new(
                io::ErrorKind::NotADirectory,
                format!("a file, or a link that leads nowhere, is in the way: {error}"),
            ),
            _ => error,
        })?;
        // A folder is durable when the one that it lies in is synced.
        for folder in missing {
            let above = folder
                .parent()
                .filter(|above| !above.as_os_str().is_empty());
            fs::File::open(above.unwrap_or(Path::new(".")))?.sync_all()?;
        }
        Ok(())
    }

    fn list(&self) -> io::Result<Vec<Entry>> {
        let mut entries = Vec::new();
        for entry in fs::read_dir(&self.path)? {
            let entry = entry?;
            let metadata = match entry.metadata() {
                Ok(metadata) => metadata,
                // Removed since by the process that has the log open.
                Err(error) if error.kind() == io::ErrorKind::NotFound => continue,
                Err(error) => return Err(error),
            };
            let counts = metadata.is_file() || metadata.is_dir();
            if let (true, Ok(name)) = (counts, entry.file_name().into_string()) {
                entries.push(Entry {
                    name,
                    bytes: metadata.len(),
                });
            }
        }
        Ok(entries)
    }

    fn open(&self, name: &str, mode: Mode) -> io::Result<Box<dyn File>> {
        let file = OpenOptions::new()
            .read(true)
            .write(mode != Mode::Read)
            .create(mode == Mode::Create)
            .truncate(false)
            .open(self.path.join(name))?;
        Ok(Box::new(DiskFile { file }))
    }

    fn rename(&self, from: &str, to: &str) -> io::Result<()> {
        fs::rename(self.path.join(from), self.path.join(to))
    }

    fn remove(&self, name: &str) -> io::Result<()> {
        fs::remove_file(self.path.join(name))
    }

    fn id_of(&self, name: &str) -> io::Result<FileId> {
        fs::metadata(self.path.join(name)).map(|metadata| id_in(&metadata))
    }

    fn sync(&self) -> io::Result<()> {
        let handle = match self.handle.get() {
            Some(handle) => handle,
            None => {
                let opened = fs::File::open(&self.path)?;
                self.handle.get_or_init(|| opened)
            }
        };
        handle.sync_all()
    }
}

fn id_in(metadata: &fs::Metadata) -> FileId {
    FileId {
        device: metadata.dev(),
        inode: metadata.ino(),
    }
}

#[derive(Debug)]
struct DiskFile {
    file: fs::File,
}

impl File for DiskFile {
    fn id(&self) -> io::Result<FileId> {
        self.file.metadata().map(|metadata| id_in(&metadata))
    }

    fn has_name(&self) -> io::Result<bool> {
        self.file.metadata().map(|metadata| metadata.nlink() > 0)
    }

    fn bytes(&self) -> io::Result<u64> {
        Ok(self.file.metadata()?.len())
    }

    fn read_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<usize> {
        self.file.read_at(buffer, offset)
    }

    fn write_at(&self, pieces: &[IoSlice<'_>], offset: u64) -> io::Result<usize> {
        let mut file = &self.file;
        file.seek(SeekFrom::Start(offset))?;
        file.write_vectored(pieces)
    }

    fn set_bytes(&self, bytes: u64) -> io::Result<()> {
        self.file.set_len(bytes)
    }

    fn sync(&self) -> io::Result<()> {
        self.file.sync_data()
    }

    fn lock(&self) -> io::Result<()> {
        self.file.try_lock().map_err(|error| match error {
            fs::TryLockError::WouldBlock => io::ErrorKind::WouldBlock.into(),
            fs::TryLockError::Error(error) => error,
        })
    }
}
