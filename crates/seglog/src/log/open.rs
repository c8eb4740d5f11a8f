//! Opens a log: what a survey finds is mended as far as it must be, so that writing can go on.

use std::io::{self, IoSlice};
use std::ops::Range;
use std::sync::Arc;

use super::spares::Spares;
use super::{Log, Options};
use crate::Position;
use crate::acked::Acked;
use crate::bytes::Block;
use crate::checkpoint::Checkpoints;
use crate::error::OpenError;
use crate::folder::{File, Folder, Mode, is_out_of_room, read_full_at, write_all_at};
use crate::layout::{
    Kind, LOCK, NUMBER_LIMIT, PREAMBLE_BYTES, damage_name, generation_of, put_preamble,
};
use crate::room::Room;
use crate::survey::{Survey, refuse_newer, survey};

/// So many bytes are written again at a time.
const AT_ONCE: u64 = 1024 * 1024;

/// A log that was opened, and what was found.
#[derive(Debug)]
pub struct Opened {
    /// The log.
    pub log: Log,
    /// Where its checkpoints are written.
    pub checkpoints: Checkpoints,
    /// The events that are done.
    pub acked: Acked,
    /// The bookmark of the checkpoint that says so; the first event that is not done where it has none.
    pub bookmark: Position,
    /// When the checkpoint that says so was written: milliseconds since the Unix epoch; none where there is none.
    pub checkpoint_written_at: Option<u64>,
    /// Bytes of a torn tail that were cut off.
    pub torn_bytes: u64,
    /// Files of segments that were set aside whole, because nothing in them can be read.
    pub unreadable: Vec<String>,
}

impl Log {
    /// Opens the log of a folder; makes it where there is none. Each opening begins a new segment at its first append,
    /// so that nothing is ever written behind a torn tail.
    ///
    /// # Errors
    /// See [`OpenError`].
    pub fn open(folder: &Arc<dyn Folder>, options: Options) -> Result<Opened, OpenError> {
        let at = |source| OpenError::Io {
            path: folder.path().to_owned(),
            source,
        };
        folder.make().map_err(at)?;
        // Before the lock is made: a newer program's folder is not even locked.
        refuse_newer(&**folder)?;
        let lock = lock(&**folder)?;
        let mut survey = survey(folder)?;
        refuse_used_up(&survey).map_err(at)?;
        let unreadable = mend(&**folder, &survey).map_err(at)?;
        let acked = survey.acked();
        let end = survey.end.unwrap_or(options.first_position);
        let mut log = Self {
            room: Room::new(options.max_bytes),
            options,
            sealed: std::mem::take(&mut survey.segments).into(),
            active: None,
            spares: Spares::new(&survey.spares),
            generation: survey.generation,
            next: end,
            synced: end,
            settled: end,
            purged_below: 0,
            longest_refused: 0,
            is_disk_full: false,
            has_failed: false,
            lock,
            folder: Arc::clone(folder),
        };
        log.trim_newest(survey.unsettled_from).map_err(at)?;
        log.keep_useful_spares().map_err(at)?;
        let acked = acked.unwrap_or_else(|| Acked::below(log.next));
        log.count_files();
        // A removal that a loss of power undid, or a limit that was lowered.
        log.remove_spares_while(|log| log.room.is_exceeded())
            .map_err(at)?;
        survey.checkpoints.prepare().map_err(at)?;
        if renew_checkpoint(&mut survey) {
            log.purge(&acked).map_err(at)?;
        }
        folder.sync().map_err(at)?;
        let known = survey.checkpoint.as_ref();
        Ok(Opened {
            log,
            checkpoints: survey.checkpoints,
            bookmark: known.map_or(acked.low(), |known| known.bookmark),
            acked,
            checkpoint_written_at: known.map(|known| known.written_at),
            torn_bytes: survey.torn_bytes,
            unreadable,
        })
    }

