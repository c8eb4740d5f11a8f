//! The log as its one writer has it: append, sync, rotate, purge.

mod active;
mod open;
mod outlook;
mod space;
mod spares;

use std::collections::VecDeque;
use std::io;
use std::sync::Arc;

use crate::Position;
use crate::error::Failed;
use crate::folder::{File, Folder, Mode, is_out_of_room};
use crate::layout::{LOCK, segment_name};
use crate::record::Record;
use crate::room::Room;
use crate::segment::{HEADER_BYTES, Header, Segment};
use active::Active;
pub use open::Opened;
use spares::Spares;

/// How a log is kept.
#[derive(Clone, Copy, Debug)]
pub struct Options {
    /// Length of a segment; a record that is longer gets one of its own.
    pub segment_bytes: u64,
    /// The most that the segments may take together.
    pub max_bytes: u64,
    /// Position of the first event of a log that is new.
    pub first_position: Position,
}

/// Where a record was put.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Place {
    /// Its segment.
    pub generation: u64,
    /// Where it begins in it.
    pub offset: u64,
    /// Position of its first event.
    pub first: Position,
}

/// A record was not appended; nothing of it counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refused {
    /// There is no room now: the limit is reached, or the disk is full.
    Full,
    /// It is longer than the log may ever be.
    TooLarge,
}

/// Why a record has no place.
enum NotPlaced {
    Refused(Refused),
    Failed(Failed),
}

impl From<Refused> for NotPlaced {
    fn from(refused: Refused) -> Self {
        Self::Refused(refused)
    }
}

impl From<Failed> for NotPlaced {
    fn from(failed: Failed) -> Self {
        Self::Failed(failed)
    }
}

/// A log that is open for writing, and locked.
#[derive(Debug)]
pub struct Log {
    folder: Arc<dyn Folder>,
    options: Options,
    /// Oldest first.
    sealed: VecDeque<Segment>,
    active: Option<Active>,
    spares: Spares,
    /// Of the newest segment.
    generation: u64,
    next: Position,
    synced: Position,
    /// Everything below was acknowledged.
    settled: Position,
    /// Events below are done, durably so.
    purged_below: Position,
    room: Room,
    /// Bytes of the longest record that found no room, until one as long finds some or all is given up; else 0.
    longest_refused: u64,
    /// The disk was full at the last write that needed more of it.
    is_disk_full: bool,
    has_failed: bool,
    lock: Box<dyn File>,
}

