//! `headgate dead-letters`: shows the letters of a folder, also beside a running server, and asks for them to be sent
//! again or removed.

use std::collections::BTreeSet;
use std::path::Path;
use std::process::ExitCode;

use clap::{ArgGroup, Subcommand};

use super::{Folder, fault, print, say};
use crate::dead_letters::{
    Action, KeptLetter, OpenError, PurgeError, Request, damaged_lines, is_folder_of_letters, purge,
    read,
};
use crate::event::Position;

#[derive(Debug, Subcommand)]
pub(super) enum DeadLetters {
    /// A line for each letter: id, time, reason, the Broker's status
    List {
        #[command(flatten)]
        folder: Folder,
    },
    /// All of one letter, as JSON
    Show {
        /// The letter's id, as `list` tells it
        id: String,
        #[command(flatten)]
        folder: Folder,
    },
    /// Send letters the normal way again: at once where a server runs, else at its next start
    Replay {
        /// Their ids, as `list` tells them; without, all letters that there are now
        ids: Vec<String>,
        #[command(flatten)]
        folder: Folder,
    },
    /// Remove letters for good
    #[command(group(ArgGroup::new("which").args(["ids", "all"]).required(true)))]
    Purge {
        /// Their ids, as `list` tells them
        ids: Vec<String>,
        /// All letters that there are now
        #[arg(long)]
        all: bool,
        #[command(flatten)]
        folder: Folder,
    },
}

/// Why a command did not do what it was told.
#[derive(Debug, thiserror::Error)]
enum Failure {
    #[error(
        "there are no dead letters in {0}: name their folder with --dir, or start this where the server is started"
    )]
    NoFolder(String),
    #[error("no dead letter {} in {folder}", ids.join(", "))]
    Unknown { ids: Vec<String>, folder: String },
    #[error(transparent)]
    Files(#[from] std::io::Error),
    #[error(transparent)]
    Purge(#[from] PurgeError),
}

impl DeadLetters {
    pub(super) fn run(self) -> ExitCode {
        let folder = match &self {
            Self::List { folder }
            | Self::Show { folder, .. }
            | Self::Replay { folder, .. }
            | Self::Purge { folder, .. } => folder.find(|config| config.dead_letters.dir),
        };
        let folder = match folder {
            Ok(folder) => folder,
            Err(status) => return status,
        };
        match self.run_on(&folder) {
            Ok(()) => ExitCode::SUCCESS,
            Err(failure) => fault(&failure.into()),
        }
    }

    fn run_on(self, folder: &Path) -> Result<(), Failure> {
        if !is_folder_of_letters(folder)? {
            return Err(Failure::NoFolder(folder.display().to_string()));
        }
        match self {
            Self::List { .. } => list(folder),
            Self::Show { id, .. } => show(folder, id),
            Self::Replay { ids, .. } => ask_for_replay(folder, &ids),
            Self::Purge { ids, .. } => purge_or_ask(folder, &ids),
        }?;
        tell_of_damage(folder)
    }
}

fn list(folder: &Path) -> Result<(), Failure> {
    let mut printed = Ok(());
    read(folder, |letter| {
        printed = print(&line(&letter));
        printed.is_ok()
    })?;
    Ok(printed?)
}

fn show(folder: &Path, id: String) -> Result<(), Failure> {
    let mut printed = None;
    read(folder, |letter| {
        if letter.id == id {
            printed = Some(print(&letter.text));
        }
        printed.is_none()
    })?;
    match printed {
        Some(printed) => Ok(printed?),
        None => Err(unknown(folder, vec![id])),
    }
}

/// No command touches what it cannot read, nor keeps silent about it.
fn tell_of_damage(folder: &Path) -> Result<(), Failure> {
    for (file, lines) in damaged_lines(folder)? {
        say(&format_args!(
            "headgate: {}: lines that are damaged and no letters: {lines}. They are left alone; look at them, and remove the file when nothing in it is needed",
            file.display()
        ));
    }
    Ok(())
}

fn ask_for_replay(folder: &Path, ids: &[String]) -> Result<(), Failure> {
    let Some((request, meant)) = request(folder, Action::Replay, ids)? else {
        return Ok(());
    };
    request.submit(folder)?;
    Ok(print(&format!(
        "replay of {meant} requested: a running server begins within a second, else the next start does"
    ))?)
}

fn purge_or_ask(folder: &Path, ids: &[String]) -> Result<(), Failure> {
    let Some((request, meant)) = request(folder, Action::Purge, ids)? else {
        return Ok(());
    };
    match purge(folder, &request) {
        Ok(purged) => print(&format!("purged: {}", counted(purged)))?,
        Err(PurgeError::Open(OpenError::Locked { .. })) => {
            request.submit(folder)?;
            print(&format!(
                "purge of {meant} requested: the running server begins within a second"
            ))?;
        }
        Err(error) => return Err(error.into()),
    }
    Ok(())
}

/// The request about these letters, or about all without ids, and in words what it is about. None, told, when there
/// are no letters at all.
fn request(
    folder: &Path,
    action: Action,
    ids: &[String],
) -> Result<Option<(Request, String)>, Failure> {
    if ids.is_empty() {
        let letters = count(folder)?;
        if letters == 0 {
            print(&format!("no dead letters in {}", folder.display()))?;
            return Ok(None);
        }
        // Just before it is submitted: what it says of files is no longer true when another request has changed them.
        let request = Request::new(folder, action, None)?;
        return Ok(Some((request, format!("all {}", counted(letters)))));
    }
    let known = known(folder, ids)?;
    let named: Vec<String> = known.iter().map(Position::to_string).collect();
    let meant = format!("{} ({})", counted(known.len() as u64), named.join(", "));
    let request = Request::new(folder, action, Some(known))?;
    Ok(Some((request, meant)))
}

fn count(folder: &Path) -> Result<u64, Failure> {
    let mut letters = 0;
    read(folder, |_| {
        letters += 1;
        true
    })?;
    Ok(letters)
}

/// The positions that the ids name, if there is a letter for each.
fn known(folder: &Path, ids: &[String]) -> Result<BTreeSet<Position>, Failure> {
    let mut known = BTreeSet::new();
    let mut missing: BTreeSet<&str> = ids.iter().map(String::as_str).collect();
    let named = missing.clone();
    read(folder, |letter| {
        if named.contains(letter.id.as_str()) {
            known.extend(letter.position());
            missing.remove(letter.id.as_str());
        }
        true
    })?;
    if missing.is_empty() {
        Ok(known)
    } else {
        Err(unknown(
            folder,
            missing.into_iter().map(str::to_owned).collect(),
        ))
    }
}

fn unknown(folder: &Path, ids: Vec<String>) -> Failure {
    Failure::Unknown {
        ids,
        folder: folder.display().to_string(),
    }
}

fn counted(letters: u64) -> String {
    match letters {
        1 => "1 dead letter".to_owned(),
        _ => format!("{letters} dead letters"),
    }
}

fn line(letter: &KeptLetter) -> String {
    let status = letter
        .status
        .map_or_else(|| "-".to_owned(), |status| status.to_string());
    format!("{}\t{}\t{}\t{status}", letter.id, letter.at, letter.reason)
}
