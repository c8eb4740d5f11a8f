//! Where a log ends: a torn tail, which never counted, is told from damage, which did.

use std::collections::VecDeque;
use std::io;

use super::Survey;
use crate::Position;
use crate::checkpoint::Checkpoint;
use crate::folder::Folder;
use crate::segment::HEADER_BYTES;
use crate::segment_reader::{Found, SegmentReader};

impl Survey {
    /// Finds where the log ends: after the last record that counts, but never before what the checkpoint knows of. The
    /// checkpoint's word makes damage of an end that is missing.
    pub(super) fn find_end(
        &mut self,
        folder: &dyn Folder,
        known: Option<&Checkpoint>,
    ) -> io::Result<()> {
        let held = self.find_tail(folder, known.map_or(0, |known| known.settled))?;
        let told = known.map(|known| known.settled.max(known.acked.high()));
        self.end = held.max(told);
        if let (Some(newest), true) = (self.segments.last_mut(), held < told) {
            newest.used_bytes = newest.file_bytes;
            self.unsettled_from = None;
        }
        Ok(())
    }

    /// The position after the last record of the newest segment that has any. Newer ones are put with the empty ones.
    fn find_tail(
        &mut self,
        folder: &dyn Folder,
        settled: Position,
    ) -> io::Result<Option<Position>> {
        let mut end = None;
        while let Some(newest) = self.segments.last_mut() {
            if end.is_some() {
                // It was sealed, and synced, before the empty one after it was made.
                break;
            }
            let tail = SegmentReader::open(folder, newest.generation)
                .and_then(|mut reader| tail_of(&mut reader, newest.first, settled));
            let tail = match tail {
                Ok(tail) => tail,
                // Purged while this looked.
                Err(error) if error.kind() == io::ErrorKind::NotFound => {
                    self.segments.pop();
                    continue;
                }
                Err(error) => return Err(error),
            };
            self.torn_bytes += tail.torn_bytes;
            if tail.offset > HEADER_BYTES as u64 {
                newest.used_bytes = tail.offset;
                self.unsettled_from = tail.unsettled_from;
                return Ok(Some(tail.end));
            }
            end = Some(newest.first);
            let name = newest.name();
            if settled > newest.first {
                self.unreadable.push(name);
            } else {
                self.empty.push(name);
            }
            self.segments.pop();
        }
        Ok(end)
    }
}

/// Where a segment ends.
struct Tail {
    end: Position,
    offset: u64,
    torn_bytes: u64,
    /// See [`Survey::unsettled_from`].
    unsettled_from: Option<u64>,
}

/// Reads the newest segment to its end. A stretch that cannot be read is damage if it had counted: a record after it,
/// or the checkpoint, knows. Otherwise the log ends before it: what follows was written together with it, and
/// nobody was told that it was kept.
fn tail_of(reader: &mut SegmentReader, first: Position, settled: Position) -> io::Result<Tail> {
    let mut offset = HEADER_BYTES as u64;
    let mut position = first;
    let mut doubtful = Unsettled::default();
    let mut sound = Unsettled::default();
    loop {
        match reader.next(offset, position, None)? {
            Found::Record(record) => {
                doubtful.settle(record.settled);
                sound.settle(record.settled);
                sound.note(offset, position);
                offset = record.end_offset();
                position = record.end();
            }
            Found::Damage(damage) => {
                doubtful.note(damage.bytes.start, damage.positions.start);
                offset = damage.bytes.end;
                position = damage.positions.end;
            }
            Found::End => break,
        }
    }
    doubtful.settle(settled);
    sound.settle(settled);
    let (torn_from, end) = doubtful.first().unwrap_or((offset, position));
    let unsettled_from = sound.first().map(|(from, _)| from);
    Ok(Tail {
        end,
        offset: torn_from,
        torn_bytes: (offset - torn_from) + reader.cut_bytes_at(offset)?,
        unsettled_from: unsettled_from.filter(|from| *from < torn_from),
    })
}

/// Stretches of which it is not known whether they were settled: offset and position of each, in order.
#[derive(Default)]
struct Unsettled(VecDeque<(u64, Position)>);

impl Unsettled {
    fn note(&mut self, offset: u64, position: Position) {
        self.0.push_back((offset, position));
    }

    /// Everything below a position was settled.
    fn settle(&mut self, settled: Position) {
        while self
            .0
            .front()
            .is_some_and(|(_, position)| *position < settled)
        {
            self.0.pop_front();
        }
    }

    fn first(&self) -> Option<(u64, Position)> {
        self.0.front().copied()
    }
}
