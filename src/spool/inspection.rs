//! Looks at a spool on disk, also beside the server that uses it. Changes nothing.

use std::io;
use std::ops::Range;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use seglog::{Acked, Damage, Entry, Folder, Found, OpenError, StoredRecord, Survey, Walk};

use super::envelope::EnvelopeHead;
use super::side::{self, Side, SideLines};
use crate::event::Position;

/// Looking failed.
#[derive(Debug, thiserror::Error)]
pub enum InspectError {
    /// The folder cannot be read, or was written by a newer program.
    #[error(transparent)]
    Folder(#[from] OpenError),
    /// No file in the folder is a spool's, or there is no folder.
    #[error(
        "there is no spool in {}: name its folder with --dir, or start this where the server is started", folder.display()
    )]
    NoSpool {
        /// The folder.
        folder: PathBuf,
    },
    /// A segment cannot be read, or what was read cannot be passed on.
    #[error(transparent)]
    Io(#[from] io::Error),
}

/// A spool, as it is now.
pub struct Inspection {
    folder: Arc<dyn Folder>,
    survey: Survey,
    acked: Acked,
}

/// What lies in a spool.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Overview {
    /// The highest version of the format in it.
    pub format: u32,
    /// How many segments there are.
    pub segments: usize,
    /// Bytes of their files, and of those that are kept to be written again.
    pub file_bytes: u64,
    /// From the oldest event that is not done to the end.
    pub positions: Range<Position>,
    /// Events that are not done, dead letters on their way included.
    pub events: u64,
    /// When the oldest of them was taken.
    pub oldest: Option<SystemTime>,
    /// When the last checkpoint was written.
    pub checkpoint_at: Option<SystemTime>,
    /// Whether no checkpoint can be read any more: what was delivered is not known.
    pub has_lost_checkpoint: bool,
    /// Bytes of records that were never acknowledged, and are torn.
    pub torn_bytes: u64,
    /// Files that damaged stretches were set aside in.
    pub set_aside: Vec<Entry>,
    /// Stretches that cannot be read, on the way to the oldest event that is not done: no further is looked.
    pub damages: Vec<Lost>,
}

/// What cannot be read any more.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Lost {
    /// The stretch.
    pub damage: Damage,
    /// The number of events in it that are not done.
    pub events: u64,
}

/// What checking every checksum came to.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Verdict {
    /// Sound records.
    pub records: u64,
    /// Events in them, those that are done included.
    pub events: u64,
    /// Stretches that cannot be read.
    pub damages: Vec<Lost>,
    /// Whether no checkpoint can be read any more: what was delivered is not known.
    pub has_lost_checkpoint: bool,
}

/// What was written out.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Exported {
    /// Events.
    pub events: u64,
    /// Dead letters on their way, which were left out.
    pub letters: u64,
    /// Events that cannot be read.
    pub lost: u64,
    /// Whether both files of the checkpoint are damaged or gone: events that were delivered are among the others then.
    pub has_lost_checkpoint: bool,
}

impl Overview {
    /// Whether nothing was found to be damaged.
    pub fn is_sound(&self) -> bool {
        self.damages.is_empty() && !self.has_lost_checkpoint
    }
}

impl Verdict {
    /// Whether nothing is damaged.
    pub fn is_sound(&self) -> bool {
        self.damages.is_empty() && !self.has_lost_checkpoint
    }
}

impl Exported {
    /// Whether these are the events that wait: all of them, and no others.
    pub fn is_sound(&self) -> bool {
        self.lost == 0 && !self.has_lost_checkpoint
    }
}

/// How far a walk has come: bytes, and of how many.
pub type Progress<'a> = &'a mut dyn FnMut(u64, u64);

impl Inspection {
    /// Finds out what there is. Reads at most one segment.
    ///
    /// # Errors
    /// See [`InspectError`].
    pub fn at(folder: Arc<dyn Folder>) -> Result<Self, InspectError> {
        let no_spool = || InspectError::NoSpool {
            folder: folder.path().to_owned(),
        };
        let survey = seglog::survey(&folder).map_err(|error| match error {
            OpenError::Io { source, .. } if source.kind() == io::ErrorKind::NotFound => no_spool(),
            error => error.into(),
        })?;
        if survey.files == 0 {
            return Err(no_spool());
        }
        Ok(Self {
            acked: survey.acked().unwrap_or_else(|| Acked::below(0)),
            folder,
            survey,
        })
    }

    /// What lies in it.
    ///
    /// # Errors
    /// I/O errors.
    pub fn overview(&self) -> io::Result<Overview> {
        let positions = self.positions();
        let files = self
            .survey
            .segments
            .iter()
            .map(|segment| segment.file_bytes);
        let spares = self.survey.spares.iter().map(|entry| entry.bytes);
        let checkpoint = self.survey.checkpoint.as_ref();
        let (oldest, damages) = self.oldest()?;
        Ok(Overview {
            format: self.survey.version,
            segments: self.survey.segments.len(),
            file_bytes: files.chain(spares).sum(),
            events: self.open_events(),
            oldest,
            positions,
            checkpoint_at: checkpoint.map(|known| time(known.written_at)),
            has_lost_checkpoint: self.survey.has_lost_checkpoint,
            torn_bytes: self.survey.torn_bytes,
            set_aside: self.survey.set_aside.clone(),
            damages,
        })
    }

