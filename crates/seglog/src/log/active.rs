//! The segment that is being written.

use std::io::{self, IoSlice};

use super::Place;
use crate::Position;
use crate::folder::{File, is_out_of_room, write_all_at};
use crate::record::{HEAD_BYTES, Head, Record};
use crate::segment::{HEADER_BYTES, Header, Segment};

/// So much is written ahead at a time. A sync of 8 KiB takes 122 µs where the blocks were written before and 200 µs
/// where the file grows; a step is paid once for about a hundred of them.
const AHEAD_BYTES: u64 = 1024 * 1024;

/// A write from this size on pays for its own metadata: zeros behind it would only be written over at once.
const LARGE_WRITE: u64 = AHEAD_BYTES / 8;

static ZEROS: [u8; 64 * 1024] = [0; 64 * 1024];

/// A segment and its file.
#[derive(Debug)]
pub(super) struct Active {
    pub(super) segment: Segment,
    pub(super) file: Box<dyn File>,
    /// Records that were refused lie behind the others, whole or in part.
    holds_refused: bool,
}

impl Active {
    /// Writes the header of a new segment into a file, and makes it durable.
    pub(super) fn begin(file: Box<dyn File>, header: Header) -> io::Result<Self> {
        write_all_at(&*file, &mut [IoSlice::new(&header.encode())], 0)?;
        file.sync()?;
        let segment = Segment {
            generation: header.generation,
            first: header.first,
            made_at: header.made_at,
            file_bytes: file.bytes()?,
            used_bytes: HEADER_BYTES as u64,
        };
        Ok(Self {
            segment,
            file,
            holds_refused: false,
        })
    }

    /// Whether a record of so many bytes belongs into this segment: it fits, or it fits in none.
    pub(super) fn takes(&self, bytes: u64, segment_bytes: u64) -> bool {
        let is_new = self.segment.used_bytes == HEADER_BYTES as u64;
        is_new || self.has_room(bytes, segment_bytes)
    }

    /// Whether records of so many bytes together fit into this segment.
    pub(super) fn has_room(&self, bytes: u64, segment_bytes: u64) -> bool {
        self.segment.used_bytes + bytes <= segment_bytes
    }

    /// By how much the file becomes longer when so many bytes are written to it.
    pub(super) fn growth(&self, bytes: u64) -> u64 {
        (self.segment.used_bytes + bytes).saturating_sub(self.segment.file_bytes)
    }

    /// Writes records in one go; the first event gets the position `next`.
    pub(super) fn write(
        &mut self,
        records: &[Record<'_>],
        next: Position,
        settled: Position,
    ) -> io::Result<Vec<Place>> {
        self.take_back()?;
        let offset = self.segment.used_bytes;
        let mut heads = Vec::with_capacity(records.len());
        let mut places = Vec::with_capacity(records.len());
        let mut at = Place {
            generation: self.segment.generation,
            offset,
            first: next,
        };
        for record in records {
            heads.push(head(record, at, settled).encode());
            places.push(at);
            at.offset += record.bytes();
            at.first += Position::from(record.events);
        }
        let outcome = write_all_at(&*self.file, &mut slices(&heads, records), offset);
        match outcome {
            Ok(()) => {
                self.segment.used_bytes = at.offset;
                self.segment.file_bytes = self.segment.file_bytes.max(at.offset);
                Ok(places)
            }
            Err(error) if is_out_of_room(&error) => {
                self.holds_refused = true;
                self.take_back()?;
                Err(error)
            }
            Err(error) => Err(error),
        }
    }

    /// Cuts off what was refused. Whole records in it would follow the next ones that are written in their place, so
    /// there are none before this has succeeded: with a quota of btrfs that is used up no file can be cut.
    fn take_back(&mut self) -> io::Result<()> {
        if !self.holds_refused {
            return Ok(());
        }
        self.segment.file_bytes = self.file.bytes()?;
        self.file.set_bytes(self.segment.used_bytes)?;
        self.segment.file_bytes = self.segment.used_bytes;
        self.holds_refused = false;
        Ok(())
    }

    /// Writes zeros behind the records when they have reached the end of the file, after `written` bytes of
    /// them: up to the end of the segment, and within the room that is left. A disk that is full is nothing
    /// to worry about yet.
    pub(super) fn write_ahead(
        &mut self,
        written: u64,
        segment_bytes: u64,
        room: u64,
    ) -> io::Result<()> {
        let from = self.segment.used_bytes;
        if from < self.segment.file_bytes || written >= LARGE_WRITE {
            return Ok(());
        }
        let wanted = segment_bytes
            .saturating_sub(from)
            .min(AHEAD_BYTES)
            .min(room);
        let mut left = wanted as usize;
        let mut pieces = Vec::with_capacity(left.div_ceil(ZEROS.len()));
        while left > 0 {
            let piece = &ZEROS[..left.min(ZEROS.len())];
            left -= piece.len();
            pieces.push(IoSlice::new(piece));
        }
        match write_all_at(&*self.file, &mut pieces, from) {
            Ok(()) => {
                self.segment.file_bytes = from + wanted;
                Ok(())
            }
            Err(error) if is_out_of_room(&error) => {
                self.segment.file_bytes = self.file.bytes()?;
                Ok(())
            }
            Err(error) => Err(error),
        }
    }
}

fn head(record: &Record<'_>, place: Place, settled: Position) -> Head {
    Head {
        generation: place.generation,
        first: place.first,
        events: record.events,
        payload_bytes: u32::try_from(record.payload_bytes()).expect("longer ones are refused"),
        settled,
        made_at: record.made_at,
        checksum: record.checksum,
    }
}

/// Heads and payloads in turn.
fn slices<'a>(heads: &'a [[u8; HEAD_BYTES]], records: &[Record<'a>]) -> Vec<IoSlice<'a>> {
    let mut slices = Vec::with_capacity(4 * records.len());
    for (head, record) in heads.iter().zip(records) {
        slices.push(IoSlice::new(head));
        slices.extend(record.pieces.iter().map(|piece| IoSlice::new(piece)));
    }
    slices
}
