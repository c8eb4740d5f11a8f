//! A bounded piece of a file in memory, moved along as it is read.

use std::io;
use std::ops::Range;

use crate::folder::{File, is_bad_sector, read_full_at};

/// The most of a file that is in memory at once.
pub(crate) const WINDOW_BYTES: usize = 1024 * 1024;

/// What is asked for at first: most reads are of neighbouring records.
const STEP_BYTES: usize = 256 * 1024;

/// What the system reads whole or not at all.
const PAGE_BYTES: u64 = 4096;

/// A piece of a file.
#[derive(Debug, Default)]
pub(crate) struct Window {
    start: u64,
    /// How much of the buffer was read.
    filled: usize,
    buffer: Vec<u8>,
    /// Whether a bad sector is an error. Else what is on it reads as zeros.
    is_strict: bool,
}

impl Window {
    /// A window for which a bad sector is an error.
    pub(crate) fn strict() -> Self {
        Self {
            is_strict: true,
            ..Self::default()
        }
    }

    /// The `wanted` bytes (at most [`WINDOW_BYTES`]) at an offset; fewer where the file ends.
    pub(crate) fn get(&mut self, file: &dyn File, offset: u64, wanted: usize) -> io::Result<&[u8]> {
        let bytes = self.at_least(file, offset, wanted)?;
        Ok(&bytes[..bytes.len().min(wanted)])
    }

    /// At least the `wanted` bytes at an offset, and what else is in memory behind them; fewer where the file ends.
    pub(crate) fn at_least(
        &mut self,
        file: &dyn File,
        offset: u64,
        wanted: usize,
    ) -> io::Result<&[u8]> {
        debug_assert!(wanted <= WINDOW_BYTES, "a window is bounded");
        if !self.holds(offset, wanted) {
            self.read(file, offset, wanted.max(STEP_BYTES))?;
        }
        Ok(&self.buffer[(offset - self.start) as usize..self.filled])
    }

    /// Forgets what was read: the file may have grown since.
    pub(crate) fn clear(&mut self) {
        self.filled = 0;
    }

    fn holds(&self, offset: u64, wanted: usize) -> bool {
        let end = self.start + self.filled as u64;
        offset >= self.start && offset + wanted as u64 <= end
    }

    fn read(&mut self, file: &dyn File, offset: u64, wanted: usize) -> io::Result<()> {
        self.start = offset;
        self.filled = 0;
        if self.buffer.len() < wanted {
            self.buffer = vec![0; wanted];
        }
        let buffer = &mut self.buffer[..wanted];
        let outcome = read_full_at(file, buffer, offset);
        self.filled = if self.is_strict {
            outcome?
        } else {
            outcome.or_else(|error| read_around(file, buffer, offset, error))?
        };
        Ok(())
    }
}

/// Reads page by page where the whole cannot be read. A page on a bad sector reads as zeros, so that the checksum of
/// what lay there fails and the rest is found again. When nothing of the file can be read it is not a sector that is
/// bad.
fn read_around(
    file: &dyn File,
    buffer: &mut [u8],
    offset: u64,
    error: io::Error,
) -> io::Result<usize> {
    if !is_bad_sector(&error) {
        return Err(error);
    }
    let file_bytes = file.bytes()?;
    let there = file_bytes.saturating_sub(offset).min(buffer.len() as u64);
    let mut can_be_read = reads_outside(file, offset..offset + there, file_bytes);
    let mut at = offset;
    while at < offset + there {
        let end = (at / PAGE_BYTES * PAGE_BYTES + PAGE_BYTES).min(offset + there);
        let page = &mut buffer[(at - offset) as usize..(end - offset) as usize];
        match read_full_at(file, page, at) {
            Ok(_) => can_be_read = true,
            Err(_) => page.fill(0),
        }
        at = end;
    }
    if can_be_read {
        Ok(there as usize)
    } else {
        Err(error)
    }
}

/// Whether the first or the last byte of a file can be read, where they are not in `range`.
fn reads_outside(file: &dyn File, range: Range<u64>, file_bytes: u64) -> bool {
    let reads = |at: u64| file.read_at(&mut [0], at).is_ok_and(|read| read > 0);
    (range.start > 0 && reads(0)) || (range.end < file_bytes && reads(file_bytes - 1))
}
