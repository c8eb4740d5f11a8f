//! The thread that owns the log: takes what waits, appends it, syncs once, answers all. It never waits for
//! more to come: the sync under way is what gathers the next group. Beside that it writes the checkpoint and
//! gives space back.

use std::io;
use std::sync::Arc;
use std::time::{Duration, Instant};

use seglog::{Checkpoint, Checkpoints, Failed, Log, Place, Record, Refused};

use super::pending::{PendingAppend, Taken};
use super::shared::{Capacity, Shared, now_millis};
use crate::config::SpoolSync;
use crate::event::Origin;
use crate::spool::AppendError;
use crate::telemetry::events::{CheckpointFailed, SpoolFailed};

/// The checkpoint is written at least this often while anything is acked; more often at first, so that one
/// crash after the other, each soon after the start, does not repeat the same events for ever.
const CHECKPOINT_EVERY: Duration = Duration::from_millis(500);
const FIRST_CHECKPOINT: Duration = Duration::from_millis(20);

/// The spool counts as full when less than this part of it is left, so that a balancer turns away before requests are
/// refused.
const RESERVE_PART: u64 = 64;

pub(super) struct Writer {
    log: Log,
    checkpoints: Checkpoints,
    shared: Arc<Shared>,
    sync: SpoolSync,
    max_bytes: u64,
    /// When what was appended is synced, with an interval.
    sync_at: Option<Instant>,
    checkpoint_every: Duration,
    checkpoint_at: Instant,
    written: Option<Checkpoint>,
    /// Bytes of the shortest payload that found no room, of the last group with one.
    shortest_refused: Option<u64>,
    /// As of the last checkpoint: to find it out goes over all segments.
    retry_after: Duration,
}

/// What became of a group.
#[derive(Default)]
struct Appended {
    placed: Vec<(PendingAppend, Place)>,
    no_room: Vec<PendingAppend>,
}

impl Writer {
    pub(super) fn new(
        log: Log,
        checkpoints: Checkpoints,
        shared: Arc<Shared>,
        sync: SpoolSync,
        max_bytes: u64,
    ) -> Self {
        Self {
            log,
            checkpoints,
            retry_after: shared.capacity().retry_after,
            shared,
            sync,
            max_bytes,
            sync_at: None,
            checkpoint_every: FIRST_CHECKPOINT,
            checkpoint_at: Instant::now() + FIRST_CHECKPOINT,
            written: None,
            shortest_refused: None,
        }
    }

    /// Works until nothing more comes.
    pub(super) fn run(mut self) {
        loop {
            let until = self
                .sync_at
                .map_or(self.checkpoint_at, |at| at.min(self.checkpoint_at));
            match self.shared.pending.take(until) {
                Taken::Group(group) => self.commit(group),
                Taken::Closed => break,
            }
            self.sync_if_due();
            if Instant::now() >= self.checkpoint_at || self.shared.take_purge_request() {
                self.log.probe_disk(self.shortest_refused.unwrap_or(0));
                self.checkpoint_and_purge();
                self.checkpoint_every = (2 * self.checkpoint_every).min(CHECKPOINT_EVERY);
                self.checkpoint_at = Instant::now() + self.checkpoint_every;
            }
        }
        self.make_durable();
        self.checkpoint_and_purge();
    }

    /// Appends, syncs, answers.
    fn commit(&mut self, group: Vec<PendingAppend>) {
        if group.is_empty() {
            return;
        }
        let Appended { placed, no_room } = self.append(group);
        if !self.make_safe(&placed) {
            let all = placed.into_iter().map(|(append, _)| append);
            return refuse(all.chain(no_room), AppendError::Failed);
        }
        self.shared.publish(&placed, &self.log);
        self.count(&placed);
        for (append, _) in placed {
            accept(append);
        }
        self.note_refused(&no_room);
        // Before the answers: who is refused and looks again must find a spool that is full.
        self.publish_capacity();
        let retry_after = self.retry_after;
        refuse(no_room, AppendError::Full { retry_after });
    }

