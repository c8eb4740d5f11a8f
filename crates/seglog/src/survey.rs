//! Finds out what lies in a log's folder: segments, the checkpoint, where the log ends. Changes nothing, so it can look
//! at a log that is being written. Reads at most one segment, unless segments have lost their headers.

mod tail;

use std::io;
use std::sync::Arc;

use crate::Position;
use crate::acked::Acked;
use crate::checkpoint::{Checkpoint, Checkpoints};
use crate::error::OpenError;
use crate::folder::{Entry, Folder, Mode, is_bad_sector, read_full_at};
use crate::layout::{
    Kind, PREAMBLE_BYTES, VERSION, damage_generation, generation_of, is_spare, version_in,
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
    /// Whether there was one, and both files are damaged or gone.
    pub has_lost_checkpoint: bool,
    /// The position after the last event that counts; none where there was never a log.
    pub end: Option<Position>,
    /// Where in the newest segment the records begin of which nothing says that they were settled; none where all were.
    pub(crate) unsettled_from: Option<u64>,
    /// Bytes of records that were never synced, and are torn. Beside a log that is being written: what is on its way.
    pub torn_bytes: u64,
    /// How many files are the log's own; none where there was never a log.
    pub files: usize,
    /// The highest version of the format that a file tells; that of this program where none does.
    pub version: u32,
    /// Files that damaged stretches were set aside in.
    pub set_aside: Vec<Entry>,
    /// The files that are kept to become segments.
    pub spares: Vec<Entry>,
    /// Files in which nothing ever was, or nothing that could still count.
    pub(crate) empty: Vec<String>,
    /// Segments in which nothing can be read.
    pub(crate) unreadable: Vec<String>,
    /// The highest generation that any file tells of.
    pub(crate) generation: u64,
    pub(crate) checkpoints: Checkpoints,
}

impl Survey {
    /// The events that are done: as the checkpoint says, or without one everything before the oldest segment; where no
    /// segment has a record, everything. None where there was never a log.
    pub fn acked(&self) -> Option<Acked> {
        match &self.checkpoint {
            Some(checkpoint) => Some(checkpoint.acked.clone()),
            None => {
                let oldest = self.segments.first().map(|oldest| oldest.first);
                oldest.or(self.end).map(Acked::below)
            }
        }
    }
}

/// Looks at a folder.
///
/// # Errors
/// I/O errors, and [`OpenError::Newer`].
pub fn survey(folder: &Arc<dyn Folder>) -> Result<Survey, OpenError> {
    let at = |source| OpenError::Io {
        path: folder.path().to_owned(),
        source,
    };
    // Before the segments are listed: all that this one knows to be synced is in them, or was purged since.
    let (_, before) = Checkpoints::find(Arc::clone(folder)).map_err(at)?;
    let (entries, version) = refuse_newer(&**folder)?;
    let mut survey = look(folder, &entries, before.as_ref()).map_err(at)?;
    survey.version = version;
    survey.files = entries
        .iter()
        .filter(|entry| Kind::of(&entry.name).is_some())
        .count();
    Ok(survey)
}

/// Refuses a folder that a newer version has written to; its files, sorted by name, and the highest version in them.
pub(crate) fn refuse_newer(folder: &dyn Folder) -> Result<(Vec<Entry>, u32), OpenError> {
    let at = |path, source| OpenError::Io { path, source };
    let mut entries = folder
        .list()
        .map_err(|source| at(folder.path().to_owned(), source))?;
    entries.sort_by(|one, other| one.name.cmp(&other.name));
    let mut highest = None;
    for entry in &entries {
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
            Ok(version) => highest = highest.max(version),
            Err(source) => return Err(at(file, source)),
        }
    }
    Ok((entries, highest.unwrap_or(VERSION)))
}

fn version_of(folder: &dyn Folder, name: &str, kind: Kind) -> io::Result<Option<u32>> {
    let mut beginning = [0; PREAMBLE_BYTES];
    let read = read_beginning(folder, name, &mut beginning)?;
    Ok(version_in(&beginning[..read], kind))
}

