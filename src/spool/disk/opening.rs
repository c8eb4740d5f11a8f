//! Opens the spool on disk: finds what an earlier run left, and starts the writer.

use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use seglog::{Acked, Folder, Log, OpenError, Opened, Options, Reader};
use tokio_util::sync::CancellationToken;

use super::backlog::{Backlog, MAX_ACKED_RANGES};
use super::feed::{Behind, Feed};
use super::shared::{Shared, now_millis};
use super::writer::{Writer, capacity};
use super::{DiskSpool, Outlet};
use crate::config::{self, SpoolSync};
use crate::event::Position;
use crate::spool::first_position;
use crate::spool::side::Side;
use crate::telemetry::Telemetry;
use crate::telemetry::events::{SpoolOpened, SpoolSegmentSetAside};

/// The most text of dead letters that waits in memory: they are filed as fast as they come, or not at all.
const LETTERS_CAPACITY: usize = 1024 * 1024;

/// Ranges that a checkpoint has room for on a disk that has become full, which it is to give space back to: as many as
/// there may be, and some more of what was leased before there were.
const CHECKPOINT_RANGES: usize = MAX_ACKED_RANGES * 5 / 4;

/// How the spool on disk is kept.
#[derive(Clone, Copy, Debug)]
pub struct SpoolOptions {
    /// Length of a segment.
    pub segment_bytes: u64,
    /// The most that the segments may take together.
    pub max_bytes: u64,
    /// The most text of events that waits for delivery in memory.
    pub tail_bytes: usize,
    /// When it is synced.
    pub sync: SpoolSync,
}

impl From<&config::Spool> for SpoolOptions {
    fn from(config: &config::Spool) -> Self {
        Self {
            segment_bytes: config.segment_bytes.bytes(),
            max_bytes: config.max_bytes.bytes(),
            tail_bytes: config.tail_bytes.as_usize(),
            sync: config.sync,
        }
    }
}

/// What an earlier run left.
#[derive(Clone, Debug)]
pub struct OpenedSpool {
    /// The events that are done.
    acked: Acked,
    /// The position after the last event.
    end: Position,
    /// What happened to events that come again happened later than this. The checkpoint alone does not tell: each start
    /// writes a new one, whatever is still open.
    pub open_since: SystemTime,
}

impl OpenedSpool {
    /// Whether there are events that are given out again.
    pub fn has_open_events(&self) -> bool {
        self.acked.low() < self.end
    }

    /// Whether the event at a position was in the spool and is given out again.
    pub fn comes_again(&self, position: Position) -> bool {
        position < self.end && !self.acked.contains(position)
    }
}

impl DiskSpool {
    /// Opens the spool in a folder, and says what was found.
    ///
    /// # Errors
    /// See [`OpenError`].
    pub(in crate::spool) fn open(
        folder: &Arc<dyn Folder>,
        options: SpoolOptions,
        telemetry: Arc<Telemetry>,
    ) -> Result<(Self, OpenedSpool), OpenError> {
        let mut opened = Log::open(
            folder,
            Options {
                segment_bytes: options.segment_bytes,
                max_bytes: options.max_bytes,
                first_position: first_position(),
            },
        )?;
        let make_room = opened.checkpoints.make_room_for(CHECKPOINT_RANGES);
        make_room.map_err(|source| OpenError::Io {
            path: folder.path().to_owned(),
            source,
        })?;
        report(folder.path(), &opened, &telemetry);
        let found = OpenedSpool {
            acked: opened.acked.clone(),
            end: opened.log.next(),
            open_since: open_since(&opened),
        };
        let backlog = backlog(folder, &opened, options.tail_bytes);
        let retry_after = backlog.time_to_purge();
        let shared = Arc::new(Shared::new(
            Arc::clone(folder),
            telemetry,
            backlog,
            capacity(&opened.log, options.max_bytes, false, retry_after),
            opened.log.max_payload_bytes(),
        ));
        let writer = Writer::new(
            opened.log,
            opened.checkpoints,
            Arc::clone(&shared),
            options.sync,
            options.max_bytes,
        );
        let ended = CancellationToken::new();
        // Also when it panics: that was told on standard error, and the requests that it held are refused.
        let ends = ended.clone().drop_guard();
        std::thread::Builder::new()
            .name("headgate-spool".to_owned())
            .spawn(move || {
                writer.run();
                drop(ends);
            })
            .map_err(|source| OpenError::Io {
                path: folder.path().to_owned(),
                source,
            })?;
        let spool = Self {
            live: Outlet::new(Side::Live, &shared.live_arrived),
            dead: Outlet::new(Side::Dead, &shared.dead_arrived),
            shared,
            ended,
        };
        Ok((spool, found))
    }
}

/// The checkpoint may be older than the segment where the clock was set.
fn open_since(opened: &Opened) -> SystemTime {
    let low = opened.acked.low();
    let segments = opened.log.segments();
    let begun_by_then = segments.iter().rev().find(|segment| segment.first <= low);
    let oldest = begun_by_then.or(segments.first());
    let made_at = oldest.map_or(u64::MAX, |segment| segment.made_at);
    let checkpoint_at = opened.checkpoint_written_at.unwrap_or_default();
    UNIX_EPOCH + Duration::from_millis(made_at.min(checkpoint_at))
}

fn report(folder: &Path, opened: &Opened, telemetry: &Telemetry) {
    let events = opened.open_events();
    telemetry.spool_opened(events);
    for file in &opened.unreadable {
        SpoolSegmentSetAside { file }.emit();
    }
    SpoolOpened {
        folder,
        events,
        torn_bytes: opened.torn_bytes,
        is_without_checkpoint: events > 0 && opened.checkpoint_written_at.is_none(),
    }
    .emit();
}

/// The backlog at the start: everything that is not done is on the disk. The bookmark tells where the dead
/// letters in it begin.
fn backlog(folder: &Arc<dyn Folder>, opened: &Opened, tail_bytes: usize) -> Backlog {
    let segments = opened.log.segments();
    let end = opened.log.next();
    let behind = |from: Position| {
        (from < end).then(|| Behind {
            cursor: Reader::from(Arc::clone(folder), &segments, from).cursor(),
            taken: from,
        })
    };
    let low = opened.acked.low();
    let feeds = [
        Feed::new(tail_bytes, behind(low)),
        Feed::new(LETTERS_CAPACITY, behind(low.max(opened.bookmark))),
    ];
    let (acked, open) = (opened.acked.clone(), opened.open_events());
    let mut backlog = Backlog::new(feeds, acked, open, end, segments);
    for segment in opened.log.segments() {
        backlog.note_age(segment.first, instant_of(segment.made_at));
    }
    backlog
}

/// The instant of a time in milliseconds since the Unix epoch: now at the latest, for the system's clock may have been set back.
fn instant_of(millis: u64) -> Instant {
    let now = Instant::now();
    let age = Duration::from_millis(now_millis().saturating_sub(millis));
    now.checked_sub(age).unwrap_or(now)
}
