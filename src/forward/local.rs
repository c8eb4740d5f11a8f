//! The outputs on this machine: one task that writes batch after batch, and waits when it cannot.

use std::io;
use std::time::Duration;

use bytes::Bytes;

use super::backoff::Backoff;
use super::batch::Batch;
use super::encode::json_lines;
use super::file::FileOutput;
use super::stdout::StdoutOutput;
use super::{LOCAL_LIMITS, Shared};
use crate::lifecycle::{Lifecycle, blocking};
use crate::telemetry::Telemetry;
use crate::telemetry::events::{OutputFailed, OutputRecovered};

const BACKOFF: Backoff = Backoff {
    initial: Duration::from_millis(100),
    max: Duration::from_secs(10),
};

/// Where events are written.
pub(super) enum LocalOutput {
    File(FileOutput),
    Stdout(StdoutOutput),
}

impl LocalOutput {
    fn write(&mut self, lines: &[u8]) -> io::Result<()> {
        match self {
            Self::File(output) => output.write(lines),
            Self::Stdout(output) => output.write(lines),
        }
    }

    fn target(&self) -> String {
        match self {
            Self::File(output) => output.target(),
            Self::Stdout(_) => "standard output".to_owned(),
        }
    }
}

/// Delivers until the life has stopped. It looks for that between batches only: one that is written and not
/// acked would come again.
pub(super) async fn run(mut output: LocalOutput, shared: Shared, lifecycle: Lifecycle) {
    loop {
        let leasing = shared.spool.lease(LOCAL_LIMITS);
        let Some(parts) = lifecycle.unless_stopped(leasing).await else {
            return;
        };
        let batch = Batch::new(parts);
        let lines = json_lines(&batch);
        let Some(written) = until_written(output, lines, &shared.telemetry, &lifecycle).await
        else {
            return;
        };
        output = written;
        shared.telemetry.delivered(batch.events() as u64);
        shared.spool.ack(batch.parts());
    }
}

/// Writes lines until it succeeds, on a thread where it may block; none when the life has stopped before.
async fn until_written(
    output: LocalOutput,
    lines: Bytes,
    telemetry: &Telemetry,
    lifecycle: &Lifecycle,
) -> Option<LocalOutput> {
    let mut output = output;
    let mut failures = 0;
    loop {
        let lines = lines.clone();
        let outcome;
        (output, outcome) = blocking(move || {
            let outcome = output.write(&lines);
            (output, outcome)
        })
        .await;
        let target = output.target();
        match outcome {
            Ok(()) => {
                if failures > 0 {
                    telemetry.output_failing(false);
                    OutputRecovered { target: &target }.emit();
                }
                return Some(output);
            }
            Err(error) => {
                failures += 1;
                if failures == 1 {
                    telemetry.output_failing(true);
                    OutputFailed {
                        target: &target,
                        reason: &error,
                    }
                    .emit();
                }
                let pause = BACKOFF.pause(failures, fastrand::f64());
                lifecycle.unless_stopped(tokio::time::sleep(pause)).await?;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use tokio::time::Instant;

    use super::*;
    use crate::config::Config;
    use crate::config::OutputType;
    use crate::dead_letters::DeadLetters;
    use crate::event::{Envelope, Lines, Origin};
    use crate::lifecycle::Phase;
    use crate::spool::{Acknowledge, Spool};

    fn envelope(events: usize) -> Envelope {
        Envelope {
            origin: Origin::Json,
            live: Lines {
                count: events,
                bytes: "{\"a\":1},\n".repeat(events).into(),
            },
            dead: Lines::default(),
            sources: vec![],
        }
    }

    fn lines_in(folder: &std::path::Path) -> usize {
        let files = std::fs::read_dir(folder).unwrap();
        let texts = files.map(|file| std::fs::read_to_string(file.unwrap().path()).unwrap());
        texts.map(|text| text.lines().count()).sum()
    }

    #[tokio::test]
    async fn what_is_written_at_the_end_is_acked() {
        let folder = tempfile::tempdir().unwrap();
        let mut config = Config::default();
        config.dead_letters.dir = folder.path().join("letters");
        config.output.file.dir = folder.path().join("events");
        let telemetry = Arc::new(Telemetry::new(vec![], 1, OutputType::File));
        let output = FileOutput::open(&config.output.file, Arc::clone(&telemetry)).unwrap();
        let spool = Spool::in_memory(1 << 30, Acknowledge::Queued, Arc::clone(&telemetry));
        let (envelopes, events) = (40, 10_000);
        for _ in 0..envelopes {
            let soon = Instant::now() + Duration::from_secs(20);
            spool.append(envelope(events), soon).await.unwrap();
        }
        let dead_letters = DeadLetters::open(&config.dead_letters, Arc::clone(&telemetry)).unwrap();
        let shared = Shared::new(spool.clone(), dead_letters, telemetry);
        let lifecycle = Lifecycle::new();
        let writing = run(LocalOutput::File(output), shared, lifecycle.clone());
        let ending = async {
            while spool.status().events == envelopes * events {
                tokio::task::yield_now().await;
            }
            lifecycle.enter(Phase::Stopped);
        };
        tokio::join!(writing, ending);
        let left = spool.status().events;
        assert_eq!(lines_in(&config.output.file.dir), envelopes * events - left);
    }
}
