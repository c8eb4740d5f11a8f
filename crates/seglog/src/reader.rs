//! Reads a log's records in order, segment after segment, beside the log that is being written.

use std::io::{self, IoSlice};
use std::ops::Range;
use std::sync::Arc;

use crate::Position;
use crate::folder::{Folder, Mode, write_all_at};
use crate::layout::damage_name;
use crate::record::StoredRecord;
use crate::segment::{HEADER_BYTES, Segment};
use crate::segment_reader::{Damage, Extent, Found, SegmentReader};
use crate::window::WINDOW_BYTES;

/// Where a reader stands: before a record.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Cursor {
    /// The segment.
    pub generation: u64,
    /// The byte in it.
    pub offset: u64,
    /// The position of the event that comes next.
    pub position: Position,
}

impl Cursor {
    /// Before the first record of a segment.
    fn at_start_of(segment: &Segment) -> Self {
        Self {
            generation: segment.generation,
            offset: HEADER_BYTES as u64,
            position: segment.first,
        }
    }
}

/// Reads records in order. Bounded in memory, whatever the records' size.
#[derive(Debug)]
pub struct Reader {
    folder: Arc<dyn Folder>,
    cursor: Cursor,
    open: Option<SegmentReader>,
    /// Up to where the log was known to reach at the last call.
    end: Position,
    /// What is wholly below is stepped over without a word.
    from: Position,
    is_strict: bool,
    /// The segment whose bad sectors are damage all the same.
    tolerated: Option<u64>,
}

impl Reader {
    /// The most of a payload that [`Self::payload`] gives at once.
    pub const PIECE_BYTES: usize = WINDOW_BYTES;

    /// A reader of the log from a position on; it begins with the record that holds it, or what is missing there.
    pub fn from(folder: Arc<dyn Folder>, segments: &[Segment], position: Position) -> Self {
        let after = segments.partition_point(|segment| segment.first <= position);
        let cursor = match after.checked_sub(1) {
            Some(at) => Cursor::at_start_of(&segments[at]),
            None => Cursor {
                generation: 0,
                offset: 0,
                position,
            },
        };
        Self {
            from: position,
            ..Self::new(folder, cursor)
        }
    }

    /// A reader that stands at a cursor.
    pub fn new(folder: Arc<dyn Folder>, cursor: Cursor) -> Self {
        Self {
            folder,
            cursor,
            open: None,
            end: 0,
            from: 0,
            is_strict: false,
            tolerated: None,
        }
    }

    /// The same, for which a sector that cannot be read is an error and not damage: a disk that is away for a
    /// moment looks like one whose sectors are bad, for what the system has in memory can still be read.
    #[must_use]
    pub fn strict(self) -> Self {
        Self {
            is_strict: true,
            ..self
        }
    }

    /// From now on, what cannot be read in the segment that it stands in is damage.
    pub fn tolerate_bad_sectors_here(&mut self) {
        self.tolerated = Some(self.cursor.generation);
        self.open = None;
    }

    /// Where it stands.
    pub fn cursor(&self) -> Cursor {
        self.cursor
    }

    /// Goes back to where it stood.
    pub fn go_back_to(&mut self, cursor: Cursor) {
        self.cursor = cursor;
    }

    /// What comes next and lies below `end`, and steps over it. `segments` are the log's, oldest first, as they were
    /// when `end` was, or later.
    ///
    /// The payload of the record that this gives can be read with [`Self::payload`] until the next call.
    ///
    /// # Errors
    /// I/O errors.
    pub fn next(&mut self, segments: &[Segment], end: Position) -> io::Result<Found> {
        if self.end != end {
            self.end = end;
            // What was read ahead may have been written since.
            if let Some(open) = &mut self.open {
                open.forget();
            }
        }
        loop {
            let found = self.step(segments, end)?;
            let passed = match &found {
                Some(Found::Record(record)) => record.end(),
                Some(Found::Damage(damage)) => damage.positions.end,
                Some(Found::End) => return Ok(Found::End),
                None => continue,
            };
            if let (Some(found), true) = (found, passed > self.from) {
                return Ok(found);
            }
        }
    }

