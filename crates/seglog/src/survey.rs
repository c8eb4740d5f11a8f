//! Finds out what lies in a log's folder: segments, the checkpoint, where the log ends. Changes nothing, so it can look
//! at a log that is being written. Reads at most one segment.

use std::io;
use std::sync::Arc;

use crate::Position;
use crate::acked::Acked;
use crate::checkpoint::{Checkpoint, Checkpoints};
use crate::error::OpenError;
use crate::folder::{Entry, Folder, Mode, read_full_at};
use crate::layout::{
    Kind, PREAMBLE_BYTES, SPARE, VERSION, damage_generation, generation_of, version_in,
};
use crate::segment::{HEADER_BYTES, Header, Segment};
use crate::segment_reader::{Found, SegmentReader};

/// What lies in a log's folder.
#[derive(Debug)]
pub struct Survey {
    /// The segments with records, oldest first.
    pub segments: Vec<Segment>,
    /// The newest sound checkpoint.
    pub checkpoint: Option<Checkpoint>,
    /// The position after the last event that counts; none where there was never a log.
    pub end: Option<Position>,
    /// Bytes of records that were never synced, and are torn.
    pub torn_bytes: u64,
    /// Files that damaged stretches were set aside in.
    pub set_aside: Vec<Entry>,
    /// The file that is kept to become a segment.
    pub spare: Option<Entry>,
    /// Segments in which nothing ever was.
    pub(crate) empty: Vec<String>,
    /// Segments in which nothing can be read.
    pub(crate) unreadable: Vec<String>,
    /// The highest generation that any file tells of.
    pub(crate) generation: u64,
    pub(crate) checkpoints: Checkpoints,
}

impl Survey {
    /// The events that are done: as the checkpoint says, or without one everything before the oldest segment.
    pub fn acked(&self) -> Option<Acked> {
        match &self.checkpoint {
            Some(checkpoint) => Some(checkpoint.acked.clone()),
            None => self
                .segments
                .first()
                .map(|oldest| Acked::below(oldest.first)),
        }
    }
}

/// Looks at a folder.
///
/// # Errors
/// The system's, and [`OpenError::Newer`].
pub fn survey(folder: &Arc<dyn Folder>) -> Result<Survey, OpenError> {
    let entries = list(&**folder)?;
    refuse_newer(&**folder, &entries)?;
    look(folder, &entries).map_err(|source| OpenError::Io {
        path: folder.path().to_owned(),
        source,
    })
}

fn list(folder: &dyn Folder) -> Result<Vec<Entry>, OpenError> {
    match folder.list() {
        Ok(mut entries) => {
            entries.sort_by(|one, other| one.name.cmp(&other.name));
            Ok(entries)
        }
        Err(source) => Err(OpenError::Io {
            path: folder.path().to_owned(),
            source,
        }),
    }
}

fn refuse_newer(folder: &dyn Folder, entries: &[Entry]) -> Result<(), OpenError> {
    for entry in entries {
        let Some(kind) = Kind::of(&entry.name) else {
            continue;
        };
        let file = folder.path().join(&entry.name);
        match version_of(folder, &entry.name, kind) {
            Ok(Some(version)) if version > VERSION => {
                return Err(OpenError::Newer {
                    file,
                    version,
                    newest: VERSION,
                });
            }
            Ok(_) => {}
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Err(source) => return Err(OpenError::Io { path: file, source }),
        }
    }
    Ok(())
}

fn version_of(folder: &dyn Folder, name: &str, kind: Kind) -> io::Result<Option<u32>> {
    let mut beginning = [0; PREAMBLE_BYTES];
    let read = read_full_at(&*folder.open(name, Mode::Read)?, &mut beginning, 0)?;
    Ok(version_in(&beginning[..read], kind))
}

fn look(folder: &Arc<dyn Folder>, entries: &[Entry]) -> io::Result<Survey> {
    let (checkpoints, checkpoint) = Checkpoints::find(Arc::clone(folder))?;
    let spare = entries.iter().find(|entry| entry.name == SPARE).cloned();
    let mut survey = Survey {
        segments: Vec::new(),
        end: None,
        torn_bytes: 0,
        set_aside: named(entries, |name| damage_generation(name).is_some()),
        empty: Vec::new(),
        unreadable: Vec::new(),
        generation: highest_generation(&**folder, entries)?,
        checkpoints,
        checkpoint,
        spare,
    };
    for entry in entries {
        let Some(generation) = generation_of(&entry.name) else {
            continue;
        };
        match identify(&**folder, generation, entry.bytes)? {
            Identity::Segment(segment) => survey.segments.push(segment),
            Identity::Empty => survey.empty.push(entry.name.clone()),
            Identity::Unreadable => survey.unreadable.push(entry.name.clone()),
            Identity::Gone => {}
        }
    }
    survey.find_end(&**folder)?;
    Ok(survey)
}

/// The highest generation that a name tells, or the header of the spare file: what is left over in any of these files
/// must not look like a record of a segment to come.
fn highest_generation(folder: &dyn Folder, entries: &[Entry]) -> io::Result<u64> {
    let mut highest = 0;
    for entry in entries {
        let told = if entry.name == SPARE {
            let mut beginning = [0; HEADER_BYTES];
            read_full_at(&*folder.open(SPARE, Mode::Read)?, &mut beginning, 0)?;
            Header::decode(&beginning).map(|header| header.generation)
        } else {
            generation_of(&entry.name).or_else(|| damage_generation(&entry.name))
        };
        highest = highest.max(told.unwrap_or_default());
    }
    Ok(highest)
}

