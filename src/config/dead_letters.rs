//! `[dead_letters]`: where events are kept that could not be delivered. Plain data.

use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use crate::config::checks;
use crate::units::ByteSize;

/// Where events are kept that could not be delivered.
#[derive(Debug, Clone, PartialEq, Deserialize, Serialize, validator::Validate)]
#[serde(deny_unknown_fields)]
pub struct DeadLetters {
    /// The folder.
    #[validate(custom(function = checks::folder))]
    pub dir: PathBuf,
    /// The most for those that died on arrival, and as much again for those that a Broker rejected.
    #[validate(custom(function = checks::size_limit))]
    pub max_bytes: ByteSize,
}