    /// Appends what fits. What finds no room is tried once more when space can be given back.
    fn append(&mut self, group: Vec<PendingAppend>) -> Appended {
        let mut appended = self.append_once(group);
        if !appended.no_room.is_empty() && self.can_purge() {
            self.checkpoint_and_purge();
            let more = self.append_once(appended.no_room);
            appended.placed.extend(more.placed);
            appended.no_room = more.no_room;
        }
        appended
    }

    /// Appends what fits; when the log fails, all of the group is refused.
    fn append_once(&mut self, group: Vec<PendingAppend>) -> Appended {
        let now = now_millis();
        let pieces: Vec<[&[u8]; 3]> = group.iter().map(PendingAppend::pieces).collect();
        let records: Vec<Record<'_>> = group
            .iter()
            .zip(&pieces)
            .map(|(append, pieces)| record(append, pieces, now))
            .collect();
        match self.log.append(&records) {
            Ok(places) => self.sort(group, places),
            Err(failed) => {
                self.fail(&failed);
                refuse(group, AppendError::Failed);
                Appended::default()
            }
        }
    }

    /// What was placed, and what found no room; what can never be taken is refused here.
    fn sort(&mut self, group: Vec<PendingAppend>, places: Vec<Result<Place, Refused>>) -> Appended {
        let mut appended = Appended::default();
        for (append, place) in group.into_iter().zip(places) {
            match place {
                Ok(place) => appended.placed.push((append, place)),
                Err(Refused::Full) => appended.no_room.push(append),
                Err(Refused::TooLarge) => {
                    let error = AppendError::TooLarge {
                        bytes: append.envelope.size(),
                        max_bytes: usize::try_from(self.log.max_payload_bytes())
                            .unwrap_or(usize::MAX),
                        key: "spool.max_bytes",
                    };
                    refuse([append], error);
                }
            }
        }
        appended
    }

    /// Does what `spool.sync` asks for before an answer; false when it failed.
    fn make_safe(&mut self, placed: &[(PendingAppend, Place)]) -> bool {
        if self.shared.has_failed() {
            return false;
        }
        if placed.is_empty() {
            return true;
        }
        match self.sync {
            SpoolSync::Always => self.make_durable(),
            // Its letter is removed once this is answered, and was synced.
            _ if has_replay(placed) => self.make_durable(),
            SpoolSync::Every(time) => {
                self.sync_at.get_or_insert_with(|| Instant::now() + time);
                self.log.settle();
                true
            }
            SpoolSync::Never => {
                self.log.settle();
                true
            }
        }
    }

    fn sync_if_due(&mut self) {
        if self.sync_at.is_some_and(|at| Instant::now() >= at) {
            self.sync_at = None;
            self.make_durable();
        }
    }

    /// Syncs what is not; false when that failed, now or before.
    fn make_durable(&mut self) -> bool {
        if self.shared.has_failed() {
            return false;
        }
        if self.log.synced() == self.log.next() {
            return true;
        }
        let begun = Instant::now();
        match self.log.sync() {
            Ok(()) => {
                self.shared.telemetry.spool_synced(begun.elapsed());
                true
            }
            Err(failed) => {
                self.fail(&failed);
                false
            }
        }
    }

    /// Poisons the spool.
    fn fail(&mut self, failed: &Failed) {
        if !self.shared.has_failed() {
            SpoolFailed { reason: failed }.emit();
            self.shared.fail();
        }
    }

    fn count(&self, placed: &[(PendingAppend, Place)]) {
        let telemetry = &self.shared.telemetry;
        for (PendingAppend { envelope, .. }, _) in placed {
            telemetry.accepted(envelope.origin, envelope.events() as u64);
        }
        telemetry.source_events(
            placed
                .iter()
                .flat_map(|(append, _)| &append.envelope.sources),
        );
    }

    fn note_refused(&mut self, no_room: &[PendingAppend]) {
        let bytes =
            |append: &PendingAppend| append.pieces().iter().map(|piece| piece.len() as u64).sum();
        self.shortest_refused = no_room.iter().map(bytes).min().or(self.shortest_refused);
    }