/// Reads the beginning of a file; nothing of one that is gone, or that cannot be read there.
fn read_beginning(folder: &dyn Folder, name: &str, buffer: &mut [u8]) -> io::Result<usize> {
    let outcome = folder
        .open(name, Mode::Read)
        .and_then(|file| read_full_at(&*file, buffer, 0));
    match outcome {
        Err(error) if error.kind() == io::ErrorKind::IsADirectory => Err(io::Error::new(
            error.kind(),
            "a folder has the name of a file of the spool, and is to be moved away",
        )),
        Err(error) if error.kind() == io::ErrorKind::NotFound || is_bad_sector(&error) => Ok(0),
        read => read,
    }
}

fn look(
    folder: &Arc<dyn Folder>,
    entries: &[Entry],
    before: Option<&Checkpoint>,
) -> io::Result<Survey> {
    let set_aside = entries
        .iter()
        .filter(|entry| damage_generation(&entry.name).is_some());
    let told = entries
        .iter()
        .filter_map(|entry| generation_of(&entry.name).or_else(|| damage_generation(&entry.name)));
    let mut survey = Survey {
        segments: Vec::new(),
        checkpoint: None,
        has_lost_checkpoint: false,
        end: None,
        unsettled_from: None,
        torn_bytes: 0,
        files: 0,
        version: VERSION,
        set_aside: set_aside.cloned().collect(),
        spares: Vec::new(),
        empty: Vec::new(),
        unreadable: Vec::new(),
        generation: told.max().unwrap_or_default(),
        checkpoints: Checkpoints::find(Arc::clone(folder))?.0,
    };
    survey.sort_files(&**folder, entries)?;
    survey.find_end(&**folder, before)?;
    // After the segments were looked at: those that were purged meanwhile are below its low-water mark.
    (survey.checkpoints, survey.checkpoint) = Checkpoints::find(Arc::clone(folder))?;
    // An opened log has them before it has a segment.
    let were_made = !survey.segments.is_empty();
    survey.has_lost_checkpoint =
        survey.checkpoint.is_none() && Checkpoints::were_written(&**folder, were_made)?;
    Ok(survey)
}

impl Survey {
    fn sort_files(&mut self, folder: &dyn Folder, entries: &[Entry]) -> io::Result<()> {
        for entry in entries {
            if is_spare(&entry.name) {
                self.look_at_spare(folder, entry)?;
            }
            let Some(generation) = generation_of(&entry.name) else {
                continue;
            };
            match identify(folder, generation)? {
                Identity::Segment(segment) => self.segments.push(segment),
                Identity::Empty => self.empty.push(entry.name.clone()),
                Identity::Unreadable => self.unreadable.push(entry.name.clone()),
                Identity::Gone => {}
            }
        }
        Ok(())
    }

    /// What is left over in a spare file must not look like a record of a segment to come, so it is of use only
    /// while its header tells how high the generations in it are.
    fn look_at_spare(&mut self, folder: &dyn Folder, entry: &Entry) -> io::Result<()> {
        let mut beginning = [0; HEADER_BYTES];
        read_beginning(folder, &entry.name, &mut beginning)?;
        match Header::decode(&beginning) {
            Some(header) => {
                self.generation = self.generation.max(header.generation);
                self.spares.push(entry.clone());
            }
            None => self.empty.push(entry.name.clone()),
        }
        Ok(())
    }
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

fn identify(folder: &dyn Folder, generation: u64) -> io::Result<Identity> {
    match SegmentReader::open(folder, generation).and_then(|mut reader| identity(&mut reader)) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(Identity::Gone),
        Err(error) if is_bad_sector(&error) => Ok(Identity::Unreadable),
        outcome => outcome,
    }
}

fn identity(reader: &mut SegmentReader) -> io::Result<Identity> {
    let (generation, file_bytes) = (reader.generation(), reader.file_bytes()?);
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
        // A crash between making the file and making its header durable, before which nothing else is written.
        None if file_bytes <= HEADER_BYTES as u64 => Identity::Empty,
        // Its records tell what the header should.
        None => match first_record(reader)? {
            Some((first, made_at)) => segment(first, made_at),
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
