//! The program's own log: where it goes and in which form. Standard error, human text or JSON lines.

mod queue;

use std::io::{self, IsTerminal};

use tracing::Subscriber;
use tracing_subscriber::filter::{LevelFilter, Targets};
use tracing_subscriber::layer::{Layer, SubscriberExt};
use tracing_subscriber::{Registry, fmt, reload};

use crate::config::{self, LogFormat, LogLevel};
use queue::LineQueue;
pub use queue::LogGuard;
pub(super) use queue::lost_lines;

/// What the targets of the program's own lines begin with: the names of its crates.
const OWN: &str = "headgate";

/// The level of the log of this process, which may change while it runs.
pub struct LogLevelHandle(reload::Handle<Targets, Registry>);

impl LogLevelHandle {
    /// From now on nothing less severe is written.
    pub fn set(&self, level: LogLevel) {
        // The log is gone only where another one was first, see `init`.
        let _log_is_there = self.0.reload(filter(level));
    }
}

/// Sends all log events of this process to standard error, one a line, for as long as the guard is kept.
///
/// A second call in one process does nothing: the first one holds.
///
/// # Errors
/// There is no thread to be had.
pub fn init(log: &config::Log) -> io::Result<(LogLevelHandle, LogGuard)> {
    let (filter, handle) = reload::Layer::new(filter(log.level));
    let (queue, guard) = LineQueue::to(io::stderr())?;
    let lines = fmt::layer().with_writer(move || queue.clone());
    let lines = lines.with_target(false);
    let lines: Box<dyn Layer<_> + Send + Sync> = match log.format {
        LogFormat::Json => Box::new(lines.json().flatten_event(true)),
        LogFormat::Text => Box::new(lines.with_ansi(io::stderr().is_terminal())),
    };
    let log: Box<dyn Subscriber + Send + Sync> =
        Box::new(tracing_subscriber::registry().with(filter).with(lines));
    let _first_holds = tracing::subscriber::set_global_default(log);
    Ok((LogLevelHandle(handle), guard))
}

/// Libraries tell errors alone, at whatever level: what else they write has the bytes of clients in it, and a client can
/// have the HTTP/2 library warn as often as it likes.
fn filter(level: LogLevel) -> Targets {
    let level = match level {
        LogLevel::Error => LevelFilter::ERROR,
        LogLevel::Warn => LevelFilter::WARN,
        LogLevel::Info => LevelFilter::INFO,
        LogLevel::Debug => LevelFilter::DEBUG,
        LogLevel::Trace => LevelFilter::TRACE,
    };
    Targets::new()
        .with_target(OWN, level)
        .with_default(LevelFilter::ERROR)
}
