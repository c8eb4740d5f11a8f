//! `[log]`: what the program says on standard error. Plain data.

use serde::{Deserialize, Serialize};

/// What the program says on standard error.
#[derive(Debug, Clone, PartialEq, Deserialize, Serialize, validator::Validate)]
#[serde(deny_unknown_fields)]
pub struct Log {
    /// The least severe level that is written.
    pub level: LogLevel,
    /// How a line looks.
    pub format: LogFormat,
}

/// How severe a line of the log is, most severe first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Deserialize, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum LogLevel {
    /// Something failed that must not.
    Error,
    /// Something is wrong, and the work goes on.
    Warn,
    /// The milestones of a run.
    Info,
    /// Each refused request and connection, and each dead letter.
    Debug,
    /// The same: the program says nothing at this level.
    Trace,
}

impl LogLevel {
    /// The word of the configuration.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Error => "error",
            Self::Warn => "warn",
            Self::Info => "info",
            Self::Debug => "debug",
            Self::Trace => "trace",
        }
    }
}

/// How a line of the log looks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum LogFormat {
    /// For people.
    Text,
    /// One JSON object a line.
    Json,
}
