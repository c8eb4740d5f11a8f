//! Replays against a spool in memory, with a paused clock: what is sent, what stays, and when it leaves its shelf.

use std::path::Path;

use tempfile::TempDir;

use super::*;
use crate::config::OutputType;
use crate::dead_letters::{UndeliverableEvent, read};
use crate::event::{Origin, Position};
use crate::spool::{Acknowledge, LeaseLimits, Part};
use crate::telemetry::DeathReason;

const ALL: LeaseLimits = LeaseLimits {
    max_events: usize::MAX,
    max_bytes: usize::MAX,
    linger: Duration::ZERO,
};

/// Bytes of a spool that has room for one of the events here, and not for two.
const ROOM_FOR_ONE: usize = 856;

/// A replayer that runs.
struct Running {
    folder: TempDir,
    shared: Arc<Shared>,
    tasks: TaskGroup,
}

impl Running {
    /// With room for this many bytes in the spool, and so many letters.
    fn start(spool_bytes: usize, letters: u64) -> Self {
        Self::start_with(Config::default(), spool_bytes, 1..=letters)
    }

    /// The same with letters at these positions.
    fn start_with(
        mut config: Config,
        spool_bytes: usize,
        letters: impl IntoIterator<Item = Position>,
    ) -> Self {
        let folder = tempfile::tempdir().unwrap();
        config.dead_letters.dir = folder.path().into();
        let telemetry = Arc::new(Telemetry::new(vec![], 10, OutputType::Http));
        let dead_letters = DeadLetters::open(&config.dead_letters, Arc::clone(&telemetry)).unwrap();
        for position in letters {
            reject(&dead_letters, position);
        }
        let spool = Spool::in_memory(spool_bytes, Acknowledge::Queued, Arc::clone(&telemetry));
        let tasks = Lifecycle::new().task_group();
        let Replays { shared } = Replays::start(&config, spool, dead_letters, telemetry, &tasks);
        Self {
            folder,
            shared,
            tasks,
        }
    }

    fn ask_for_replay(&self) {
        let request = Request::new(self.folder.path(), Action::Replay, None).unwrap();
        request.submit(self.folder.path()).unwrap();
    }

    /// Positions of the letters on the shelves.
    fn letters(&self) -> Vec<Position> {
        let mut letters = Vec::new();
        read(self.folder.path(), |letter| {
            letters.extend(letter.position());
            true
        })
        .unwrap();
        letters
    }

    fn requests(&self) -> usize {
        let requests: &Path = &self.folder.path().join("requests");
        std::fs::read_dir(requests).unwrap().count()
    }

    /// Waits until this is so; the clock moves on by itself.
    async fn until(&self, is_so: impl Fn(&Self) -> bool) {
        while !is_so(self) {
            tokio::time::sleep(PAUSE).await;
        }
    }

    async fn lease(&self) -> (usize, Vec<Part>) {
        let parts = self.shared.spool.lease(ALL).await;
        (parts.iter().map(|part| part.lines.count).sum(), parts)
    }

    async fn end(&self, phase: Phase) {
        self.shared.lifecycle.enter(phase);
        self.tasks.ended().await;
    }
}

fn reject(dead_letters: &DeadLetters, position: Position) {
    let event = format!("{{\"n\":{position},\"text\":\"{}\"}}", "x".repeat(300));
    let rejected = UndeliverableEvent {
        position,
        event: event.as_bytes(),
        broker: "127.0.0.1:9",
        reason: DeathReason::RejectedByBroker,
        status: Some(422),
        message: "the Broker answered 422",
    };
    dead_letters.keep_undeliverable(&rejected).unwrap();
}

#[tokio::test(start_paused = true)]
async fn letters_leave_the_shelf_once_the_spool_has_them() {
    let running = Running::start(1 << 20, 2500);
    running.ask_for_replay();
    running.until(|running| running.requests() == 0).await;
    assert!(running.letters().is_empty());
    assert_eq!(running.lease().await.0, 2500);
    let received = running.shared.telemetry.books().received;
    assert_eq!(received, 2500);
    running.end(Phase::Closing).await;
}

#[tokio::test(start_paused = true)]
async fn what_was_sent_before_a_long_wait_leaves_the_shelf_meanwhile() {
    let running = Running::start(ROOM_FOR_ONE, 3);
    running.ask_for_replay();
    for left in [&[2, 3][..], &[3], &[]] {
        running.until(|running| running.letters() == left).await;
        // One is in the spool, and the next waits for its room.
        let (events, parts) = running.lease().await;
        assert_eq!(events, 1);
        running.shared.spool.ack(&parts);
    }
    running.until(|running| running.requests() == 0).await;
    let received = running.shared.telemetry.books().received;
    assert_eq!(received, 3, "each is sent once");
    running.end(Phase::Closing).await;
}

