//! Reads lines from the disk for one feed, a bounded piece at a time, whatever the length of the records. Blocks.

use std::io;
use std::ops::Range;
use std::sync::Arc;

use bytes::Bytes;
use seglog::{Acked, Damage, Folder, Found, Reader, Segment, StoredRecord};

use super::feed::Behind;
use crate::event::{Lines, Position};
use crate::spool::Part;
use crate::spool::envelope::{self, EnvelopeHead};

/// Which lines of a record a feed carries.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Side {
    /// Events for the output.
    Live,
    /// Dead letters.
    Dead,
}

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
pub(super) struct Source {
    reader: Reader,
    side: Side,
    /// What was done before this run of the program: not to be delivered again.
    done: Arc<Acked>,
    /// The record that is being read.
    within: Option<Within>,
    /// Everything below was given out.
    taken: Position,
    behind: Behind,
}

/// A record that is being read.
#[derive(Clone, Copy)]
struct Within {
    record: StoredRecord,
    /// The bytes of the payload that are still to be read.
    rest: (u64, u64),
    /// The position of the next line.
    next: Position,
    /// The position after the last line.
    end: Position,
}

impl Source {
    pub(super) fn new(
        folder: Arc<dyn Folder>,
        side: Side,
        done: Arc<Acked>,
        behind: Behind,
    ) -> Self {
        Self {
            reader: Reader::new(folder, behind.cursor),
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
        let mut bytes = 0;
        while bytes < extent.wanted {
            if let Some(within) = self.within {
                bytes += self.read_lines(within, &mut piece.parts)?;
                continue;
            }
            self.behind.cursor = self.reader.cursor();
            match self.reader.next(&extent.segments, extent.end)? {
                Found::Record(record) => self.within = self.enter(record)?,
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

    /// Finds this side's lines in a record; none where there are none, or all of them were done before.
    fn enter(&mut self, record: StoredRecord) -> io::Result<Option<Within>> {
        let mut head = [0; envelope::HEAD_BYTES];
        let bytes = self.reader.payload(&record, 0..head.len() as u64)?;
        head.copy_from_slice(bytes);
        let head = EnvelopeHead::decode(head).map_err(io::Error::other)?;
        let live_from = envelope::HEAD_BYTES as u64;
        let live_to = live_from + head.live_bytes;
        let first_dead = record.first + Position::from(head.live);
        let within = match self.side {
            Side::Live => Within {
                record,
                rest: (live_from, live_to),
                next: record.first,
                end: first_dead,
            },
            Side::Dead => Within {
                record,
                rest: (live_to, record.payload_bytes),
                next: first_dead,
                end: record.end(),
            },
        };
        let has_open = self.open_in(within.next..within.end).next().is_some();
        Ok(has_open.then_some(within))
    }

    /// The ranges of these that are neither given out nor done.
    fn open_in(&self, positions: Range<Position>) -> impl Iterator<Item = Range<Position>> {
        self.done
            .open_in(positions.start.max(self.taken)..positions.end)
    }

    /// Reads whole lines of the record, as many as fit into a piece; how many bytes they were.
    fn read_lines(&mut self, within: Within, parts: &mut Vec<Part>) -> io::Result<usize> {
        let text = self.whole_lines(within)?;
        let bytes = text.len();
        let count = memchr::memchr_iter(b'\n', &text).count();
        let mut lines = Lines { count, bytes: text };
        let positions = within.next..within.next + count as Position;
        let mut at = positions.start;
        let open: Vec<Range<Position>> = self.open_in(positions.clone()).collect();
        for range in open {
            let _done = take(&mut lines, range.start - at);
            parts.push(Part {
                first: range.start,
                lines: take(&mut lines, range.end - range.start),
            });
            at = range.end;
        }
        self.taken = self.taken.max(positions.end);
        let rest = (within.rest.0 + bytes as u64, within.rest.1);
        self.within = (rest.0 < rest.1).then_some(Within {
            rest,
            next: positions.end,
            ..within
        });
        Ok(bytes)
    }

    /// The next bytes of the record up to a line's end, at least one line.
    fn whole_lines(&mut self, within: Within) -> io::Result<Bytes> {
        let (from, to) = within.rest;
        let mut text: Vec<u8> = Vec::new();
        loop {
            let at = from + text.len() as u64;
            let piece_end = to.min(at + Reader::PIECE_BYTES as u64);
            if at == piece_end {
                return Err(io::Error::other("a record ends within a line"));
            }
            let piece = self.reader.payload(&within.record, at..piece_end)?;
            if let Some(newline) = memchr::memrchr(b'\n', piece) {
                text.extend_from_slice(&piece[..=newline]);
                return Ok(Bytes::from(text));
            }
            text.extend_from_slice(piece);
        }
    }
}

/// Takes so many lines from the front.
fn take(lines: &mut Lines, count: Position) -> Lines {
    if count == 0 {
        return Lines::default();
    }
    let count = usize::try_from(count).expect("they are in memory");
    lines.split_front(count, usize::MAX)
}