fn named(entries: &[Entry], is_wanted: impl Fn(&str) -> bool) -> Vec<Entry> {
    let wanted = entries.iter().filter(|entry| is_wanted(&entry.name));
    wanted.cloned().collect()
}

/// What a file that is named like a segment is.
enum Identity {
    Segment(Segment),
    /// Made, and never written to; or the file of a segment that was purged.
    Empty,
    Unreadable,
    /// Purged while this looked.
    Gone,
}

fn identify(folder: &dyn Folder, generation: u64, file_bytes: u64) -> io::Result<Identity> {
    let mut reader = match SegmentReader::open(folder, generation) {
        Ok(reader) => reader,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Identity::Gone),
        Err(error) => return Err(error),
    };
    let segment = |first, made_at| {
        Identity::Segment(Segment {
            generation,
            first,
            made_at,
            file_bytes,
            used_bytes: file_bytes,
        })
    };
    Ok(match reader.header()? {
        Some(header) if header.generation == generation => segment(header.first, header.made_at),
        Some(_) => Identity::Empty,
        // Its records tell what the header should.
        None => match first_record(&mut reader)? {
            Some((first, made_at)) => segment(first, made_at),
            None if is_blank(&mut reader)? => Identity::Empty,
            None => Identity::Unreadable,
        },
    })
}

fn first_record(reader: &mut SegmentReader) -> io::Result<Option<(Position, u64)>> {
    let mut offset = HEADER_BYTES as u64;
    let mut position = 0;
    loop {
        match reader.next(offset, position, None)? {
            Found::Record(record) => return Ok(Some((record.first, record.made_at))),
            Found::Damage(damage) => {
                offset = damage.bytes.end;
                position = damage.positions.end;
            }
            Found::End => return Ok(None),
        }
    }
}

/// Whether a header was never written: a crash between making a file and writing to it.
fn is_blank(reader: &mut SegmentReader) -> io::Result<bool> {
    Ok(reader.beginning()?.iter().all(|byte| *byte == 0))
}

impl Survey {
    /// Finds where the log ends: after the last record that counts, but never before what the checkpoint knows of. The
    /// checkpoint's word makes damage of an end that is missing.
    fn find_end(&mut self, folder: &dyn Folder) -> io::Result<()> {
        let known = self.checkpoint.as_ref();
        let synced = known.map_or(0, |known| known.synced);
        let held = self.find_tail(folder, synced)?;
        let told = self
            .checkpoint
            .as_ref()
            .map(|known| known.synced.max(known.acked.high()));
        self.end = held.max(told);
        if let (Some(newest), true) = (self.segments.last_mut(), held < told) {
            newest.used_bytes = newest.file_bytes;
        }
        Ok(())
    }

    /// The position after the last record of the newest segment that has any. Newer ones are put with the empty ones.
    fn find_tail(&mut self, folder: &dyn Folder, synced: Position) -> io::Result<Option<Position>> {
        let mut end = None;
        while let Some(newest) = self.segments.last_mut() {
            let tail = match SegmentReader::open(folder, newest.generation) {
                Ok(mut reader) => tail_of(&mut reader, newest.first, synced)?,
                // Purged while this looked.
                Err(error) if error.kind() == io::ErrorKind::NotFound => {
                    self.segments.pop();
                    continue;
                }
                Err(error) => return Err(error),
            };
            self.torn_bytes += tail.torn_bytes;
            if let Some(end) = end {
                // It was sealed, and synced, before the empty one after it was made.
                return Ok(Some(end));
            }
            if tail.offset > HEADER_BYTES as u64 {
                newest.used_bytes = tail.offset;
                return Ok(Some(tail.end));
            }
            end = Some(newest.first);
            let name = newest.name();
            if synced > newest.first {
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
}

/// Reads the newest segment to its end. A stretch that cannot be read is damage if it was synced: a record after it,
/// or the checkpoint, knows. Otherwise the log ends before it: what follows was written together with it, and
/// nobody was told that it was kept.
fn tail_of(reader: &mut SegmentReader, first: Position, synced: Position) -> io::Result<Tail> {
    let mut offset = HEADER_BYTES as u64;
    let mut position = first;
    let mut doubtful: Vec<(u64, Position)> = Vec::new();
    loop {
        match reader.next(offset, position, None)? {
            Found::Record(record) => {
                doubtful.retain(|(_, position)| *position >= record.synced);
                offset = record.end_offset();
                position = record.end();
            }
            Found::Damage(damage) => {
                doubtful.push((damage.bytes.start, damage.positions.start));
                offset = damage.bytes.end;
                position = damage.positions.end;
            }
            Found::End => break,
        }
    }
    doubtful.retain(|(_, position)| *position >= synced);
    let (torn_from, end) = doubtful.first().copied().unwrap_or((offset, position));
    Ok(Tail {
        end,
        offset: torn_from,
        torn_bytes: (offset - torn_from) + reader.cut_bytes_at(offset)?,
    })
}