/// Bytes of a letter, whose position has three digits.
fn letter_bytes() -> u64 {
    let running = Running::start_with(Config::default(), 0, [100]);
    let shelf = running.folder.path().join("broker");
    let files = std::fs::read_dir(shelf).unwrap();
    files
        .map(|file| file.unwrap().metadata().unwrap().len())
        .sum()
}

#[tokio::test(start_paused = true)]
async fn what_dies_again_drops_no_letter_that_is_still_to_be_sent() {
    let mut config = Config::default();
    // Full with 48 letters in files of three.
    config.dead_letters.max_bytes = format!("{}B", 48 * letter_bytes()).parse().unwrap();
    let running = Running::start_with(config, ROOM_FOR_ONE, 100..148);
    running.ask_for_replay();
    let mut again = 500..548;
    while let Some(position) = again.next()
        && let Ok((1, parts)) = tokio::time::timeout(100 * PAUSE, running.lease()).await
    {
        reject(&running.shared.dead_letters, position);
        running.shared.spool.ack(&parts);
    }
    running.until(|running| running.requests() == 0).await;
    assert_eq!(running.letters(), Vec::from_iter(500..548));
    running.end(Phase::Closing).await;
}

#[tokio::test(start_paused = true)]
async fn what_the_spool_can_never_hold_stays_and_the_others_go() {
    let running = Running::start(ROOM_FOR_ONE, 2);
    let long = format!("{{\"text\":\"{}\"}}", "x".repeat(700));
    let rejected = UndeliverableEvent {
        position: 7,
        event: long.as_bytes(),
        broker: "127.0.0.1:9",
        reason: DeathReason::RejectedByBroker,
        status: Some(422),
        message: "the Broker answered 422",
    };
    running
        .shared
        .dead_letters
        .keep_undeliverable(&rejected)
        .unwrap();
    reject(&running.shared.dead_letters, 8);
    running.ask_for_replay();
    for _ in 0..3 {
        let (_, parts) = running.lease().await;
        running.shared.spool.ack(&parts);
    }
    running.until(|running| running.requests() == 0).await;
    assert_eq!(running.letters(), [7]);
    running.end(Phase::Closing).await;
}

#[tokio::test(start_paused = true)]
async fn a_file_that_cannot_be_read_stays_and_the_others_go() {
    let mut config = Config::default();
    // Files of three letters.
    config.dead_letters.max_bytes = format!("{}B", 48 * letter_bytes()).parse().unwrap();
    let running = Running::start_with(config, 1 << 20, 100..109);
    let mut files: Vec<_> = std::fs::read_dir(running.folder.path().join("broker"))
        .unwrap()
        .map(|file| file.unwrap().path())
        .collect();
    files.sort_unstable();
    let (unreadable, aside) = (&files[1], running.folder.path().join("aside"));
    std::fs::rename(unreadable, &aside).unwrap();
    // A loop of links, which nobody can read, whoever runs the test.
    std::os::unix::fs::symlink(unreadable, unreadable).unwrap();
    running.ask_for_replay();
    running.until(|running| running.requests() == 0).await;
    std::fs::remove_file(unreadable).unwrap();
    std::fs::rename(&aside, unreadable).unwrap();
    assert_eq!(running.letters(), [103, 104, 105]);
    assert_eq!(running.lease().await.0, 6);
    running.end(Phase::Closing).await;
}

#[tokio::test(start_paused = true)]
async fn an_interrupted_replay_leaves_its_request_and_the_rest() {
    let running = Running::start(ROOM_FOR_ONE, 3);
    running.ask_for_replay();
    let (events, _parts) = running.lease().await;
    assert_eq!(events, 1);
    running.end(Phase::Closing).await;
    assert_eq!(running.letters(), [2, 3], "what was sent is gone");
    assert_eq!(running.requests(), 1);
}

#[tokio::test(start_paused = true)]
async fn nothing_is_sent_by_a_server_that_drains() {
    let running = Running::start(1 << 20, 3);
    running.shared.lifecycle.enter(Phase::Draining);
    running.ask_for_replay();
    running.tasks.ended().await;
    assert_eq!(running.letters(), [1, 2, 3]);
    assert_eq!(running.requests(), 1);
    assert!(!running.shared.spool.has_events_to_lease());
}

#[tokio::test(start_paused = true)]
async fn events_are_counted_by_the_codec_replay() {
    let running = Running::start(1 << 20, 1);
    running.ask_for_replay();
    running.until(|running| running.requests() == 0).await;
    let text = running
        .shared
        .telemetry
        .render(crate::telemetry::Gauges::default());
    let codec = Origin::Replay.as_str();
    let line = format!("headgate_events_received_total{{codec=\"{codec}\"}} 1");
    assert!(text.contains(&line), "no {line}");
    running.end(Phase::Closing).await;
}
