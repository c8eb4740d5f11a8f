//! The output to standard output, for pipes and for looking.

use std::io::{self, Write};

/// Standard output.
pub(super) struct StdoutOutput;

impl StdoutOutput {
    /// Writes and flushes.
    #[expect(
        clippy::unused_self,
        clippy::needless_pass_by_ref_mut,
        reason = "an output like the others"
    )]
    pub(super) fn write(&mut self, lines: &[u8]) -> io::Result<()> {
        let mut stdout = io::stdout().lock();
        stdout.write_all(lines)?;
        stdout.flush()
    }
}
