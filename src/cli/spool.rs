//! `headgate spool`: what lies in the spool on disk. This version writes none, so what is there is from a newer
//! one, and is not touched.

use std::path::Path;
use std::process::ExitCode;

use clap::Subcommand;

use super::{FAULT, Folder, fault, say};

#[derive(Debug, Subcommand)]
pub(super) enum Spool {
    /// Positions, events, bytes, the oldest event
    Inspect {
        #[command(flatten)]
        folder: Folder,
    },
    /// Check every checksum
    Verify {
        #[command(flatten)]
        folder: Folder,
    },
    /// Write the events as NDJSON to standard output
    Export {
        #[command(flatten)]
        folder: Folder,
    },
}

impl Spool {
    pub(super) fn run(self) -> ExitCode {
        let (Self::Inspect { folder } | Self::Verify { folder } | Self::Export { folder }) = self;
        match folder.find(|config| config.spool.dir) {
            Ok(folder) => look(&folder),
            Err(status) => status,
        }
    }
}

fn look(folder: &Path) -> ExitCode {
    let is_empty = match std::fs::read_dir(folder) {
        Ok(mut entries) => entries.next().is_none(),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => true,
        Err(error) => {
            let context = folder.display().to_string();
            return fault(&anyhow::Error::new(error).context(context));
        }
    };
    let what = if is_empty {
        "holds no spool: this version keeps its spool in memory"
    } else {
        "holds what a newer version wrote; nothing was touched"
    };
    say(&format_args!("headgate: {} {what}", folder.display()));
    ExitCode::from(FAULT)
}
