//! Walks over a log for somebody who only looks: also beside the process that writes it, which purges segments and
//! makes others of their files meanwhile.
//!
//! A segment goes only after a checkpoint says durably that its events are done. So whatever looks like damage is
//! believed only when the checkpoint, as it is *after* that was seen, does not explain it.

use std::io;
use std::ops::Range;
use std::sync::Arc;

use crate::Position;
use crate::acked::Acked;
use crate::checkpoint::Checkpoints;
use crate::folder::Folder;
use crate::reader::Reader;
use crate::record::StoredRecord;
use crate::segment::Segment;
use crate::segment_reader::{Damage, Found};
use crate::survey::Survey;

/// A walk over what a survey found.
#[derive(Debug)]
pub struct Walk {
    folder: Arc<dyn Folder>,
    reader: Reader,
    segments: Vec<Segment>,
    end: Position,
    total_bytes: u64,
}

impl Walk {
    /// Over all records, also those whose events are done.
    pub fn over_all(folder: Arc<dyn Folder>, survey: &Survey) -> Self {
        let low = survey.acked().map_or(0, |acked| acked.low());
        let oldest = survey.segments.first().map_or(low, |oldest| oldest.first);
        Self::from(folder, survey, low.min(oldest))
    }

    /// Over the records that hold the low-water mark and what is above it.
    pub fn over_open(folder: Arc<dyn Folder>, survey: &Survey) -> Self {
        let low = survey.acked().map_or(0, |acked| acked.low());
        Self::from(folder, survey, low)
    }

    fn from(folder: Arc<dyn Folder>, survey: &Survey, position: Position) -> Self {
        let segments = survey.segments.clone();
        let reader = Reader::from(Arc::clone(&folder), &segments, position);
        let start = reader.cursor();
        let mut walk = Self {
            folder,
            reader,
            segments,
            end: survey.end.unwrap_or_default(),
            total_bytes: 0,
        };
        walk.total_bytes = walk.bytes_from(start.generation, start.offset);
        walk
    }

    /// What comes next. A record's payload can be read with [`Self::payload`] until the next call.
    ///
    /// # Errors
    /// I/O errors.
    pub fn step(&mut self) -> io::Result<Found> {
        loop {
            match self.reader.next(&self.segments, self.end)? {
                Found::Damage(damage) => {
                    if let Some(damage) = self.believe(damage)? {
                        return Ok(Found::Damage(damage));
                    }
                }
                other => return Ok(other),
            }
        }
    }

    /// A range of the payload of the record that was read last, at most [`Reader::PIECE_BYTES`] long; none when its
    /// segment has become another one's file meanwhile: its events are done.
    ///
    /// # Errors
    /// I/O errors.
    pub fn payload(
        &mut self,
        record: &StoredRecord,
        range: Range<u64>,
    ) -> io::Result<Option<&[u8]>> {
        // What is still in memory was checked, and cannot change.
        let is_checked = record.payload_bytes <= Reader::PIECE_BYTES as u64;
        if !is_checked {
            self.reader.payload(record, range.clone())?;
            if self.reader.has_been_recycled()? {
                return Ok(None);
            }
        }
        self.reader.payload(record, range).map(Some)
    }

    /// How many bytes of segments it has come through, and how many there are altogether.
    pub fn progress(&self) -> (u64, u64) {
        let cursor = self.reader.cursor();
        let left = self.bytes_from(cursor.generation, cursor.offset);
        (self.total_bytes.saturating_sub(left), self.total_bytes)
    }

    fn bytes_from(&self, generation: u64, offset: u64) -> u64 {
        let bytes = |segment: &Segment| match segment.generation.cmp(&generation) {
            std::cmp::Ordering::Less => 0,
            std::cmp::Ordering::Equal => segment.used_bytes.saturating_sub(offset),
            std::cmp::Ordering::Greater => segment.used_bytes,
        };
        self.segments.iter().map(bytes).sum()
    }

    /// As much of a damage as is one.
    fn believe(&self, damage: Damage) -> io::Result<Option<Damage>> {
        let (_, checkpoint) = Checkpoints::find(Arc::clone(&self.folder))?;
        let acked = checkpoint.map_or(Acked::below(0), |checkpoint| checkpoint.acked);
        let has_open = acked.open_in(damage.positions.clone()).next().is_some();
        if damage.bytes.is_empty() {
            let positions = damage.positions.start.max(acked.low())..damage.positions.end;
            return Ok(has_open.then_some(Damage {
                positions,
                ..damage
            }));
        }
        // Of events that are done, in a file that is still this segment's: the disk has a bad place all the same.
        let is_there =
            has_open || !(self.may_be_purged(&damage) || self.reader.has_been_recycled()?);
        Ok(is_there.then_some(damage))
    }

    /// Whether it is at the end of a segment, up to the next one that there is. Behind a segment with an event
    /// that stays open others are given back, and their events seem to be missing there.
    fn may_be_purged(&self, damage: &Damage) -> bool {
        let next = self
            .segments
            .partition_point(|segment| segment.generation <= damage.generation);
        let first = self.segments.get(next).map_or(self.end, |next| next.first);
        let here = next.checked_sub(1).map(|at| &self.segments[at]);
        first == damage.positions.end
            && here.is_some_and(|here| damage.bytes.end >= here.used_bytes)
    }
}
