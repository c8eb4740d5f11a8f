//! Reads lines from the disk for one feed, a bounded piece at a time, whatever the length of the records. Blocks.

use std::io;
use std::ops::Range;
use std::sync::Arc;

use seglog::{Acked, Cursor, Damage, Folder, Found, Reader, Segment, StoredRecord, is_bad_sector};

use super::feed::Behind;
use crate::event::Position;
use crate::spool::Part;
use crate::spool::envelope::EnvelopeHead;
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
    /// Bytes of the text that was read for it, done or not.
    read_bytes: usize,
    passed_bytes: u64,
}

/// Reads the lines of one side.
pub(super) struct LaneReader {
    reader: Reader,
    side: Side,
    /// What was done before this run of the program: not to be delivered again.
    done: Arc<Acked>,
    /// The record that is being read.
    within: Option<(StoredRecord, SideLines)>,
    /// Where the next step begins. A step that fails leaves it before what it could not read.
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
            behind,
        }
    }

    /// Whether it stands where the feed wants to go on.
    pub(super) fn stands_at(&self, behind: Behind) -> bool {
        self.behind == behind
    }

    /// Where it stands; nothing when there is nothing more below `end`.
    pub(super) fn behind(&self, end: Position) -> Option<Behind> {
        (self.behind.cursor.position < end).then_some(self.behind)
    }

    /// Reads the next piece.
    pub(super) fn read(&mut self, extent: &Extent) -> io::Result<Piece> {
        let mut piece = Piece::default();
        let begun_at = self.behind;
        while piece.read_bytes < extent.wanted && piece.passed_bytes < MAX_PASSED_BYTES {
            match self.step(extent, &mut piece) {
                Ok(true) => {}
                Ok(false) => break,
                Err(error) => {
                    self.within = None;
                    self.reader.go_back_to(self.behind.cursor);
                    if self.behind == begun_at {
                        return Err(error);
                    }
                    // What was read so far is good, and what cannot be read is where the next read begins.
                    break;
                }
            }
        }
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
        let damages = damage.map(|damage| self.rest_of(damage));
        self.behind.cursor = self.reader.cursor();
        self.behind.taken = self.behind.taken.max(self.behind.cursor.position);
        Piece {
            damages: damages.into_iter().collect(),
            ..Piece::default()
        }
    }

    /// Reads on in the record, or finds the next one; false where there is nothing more.
    fn step(&mut self, extent: &Extent, piece: &mut Piece) -> io::Result<bool> {
        let has_more = match self.within.take() {
            Some((record, lines)) => self.read_lines(record, lines, piece).map(|()| true)?,
            None => self.find_record(extent, piece)?,
        };
        if self.within.is_none() {
            self.behind.cursor = self.reader.cursor();
        }
        Ok(has_more)
    }

    fn find_record(&mut self, extent: &Extent, piece: &mut Piece) -> io::Result<bool> {
        let found = self.reader.next(&extent.segments, extent.end);
        // It may be the first in another segment.
        self.behind.cursor = match &found {
            Ok(Found::Record(record)) => Cursor {
                offset: record.offset,
                position: record.first,
                ..self.reader.cursor()
            },
            _ => self.reader.cursor(),
        };
        match found? {
            Found::Record(record) => {
                piece.passed_bytes += record.payload_bytes;
                self.enter(record, piece)?;
            }
            Found::Damage(damage) => piece.damages.push(self.rest_of(damage)),
            Found::End => return Ok(false),
        }
        Ok(true)
    }

    /// Finds this side's lines in a record, if there are any that were not done before.
    fn enter(&mut self, record: StoredRecord, piece: &mut Piece) -> io::Result<()> {
        let head = self
            .reader
            .payload(&record, EnvelopeHead::place_in(&record))?;
        let head = EnvelopeHead::decode(head, record.events, record.payload_bytes);
        let (Some(head), false) = (head, self.is_gone(&record)?) else {
            self.note_damaged(&record, record.first..record.end(), piece);
            return Ok(());
        };
        let lines = SideLines::new(&record, &head, self.side);
        let has_open = self.open_in(lines.positions()).next().is_some();
        self.within = has_open.then_some((record, lines));
        Ok(())
    }

    /// Whether what was read last of a record may be another segment's. A long one is read a second time behind its
    /// checksum, and one of which nothing more is to be done for this side keeps its segment from nobody.
    fn is_gone(&self, record: &StoredRecord) -> io::Result<bool> {
        Ok(record.payload_bytes > Reader::PIECE_BYTES as u64 && self.reader.has_been_recycled()?)
    }

    /// Takes these events of a record for damaged: who keeps the books knows whether they were done.
    fn note_damaged(
        &mut self,
        record: &StoredRecord,
        positions: Range<Position>,
        piece: &mut Piece,
    ) {
        let cursor = self.reader.cursor();
        piece.damages.push(self.rest_of(Damage {
            generation: cursor.generation,
            bytes: record.offset..cursor.offset,
            positions,
        }));
    }

    /// Damage, without what was given out of it before.
    fn rest_of(&self, damage: Damage) -> Damage {
        let Range { start, end } = damage.positions;
        Damage {
            positions: start.max(self.behind.taken).min(end)..end,
            ..damage
        }
    }

    /// The ranges of these that are neither given out nor done.
    fn open_in(&self, positions: Range<Position>) -> impl Iterator<Item = Range<Position>> {
        self.done
            .open_in(positions.start.max(self.behind.taken)..positions.end)
    }

    /// Reads whole lines of the record, as many as fit into a piece.
    fn read_lines(
        &mut self,
        record: StoredRecord,
        mut lines: SideLines,
        piece: &mut Piece,
    ) -> io::Result<()> {
        let part = lines.next(|range, text| {
            text.extend_from_slice(self.reader.payload(&record, range)?);
            Ok(())
        });
        if self.is_gone(&record)? {
            self.note_damaged(&record, record.first..record.end(), piece);
            return Ok(());
        }
        let part = match part {
            // The other side of the record may be sound.
            Err(error) if error.kind() == io::ErrorKind::InvalidData => {
                self.note_damaged(&record, lines.positions(), piece);
                return Ok(());
            }
            part => part?,
        };
        piece.read_bytes += part.lines.bytes.len();
        let positions = part.first..lines.positions().start;
        let open = self.open_in(positions.clone());
        piece.parts.extend(side::cut(part, open));
        self.behind.taken = self.behind.taken.max(positions.end);
        self.within = (!lines.is_over()).then_some((record, lines));
        Ok(())
    }
}
