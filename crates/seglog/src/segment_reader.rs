//! Reads one segment record by record, and says of every stretch that it cannot read where it is and what it held.

use std::io;
use std::ops::Range;

use crate::Position;
use crate::folder::{File, Folder, Mode, read_full_at};
use crate::layout::segment_name;
use crate::record::{Checksum, HEAD_BYTES, Head, MAGIC, StoredRecord};
use crate::segment::{HEADER_BYTES, Header};
use crate::window::{WINDOW_BYTES, Window};

/// A stretch that cannot be read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Damage {
    /// The segment that it is in, or should be in.
    pub generation: u64,
    /// Which bytes of it; empty when nothing but a gap tells that there was something.
    pub bytes: Range<u64>,
    /// The events that it held.
    pub positions: Range<Position>,
}

/// What comes next in a segment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Found {
    /// A sound record; its payload's checksum holds.
    Record(StoredRecord),
    /// A stretch that cannot be read. What is asked for next begins after it.
    Damage(Damage),
    /// Nothing more.
    End,
}

/// How far the records of a segment reach.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Extent {
    /// The position after the last event.
    pub(crate) end: Position,
    /// The byte after the last record.
    pub(crate) bytes: u64,
}

/// Reads one segment.
#[derive(Debug)]
pub(crate) struct SegmentReader {
    file: Box<dyn File>,
    generation: u64,
    window: Window,
}

impl SegmentReader {
    pub(crate) fn open(folder: &dyn Folder, generation: u64) -> io::Result<Self> {
        Ok(Self {
            file: folder.open(&segment_name(generation), Mode::Read)?,
            generation,
            window: Window::default(),
        })
    }

    /// The same; a bad sector is an error for it.
    pub(crate) fn strict(self) -> Self {
        Self {
            window: Window::strict(),
            ..self
        }
    }

    pub(crate) fn generation(&self) -> u64 {
        self.generation
    }

    /// Whether the file has become another segment's meanwhile, or something that nobody can tell.
    pub(crate) fn has_been_recycled(&self) -> io::Result<bool> {
        let mut beginning = [0; HEADER_BYTES];
        read_full_at(&*self.file, &mut beginning, 0)?;
        Ok(Header::decode(&beginning).is_none_or(|header| header.generation != self.generation))
    }

    /// Forgets what it has read ahead.
    pub(crate) fn forget(&mut self) {
        self.window.clear();
    }

    /// Length of the file now.
    pub(crate) fn file_bytes(&self) -> io::Result<u64> {
        self.file.bytes()
    }

    /// The header, as it is in the file now.
    pub(crate) fn header(&mut self) -> io::Result<Option<Header>> {
        self.window.clear();
        let bytes = self.window.get(&*self.file, 0, HEADER_BYTES)?;
        Ok(Header::decode(bytes))
    }

    /// As many bytes of the file as there are at an offset, at most [`WINDOW_BYTES`]; zeros where it cannot be read.
    pub(crate) fn bytes_at(&mut self, offset: u64, wanted: usize) -> io::Result<&[u8]> {
        self.window.get(&*self.file, offset, wanted)
    }

    /// Bytes of a record at `offset` that was cut while it was written: its head is whole, its payload is not.
    pub(crate) fn cut_bytes_at(&mut self, offset: u64) -> io::Result<u64> {
        let file_bytes = self.file_bytes()?;
        let bytes = self.window.get(&*self.file, offset, HEAD_BYTES)?;
        let head = Head::decode(bytes).filter(|head| head.generation == self.generation);
        Ok(head.map_or(0, |head| {
            StoredRecord::new(&head, offset)
                .end_offset()
                .min(file_bytes)
                - offset
        }))
    }

