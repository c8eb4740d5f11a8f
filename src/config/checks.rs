//! Range checks of single values that several sections share; called by `validator`. Pure.

use std::path::Path;
use std::time::Duration;

use validator::ValidationError;

use crate::units::ByteSize;

/// A year: beyond it a time limit is a slip, and sums with the present moment stay far from overflow.
const LONGEST: Duration = Duration::from_secs(365 * 24 * 60 * 60);

/// A time limit: none would let nothing through.
pub(super) fn time_limit(duration: &Duration) -> Result<(), ValidationError> {
    let fits = !duration.is_zero() && *duration <= LONGEST;
    require(fits, "a duration from 1ms to 8760h")
}

/// A time to wait, which may be none.
pub(super) fn delay(duration: &Duration) -> Result<(), ValidationError> {
    require(*duration <= LONGEST, "a duration from 0s to 8760h")
}

/// A limit of bytes: none would let nothing through.
pub(super) fn size_limit(size: &ByteSize) -> Result<(), ValidationError> {
    require(size.bytes() > 0, "a size of at least 1B")
}

/// The length of a segment: short ones make a folder of files that hold next to nothing.
pub(super) fn segment_size(size: &ByteSize) -> Result<(), ValidationError> {
    require(size.bytes() >= 4096, "a size of at least 4KiB")
}

/// The path of a folder.
pub(super) fn folder(path: &Path) -> Result<(), ValidationError> {
    require(!path.as_os_str().is_empty(), "the path of a folder")
}

fn require(fits: bool, allowed: &'static str) -> Result<(), ValidationError> {
    if fits {
        return Ok(());
    }
    Err(ValidationError::new("allowed").with_message(allowed.into()))
}
