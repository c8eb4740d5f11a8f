//! What a log says of the room that it has and will have.

use std::io::{self, IoSlice};

use super::Log;
use crate::folder::{Mode, write_all_at};
use crate::layout::PROBE;
use crate::segment::{HEADER_BYTES, Segment};

/// About what a request needs, and a small part of what a segment does.
const PROBE_BYTES: usize = 64 * 1024;
/// While a disk is full a probe comes again and again, so it writes no more than this, however long a record was.
const MAX_PROBES: u64 = 64;

impl Log {
    /// The segment that is written to, if one was begun since the log was opened.
    pub(super) fn active_segment(&self) -> Option<&Segment> {
        self.active.as_ref().map(|active| &active.segment)
    }

    /// The segments from a generation on, oldest first.
    pub fn segments_from(&self, generation: u64) -> impl Iterator<Item = &Segment> {
        let before = |segment: &Segment| segment.generation < generation;
        let at = self.sealed.partition_point(before);
        let active = self.active_segment().filter(|active| !before(active));
        self.sealed.range(at..).chain(active)
    }

    /// By how much the files may still grow.
    pub fn room(&self) -> u64 {
        self.room.left()
    }

    /// Bytes of records that can still be taken, at most: what the files may grow, and what is free in them.
    pub fn available_bytes(&self) -> u64 {
        let free = self.active_segment().map_or(0, |active| {
            active.file_bytes.saturating_sub(active.used_bytes)
        });
        self.room.left() + self.spares.bytes() + free
    }

    /// Whether a record with a payload of so many bytes would be taken now, as far as that is known: a disk
    /// that was full counts as full until [`Self::probe_disk`] finds room.
    pub fn has_room_for(&self, payload_bytes: u64) -> bool {
        if self.is_disk_full {
            return false;
        }
        let bytes = crate::HEAD_BYTES as u64 + payload_bytes;
        let room = self.room.left() + self.spares.bytes();
        match &self.active {
            Some(active) if active.takes(bytes, self.options.segment_bytes) => {
                active.growth(bytes) <= room
            }
            _ => HEADER_BYTES as u64 + bytes <= room,
        }
    }

    /// Whether the disk was full at the last write that needed more of it, and no probe has found room since.
    pub fn is_disk_full(&self) -> bool {
        self.is_disk_full
    }

    /// Finds out whether a disk that was full has room again: some, and for a payload of so many bytes up to 4 MiB.
    /// Does nothing where it was not full.
    pub fn probe_disk(&mut self, payload_bytes: u64) {
        if self.is_disk_full {
            // What goes wrong here says the same as a full disk: not now.
            self.is_disk_full = self.write_probe(payload_bytes).is_err();
        }
    }

    fn write_probe(&self, payload_bytes: u64) -> io::Result<()> {
        let probes = payload_bytes.div_ceil(PROBE_BYTES as u64);
        let probes = usize::try_from(probes.clamp(1, MAX_PROBES)).expect("they are few");
        let file = self.folder.open(PROBE, Mode::Create)?;
        let outcome = write_all_at(
            &*file,
            &mut vec![IoSlice::new(&[1; PROBE_BYTES]); probes],
            0,
        );
        drop(file);
        self.folder.remove(PROBE)?;
        outcome
    }

    /// The longest payload that can ever be taken.
    pub fn max_payload_bytes(&self) -> u64 {
        let heads = (HEADER_BYTES + crate::HEAD_BYTES) as u64;
        let limit = self.options.max_bytes.saturating_sub(heads);
        limit.min(u64::from(u32::MAX) - crate::HEAD_BYTES as u64)
    }
}
