//! The command line: arguments to configuration, outcomes to exit statuses. No logic of the server's.

mod dead_letters;
mod health;
mod keys;
mod reload;
mod serve;
mod spool;

use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::{Parser, Subcommand};

use crate::config::{Config, ConfigErrors, Loaded};

/// A fault while running.
const FAULT: u8 = 1;
/// The configuration is wrong.
const WRONG_CONFIGURATION: u8 = 2;

/// Headgate: takes log events over HTTP and passes them on, so that none is lost and all are counted.
#[derive(Debug, Parser)]
#[command(name = "headgate", version, arg_required_else_help = true)]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Run the server
    Serve(ConfigFile),
    /// Check the configuration without starting, and print the effective one
    Check(ConfigFile),
    /// Make API keys
    #[command(subcommand)]
    Keys(keys::Keys),
    /// Look at what lies in the spool on disk
    #[command(subcommand)]
    Spool(spool::Spool),
    /// Look at the events that were kept but could not be delivered, send them again, or remove them
    #[command(subcommand)]
    DeadLetters(dead_letters::DeadLetters),
    /// Ask a running server for its health; for container health checks
    Health(health::Health),
}

#[derive(Debug, clap::Args)]
struct ConfigFile {
    /// The configuration; without it config/headgate.toml if there is one, else the built-in defaults
    #[arg(long = "config", value_name = "FILE")]
    config: Option<PathBuf>,
}

impl ConfigFile {
    /// The file that was named.
    fn path(&self) -> Option<&Path> {
        self.config.as_deref()
    }
}

/// Which folder a command looks at.
#[derive(Debug, clap::Args)]
struct Folder {
    #[command(flatten)]
    file: ConfigFile,
    /// The folder itself, instead of the one that the configuration names
    #[arg(long, value_name = "DIR", conflicts_with = "config")]
    dir: Option<PathBuf>,
}

impl Folder {
    /// The folder; `of` finds it in the configuration.
    fn find(&self, of: impl FnOnce(Config) -> PathBuf) -> Result<PathBuf, ExitCode> {
        match &self.dir {
            Some(dir) => Ok(dir.clone()),
            None => load_alone(&self.file).map(|loaded| of(loaded.config)),
        }
    }
}

/// Runs the program; the exit status says how it went.
pub fn run() -> ExitCode {
    match Arguments::parse().command {
        Command::Serve(file) => serve::run(&file),
        Command::Check(file) => match Config::load(file.path()) {
            Ok(loaded) => check(&loaded),
            Err(errors) => told(&errors),
        },
        Command::Keys(command) => command.run(),
        Command::Spool(command) => command.run(),
        Command::DeadLetters(command) => command.run(),
        Command::Health(command) => command.run(),
    }
}

/// The configuration, or the status after all its problems were told. For commands that use few of the keys: what is
/// wrong between others does not stop them.
fn load_alone(file: &ConfigFile) -> Result<Loaded, ExitCode> {
    Config::load_alone(file.path()).map_err(|errors| told(&errors))
}

/// Tells what is wrong with a configuration, to people.
fn told(errors: &ConfigErrors) -> ExitCode {
    say(errors);
    ExitCode::from(WRONG_CONFIGURATION)
}

fn check(loaded: &Loaded) -> ExitCode {
    for warning in &loaded.warnings {
        say(&format_args!("warning: {warning}"));
    }
    printed(&loaded.config.effective_toml())
}

/// For people, on standard error.
#[expect(clippy::print_stderr, reason = "this is the command line")]
fn say(message: &dyn std::fmt::Display) {
    eprintln!("{message}");
}

/// Standard output, which its errors name.
struct Output;

impl Write for Output {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        io::stdout().write(bytes).map_err(of_output)
    }

    fn flush(&mut self) -> io::Result<()> {
        io::stdout().flush().map_err(of_output)
    }
}

#[expect(clippy::needless_pass_by_value, reason = "as map_err hands it over")]
fn of_output(error: io::Error) -> io::Error {
    io::Error::new(error.kind(), format!("standard output: {error}"))
}

/// What was asked for. A reader that goes away is no fault.
fn print(text: &str) -> io::Result<()> {
    match writeln!(Output, "{}", text.trim_end()) {
        Err(error) if error.kind() != io::ErrorKind::BrokenPipe => Err(error),
        _ => Ok(()),
    }
}

/// The status after [`print`], where there is nothing else to do.
fn printed(text: &str) -> ExitCode {
    match print(text) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => fault(&error.into()),
    }
}

/// A fault, told.
fn fault(error: &anyhow::Error) -> ExitCode {
    say(&format_args!("headgate: {error:#}"));
    ExitCode::from(FAULT)
}
