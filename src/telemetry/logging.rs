//! The program's own log: where it goes and in which form. Standard error, human text or JSON lines.

use std::io::IsTerminal;

use tracing_subscriber::filter::LevelFilter;

/// Sends all log events of this process to standard error, one a line; JSON objects with `json`.
///
/// A second call in one process does nothing: the first one holds.
pub fn init(level: LevelFilter, json: bool) {
    let builder = tracing_subscriber::fmt()
        .with_writer(std::io::stderr)
        .with_max_level(level)
        .with_target(false);
    let subscriber: Box<dyn tracing::Subscriber + Send + Sync> = if json {
        Box::new(builder.json().flatten_event(true).finish())
    } else {
        Box::new(builder.with_ansi(std::io::stderr().is_terminal()).finish())
    };
    let _first_holds = tracing::subscriber::set_global_default(subscriber);
}