    /// Cuts what follows the last record of the newest segment, and makes durable what was found: it counts from now
    /// on, whoever wrote it last. From `unsettled_from` on it is written again: the sync of a process before may have failed,
    /// which Linux then takes for done.
    fn trim_newest(&mut self, unsettled_from: Option<u64>) -> io::Result<()> {
        let Some(newest) = self.sealed.back_mut() else {
            return Ok(());
        };
        let file = self.folder.open(&newest.name(), Mode::Write)?;
        if newest.used_bytes < newest.file_bytes {
            match file.set_bytes(newest.used_bytes) {
                // Nothing is written behind it, so it is found to be torn again, or the next segment tells where it ends.
                Err(error) if is_out_of_room(&error) => {}
                outcome => {
                    outcome?;
                    newest.file_bytes = newest.used_bytes;
                }
            }
        }
        let unsettled = unsettled_from.unwrap_or(newest.used_bytes)..newest.used_bytes;
        match write_again(&*file, unsettled) {
            // Where writing over takes room as well, what was written last may lie on the disk or not, as before.
            Err(error) if !is_out_of_room(&error) => Err(error),
            _written_or_no_room => file.sync(),
        }
    }

    /// The length of segments may be configured anew.
    fn keep_useful_spares(&mut self) -> io::Result<()> {
        for name in self.spares.drain_useless(self.options.segment_bytes) {
            self.folder.remove(&name)?;
        }
        Ok(())
    }

    fn count_files(&mut self) {
        let segments: u64 = self.sealed.iter().map(|segment| segment.file_bytes).sum();
        self.room.replace(0, segments + self.spares.bytes());
    }
}

/// Writes what a file holds to where it is.
fn write_again(file: &dyn File, mut bytes: Range<u64>) -> io::Result<()> {
    let mut buffer = vec![0; AT_ONCE.min(bytes.end.saturating_sub(bytes.start)) as usize];
    while !bytes.is_empty() {
        let left = (bytes.end - bytes.start).min(AT_ONCE) as usize;
        let read = read_full_at(file, &mut buffer[..left], bytes.start)?;
        if read == 0 {
            break;
        }
        write_all_at(file, &mut [IoSlice::new(&buffer[..read])], bytes.start)?;
        bytes.start += read as u64;
    }
    Ok(())
}

/// Makes the checkpoint that was found durable; whether it is. It must be before anything is purged: a process that was
/// killed may have written it and not synced it. A sync alone would say nothing of a write that has failed. On a full
/// disk the purge has to wait for the next checkpoint.
fn renew_checkpoint(survey: &mut Survey) -> bool {
    match &survey.checkpoint {
        Some(known) => survey.checkpoints.write(known).is_ok(),
        None => true,
    }
}

/// Refuses a log whose numbers could reach the limit. No log comes there by itself: it takes a file that somebody made.
fn refuse_used_up(survey: &Survey) -> io::Result<()> {
    let highest = survey.generation.max(survey.end.unwrap_or_default());
    if highest >= NUMBER_LIMIT / 2 {
        return Err(io::Error::new(
            io::ErrorKind::InvalidData,
            format!("a file tells of generation or position {highest}, which no log reaches"),
        ));
    }
    Ok(())
}

fn lock(folder: &dyn Folder) -> Result<Box<dyn File>, OpenError> {
    let at = |source| OpenError::Io {
        path: folder.path().join(LOCK),
        source,
    };
    let file = folder.open(LOCK, Mode::Create).map_err(at)?;
    file.lock().map_err(|error| match error.kind() {
        io::ErrorKind::WouldBlock => OpenError::Locked {
            folder: folder.path().to_owned(),
        },
        _ => at(error),
    })?;
    let mut preamble = Block::<PREAMBLE_BYTES>::zeroed();
    put_preamble(&mut preamble, Kind::Lock);
    match write_all_at(&*file, &mut [IoSlice::new(&preamble.into_bytes())], 0) {
        // On a full disk what waits in the log is what makes room, and an empty file is locked as well.
        Err(error) if !is_out_of_room(&error) => Err(at(error)),
        _written_or_no_room => Ok(file),
    }
}

/// Removes files in which nothing ever was, and sets aside those in which nothing can be read; their new names.
fn mend(folder: &dyn Folder, survey: &Survey) -> io::Result<Vec<String>> {
    for name in &survey.empty {
        folder.remove(name)?;
    }
    let mut set_aside = Vec::new();
    for name in &survey.unreadable {
        let generation = generation_of(name).expect("segments are found by their names");
        let new = damage_name(generation, 0);
        folder.rename(name, &new)?;
        set_aside.push(new);
    }
    Ok(set_aside)
}

impl Opened {
    /// How many events are not done.
    pub fn open_events(&self) -> u64 {
        self.acked.open_count(self.acked.low()..self.log.next())
    }
}
