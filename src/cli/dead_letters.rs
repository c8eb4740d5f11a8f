//! `headgate dead-letters`: shows the letters of a folder, also beside a running server.

use std::process::ExitCode;

use clap::Subcommand;

use super::{FAULT, Folder, fault, print, say};
use crate::dead_letters::{KeptLetter, read};

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
}

impl DeadLetters {
    pub(super) fn run(self) -> ExitCode {
        let (id, folder) = match &self {
            Self::List { folder } => (None, folder),
            Self::Show { id, folder } => (Some(id), folder),
        };
        let folder = match folder.find(|config| config.dead_letters.dir) {
            Ok(folder) => folder,
            Err(status) => return status,
        };
        let mut has_found = false;
        let outcome = read(&folder, |letter| match id {
            None => {
                print(&line(&letter));
                true
            }
            Some(id) if letter.id == *id => {
                print(&letter.text);
                has_found = true;
                false
            }
            Some(_) => true,
        });
        match (outcome, id) {
            (Err(error), _) => fault(&error.into()),
            (Ok(()), Some(id)) if !has_found => {
                say(&format_args!(
                    "headgate: no dead letter {id} in {}",
                    folder.display()
                ));
                ExitCode::from(FAULT)
            }
            (Ok(()), _) => ExitCode::SUCCESS,
        }
    }
}

fn line(letter: &KeptLetter) -> String {
    let status = letter
        .status
        .map_or_else(|| "-".to_owned(), |status| status.to_string());
    format!("{}\t{}\t{}\t{status}", letter.id, letter.at, letter.reason)
}
