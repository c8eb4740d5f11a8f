//! The output to standard output, for pipes and for looking.

use std::io::{self, Write};

/// Writes and flushes.
pub(super) fn write(lines: &[u8]) -> io::Result<()> {
    let mut stdout = io::stdout().lock();
    stdout.write_all(lines)?;
    stdout.flush()
}
