//! A bounded piece of a file in memory, moved along as it is read.

use std::io;

use crate::folder::{File, read_full_at};

/// The most of a file that is in memory at once.
pub(crate) const WINDOW_BYTES: usize = 1024 * 1024;

/// What is asked for at first: most reads are of neighbouring records.
const STEP_BYTES: usize = 256 * 1024;

/// A piece of a file.
#[derive(Debug, Default)]
pub(crate) struct Window {
    start: u64,
    bytes: Vec<u8>,
}

impl Window {
    /// The `wanted` bytes (at most [`WINDOW_BYTES`]) at an offset; fewer where the file ends.
    pub(crate) fn get(&mut self, file: &dyn File, offset: u64, wanted: usize) -> io::Result<&[u8]> {
        debug_assert!(wanted <= WINDOW_BYTES, "a window is bounded");
        if !self.holds(offset, wanted) {
            self.read(file, offset, wanted.max(STEP_BYTES))?;
        }
        let from = (offset - self.start) as usize;
        let to = self.bytes.len().min(from + wanted);
        Ok(&self.bytes[from..to])
    }

    /// Forgets what was read: the file may have grown since.
    pub(crate) fn clear(&mut self) {
        self.bytes.clear();
    }

    fn holds(&self, offset: u64, wanted: usize) -> bool {
        let end = self.start + self.bytes.len() as u64;
        offset >= self.start && offset + wanted as u64 <= end
    }

    fn read(&mut self, file: &dyn File, offset: u64, wanted: usize) -> io::Result<()> {
        self.start = offset;
        self.bytes.resize(wanted, 0);
        let outcome = read_full_at(file, &mut self.bytes, offset)
            .or_else(|error| read_around(file, &mut self.bytes, offset, error));
        self.bytes.truncate(*outcome.as_ref().unwrap_or(&0));
        outcome.map(drop)
    }
}

/// Reads page by page where the whole cannot be read. A page on a bad sector reads as zeros, so that the checksum of
/// what lay there fails and the rest is found again. When no page can be read it is not a sector that is bad.
fn read_around(
    file: &dyn File,
    buffer: &mut [u8],
    offset: u64,
    error: io::Error,
) -> io::Result<usize> {
    const PAGE_BYTES: usize = 4096;
    let there = (file.bytes()?.saturating_sub(offset) as usize).min(buffer.len());
    let mut has_read = false;
    for start in (0..there).step_by(PAGE_BYTES) {
        let page = &mut buffer[start..there.min(start + PAGE_BYTES)];
        match read_full_at(file, page, offset + start as u64) {
            Ok(_) => has_read = true,
            Err(_) => page.fill(0),
        }
    }
    if has_read { Ok(there) } else { Err(error) }
}