    /// One step; none where it was only into the next segment.
    fn step(&mut self, segments: &[Segment], end: Position) -> io::Result<Option<Found>> {
        if self.cursor.position >= end {
            return Ok(Some(Found::End));
        }
        let generation = self.cursor.generation;
        let at = segments.partition_point(|segment| segment.generation < generation);
        let (here, after) = match &segments[at..] {
            [] => return Ok(Some(self.missing(end))),
            [next, ..] if next.generation != generation => return Ok(self.enter(next)),
            [here, after @ ..] => (here, after.first()),
        };
        let extent = Extent {
            end: after.map_or(end, |next| next.first.min(end)),
            bytes: here.used_bytes,
        };
        let (offset, position) = (self.cursor.offset, self.cursor.position);
        if position >= extent.end {
            return Ok(after.map_or(Some(Found::End), |next| self.enter(next)));
        }
        let outcome = self
            .segment()
            .and_then(|segment| segment.next(offset, position, Some(extent)));
        let found = match outcome {
            // Purged since `segments` was taken, or lost: who keeps the books knows.
            Err(error) if error.kind() == io::ErrorKind::NotFound => Found::Damage(Damage {
                generation,
                bytes: extent.bytes..extent.bytes,
                positions: position..extent.end,
            }),
            outcome => outcome?,
        };
        match &found {
            Found::Record(record) => self.go_to(record.end_offset(), record.end()),
            Found::Damage(damage) => self.go_to(damage.bytes.end, damage.positions.end),
            Found::End => {}
        }
        Ok(Some(found))
    }

    /// Steps over the rest of the segment that it stands in, which cannot be read at all. Nothing where it
    /// stands in none.
    pub fn give_up_segment(&mut self, segments: &[Segment], end: Position) -> Option<Damage> {
        let generation = self.cursor.generation;
        let at = segments
            .iter()
            .position(|segment| segment.generation == generation)?;
        let position = self.cursor.position;
        let segment_end = segments.get(at + 1).map_or(end, |next| next.first.min(end));
        let bytes = self.cursor.offset..segments[at].used_bytes.max(self.cursor.offset);
        self.go_to(bytes.end, segment_end.max(position));
        Some(Damage {
            generation,
            bytes,
            positions: position..segment_end.max(position),
        })
    }

    fn go_to(&mut self, offset: u64, position: Position) {
        self.cursor.offset = offset;
        self.cursor.position = position;
    }

    /// Goes to the beginning of a segment; what is missing before it.
    fn enter(&mut self, segment: &Segment) -> Option<Found> {
        let expected = self.cursor.position;
        self.cursor = Cursor::at_start_of(segment);
        self.open = None;
        (expected < segment.first).then_some(Found::Damage(Damage {
            generation: segment.generation,
            bytes: 0..0,
            positions: expected..segment.first,
        }))
    }

    /// There is no segment any more that could hold what is expected.
    fn missing(&mut self, end: Position) -> Found {
        let expected = std::mem::replace(&mut self.cursor.position, end);
        Found::Damage(Damage {
            generation: self.cursor.generation,
            bytes: 0..0,
            positions: expected..end,
        })
    }

    fn segment(&mut self) -> io::Result<&mut SegmentReader> {
        let generation = self.cursor.generation;
        let open = match self.open.take() {
            Some(open) if open.generation() == generation => open,
            _ => {
                let opened = SegmentReader::open(&*self.folder, generation)?;
                if self.is_strict && self.tolerated != Some(generation) {
                    opened.strict()
                } else {
                    opened
                }
            }
        };
        Ok(self.open.insert(open))
    }

    /// A range of the payload of the record that was read last, at most [`Self::PIECE_BYTES`] long.
    ///
    /// # Errors
    /// I/O errors.
    pub fn payload(&mut self, record: &StoredRecord, range: Range<u64>) -> io::Result<&[u8]> {
        match &mut self.open {
            Some(open) => open.payload(record, range),
            None => Err(io::ErrorKind::NotFound.into()),
        }
    }

    /// Whether the segment that it stands in has become another one's file meanwhile: its events are done,
    /// and what was read of it last means nothing. Happens only to readers that the log does not know of, and
    /// where nothing that is read has to be done.
    ///
    /// # Errors
    /// I/O errors.
    pub fn has_been_recycled(&self) -> io::Result<bool> {
        self.open
            .as_ref()
            .map_or(Ok(false), SegmentReader::has_been_recycled)
    }
}

/// Copies a damaged stretch into a file of its own, for a person to look at; its name. None where there are no bytes to
/// keep.
///
/// # Errors
/// I/O errors.
pub fn set_aside(folder: &dyn Folder, damage: &Damage) -> io::Result<Option<String>> {
    if damage.bytes.is_empty() {
        return Ok(None);
    }
    let name = damage_name(damage.generation, damage.bytes.start);
    let mut from = SegmentReader::open(folder, damage.generation)?;
    let to = folder.open(&name, Mode::Create)?;
    let mut at = damage.bytes.start;
    while at < damage.bytes.end {
        let wanted = (damage.bytes.end - at).min(WINDOW_BYTES as u64);
        let piece = from.bytes_at(at, wanted as usize)?;
        if piece.is_empty() {
            break;
        }
        write_all_at(&*to, &mut [IoSlice::new(piece)], at - damage.bytes.start)?;
        at += piece.len() as u64;
    }
    to.sync()?;
    folder.sync()?;
    Ok(Some(name))
}