impl Log {
    /// Appends records in this order, each whole or not at all, and says of each where it was put. They count when
    /// [`Self::sync`] has returned.
    ///
    /// # Errors
    /// [`Failed`] when a write failed: the log takes nothing more.
    pub fn append(
        &mut self,
        records: &[Record<'_>],
    ) -> Result<Vec<Result<Place, Refused>>, Failed> {
        debug_assert!(
            records.iter().all(|record| record.events > 0),
            "a record without events has no position"
        );
        self.refuse_if_failed()?;
        let mut placed = Vec::with_capacity(records.len());
        let mut rest = records;
        while let Some(record) = rest.first() {
            let run = match self.find_room(record) {
                Ok(()) => {
                    let run = self.run_that_fits(rest);
                    self.write_run(&rest[..run], &mut placed)?;
                    run
                }
                Err(NotPlaced::Refused(refused)) => {
                    if refused == Refused::Full {
                        self.longest_refused = self.longest_refused.max(record.bytes());
                    }
                    placed.push(Err(refused));
                    1
                }
                Err(NotPlaced::Failed(failed)) => return Err(failed),
            };
            rest = &rest[run..];
        }
        Ok(placed)
    }

    /// Makes durable what was appended.
    ///
    /// # Errors
    /// [`Failed`]: what was appended since the last sync must not be acknowledged, and the log takes nothing more.
    pub fn sync(&mut self) -> Result<(), Failed> {
        self.refuse_if_failed()?;
        if let (Some(active), true) = (&self.active, self.synced < self.next) {
            let outcome = active.file.sync();
            let name = active.segment.name();
            outcome.map_err(|source| self.fail(&name, source))?;
        }
        self.synced = self.next;
        self.settled = self.next;
        Ok(())
    }

    /// Finds out whether the folder still has what is written and locked here. Where somebody has taken that away, what
    /// is appended goes nowhere, and another process may have the folder.
    ///
    /// # Errors
    /// [`Failed`] where it has not: the log takes nothing more, and what cannot be found in the folder tells nothing.
    pub fn check_place(&mut self) -> Result<(), Failed> {
        match self.lost_file() {
            Some(name) => {
                let taken_away =
                    io::Error::other("removed, moved or mounted over while it was in use");
                Err(self.fail(&name, taken_away))
            }
            None => Ok(()),
        }
    }

    /// The name of a file that is in use here and was taken away.
    fn lost_file(&self) -> Option<String> {
        let written = self.active.as_ref();
        let written = written.map(|active| (active.segment.name(), &*active.file));
        let held = (LOCK.to_owned(), &*self.lock);
        let mut files = written.into_iter().chain([held]);
        let lost = files.find(|(name, file)| self.has_lost(name, *file));
        lost.map(|(name, _)| name)
    }

    /// Whether a name leads to no file now, to one of another disk, which was mounted over the folder, or to another one
    /// and the file was removed. What cannot be found out is not so; and the numbers of files alone prove nothing, for some
    /// file systems make them up at each look.
    fn has_lost(&self, name: &str, file: &dyn File) -> bool {
        match self.folder.id_of(name) {
            Ok(there) => file.id().is_ok_and(|id| {
                id.device != there.device
                    || (id != there && file.has_name().is_ok_and(|has_name| !has_name))
            }),
            Err(error) => error.kind() == io::ErrorKind::NotFound,
        }
    }

    /// The position after the last event that was appended.
    pub fn next(&self) -> Position {
        self.next
    }

    /// Everything below is durable.
    pub fn synced(&self) -> Position {
        self.synced
    }

    /// What was appended counts from now on, durable or not: whoever uses the log acknowledges before it
    /// syncs. What cannot be read of it later is damage then, and not a torn tail.
    pub fn settle(&mut self) {
        self.settled = self.next;
    }

    /// Everything below counts: it is durable, or [`Self::settle`] said so.
    pub fn settled(&self) -> Position {
        self.settled
    }

    /// All segments, oldest first.
    pub fn segments(&self) -> Vec<Segment> {
        self.segments_from(0).cloned().collect()
    }

    /// Sees to it that the active segment can take a record.
    fn find_room(&mut self, record: &Record<'_>) -> Result<(), NotPlaced> {
        let bytes = record.bytes();
        let alone = HEADER_BYTES as u64 + bytes;
        if alone > self.options.max_bytes || bytes > u64::from(u32::MAX) {
            return Err(Refused::TooLarge.into());
        }
        match &self.active {
            Some(active) if active.takes(bytes, self.options.segment_bytes) => {
                let growth = active.growth(bytes);
                self.give_up_spares_while(|log| growth > log.room.left());
                if growth <= self.room.left() {
                    return Ok(());
                }
            }
            _ => {}
        }
        if !self.has_room_to_rotate(alone) {
            self.give_up_done();
        }
        if !self.has_room_to_rotate(alone) {
            return Err(Refused::Full.into());
        }
        self.rotate(alone, record.made_at)
    }

    /// How many of these the active segment, for the first of which room was found, can take in one write.
    fn run_that_fits(&self, records: &[Record<'_>]) -> usize {
        let active = self.active.as_ref().expect("room was found in it");
        let left = self.room.left();
        let mut bytes = records[0].bytes();
        let fits = |record: &&Record<'_>| {
            bytes += record.bytes();
            active.has_room(bytes, self.options.segment_bytes) && active.growth(bytes) <= left
        };
        1 + records[1..].iter().take_while(fits).count()
    }

    fn write_run(
        &mut self,
        records: &[Record<'_>],
        placed: &mut Vec<Result<Place, Refused>>,
    ) -> Result<(), Failed> {
        let active = self.active.as_mut().expect("room was found in it");
        let before = active.segment.file_bytes;
        let outcome = active.write(records, self.next, self.settled);
        let name = active.segment.name();
        self.room.replace(before, active.segment.file_bytes);
        match outcome {
            Ok(places) => {
                if records
                    .iter()
                    .any(|one| one.bytes() >= self.longest_refused)
                {
                    self.longest_refused = 0;
                }
                placed.extend(places.into_iter().map(Ok));
                self.next += records
                    .iter()
                    .map(|one| Position::from(one.events))
                    .sum::<u64>();
                self.write_ahead(records)
            }
            Err(error) if is_out_of_room(&error) => {
                self.is_disk_full = true;
                placed.extend(records.iter().map(|_| Err(Refused::Full)));
                self.give_up_spares_while(|_| true);
                self.give_up_done();
                Ok(())
            }
            Err(source) => Err(self.fail(&name, source)),
        }
    }

    /// Writes zeros behind what was written, so that the next syncs move no metadata.
    fn write_ahead(&mut self, after: &[Record<'_>]) -> Result<(), Failed> {
        let written = after.iter().map(Record::bytes).sum();
        let active = self.active.as_mut().expect("it was just written to");
        let before = active.segment.file_bytes;
        let outcome = active.write_ahead(written, self.options.segment_bytes, self.room.left());
        let name = active.segment.name();
        self.room.replace(before, active.segment.file_bytes);
        outcome.map_err(|source| self.fail(&name, source))
    }

    /// Seals the active segment and begins a new one, which is to become so long at least.
    fn rotate(&mut self, bytes: u64, made_at: u64) -> Result<(), NotPlaced> {
        let finds_no_room = |log: &Self| {
            let reused = log.spares.next().map_or(0, |spare| spare.bytes);
            bytes > log.room.left() + reused
        };
        self.give_up_spares_while(finds_no_room);
        if finds_no_room(self) {
            return Err(Refused::Full.into());
        }
        self.sync()?;
        self.seal();
        // A file of the same name may be another log's.
        self.check_place()?;
        let header = Header {
            generation: self.generation + 1,
            first: self.next,
            made_at,
        };
        match self.begin_segment(header) {
            Ok(active) => {
                let spare = self.spares.take().map_or(0, |spare| spare.bytes);
                self.room.replace(spare, active.segment.file_bytes);
                self.spares.note_begun();
                self.generation = header.generation;
                self.active = Some(active);
                Ok(())
            }
            Err(error) if is_out_of_room(&error) => {
                self.is_disk_full = true;
                // Where writing over takes room as well, they are none but make some.
                self.give_up_spares_while(|_| true);
                self.give_up_done();
                Err(Refused::Full.into())
            }
            Err(source) => Err(self.fail(&segment_name(header.generation), source).into()),
        }
    }

    /// The active segment, where there is one, is written no more.
    fn seal(&mut self) {
        self.sealed
            .extend(self.active.take().map(|active| active.segment));
    }

    /// Makes a segment, of a spare file where there is one, and makes its name durable.
    fn begin_segment(&self, header: Header) -> io::Result<Active> {
        let name = segment_name(header.generation);
        let spare = self.spares.next().map(|spare| spare.name.as_str());
        let file = self.folder.open(spare.unwrap_or(&name), Mode::Create)?;
        let active = Active::begin(file, header).inspect_err(|_| {
            if spare.is_none() {
                // Nothing is in it; should this fail too, the next start removes it.
                let _removed = self.folder.remove(&name);
            }
        })?;
        if let Some(spare) = spare {
            self.folder.rename(spare, &name)?;
        }
        // Whatever the reason is: nobody knows now which names are durable.
        self.folder.sync().map_err(io::Error::other)?;
        Ok(active)
    }

    fn refuse_if_failed(&self) -> Result<(), Failed> {
        if self.has_failed {
            return Err(Failed {
                path: self.folder.path().to_owned(),
                source: io::Error::other("an earlier write or sync failed"),
            });
        }
        Ok(())
    }

    fn fail(&mut self, name: &str, source: io::Error) -> Failed {
        self.has_failed = true;
        Failed {
            path: self.folder.path().join(name),
            source,
        }
    }
}
