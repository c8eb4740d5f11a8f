//! Reads lines from the disk for one feed, a bounded piece at a time, whatever the length of the records. Blocks.

use std::io;
use std::ops::Range;
use std::sync::Arc;

use seglog::{Acked, Damage, Folder, Found, Reader, Segment, StoredRecord, is_bad_sector};

use super::feed::Behind;
use crate::event::Position;
use crate::spool::Part;
use crate::spool::envelope::{self, EnvelopeHead};
use crate::spool::side::{self, Side, SideLines};

/// So much of the log is passed over at a time at most: where one side has few lines the other has many, and
/// segments are given back meanwhile.
const MAX_PASSED_BYTES: u64 = 16 * 1024 * 1024;

/// What there was to read when it was asked for.
pub(super) struct Extent {
    /// Oldest first.
    pub(super) segments: Vec<Segment>,
    /// The position after the last event that is committed.
    pub(super) end: Position,
    /// So many bytes of text are wanted.
    pub(super) wanted: usize,
}

/// A piece that was read.
#[derive(Default)]
pub(super) struct Piece {
    pub(super) parts: Vec<Part>,
    pub(super) damages: Vec<Damage>,
}

/// Reads the lines of one side.
pub(super) struct LaneReader {
    reader: Reader,
    side: Side,
    /// What was done before this run of the program: not to be delivered again.
    done: Arc<Acked>,
    /// The record that is being read.
    within: Option<(StoredRecord, SideLines)>,
    /// Everything below was given out.
    taken: Position,
    behind: Behind,
}

impl LaneReader {
    pub(super) fn new(
        folder: Arc<dyn Folder>,
        side: Side,
        done: Arc<Acked>,
        behind: Behind,
    ) -> Self {
        Self {
            reader: Reader::new(folder, behind.cursor).strict(),
            side,
            done,
            within: None,
            taken: behind.taken,
            behind,
        }
    }

    /// Whether it stands where the feed wants to go on.
    pub(super) fn stands_at(&self, behind: Behind) -> bool {
        self.behind == behind
    }

    /// Where it stands; nothing when there is nothing more below `end`.
    pub(super) fn behind(&self, end: Position) -> Option<Behind> {
        let has_more = self.within.is_some() || self.reader.cursor().position < end;
        has_more.then_some(self.behind)
    }

    /// Reads the next piece.
    pub(super) fn read(&mut self, extent: &Extent) -> io::Result<Piece> {
        let mut piece = Piece::default();
        let begun_at = self.reader.cursor();
        let (mut bytes, mut passed_bytes) = (0, 0);
        while bytes < extent.wanted && passed_bytes < MAX_PASSED_BYTES {
            if let Some((record, lines)) = self.within.take() {
                bytes += self.read_lines(record, lines, &mut piece.parts)?;
                continue;
            }
            self.behind.cursor = self.reader.cursor();
            let found = match self.reader.next(&extent.segments, extent.end) {
                // What was read so far is good, and what cannot be read is where the next read begins.
                Err(_) if self.reader.cursor() != begun_at => break,
                found => found?,
            };
            match found {
                Found::Record(record) => {
                    passed_bytes += record.payload_bytes;
                    self.within = self.enter(&record)?.map(|lines| (record, lines));
                }
                Found::Damage(damage) => piece.damages.push(damage),
                Found::End => break,
            }
        }
        if self.within.is_none() {
            self.behind.cursor = self.reader.cursor();
        }
        self.behind.taken = self.taken;
        Ok(piece)
    }

    /// Reads the next piece of what can be read of the segment; where nothing can, its rest is given up.
    pub(super) fn read_what_is_left(&mut self, extent: &Extent) -> io::Result<Piece> {
        self.reader.tolerate_bad_sectors_here();
        match self.read(extent) {
            Err(error) if is_bad_sector(&error) => Ok(self.give_up(extent)),
            outcome => outcome,
        }
    }

    /// Steps over the rest of the segment, of which nothing can be read.
    fn give_up(&mut self, extent: &Extent) -> Piece {
        let damage = self.reader.give_up_segment(&extent.segments, extent.end);
        self.within = None;
        self.behind.cursor = self.reader.cursor();
        self.taken = self.taken.max(self.reader.cursor().position);
        self.behind.taken = self.taken;
        Piece {
            parts: Vec::new(),
            damages: damage.into_iter().collect(),
        }
    }

    /// Finds this side's lines in a record; none where there are none, or all of them were done before.
    fn enter(&mut self, record: &StoredRecord) -> io::Result<Option<SideLines>> {
        let mut head = [0; envelope::HEAD_BYTES];
        let bytes = self.reader.payload(record, 0..head.len() as u64)?;
        head.copy_from_slice(bytes);
        if self.is_gone(record)? {
            return Ok(None);
        }
        let head = EnvelopeHead::decode(head).map_err(io::Error::other)?;
        let lines = SideLines::new(record, &head, self.side);
        let has_open = self.open_in(lines.positions()).next().is_some();
        Ok(has_open.then_some(lines))
    }

    /// Whether what was read last of a record may be another segment's: then all of it was done. A long one is read a
    /// second time behind its checksum, and one of which nothing more is to be done for this side keeps its segment
    /// from nobody.
    fn is_gone(&self, record: &StoredRecord) -> io::Result<bool> {
        Ok(record.payload_bytes > Reader::PIECE_BYTES as u64 && self.reader.has_been_recycled()?)
    }

    /// The ranges of these that are neither given out nor done.
    fn open_in(&self, positions: Range<Position>) -> impl Iterator<Item = Range<Position>> {
        self.done
            .open_in(positions.start.max(self.taken)..positions.end)
    }

    /// Reads whole lines of the record, as many as fit into a piece; how many bytes they were.
    fn read_lines(
        &mut self,
        record: StoredRecord,
        mut lines: SideLines,
        parts: &mut Vec<Part>,
    ) -> io::Result<usize> {
        let part = lines.next(|range, text| {
            text.extend_from_slice(self.reader.payload(&record, range)?);
            Ok(())
        });
        if self.is_gone(&record)? {
            self.taken = self.taken.max(record.end());
            return Ok(0);
        }
        let part = part?;
        let bytes = part.lines.bytes.len();
        let positions = part.first..lines.positions().start;
        parts.extend(side::cut(part, self.open_in(positions.clone())));
        self.taken = self.taken.max(positions.end);
        self.within = (!lines.is_over()).then_some((record, lines));
        Ok(bytes)
    }
}
