//! Lines on their way to standard error. A pipe that nobody reads blocks who writes to it, and must not block a server:
//! one thread writes, and what it does not get to is lost and counted.

use std::io::{self, Write};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::time::Duration;

/// Lines that wait at most: a megabyte or two.
const MAX_WAITING: usize = 4096;

/// So long the end of the process waits for lines to be written.
const LAST_WAIT: Duration = Duration::from_millis(500);

/// Lines that were lost.
static LOST: AtomicU64 = AtomicU64::new(0);

/// Lines of the log that this process has lost, because nobody took them.
pub(in crate::telemetry) fn lost_lines() -> u64 {
    LOST.load(Ordering::Relaxed)
}

enum Message {
    Line(Box<[u8]>),
    End,
}

/// Takes lines, and never blocks.
#[derive(Clone)]
pub(super) struct LineQueue(SyncSender<Message>);

/// Writes out what waits when it is dropped, as far as somebody takes it.
#[must_use = "what waits is lost without it"]
pub struct LogGuard {
    queue: LineQueue,
    /// Closed once all is written.
    written: Receiver<()>,
}

impl LineQueue {
    /// A queue, and the thread that writes what it takes.
    ///
    /// # Errors
    /// There is no thread to be had.
    pub(super) fn to(mut out: impl Write + Send + 'static) -> io::Result<(Self, LogGuard)> {
        let (sender, messages) = sync_channel(MAX_WAITING);
        let (until_dropped, written) = sync_channel(0);
        let write = move || {
            let _until_all_is_written: SyncSender<()> = until_dropped;
            while let Ok(Message::Line(line)) = messages.recv() {
                // There is no other place to tell of it.
                if out.write_all(&line).is_err() {
                    LOST.fetch_add(1, Ordering::Relaxed);
                }
            }
        };
        let thread = std::thread::Builder::new().name("headgate-log".to_owned());
        thread.spawn(write)?;
        let queue = Self(sender);
        let guard = LogGuard {
            queue: queue.clone(),
            written,
        };
        Ok((queue, guard))
    }
}

impl Write for LineQueue {
    /// Takes a whole line: the subscriber writes each in one go.
    fn write(&mut self, line: &[u8]) -> io::Result<usize> {
        if self.0.try_send(Message::Line(line.into())).is_err() {
            LOST.fetch_add(1, Ordering::Relaxed);
        }
        Ok(line.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Drop for LogGuard {
    fn drop(&mut self) {
        let _there_is_no_room_where_nobody_reads = self.queue.0.try_send(Message::End);
        let _written_or_out_of_patience = self.written.recv_timeout(LAST_WAIT);
    }
}

#[cfg(test)]
mod tests {
    use std::sync::{Arc, Mutex};

    use super::*;

    /// Blocks whoever writes to it until it is unlocked.
    #[derive(Clone, Default)]
    struct Pipe(Arc<Mutex<Vec<u8>>>);

    impl Write for Pipe {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.lock().unwrap().extend(bytes);
            Ok(bytes.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn who_writes_never_waits_and_what_is_lost_is_counted() {
        let pipe = Pipe::default();
        let (mut queue, guard) = LineQueue::to(pipe.clone()).unwrap();
        let lost_before = lost_lines();
        let nobody_reads = pipe.0.lock().unwrap();
        let lines = 2 * MAX_WAITING;
        for _ in 0..lines {
            queue.write_all(b"line\n").unwrap();
        }
        drop(nobody_reads);
        while guard.queue.0.try_send(Message::End).is_err() {
            std::thread::yield_now();
        }
        guard.written.recv().expect_err("nothing is sent");
        let written = pipe.0.lock().unwrap().len() / b"line\n".len();
        assert!(written >= MAX_WAITING, "{written}");
        assert_eq!(written as u64 + lost_lines() - lost_before, lines as u64);
    }
}
