//! The course of one replay: file by file, a bounded piece at a time, as fast as the spool takes it.

use std::io;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use thiserror::Error;
use tokio::time::Instant;

use super::{Interrupted, Shared};
use crate::dead_letters::{
    DeadLetters, LetterBatch, LetterFile, LetterRanges, ReadLimits, Request,
};
use crate::event::Envelope;
use crate::lifecycle::blocking;
use crate::spool::AppendError;
use crate::telemetry::events::{LettersUnread, ReplayEnded, RequestWaits};

/// The most that becomes one envelope; a single larger letter is one all the same.
const MAX_LETTERS: usize = 1000;
const MAX_BYTES: usize = 1024 * 1024;

/// After so many failures in a row it is going to take long, and what was sent is taken from the shelf meanwhile: a
/// crash would send it again. Each time costs a new file, so it is not done at every hitch.
const LONG_WAIT: u32 = 10;

/// A file that cannot be read so many times in a row, once a second, is left where it is: other letters wait behind it,
/// and so do later requests.
const MOST_READS: u32 = 60;

/// Longer than any outage.
const NEVER: Duration = Duration::from_secs(10 * 365 * 24 * 3600);

/// A replay under way.
pub(super) struct Course {
    shared: Arc<Shared>,
    request: Arc<Request>,
    tally: ReplayEnded,
    is_reported: bool,
}

/// How far a replay has come in one file.
struct Progress {
    file: LetterFile,
    /// The byte where the letters begin that were not yet looked at.
    from: u64,
    /// What the spool has and is still in the file.
    sent: LetterRanges,
    /// How many letters are tried at once.
    max_letters: usize,
}

/// What came of a step.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Step {
    /// There may be more to do.
    GoesOn,
    /// Every letter of the file was looked at, and those that were sent are gone.
    FileDone,
}

/// Why a step is to be tried again.
#[derive(Debug, Error)]
enum Obstacle {
    #[error(transparent)]
    Spool(#[from] AppendError),
    #[error(transparent)]
    Unreadable(io::Error),
    #[error(transparent)]
    Unsaved(io::Error),
}

impl Obstacle {
    fn is_unreadable(&self) -> bool {
        matches!(self, Self::Unreadable(_))
    }
}

impl Course {
    pub(super) fn new(shared: Arc<Shared>, request: Request) -> Self {
        Self {
            shared,
            request: Arc::new(request),
            tally: ReplayEnded::default(),
            is_reported: false,
        }
    }

    pub(super) async fn run(mut self) -> Result<(), Interrupted> {
        let request = Arc::clone(&self.request);
        let files = move |letters: &DeadLetters| letters.files(&request);
        for file in self.shared.until_done(files).await? {
            self.replay_file(file).await?;
        }
        self.tally.emit();
        Ok(())
    }

    async fn replay_file(&mut self, file: LetterFile) -> Result<(), Interrupted> {
        let begin = move |letters: &DeadLetters| letters.begin_sending(file);
        self.shared.with_letters(begin).await;
        let mut progress = Progress::at_the_beginning_of(file);
        let outcome = self.until_file_done(&mut progress).await;
        if outcome.is_err() {
            // At worst it is sent again at the next start.
            let _not_saved = self.save(&mut progress).await;
        }
        let end = move |letters: &DeadLetters| letters.end_sending(file);
        self.shared.with_letters(end).await;
        outcome
    }

    async fn until_file_done(&mut self, progress: &mut Progress) -> Result<(), Interrupted> {
        let (mut failures, mut unread) = (0, 0);
        loop {
            self.shared.may_go_on()?;
            match self.step(progress).await {
                Ok(Step::FileDone) => return Ok(()),
                Ok(Step::GoesOn) => (failures, unread) = (0, 0),
                Err(Obstacle::Unreadable(error)) if unread + 1 == MOST_READS => {
                    LettersUnread { reason: &error }.emit();
                    self.tally.unread_files += 1;
                    // At worst what was sent is sent again when all is asked for again.
                    let _not_saved = self.save(progress).await;
                    return Ok(());
                }
                Err(obstacle) => {
                    self.report_once(&obstacle);
                    failures += 1;
                    unread = if obstacle.is_unreadable() {
                        unread + 1
                    } else {
                        0
                    };
                    if failures == LONG_WAIT {
                        let _tried_again_at_the_end = self.save(progress).await;
                    }
                    self.shared.pause().await?;
                }
            }
        }
    }

