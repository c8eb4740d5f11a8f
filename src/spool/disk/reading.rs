//! The reading of one lane from the disk, on behalf of leases that may be dropped at any moment: what is
//! under way, and how long the disk has failed, is kept for the next one.

use std::io;
use std::time::Duration;

use futures_util::future::BoxFuture;
use seglog::is_bad_sector;
use tokio::time::{Instant, sleep_until};

use super::feed::Behind;
use super::lane_reader::{Extent, LaneReader, Piece};
use crate::event::Position;
use crate::lifecycle::blocking;
use crate::telemetry::events::SpoolUnreadable;

/// The pause before a spool that cannot be read is read again.
const READ_AGAIN: Duration = Duration::from_secs(1);

/// What the disk cannot read of a segment for so long is given up: one that is away for a moment comes back
/// before that. Whatever else is in the way, such as too many open files, is waited for.
const PATIENCE: Duration = Duration::from_secs(60);

type PieceRead = BoxFuture<'static, io::Result<(LaneReader, Piece)>>;

/// The reader of a lane, and what it is doing.
#[derive(Default)]
pub(super) struct Reading {
    reader: Option<LaneReader>,
    /// The piece that is being read, and from where.
    under_way: Option<(Behind, PieceRead)>,
    /// When to try again what could not be read.
    again_at: Option<Instant>,
    /// Since when the disk cannot read what comes next.
    bad_since: Option<Instant>,
    is_reported: bool,
}

impl Reading {
    /// The next piece from there on; none when it could not be read, or the pause after that is over.
    pub(super) async fn next_piece(
        &mut self,
        from: Behind,
        extent: Extent,
        make_reader: impl FnOnce() -> LaneReader,
    ) -> Option<Piece> {
        if let Some(again_at) = self.again_at {
            sleep_until(again_at).await;
            self.again_at = None;
            return None;
        }
        let (_, piece) = match &mut self.under_way {
            Some(under_way) if under_way.0 == from => under_way,
            other => {
                let reader = self.reader.take();
                let reader = reader
                    .filter(|reader| reader.stands_at(from))
                    .unwrap_or_else(make_reader);
                let gives_up = self.bad_since.is_some_and(|at| at.elapsed() >= PATIENCE);
                other.insert((from, Box::pin(read(reader, extent, gives_up))))
            }
        };
        let outcome = piece.await;
        self.under_way = None;
        match outcome {
            Ok((reader, piece)) => {
                (self.bad_since, self.is_reported) = (None, false);
                self.reader = Some(reader);
                Some(piece)
            }
            Err(error) => {
                self.note_failure(&error);
                None
            }
        }
    }

    /// Where reading goes on; nowhere when there is nothing more below `end`.
    pub(super) fn behind(&self, end: Position) -> Option<Behind> {
        self.reader.as_ref()?.behind(end)
    }

    /// Lets go of the reader: the segment that it holds open would keep its room on the disk when it is removed.
    pub(super) fn close(&mut self) {
        self.reader = None;
    }

    fn note_failure(&mut self, error: &io::Error) {
        let now = Instant::now();
        self.again_at = Some(now + READ_AGAIN);
        self.bad_since = is_bad_sector(error).then(|| self.bad_since.unwrap_or(now));
        if !self.is_reported {
            SpoolUnreadable { reason: error }.emit();
            self.is_reported = true;
        }
    }
}

/// Reads the next piece, or gives up what cannot be read.
async fn read(
    mut reader: LaneReader,
    extent: Extent,
    gives_up: bool,
) -> io::Result<(LaneReader, Piece)> {
    blocking(move || {
        let piece = if gives_up {
            reader.read_what_is_left(&extent)?
        } else {
            reader.read(&extent)?
        };
        Ok((reader, piece))
    })
    .await
}