    /// What comes at `offset`, where the event at `position` is expected. `extent`: how far the segment's records
    /// reach, as far as it is known.
    pub(crate) fn next(
        &mut self,
        offset: u64,
        position: Position,
        extent: Option<Extent>,
    ) -> io::Result<Found> {
        let end = extent.map(|extent| extent.end);
        if end.is_some_and(|end| position >= end) {
            return Ok(Found::End);
        }
        let fits = |record: &StoredRecord| {
            record.first == position && end.is_none_or(|end| record.end() <= end)
        };
        match self.record_at(offset)?.filter(fits) {
            Some(record) if self.is_sound(&record)? => Ok(Found::Record(record)),
            // Its head tells where the next one begins.
            Some(record) => Ok(self.damage(offset..record.end_offset(), position..record.end())),
            None => self.search(offset, position, extent),
        }
    }

    /// Looks for the next record after bytes that are none.
    fn search(
        &mut self,
        offset: u64,
        position: Position,
        extent: Option<Extent>,
    ) -> io::Result<Found> {
        let mut at = offset;
        let mut beyond = None;
        while let Some(candidate) = self.find_magic(at)? {
            let record = self.record_at(candidate)?;
            if let Some(record) = record.filter(|record| record.first >= position) {
                if extent.is_none_or(|extent| record.end() <= extent.end) {
                    return Ok(self.damage(offset..candidate, position..record.first));
                }
                beyond = beyond.or(Some(candidate));
            }
            at = candidate + 1;
        }
        Ok(match extent {
            // Up to what was appended since; it will be asked for.
            Some(extent) => {
                let bytes_end = beyond.unwrap_or(extent.bytes).max(offset);
                self.damage(offset..bytes_end, position..extent.end)
            }
            None => Found::End,
        })
    }

    fn damage(&self, bytes: Range<u64>, positions: Range<Position>) -> Found {
        Found::Damage(Damage {
            generation: self.generation,
            bytes,
            positions,
        })
    }

    /// The record at an offset, if there is a head of this segment's life, and room for what it tells.
    fn record_at(&mut self, offset: u64) -> io::Result<Option<StoredRecord>> {
        let bytes = self.window.get(&*self.file, offset, HEAD_BYTES)?;
        let Some(head) = Head::decode(bytes).filter(|head| head.generation == self.generation)
        else {
            return Ok(None);
        };
        let record = StoredRecord::new(&head, offset);
        Ok((record.end_offset() <= self.file_bytes()?).then_some(record))
    }

    fn is_sound(&mut self, record: &StoredRecord) -> io::Result<bool> {
        let mut hasher = crc32fast::Hasher::new();
        let mut at = 0;
        while at < record.payload_bytes {
            let to = record.payload_bytes.min(at + WINDOW_BYTES as u64);
            hasher.update(self.payload(record, at..to)?);
            at = to;
        }
        Ok(Checksum(hasher.finalize()) == record.checksum)
    }

    /// A range of a record's payload, at most [`WINDOW_BYTES`] long.
    ///
    /// # Errors
    /// I/O errors; `UnexpectedEof` when the file has become shorter.
    pub(crate) fn payload(
        &mut self,
        record: &StoredRecord,
        range: Range<u64>,
    ) -> io::Result<&[u8]> {
        let wanted = (range.end - range.start) as usize;
        let offset = record.payload_offset() + range.start;
        let bytes = self.window.get(&*self.file, offset, wanted)?;
        if bytes.len() < wanted {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        Ok(bytes)
    }

    /// Where the next magic of a record begins, at or after an offset.
    fn find_magic(&mut self, offset: u64) -> io::Result<Option<u64>> {
        let overlap = MAGIC.len() as u64 - 1;
        let mut at = offset;
        loop {
            // Whatever is in memory is looked through before more is read: a recycled segment is full of old magics.
            let piece = self.window.at_least(&*self.file, at, MAGIC.len())?;
            if let Some(found) = memchr::memmem::find(piece, &MAGIC) {
                return Ok(Some(at + found as u64));
            }
            if piece.len() < MAGIC.len() {
                return Ok(None);
            }
            at += piece.len() as u64 - overlap;
        }
    }
}
