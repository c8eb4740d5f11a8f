//! The output to standard output, for pipes and for looking.

use std::fs::File;
use std::io::{self, ErrorKind, Write};
use std::os::fd::AsFd;
use std::time::Duration;

/// The pause before a pipe is tried again that its reader has made one that does not block.
const PAUSE: Duration = Duration::from_millis(5);

/// Standard output, without a buffer: what was written is known to the byte.
pub(super) struct StdoutOutput<W = File> {
    out: W,
    /// Bytes of the batch under way that are written already.
    written: usize,
}

impl StdoutOutput {
    /// # Errors
    /// I/O errors of duplicating the handle.
    pub(super) fn open() -> io::Result<Self> {
        let handle = io::stdout().as_fd().try_clone_to_owned()?;
        Ok(Self::to(File::from(handle)))
    }
}

impl<W: Write> StdoutOutput<W> {
    fn to(out: W) -> Self {
        Self { out, written: 0 }
    }

    /// Writes a batch. After an error the same batch is to be given again: it goes on where it was, so that no line is
    /// torn or there twice.
    pub(super) fn write(&mut self, lines: &[u8]) -> io::Result<()> {
        while self.written < lines.len() {
            match self.out.write(&lines[self.written..]) {
                Ok(0) => return Err(ErrorKind::WriteZero.into()),
                Ok(bytes) => self.written += bytes,
                Err(error) => match error.kind() {
                    ErrorKind::Interrupted => {}
                    ErrorKind::WouldBlock => std::thread::sleep(PAUSE),
                    _ => return Err(error),
                },
            }
        }
        self.written = 0;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Takes three bytes at a time, and fails in between.
    #[derive(Default)]
    struct Faulty {
        taken: Vec<u8>,
        calls: usize,
    }

    impl Write for Faulty {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.calls += 1;
            match self.calls % 4 {
                0 => Err(ErrorKind::StorageFull.into()),
                1 => Err(ErrorKind::WouldBlock.into()),
                2 => Err(ErrorKind::Interrupted.into()),
                _ => {
                    let taken = &bytes[..bytes.len().min(3)];
                    self.taken.extend(taken);
                    Ok(taken.len())
                }
            }
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn a_batch_goes_on_where_it_was() {
        let mut output = StdoutOutput::to(Faulty::default());
        let mut failures = 0;
        for lines in ["{\"a\":1}\n{\"a\":2}\n", "{\"a\":3}\n"] {
            while output.write(lines.as_bytes()).is_err() {
                failures += 1;
            }
        }
        assert!(failures > 2, "{failures}");
        let text = String::from_utf8(output.out.taken).unwrap();
        assert_eq!(text, "{\"a\":1}\n{\"a\":2}\n{\"a\":3}\n");
    }
}
