//! Loading the configuration: the only place that reads a configuration file and the environment.

use std::ffi::OsString;
use std::fmt;
use std::io::ErrorKind;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use toml::Table;

use crate::config::environment::{self, Environment, Setting};
use crate::config::known::Known;
use crate::config::merge::Merge;
use crate::config::problem::{ConfigErrors, Origin, Problem};
use crate::config::{Config, SchemaFile, contradictions};

/// The file that is read when none is named, seen from the current folder.
const USUAL_FILE: &str = "config/headgate.toml";

/// A checked configuration.
#[derive(Debug, Clone, PartialEq)]
pub struct Loaded {
    /// The configuration.
    pub config: Config,
    /// What looks wrong and is no error.
    pub warnings: Vec<Warning>,
    /// Where it came from, besides the environment.
    pub source: Source,
}

/// Where a configuration came from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Source {
    /// A file.
    File(PathBuf),
    /// The embedded default file.
    Defaults,
}

impl fmt::Display for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::File(path) => write!(f, "{}", path.display()),
            Self::Defaults => f.write_str("built-in defaults"),
        }
    }
}

/// Something that looks wrong and is no error.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Warning {
    /// An environment variable with the program's prefix sets nothing.
    UnknownVariable {
        /// Its name.
        name: String,
        /// The variable that may have been meant.
        meant: Option<String>,
    },
    /// Everybody who reaches the public listener may send.
    OpenToAll {
        /// The address of the listener.
        listen: SocketAddr,
    },
}

impl fmt::Display for Warning {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::UnknownVariable { name, meant } => {
                write!(
                    f,
                    "the environment variable {name} names no section of the configuration and is ignored"
                )?;
                match meant {
                    Some(meant) => write!(f, "; did you mean {meant}?"),
                    None => Ok(()),
                }
            }
            Self::OpenToAll { listen } => write!(
                f,
                "server.listen = \"{listen}\" is open to all: set auth.user and auth.password, or [[auth.keys]]"
            ),
        }
    }
}

impl Config {
    /// Loads the named file, or without a name `config/headgate.toml` if it is there, or else the built-in defaults; then
    /// lays the environment over it.
    ///
    /// # Errors
    ///
    /// All that is wrong, at once.
    pub fn load(file: Option<&Path>) -> Result<Loaded, ConfigErrors> {
        Self::load_with(file, std::env::vars_os())
    }

    /// Like [`Config::load`], with the given variables as the environment.
    ///
    /// # Errors
    ///
    /// All that is wrong, at once.
    pub fn load_with(
        file: Option<&Path>,
        variables: impl IntoIterator<Item = (OsString, OsString)>,
    ) -> Result<Loaded, ConfigErrors> {
        let read = read_file(file, Path::new(USUAL_FILE));
        merge(read, variables)
    }
}

/// Reads the named file, or the usual one if it is there.
fn read_file(named: Option<&Path>, usual: &Path) -> Result<(Table, Source), Problem> {
    let path = named.unwrap_or(usual);
    let text = match std::fs::read_to_string(path) {
        Err(error) if error.kind() == ErrorKind::NotFound && named.is_none() => {
            return Ok((Table::new(), Source::Defaults));
        }
        Err(error) => {
            let path = path.to_owned();
            return Err(Problem::Unreadable { path, error });
        }
        Ok(text) => text,
    };
    let tree = parse(&text, path)?;
    Ok((tree, Source::File(path.to_owned())))
}

/// Parses a file. The parser's own rendering is not used: it quotes the line, which may hold a password.
fn parse(text: &str, path: &Path) -> Result<Table, Problem> {
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    text.parse().map_err(|error: toml::de::Error| {
        let offset = error.span().map_or(0, |span| span.start);
        let before = text.get(..offset).unwrap_or(text);
        let line_start = before.rfind('\n').map_or(0, |newline| newline + 1);
        Problem::NotToml {
            path: path.to_owned(),
            line: before.matches('\n').count() + 1,
            column: before[line_start..].chars().count() + 1,
            message: error.message().to_owned(),
        }
    })
}

/// Lays file and environment over the defaults and checks what comes of it.
fn merge(
    read: Result<(Table, Source), Problem>,
    variables: impl IntoIterator<Item = (OsString, OsString)>,
) -> Result<Loaded, ConfigErrors> {
    let known = Known::new();
    let mut merge = Merge::new(&known);
    let source = match read {
        Ok((tree, source)) => {
            if let Source::File(path) = &source {
                merge.overlay(tree, &Origin::File(path.clone()));
            }
            Some(source)
        }
        Err(problem) => {
            merge.note(problem);
            None
        }
    };
    let environment = environment::read(variables, &known);
    let unknown = overlay_environment(environment, &mut merge);
    let mut config = merge.decode();
    // Without the file that was meant, what is left may contradict itself for want of it.
    if source.is_some() {
        if let Some(Err(problem)) = config.validate.schema.as_mut().map(SchemaFile::read) {
            merge.refuse("validate.schema", problem.to_string());
        }
        contradictions::check(&config, &mut merge);
    }
    let warnings = warnings(&config, unknown);
    let loaded = Loaded {
        config,
        warnings,
        source: source.unwrap_or(Source::Defaults),
    };
    ConfigErrors::unless_empty(merge.into_problems(), loaded)
}

/// Lays the settings of the environment over the file's; returns the variables that set nothing.
fn overlay_environment(
    environment: Environment,
    merge: &mut Merge<'_>,
) -> Vec<(String, Option<String>)> {
    for Setting { name, path, value } in environment.settings {
        merge.overlay_at(&path, value, &Origin::Variable(name));
    }
    for (key, name) in environment.not_text {
        let (given, allowed) = ("(bytes)".to_owned(), "UTF-8".to_owned());
        merge.refuse_given(key, given, allowed, Origin::Variable(name));
    }
    environment.unknown
}

fn warnings(config: &Config, unknown: Vec<(String, Option<String>)>) -> Vec<Warning> {
    let listen = config.server.listen;
    let is_open = config.auth.is_open() && !listen.ip().is_loopback();
    unknown
        .into_iter()
        .map(|(name, meant)| Warning::UnknownVariable { name, meant })
        .chain(is_open.then_some(Warning::OpenToAll { listen }))
        .collect()
}

#[cfg(test)]
mod tests;
