//! What can be wrong with a configuration, and how it is told. Pure.

use std::fmt;
use std::path::PathBuf;

use seglog::is_out_of_handles;
use thiserror::Error;

use crate::config::{Log, Warning};

/// Where a value came from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Origin {
    /// The embedded default file.
    Defaults,
    /// A configuration file.
    File(PathBuf),
    /// An environment variable.
    Variable(String),
}

/// Stands before each problem, so it ends in a colon; nothing for the defaults.
impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Defaults => Ok(()),
            Self::File(path) => write!(f, "{}: ", path.display()),
            Self::Variable(name) => write!(f, "{name}: "),
        }
    }
}

/// One thing that is wrong. Values are shown as TOML, secrets masked.
#[derive(Debug, Error)]
pub enum Problem {
    /// The file cannot be read.
    #[error("{}: the configuration file cannot be read: {error}", path.display())]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// Why.
        #[source]
        error: std::io::Error,
    },
    /// The file cannot be read a second time, or not be taken for what it was.
    #[error("{}: the configuration file is not read again: {reason}", path.display())]
    NotAgain {
        /// The file.
        path: PathBuf,
        /// Why.
        reason: &'static str,
    },
    /// The file is not TOML.
    #[error("{}:{line}:{column}: not TOML: {message}", path.display())]
    NotToml {
        /// The file.
        path: PathBuf,
        /// The line, from 1.
        line: usize,
        /// The column in characters, from 1.
        column: usize,
        /// What the parser found.
        message: String,
    },
    /// There is no such key.
    #[error("{origin}{key} = {given}: there is no such key; {hint}")]
    UnknownKey {
        /// The path of the key.
        key: String,
        /// Its value.
        given: String,
        /// What is allowed there.
        hint: String,
        /// Where it came from.
        origin: Origin,
    },
    /// The key may not have this value.
    #[error("{origin}{key} = {given}: must be {allowed}")]
    Refused {
        /// The path of the key.
        key: String,
        /// Its value.
        given: String,
        /// What it may be.
        allowed: String,
        /// Where it came from.
        origin: Origin,
    },
    /// The file that the key names cannot be opened now, whatever is in it.
    #[error("{origin}{key} = {given}: must be {allowed}")]
    OutOfHandles {
        /// The path of the key.
        key: String,
        /// The path of the file.
        given: String,
        /// What it may be, and why that cannot be told.
        allowed: String,
        /// Where it came from.
        origin: Origin,
    },
    /// A key that has no default is not there.
    #[error("{origin}{key}: is missing: must be {allowed}")]
    Missing {
        /// The path of the key.
        key: String,
        /// What it may be.
        allowed: String,
        /// Where it ought to stand.
        origin: Origin,
    },
    /// Each value is allowed, but not together.
    #[error("{origins}{settings}: {rule}")]
    Contradiction {
        /// Where the values came from.
        origins: String,
        /// The keys and values.
        settings: String,
        /// What must hold between them.
        rule: &'static str,
    },
}

impl Problem {
    /// Whether nothing need be wrong: a file could not be read only because no further one can be open.
    fn is_out_of_handles(&self) -> bool {
        match self {
            Self::Unreadable { error, .. } => is_out_of_handles(error),
            Self::OutOfHandles { .. } => true,
            _ => false,
        }
    }
}

/// All that is wrong, at least one problem; shown one a line, and then the warnings.
#[derive(Debug, Error)]
#[error("{}", lines(.problems, .warnings))]
pub struct ConfigErrors {
    problems: Vec<Problem>,
    warnings: Vec<Warning>,
    log: Log,
}

impl ConfigErrors {
    /// `warnings` are those that may explain a problem, `log` is `[log]` as far as it could be read.
    pub(crate) fn new(problems: Vec<Problem>, warnings: Vec<Warning>, log: Log) -> Self {
        Self {
            problems,
            warnings,
            log,
        }
    }

    /// Whether a file could not be read only for want of a handle, so that all may be right a moment later.
    pub fn is_out_of_handles(&self) -> bool {
        self.problems.iter().any(Problem::is_out_of_handles)
    }

    /// The problems, never none.
    pub fn problems(&self) -> &[Problem] {
        &self.problems
    }

    /// What may explain them: variables that set nothing.
    pub fn warnings(&self) -> &[Warning] {
        &self.warnings
    }

    /// `[log]` as far as it could be read: how the problems are to be told by a server.
    pub fn log(&self) -> &Log {
        &self.log
    }
}

fn lines(problems: &[Problem], warnings: &[Warning]) -> String {
    let warnings = warnings.iter().map(|warning| format!("warning: {warning}"));
    let lines: Vec<String> = problems
        .iter()
        .map(Problem::to_string)
        .chain(warnings)
        .collect();
    lines.join("\n")
}

#[cfg(test)]
mod tests {
    use std::io;

    use super::*;
    use crate::config::Config;

    #[test]
    fn what_is_right_once_files_can_be_opened_is_told_from_what_is_wrong() {
        const ENOENT: i32 = 2;
        const EMFILE: i32 = 24;
        let unreadable = |code| Problem::Unreadable {
            path: "headgate.toml".into(),
            error: io::Error::from_raw_os_error(code),
        };
        let named = || Problem::OutOfHandles {
            key: "validate.schema".to_owned(),
            given: String::new(),
            allowed: String::new(),
            origin: Origin::Defaults,
        };
        for (problems, expected) in [
            (vec![unreadable(EMFILE)], true),
            (vec![unreadable(ENOENT)], false),
            (vec![unreadable(ENOENT), named()], true),
        ] {
            let errors = ConfigErrors::new(problems, vec![], Config::default().log);
            assert_eq!(errors.is_out_of_handles(), expected, "{errors}");
        }
    }
}
