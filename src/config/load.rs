//! Loading the configuration: the only place that reads a configuration file and the environment.

use std::ffi::OsString;
use std::fmt;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use toml::Table;

use crate::config::environment::{self, Environment, NotText, NotToml, Setting};
use crate::config::known::Known;
use crate::config::merge::Merge;
use crate::config::parse::parse;
use crate::config::problem::{ConfigErrors, Origin, Problem};
use crate::config::warnings::{self, Warning};
use crate::config::{Config, SchemaFile, contradictions, tls_files};

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

impl Loaded {
    /// The files that were read for it, or would have been: when one of them changes, it is to be read again.
    /// What a key names and is read with the configuration belongs here.
    pub fn files(&self) -> Vec<PathBuf> {
        let own = match &self.source {
            Source::File(path) => path.clone(),
            Source::Defaults => Config::file(None),
        };
        let schema = self.config.validate.schema.as_ref();
        std::iter::once(own)
            .chain(schema.map(|schema| schema.path().to_owned()))
            .collect()
    }
}

/// How far a configuration is judged.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Judged {
    /// As a server needs it: with the files that it names, and with its keys against each other.
    Whole,
    /// Each key by itself.
    KeyByKey,
}

impl Config {
    /// Loads the named file, or without a name `config/headgate.toml` if it is there, or else the built-in
    /// defaults; then lays the environment over it.
    ///
    /// # Errors
    ///
    /// All that is wrong, at once.
    pub fn load(file: Option<&Path>) -> Result<Loaded, ConfigErrors> {
        Self::load_with(file, std::env::vars_os())
    }

    /// Loads once more what came from this source. A file that is gone or empty is an error: nobody means the
    /// defaults by that. Where there was no file, [`Config::load`] looks for one.
    ///
    /// # Errors
    ///
    /// All that is wrong, at once.
    pub fn load_again(source: &Source) -> Result<Loaded, ConfigErrors> {
        match source {
            Source::Defaults => Self::load(None),
            Source::File(path) => merge(read_file_again(path), std::env::vars_os(), Judged::Whole),
        }
    }

    /// The file that [`Config::load`] reads when this one is named, or none.
    pub fn file(named: Option<&Path>) -> PathBuf {
        named.unwrap_or(Path::new(USUAL_FILE)).to_owned()
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
        merge(read, variables, Judged::Whole)
    }

    /// Like [`Config::load`], but judges each key by itself and looks at none of the files that the configuration names:
    /// for commands that use few of the keys, and may be run without the secrets that only the server's environment
    /// has, while a file is renewed, or by a user who may not read a private key.
    ///
    /// # Errors
    ///
    /// All that is wrong, at once.
    pub fn load_alone(file: Option<&Path>) -> Result<Loaded, ConfigErrors> {
        let read = read_file(file, Path::new(USUAL_FILE));
        merge(read, std::env::vars_os(), Judged::KeyByKey)
    }
}

/// Reads the named file, or the usual one if it is there.
fn read_file(named: Option<&Path>, usual: &Path) -> Result<(Table, Source), Problem> {
    let path = named.unwrap_or(usual);
    let text = match std::fs::read_to_string(path) {
        Err(error) if error.kind() == ErrorKind::NotFound && named.is_none() => {
            return Ok((Table::default(), Source::Defaults));
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

/// Reads a file that was read before.
fn read_file_again(path: &Path) -> Result<(Table, Source), Problem> {
    let not_again = |reason| Problem::NotAgain {
        path: path.to_owned(),
        reason,
    };
    // What a pipe gave is gone, and reading it would wait for ever or find nothing.
    if std::fs::metadata(path).is_ok_and(|found| !found.is_file()) {
        return Err(not_again("it is no regular file"));
    }
    let (tree, source) = read_file(Some(path), path)?;
    if tree.is_empty() {
        return Err(not_again(
            "it sets nothing, like one that is just being written; after a restart that means the defaults",
        ));
    }
    Ok((tree, source))
}

/// Lays file and environment over the defaults and checks what comes of it.
fn merge(
    read: Result<(Table, Source), Problem>,
    variables: impl IntoIterator<Item = (OsString, OsString)>,
    judged: Judged,
) -> Result<Loaded, ConfigErrors> {
    let known = Known::new();
    let mut merge = Merge::new(&known);
    let source = match read {
        Ok((tree, source)) => {
            if let Source::File(path) = &source {
                let origin = Origin::File(path.clone());
                merge.overlay(tree, &origin);
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
    contradictions::check_ranges(&config, &mut merge);
    // Without the file that was meant, what is left may contradict itself for want of it.
    if source.is_some() && judged == Judged::Whole {
        tls_files::check(&config, &mut merge);
        config.broker.tls.note_files();
        if let Some(Err(problem)) = config.validate.schema.as_mut().map(SchemaFile::read) {
            if problem.is_out_of_handles() {
                merge.out_of_handles("validate.schema", problem.to_string());
            } else {
                merge.refuse("validate.schema", problem.to_string());
            }
        }
        contradictions::check(&config, &mut merge);
    }
    let problems = merge.into_problems();
    if !problems.is_empty() {
        return Err(ConfigErrors::new(problems, unknown, config.log));
    }
    let warnings = unknown.into_iter().chain(warnings::of(&config)).collect();
    Ok(Loaded {
        config,
        warnings,
        source: source.unwrap_or(Source::Defaults),
    })
}

/// Lays the settings of the environment over the file's; warns of the variables that set nothing.
fn overlay_environment(environment: Environment, merge: &mut Merge<'_>) -> Vec<Warning> {
    for Setting { name, path, value } in environment.settings {
        merge.overlay_at(&path, value, &Origin::Variable(name));
    }
    for NotText { name, key } in environment.not_text {
        let (given, allowed) = ("(bytes)".to_owned(), "UTF-8".to_owned());
        merge.refuse_given(key, given, allowed, Origin::Variable(name));
    }
    for not_toml in environment.not_toml {
        let NotToml {
            name,
            path,
            text,
            found,
        } = not_toml;
        let allowed = format!("TOML, and is none: {found}");
        merge.refuse_text(&path, text, allowed, Origin::Variable(name));
    }
    environment.unknown
}

#[cfg(test)]
mod tests;
