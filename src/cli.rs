//! The command line: arguments to configuration, outcomes to exit statuses. No logic of the server's.

mod health;
mod keys;
mod serve;

use std::path::PathBuf;
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
    /// Ask a running server for its health; for container health checks
    Health(health::Health),
}

#[derive(Debug, clap::Args)]
struct ConfigFile {
    /// The configuration; without it config/headgate.toml if there is one, else the built-in defaults
    #[arg(long = "config", value_name = "FILE")]
    config: Option<PathBuf>,
}

/// Runs the program; the exit status says how it went.
pub fn run() -> ExitCode {
    match Arguments::parse().command {
        Command::Serve(file) => match load(&file) {
            Ok(loaded) => serve::run(loaded),
            Err(status) => status,
        },
        Command::Check(file) => match load(&file) {
            Ok(loaded) => check(&loaded),
            Err(status) => status,
        },
        Command::Keys(command) => command.run(),
        Command::Health(command) => command.run(),
    }
}

/// The configuration, or the status after all its problems were told.
fn load(file: &ConfigFile) -> Result<Loaded, ExitCode> {
    Config::load(file.config.as_deref()).map_err(|errors: ConfigErrors| {
        say(&errors);
        ExitCode::from(WRONG_CONFIGURATION)
    })
}

fn check(loaded: &Loaded) -> ExitCode {
    for warning in &loaded.warnings {
        say(&format_args!("warning: {warning}"));
    }
    print(&loaded.config.effective_toml());
    ExitCode::SUCCESS
}

/// For people, on standard error.
#[expect(clippy::print_stderr, reason = "this is the command line")]
fn say(message: &dyn std::fmt::Display) {
    eprintln!("{message}");
}

/// What was asked for, on standard output. A reader that goes away is no fault.
fn print(text: &str) {
    use std::io::Write;
    let _reader_may_be_gone = writeln!(std::io::stdout(), "{}", text.trim_end());
}

/// A fault, told.
fn fault(error: &anyhow::Error) -> ExitCode {
    say(&format_args!("headgate: {error:#}"));
    ExitCode::from(FAULT)
}