    /// Sends the next letters; takes all that were sent from the file when there are no more.
    async fn step(&mut self, progress: &mut Progress) -> Result<Step, Obstacle> {
        let read = self.next_envelope(progress).await;
        let (batch, envelope) = read.map_err(Obstacle::Unreadable)?;
        let letters = batch.events.len();
        if letters == 0 {
            self.save(progress).await.map_err(Obstacle::Unsaved)?;
            return Ok(Step::FileDone);
        }
        let dead_again = envelope.dead.count as u64;
        match self.append(envelope).await {
            None => {}
            Some(Ok(())) => {
                progress.note_sent(batch);
                self.tally.replayed += letters as u64;
                self.tally.dead_again += dead_again;
            }
            Some(Err(AppendError::TooLarge { .. })) if letters == 1 => {
                progress.from = batch.end;
                self.tally.too_large += 1;
            }
            Some(Err(refusal)) => {
                // Fewer find room sooner.
                progress.max_letters = (letters / 2).max(1);
                if !matches!(refusal, AppendError::TooLarge { .. }) {
                    return Err(refusal.into());
                }
            }
        }
        Ok(Step::GoesOn)
    }

    async fn next_envelope(&self, progress: &Progress) -> io::Result<(LetterBatch, Envelope)> {
        let (shared, request) = (Arc::clone(&self.shared), Arc::clone(&self.request));
        let (file, from) = (progress.file, progress.from);
        let limits = ReadLimits {
            max_letters: progress.max_letters,
            max_bytes: MAX_BYTES,
        };
        blocking(move || {
            let batch = shared.dead_letters.read(file, from, &request, limits)?;
            let events = batch.events.iter().map(|event| event.get().as_bytes());
            let sources = &shared.telemetry.sources;
            let pipeline = shared.pipeline.load();
            let envelope = pipeline.replay(Timestamp::now(), events, sources);
            Ok((batch, envelope))
        })
        .await
    }

    /// What the spool says, however long it takes: an envelope that was given up may be under way, and would
    /// be sent again with the next one. None when the server's end comes first.
    async fn append(&mut self, envelope: Envelope) -> Option<Result<(), AppendError>> {
        let shared = Arc::clone(&self.shared);
        let mut append = pin!(shared.spool.append(envelope, Instant::now() + NEVER));
        loop {
            let in_time = tokio::time::timeout(shared.told_after, append.as_mut());
            match shared.lifecycle.unless_stopped(in_time).await? {
                Ok(outcome) => return Some(outcome),
                Err(_) => self.report_once(&AppendError::NotDelivered.into()),
            }
        }
    }

    /// Takes what was sent from the file.
    async fn save(&self, progress: &mut Progress) -> io::Result<()> {
        if progress.sent.letters() == 0 {
            return Ok(());
        }
        let (file, sent) = (progress.file, progress.sent.clone());
        let take_out = move |letters: &DeadLetters| letters.take_out(file, &sent);
        self.shared.with_letters(take_out).await?;
        progress.from -= progress.sent.bytes();
        progress.sent = LetterRanges::default();
        Ok(())
    }

    fn report_once(&mut self, obstacle: &Obstacle) {
        if !self.is_reported {
            RequestWaits { reason: obstacle }.emit();
            self.is_reported = true;
        }
    }
}

impl Progress {
    fn at_the_beginning_of(file: LetterFile) -> Self {
        Self {
            file,
            from: 0,
            sent: LetterRanges::default(),
            max_letters: MAX_LETTERS,
        }
    }

    fn note_sent(&mut self, batch: LetterBatch) {
        self.from = batch.end;
        self.sent.append(batch.places);
        self.max_letters = (2 * self.max_letters).min(MAX_LETTERS);
    }
}
