//! `[spool]`: the durable queue. Plain data.

use std::fmt;
use std::path::PathBuf;
use std::str::FromStr;
use std::time::Duration;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::config::checks;
use crate::units::{ByteSize, duration, text};

/// The queue between clients and Brokers.
#[derive(Debug, Clone, PartialEq, Deserialize, Serialize, validator::Validate)]
#[serde(deny_unknown_fields)]
pub struct Spool {
    /// The folder of the spool on disk.
    #[validate(custom(function = checks::folder))]
    pub dir: PathBuf,
    /// The most that the spool on disk may take.
    #[validate(custom(function = checks::size_limit))]
    pub max_bytes: ByteSize,
    /// The length of one file of the spool on disk.
    #[validate(custom(function = checks::segment_size))]
    pub segment_bytes: ByteSize,
    /// The most that is kept in memory of what is in the spool on disk.
    #[validate(custom(function = checks::size_limit))]
    pub tail_bytes: ByteSize,
    /// When the spool on disk is synced.
    pub sync: SpoolSync,
    /// The most that the spool in memory may take.
    #[validate(custom(function = checks::size_limit))]
    pub memory_bytes: ByteSize,
}

/// When the spool on disk is synced, and so what a 2xx means.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SpoolSync {
    /// Before each answer: the events survive a loss of power.
    Always,
    /// So long after a write at the latest: the events survive a crash of the program, and a loss of power
    /// takes at most those of this time.
    Every(Duration),
    /// When the system does it by itself: the events survive a crash of the program.
    Never,
}

/// What `spool.sync` can be; told to whoever wrote something else.
const SYNC_FORM: &str = r#""always", "never", or a duration from 1ms to 1m such as "50ms""#;

/// The text is none of the forms of `spool.sync`.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("not {SYNC_FORM}")]
pub struct SpoolSyncError;

impl FromStr for SpoolSync {
    type Err = SpoolSyncError;

    fn from_str(text: &str) -> Result<Self, SpoolSyncError> {
        const LONGEST: Duration = Duration::from_secs(60);
        match text {
            "always" => Ok(Self::Always),
            "never" => Ok(Self::Never),
            _ => match duration::parse(text) {
                Ok(time) if !time.is_zero() && time <= LONGEST => Ok(Self::Every(time)),
                _ => Err(SpoolSyncError),
            },
        }
    }
}

impl fmt::Display for SpoolSync {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Always => formatter.write_str("always"),
            Self::Never => formatter.write_str("never"),
            Self::Every(time) => formatter.write_str(&duration::format(*time)),
        }
    }
}

impl Serialize for SpoolSync {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for SpoolSync {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        text::deserialize(deserializer, SYNC_FORM, str::parse)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_form_is_read_and_shown_as_it_was() {
        for text in ["always", "never", "50ms", "1s", "1m"] {
            let sync: SpoolSync = text.parse().unwrap();
            assert_eq!(sync.to_string(), text);
        }
        for text in ["", "sometimes", "0s", "50", "2m", "Always"] {
            assert_eq!(text.parse::<SpoolSync>(), Err(SpoolSyncError), "{text}");
        }
    }
}
