//! The file of the current hour: appended to in whole lines, all or none.

use std::fs::{File, OpenOptions};
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};

use crate::folders::{has_name, is_full, is_removed};
use crate::telemetry::events::TornLineCut;

/// An open file.
pub(super) struct Current {
    path: PathBuf,
    file: File,
    /// Where the last whole line ends.
    bytes: u64,
    /// Whether there was no room to cut off what failed behind that.
    is_uncut: bool,
    /// Cuts a file; tests put their own in its place.
    cut: fn(&File, u64) -> io::Result<()>,
}

impl Current {
    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    pub(super) fn bytes(&self) -> u64 {
        self.bytes
    }

    /// Opens a file for appending. What a crash or a full disk left of a last line is cut: its event was never
    /// counted as delivered and comes again.
    pub(super) fn open(path: PathBuf) -> io::Result<Self> {
        let mut file = OpenOptions::new()
            .read(true)
            .append(true)
            .create(true)
            .open(&path)?;
        let bytes = cut_torn_line(&mut file, &path)?;
        Ok(Self {
            path,
            file,
            bytes,
            is_uncut: false,
            cut: File::set_len,
        })
    }

    /// Whether the file is still the one of this name, with all that was written: someone may have tidied the folder, and
    /// what is written would go with a file that was removed or moved away; or copied it and cut it short.
    pub(super) fn is_there(&self) -> bool {
        let is_whole = |file: &File| file.metadata().is_ok_and(|found| found.len() >= self.bytes);
        has_name(&self.file, &self.path) && is_whole(&self.file)
    }

    /// Appends lines and syncs them.
    pub(super) fn append(&mut self, lines: &[u8]) -> io::Result<()> {
        let outcome = self.file.write_all(lines);
        if let Err(error) = outcome.and_then(|()| self.file.sync_data()) {
            // The lines come again.
            self.is_uncut = true;
            let _tried_again_before_that = self.cut_off_what_failed();
            return Err(error);
        }
        self.bytes += lines.len() as u64;
        Ok(())
    }

    /// Cuts off what failed. With a quota of btrfs that is used up no file can be cut; one that was removed need not be, and to
    /// let it go gives back its room. Should it fail for another reason, opening the file anew cuts at least a torn line.
    pub(super) fn cut_off_what_failed(&mut self) -> io::Result<()> {
        if !self.is_uncut {
            return Ok(());
        }
        let outcome = (self.cut)(&self.file, self.bytes);
        if let Err(error) = &outcome
            && is_full(error)
            && !is_removed(&self.file)
        {
            return outcome;
        }
        self.is_uncut = false;
        Ok(())
    }

    /// Whether what failed is still to be cut off.
    pub(super) fn is_uncut(&self) -> bool {
        self.is_uncut
    }
}

/// Cuts what a crash left of a last line of a file that is written no more.
pub(super) fn mend(path: &Path) -> io::Result<()> {
    if ends_whole(&mut File::open(path)?)? {
        return Ok(());
    }
    let mut file = OpenOptions::new().read(true).append(true).open(path)?;
    cut_torn_line(&mut file, path)?;
    file.sync_all()
}

/// Whether the last line is whole, told by one byte: there may be thousands of files.
fn ends_whole(file: &mut File) -> io::Result<bool> {
    if file.metadata()?.len() == 0 {
        return Ok(true);
    }
    file.seek(SeekFrom::End(-1))?;
    let mut last = [0];
    file.read_exact(&mut last)?;
    Ok(last == *b"\n")
}

/// How long the file is then.
fn cut_torn_line(file: &mut File, path: &Path) -> io::Result<u64> {
    let bytes = file.metadata()?.len();
    let whole = whole_lines(file, bytes)?;
    if whole < bytes {
        file.set_len(whole)?;
        TornLineCut {
            path,
            bytes: bytes - whole,
        }
        .emit();
    }
    Ok(whole)
}

/// Where the last whole line of a file of so many bytes ends.
fn whole_lines(file: &mut (impl Read + Seek), bytes: u64) -> io::Result<u64> {
    const STEP: u64 = 64 * 1024;
    let mut end = bytes;
    while end > 0 {
        let start = end.saturating_sub(STEP);
        let mut piece = Vec::new();
        file.seek(SeekFrom::Start(start))?;
        file.take(end - start).read_to_end(&mut piece)?;
        if let Some(newline) = memchr::memrchr(b'\n', &piece) {
            return Ok(start + newline as u64 + 1);
        }
        end = start;
    }
    Ok(0)
}

#[cfg(test)]
impl Current {
    /// From now on there is no room to cut the file, or there is again.
    pub(super) fn fail_cuts(&mut self, fail: bool) {
        self.cut = if fail {
            |_, _| Err(io::ErrorKind::QuotaExceeded.into())
        } else {
            File::set_len
        };
    }

    /// From now on nothing can be written to the file, or it can be again.
    pub(super) fn fail_writes(&mut self, fail: bool) {
        let mut options = OpenOptions::new();
        let options = options.read(true).append(!fail);
        self.file = options.open(&self.path).unwrap();
    }
}
