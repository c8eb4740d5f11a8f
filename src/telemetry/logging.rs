//! The program's own log: where it goes and in which form. Standard error, human text or JSON lines.

use std::io::IsTerminal;

use tracing::Subscriber;
use tracing_subscriber::filter::LevelFilter;
use tracing_subscriber::layer::{Layer, SubscriberExt};
use tracing_subscriber::{Registry, fmt, reload};

/// The level of the log of this process, which may change while it runs.
pub struct LogLevelHandle(reload::Handle<LevelFilter, Registry>);

impl LogLevelHandle {
    /// From now on nothing less severe is written.
    pub fn set(&self, level: LevelFilter) {
        // The log is gone only where another one was first, see `init`.
        let _log_is_there = self.0.reload(level);
    }
}

/// Sends all log events of this process to standard error, one a line; JSON objects with `json`.
///
/// A second call in one process does nothing: the first one holds.
pub fn init(level: LevelFilter, json: bool) -> LogLevelHandle {
    let (filter, handle) = reload::Layer::new(level);
    let lines = fmt::layer().with_writer(std::io::stderr).with_target(false);
    let lines: Box<dyn Layer<_> + Send + Sync> = if json {
        Box::new(lines.json().flatten_event(true))
    } else {
        Box::new(lines.with_ansi(std::io::stderr().is_terminal()))
    };
    let log: Box<dyn Subscriber + Send + Sync> =
        Box::new(tracing_subscriber::registry().with(filter).with(lines));
    let _first_holds = tracing::subscriber::set_global_default(log);
    LogLevelHandle(handle)
}
