//! `headgate serve`: the runtime, the log, the signals that end it.

use std::process::ExitCode;

use anyhow::Context as _;
use futures_util::FutureExt;
use tokio::signal::unix::{Signal, SignalKind, signal};

use super::reload::Reloader;
use super::{ConfigFile, FAULT, WRONG_CONFIGURATION, fault, told};
use crate::app::App;
use crate::config::{Config, ConfigErrors, LogFormat, Warning};
use crate::file_watch::FileWatch;
use crate::telemetry::events::{
    ConfigProblem, ConfigWarning, OpenFilesLow, StartFailed, Starts, StoppedAtOnce, StoppedAtStart,
};
use crate::telemetry::logging;

/// Open files beside the client connections: listeners, Brokers, files, the runtime.
const OTHER_FILES: u64 = 256;

pub(super) fn run(file: &ConfigFile) -> ExitCode {
    run_server(file).unwrap_or_else(|error| fault(&error))
}

/// The status at the end; an error where there can be no server, nor a log to tell that.
fn run_server(file: &ConfigFile) -> anyhow::Result<ExitCode> {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .context("the runtime cannot start")?;
    // Before anything that takes time: a SIGHUP that nobody listens for ends the process.
    let signals = runtime.block_on(async { Signals::new() });
    let signals = signals.context("signals cannot be heard")?;
    let watch = FileWatch::new(vec![Config::file(file.path())]);
    let loaded = match Config::load(file.path()) {
        Ok(loaded) => loaded,
        Err(errors) => return Ok(refused(&errors)),
    };
    let log = logging::init(&loaded.config.log);
    let (log_level, _log) = log.context("the log cannot start")?;
    // One that has been removed has no name any more, and what is relative fails then.
    let folder = std::env::current_dir().unwrap_or_default();
    Starts {
        folder: &folder.display(),
        config: &loaded.source,
        durability: loaded.config.ingest.durability.as_str(),
        output: loaded.config.output_type().as_str(),
    }
    .emit();
    warn_of(&loaded.warnings);
    raise_open_files(&loaded.config);
    let config = loaded.config.clone();
    let reloader = Reloader::new(signals.hang_up, watch, loaded, log_level);
    let outcome = runtime.block_on(serve(config, reloader, signals.stops));
    // A write to a pipe or a disk that hangs must not hold the process.
    runtime.shutdown_background();
    Ok(match outcome {
        Ok(Ended::Drained) => ExitCode::SUCCESS,
        Ok(Ended::Failed) => ExitCode::from(FAULT),
        Err(error) => {
            StartFailed {
                reason: &format!("{error:#}"),
            }
            .emit();
            ExitCode::from(FAULT)
        }
    })
}

/// Tells what is wrong with the configuration: where the log is JSON for a program that reads it, like any line of the
/// log, else as `check` does.
fn refused(errors: &ConfigErrors) -> ExitCode {
    if errors.log().format == LogFormat::Text {
        return told(errors);
    }
    let Ok((_, _log)) = logging::init(errors.log()) else {
        return told(errors);
    };
    for problem in errors.problems() {
        ConfigProblem { problem }.emit();
    }
    warn_of(errors.warnings());
    ExitCode::from(WRONG_CONFIGURATION)
}

fn warn_of(warnings: &[Warning]) {
    for warning in warnings {
        ConfigWarning {
            message: &warning.to_string(),
        }
        .emit();
    }
}

/// How a server ended.
enum Ended {
    /// A stop was asked for.
    Drained,
    /// The spool has failed.
    Failed,
}

async fn serve(config: Config, mut reloader: Reloader, mut stops: Stops) -> anyhow::Result<Ended> {
    let app = tokio::select! {
        app = App::start(config) => app?,
        () = stops.next() => {
            StoppedAtStart.emit();
            return Ok(Ended::Drained);
        }
    };
    let end = tokio::select! {
        () = stops.next() => app.drain().boxed(),
        () = app.failed() => app.end_failed().boxed(),
        never = reloader.run(&app) => match never {},
    };
    let second_signal = async {
        if app.has_failed() {
            // It is ending by itself; the first one asks for no more.
            stops.next().await;
        }
        stops.next().await;
    };
    tokio::select! {
        () = end => {}
        () = second_signal => {
            StoppedAtOnce.emit();
            app.stop_at_once().await;
        }
    }
    Ok(if app.has_failed() {
        Ended::Failed
    } else {
        Ended::Drained
    })
}

/// The signals that mean something to a server.
struct Signals {
    hang_up: Signal,
    stops: Stops,
}

/// SIGXFSZ: a file would be larger than the process may make one. Unheard it ends the process; the write fails all the
/// same, and is a full disk's.
const FILE_TOO_LARGE: i32 = 25;

impl Signals {
    fn new() -> std::io::Result<Self> {
        let _the_write_tells = signal(SignalKind::from_raw(FILE_TOO_LARGE))?;
        Ok(Self {
            hang_up: signal(SignalKind::hangup())?,
            stops: Stops {
                terminate: signal(SignalKind::terminate())?,
                interrupt: signal(SignalKind::interrupt())?,
            },
        })
    }
}

/// Those that end it.
struct Stops {
    terminate: Signal,
    interrupt: Signal,
}

impl Stops {
    /// Resolves when a stop is asked for.
    async fn next(&mut self) {
        tokio::select! {
            _ = self.terminate.recv() => {}
            _ = self.interrupt.recv() => {}
        }
    }
}

fn raise_open_files(config: &Config) {
    let Ok((soft, hard)) = rlimit::getrlimit(rlimit::Resource::NOFILE) else {
        return;
    };
    let raised = rlimit::setrlimit(rlimit::Resource::NOFILE, hard, hard);
    let limit = if raised.is_ok() { hard } else { soft };
    let needed = config.server.max_connections as u64 + OTHER_FILES;
    if limit < needed {
        OpenFilesLow { limit, needed }.emit();
    }
}
