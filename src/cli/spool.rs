//! `headgate spool`: what lies in the spool on disk, on a stopped or a running server's folder. Changes nothing.

mod progress;

use std::io::{self, BufWriter};
use std::path::Path;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::SystemTime;

use clap::Subcommand;
use jiff::Timestamp;
use seglog::{DiskFolder, Entry};

use self::progress::Bar;
use super::{Folder, Output, fault, print, say};
use crate::spool::{InspectError, Inspection, Lost, Overview, Verdict};
use crate::units::timestamp;

/// The spool is damaged.
const DAMAGED: u8 = 3;

const LOST_CHECKPOINT: &str = "the checkpoint, which tells what was delivered: both its files are damaged or gone, so all that there is comes again";

#[derive(Debug, Subcommand)]
pub(super) enum Spool {
    /// Positions, events, bytes, the oldest event; exit status 3 where that meets damage
    ///
    /// Reads no further than to the oldest event that is not delivered: damage behind that is found by `verify`.
    Inspect {
        #[command(flatten)]
        folder: Folder,
    },
    /// Check every checksum; exit status 3 where something is damaged
    Verify {
        #[command(flatten)]
        folder: Folder,
    },
    /// Write the events that are not delivered as NDJSON to standard output
    Export {
        #[command(flatten)]
        folder: Folder,
    },
}

impl Spool {
    pub(super) fn run(self) -> ExitCode {
        let (Self::Inspect { folder } | Self::Verify { folder } | Self::Export { folder }) = &self;
        let folder = match folder.find(|config| config.spool.dir) {
            Ok(folder) => folder,
            Err(status) => return status,
        };
        let outcome = match self {
            Self::Inspect { .. } => inspect(&folder),
            Self::Verify { .. } => verify(&folder),
            Self::Export { .. } => export(&folder),
        };
        outcome.unwrap_or_else(|error| match error {
            // Whoever read the events has seen enough.
            InspectError::Io(error) if error.kind() == io::ErrorKind::BrokenPipe => {
                ExitCode::SUCCESS
            }
            error => fault(&error.into()),
        })
    }
}

fn inspection(folder: &Path) -> Result<Inspection, InspectError> {
    Inspection::at(Arc::new(DiskFolder::new(folder)))
}

fn inspect(folder: &Path) -> Result<ExitCode, InspectError> {
    let overview = inspection(folder)?.overview()?;
    print(&overview_text(folder, &overview))?;
    Ok(ending(overview.is_sound()))
}

/// The status after a look at a spool.
fn ending(is_sound: bool) -> ExitCode {
    if is_sound {
        ExitCode::SUCCESS
    } else {
        ExitCode::from(DAMAGED)
    }
}

fn overview_text(folder: &Path, overview: &Overview) -> String {
    let Overview {
        format,
        segments,
        file_bytes,
        positions,
        events,
        oldest,
        checkpoint_at,
        has_lost_checkpoint,
        torn_bytes,
        set_aside,
        damages,
    } = overview;
    let mut text = format!(
        "folder        {} (format {format})\n\
         segments      {segments}, {file_bytes} bytes\n\
         positions     {} to {}\n\
         events        {events} not delivered\n\
         oldest event  {}\n\
         checkpoint    {}\n\
         torn tail     {torn_bytes} bytes\n",
        folder.display(),
        positions.start,
        positions.end,
        when(*oldest),
        when(*checkpoint_at),
    );
    if *has_lost_checkpoint {
        text += &format!("damaged       {LOST_CHECKPOINT}\n");
    }
    for Entry { name, bytes } in set_aside {
        text += &format!("set aside     {name}, {bytes} bytes\n");
    }
    for lost in damages {
        text += &format!("damaged       {}\n", lost_text(lost));
    }
    text
}

fn lost_text(lost: &Lost) -> String {
    let Lost { damage, events } = lost;
    format!(
        "segment {:020}, bytes {} to {}, positions {} to {}, {events} events not delivered",
        damage.generation,
        damage.bytes.start,
        damage.bytes.end,
        damage.positions.start,
        damage.positions.end,
    )
}

fn when(time: Option<SystemTime>) -> String {
    time.and_then(|time| Timestamp::try_from(time).ok())
        .map_or_else(|| "none".to_owned(), timestamp::to_text)
}

fn verify(folder: &Path) -> Result<ExitCode, InspectError> {
    let inspection = inspection(folder)?;
    let mut bar = Bar::new("checking");
    let verdict = inspection.verify(&mut |done, of| bar.show(done, of))?;
    bar.end();
    let overview = inspection.overview()?;
    print(&verdict_text(&verdict, overview.torn_bytes))?;
    for Entry { name, .. } in overview.set_aside {
        say(&format_args!(
            "headgate: {name} holds what a server set aside because it was damaged; remove it when it was looked at"
        ));
    }
    Ok(ending(verdict.is_sound()))
}

fn verdict_text(verdict: &Verdict, torn_bytes: u64) -> String {
    let mut text = String::new();
    if verdict.has_lost_checkpoint {
        text += &format!("damaged: {LOST_CHECKPOINT}\n");
    }
    for lost in &verdict.damages {
        text += &format!("damaged: {}\n", lost_text(lost));
    }
    text += &format!(
        "{} sound records with {} events",
        verdict.records, verdict.events
    );
    if torn_bytes > 0 {
        text += &format!(
            "; a torn tail of {torn_bytes} bytes, which was never acknowledged and is no damage"
        );
    }
    if verdict.is_sound() {
        text += "; no damage";
    }
    text
}

fn export(folder: &Path) -> Result<ExitCode, InspectError> {
    let inspection = inspection(folder)?;
    let mut out = BufWriter::with_capacity(64 * 1024, Output);
    let mut bar = Bar::new("exporting");
    let exported = inspection.export(&mut out, &mut |done, of| bar.show(done, of))?;
    bar.end();
    if exported.letters > 0 {
        say(&format_args!(
            "headgate: {} events that died on arrival are left out; a server files them as dead letters",
            exported.letters
        ));
    }
    if exported.lost > 0 {
        say(&format_args!(
            "headgate: {} events cannot be read: `headgate spool verify` tells where",
            exported.lost
        ));
    }
    if exported.has_lost_checkpoint {
        say(&format_args!("headgate: damaged: {LOST_CHECKPOINT}"));
    }
    Ok(ending(exported.is_sound()))
}