    fn look_at_room(&mut self) {
        self.retry_after = self.shared.backlog().time_to_purge();
        self.publish_capacity();
    }

    fn publish_capacity(&mut self) {
        if self
            .shortest_refused
            .is_some_and(|bytes| self.log.has_room_for(bytes))
        {
            self.shortest_refused = None;
        }
        let has_refused = self.shortest_refused.is_some();
        let capacity = capacity(&self.log, self.max_bytes, has_refused, self.retry_after);
        self.shared.publish_capacity(capacity);
    }

    fn can_purge(&self) -> bool {
        self.log.can_purge(self.shared.backlog().acked())
    }

    /// Writes the checkpoint and gives back the space of what it covers.
    fn checkpoint_and_purge(&mut self) {
        let checkpoint = self.next_checkpoint();
        // After that: who reads where the folder was takes what is not there any more for lost. The checkpoint would go
        // where the files went, and say of their events for good that they are done.
        if let Err(failed) = self.log.check_place() {
            return self.fail(&failed);
        }
        let is_new = self.written.as_ref().is_none_or(|written| {
            let positions = |known: &Checkpoint| (known.settled, known.bookmark);
            written.acked != checkpoint.acked || positions(written) != positions(&checkpoint)
        });
        if !is_new && !self.log.has_surplus() {
            self.look_at_room();
            return;
        }
        let outcome = self
            .checkpoints
            .write(&checkpoint)
            .and_then(|()| self.log.purge(&checkpoint.acked));
        if outcome.is_ok() {
            self.written = Some(checkpoint);
        }
        self.shared.backlog().replace_segments(self.log.segments());
        self.look_at_room();
        self.tell_whether_failing(&outcome);
    }

    /// The log has the first of several failures.
    fn tell_whether_failing(&self, outcome: &io::Result<()>) {
        let telemetry = &self.shared.telemetry;
        if let Err(error) = outcome
            && !telemetry.is_checkpoint_failing()
        {
            CheckpointFailed { reason: error }.emit();
        }
        telemetry.checkpoint_failing(outcome.is_err());
    }

    fn next_checkpoint(&self) -> Checkpoint {
        let mut backlog = self.shared.backlog();
        backlog.note_drain(tokio::time::Instant::now());
        Checkpoint {
            acked: backlog.acked().clone(),
            settled: self.log.settled(),
            bookmark: backlog.letters_from(),
            written_at: now_millis(),
        }
    }
}

fn has_replay(placed: &[(PendingAppend, Place)]) -> bool {
    placed
        .iter()
        .any(|(append, _)| append.envelope.origin == Origin::Replay)
}

fn record<'a>(append: &PendingAppend, pieces: &'a [&'a [u8]], now: u64) -> Record<'a> {
    let events = append.envelope.events();
    Record {
        events: u32::try_from(events).expect("a request has fewer events"),
        made_at: now,
        pieces,
        checksum: append.checksum,
    }
}

/// What a log can still take. `has_refused`: something that it could not take yet.
pub(super) fn capacity(
    log: &Log,
    max_bytes: u64,
    has_refused: bool,
    retry_after: Duration,
) -> Capacity {
    let available_bytes = log.available_bytes();
    Capacity {
        available_bytes,
        is_full: has_refused || available_bytes < max_bytes / RESERVE_PART,
        is_disk_full: log.is_disk_full(),
        retry_after,
    }
}

fn accept(append: PendingAppend) {
    let PendingAppend { held, answer, .. } = append;
    // Before the answer, which may need less of it.
    drop(held);
    // The client may have gone away in this moment; its events are kept all the same.
    let _gone = answer.send(Ok(()));
}

fn refuse(appends: impl IntoIterator<Item = PendingAppend>, error: AppendError) {
    for append in appends {
        // The client may have gone away.
        let _gone = append.answer.send(Err(error));
    }
}