    /// Checks every checksum of every record.
    ///
    /// # Errors
    /// I/O errors.
    pub fn verify(&self, progress: Progress<'_>) -> io::Result<Verdict> {
        let mut walk = Walk::over_all(Arc::clone(&self.folder), &self.survey);
        let mut verdict = Verdict {
            has_lost_checkpoint: self.survey.has_lost_checkpoint,
            ..Verdict::default()
        };
        loop {
            match walk.step()? {
                Found::Record(record) => {
                    verdict.records += 1;
                    verdict.events += u64::from(record.events);
                }
                Found::Damage(damage) => {
                    verdict.damages.push(self.lost(damage));
                }
                Found::End => return Ok(verdict),
            }
            report(&walk, progress);
        }
    }

    /// Writes the events that are not done as NDJSON, in order.
    ///
    /// # Errors
    /// I/O errors, and those of `out`.
    pub fn export(&self, out: &mut dyn io::Write, progress: Progress<'_>) -> io::Result<Exported> {
        let mut walk = Walk::over_open(Arc::clone(&self.folder), &self.survey);
        let mut exported = Exported {
            has_lost_checkpoint: self.survey.has_lost_checkpoint,
            ..Exported::default()
        };
        loop {
            match walk.step()? {
                Found::Record(record) => {
                    self.export_record(&mut walk, &record, out, &mut exported)?;
                }
                Found::Damage(damage) => exported.lost += self.acked.open_count(damage.positions),
                Found::End => return out.flush().map(|()| exported),
            }
            report(&walk, progress);
        }
    }

    fn export_record(
        &self,
        walk: &mut Walk,
        record: &StoredRecord,
        out: &mut dyn io::Write,
        exported: &mut Exported,
    ) -> io::Result<()> {
        let Some(head) = walk.payload(record, EnvelopeHead::place_in(record))? else {
            return Ok(());
        };
        let Some(head) = EnvelopeHead::decode(head, record.events, record.payload_bytes) else {
            exported.lost += self.acked.open_count(record.first..record.end());
            return Ok(());
        };
        let letters = SideLines::new(record, &head, Side::Dead).positions();
        exported.letters += self.acked.open_count(letters);
        let mut lines = SideLines::new(record, &head, Side::Live);
        while !lines.is_over() {
            let mut is_gone = false;
            let part = lines.next(|range, text| {
                let piece = walk.payload(record, range)?;
                is_gone = piece.is_none();
                // A record whose events have been delivered meanwhile reads as one empty line.
                text.extend_from_slice(piece.unwrap_or(b"\n"));
                Ok(())
            });
            if is_gone {
                return Ok(());
            }
            let part = match part {
                Err(error) if error.kind() == io::ErrorKind::InvalidData => {
                    exported.lost += self.acked.open_count(lines.positions());
                    return Ok(());
                }
                part => part?,
            };
            let positions = part.first..lines.positions().start;
            for part in side::cut(part, self.acked.open_in(positions)) {
                for line in part.lines.iter() {
                    out.write_all(line)?;
                    out.write_all(b"\n")?;
                    exported.events += 1;
                }
            }
        }
        Ok(())
    }

    /// When the oldest event that is not done was taken, and what is damaged on the way there.
    fn oldest(&self) -> io::Result<(Option<SystemTime>, Vec<Lost>)> {
        let mut damages = Vec::new();
        if self.open_events() == 0 {
            return Ok((None, damages));
        }
        let mut walk = Walk::over_open(Arc::clone(&self.folder), &self.survey);
        loop {
            match walk.step()? {
                Found::Record(record) if record.end() > self.acked.low() => {
                    return Ok((Some(time(record.made_at)), damages));
                }
                Found::Record(_) => {}
                Found::Damage(damage) => damages.push(self.lost(damage)),
                Found::End => return Ok((None, damages)),
            }
        }
    }

    fn lost(&self, damage: Damage) -> Lost {
        Lost {
            events: self.acked.open_count(damage.positions.clone()),
            damage,
        }
    }

    /// Events that are not done, dead letters on their way included.
    pub fn open_events(&self) -> u64 {
        self.acked.open_count(self.positions())
    }

    /// From the oldest event that is not done to the end.
    fn positions(&self) -> Range<Position> {
        let low = self.acked.low();
        low..self.survey.end.unwrap_or_default().max(low)
    }
}

fn report(walk: &Walk, progress: Progress<'_>) {
    let (done, of) = walk.progress();
    progress(done, of);
}

fn time(millis: u64) -> SystemTime {
    UNIX_EPOCH + Duration::from_millis(millis)
}
