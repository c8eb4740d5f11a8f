//! `[spool]`: the durable queue. Plain data.

use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use crate::config::checks;
use crate::units::ByteSize;

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
    #[validate(custom(function = checks::size_limit))]
    pub segment_bytes: ByteSize,
    /// The most that the spool in memory may take.
    #[validate(custom(function = checks::size_limit))]
    pub memory_bytes: ByteSize,
}
