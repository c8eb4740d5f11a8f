//! Sizes in bytes as people write them: `512B`, `64KiB`, `1MiB`, `4GiB`. Pure.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Deserializer, Serialize, Serializer};
use thiserror::Error;

use super::text;

/// The units, largest first, as powers of 1024 (IEC 80000-13).
const UNITS: [(&str, u64); 5] = [
    ("TiB", 1 << 40),
    ("GiB", 1 << 30),
    ("MiB", 1 << 20),
    ("KiB", 1 << 10),
    ("B", 1),
];

/// What a size looks like; told to whoever wrote something else.
const FORM: &str =
    r#"a size: a whole number and B, KiB, MiB, GiB or TiB, such as "512B", "64KiB" or "4GiB""#;

/// A number of bytes.
///
/// Written as a whole number and a unit without a space between; the unit is never left out, so that nobody has to
/// guess it. Shown in the largest unit that divides it, so that what is shown reads back as the same size.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ByteSize(u64);

/// The text is not a size.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("not {FORM}")]
pub struct ByteSizeError;

impl ByteSize {
    /// A size of so many bytes.
    pub const fn new(bytes: u64) -> Self {
        Self(bytes)
    }

    /// The number of bytes.
    pub const fn bytes(self) -> u64 {
        self.0
    }

    /// The number of bytes for comparing with lengths in memory; where a `usize` is smaller, the largest `usize`.
    pub fn as_usize(self) -> usize {
        usize::try_from(self.0).unwrap_or(usize::MAX)
    }
}

impl FromStr for ByteSize {
    type Err = ByteSizeError;

    fn from_str(text: &str) -> Result<Self, ByteSizeError> {
        let bytes = text::number_and_unit(text, &UNITS);
        bytes.map(Self).ok_or(ByteSizeError)
    }
}

impl fmt::Display for ByteSize {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (name, factor) = UNITS
            .into_iter()
            .find(|&(_, factor)| self.0 >= factor && self.0.is_multiple_of(factor))
            .unwrap_or(("B", 1));
        write!(f, "{}{name}", self.0 / factor)
    }
}

impl Serialize for ByteSize {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for ByteSize {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        text::deserialize(deserializer, FORM, str::parse)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_read_and_show_alike() {
        for (text, bytes) in [
            ("0B", 0),
            ("1B", 1),
            ("512B", 512),
            ("1023B", 1023),
            ("64KiB", 64 * 1024),
            ("1025KiB", 1025 * 1024),
            ("1MiB", 1024 * 1024),
            ("100MiB", 100 * 1024 * 1024),
            ("4GiB", 4 * 1024 * 1024 * 1024),
            ("3TiB", 3 << 40),
            ("18446744073709551615B", u64::MAX),
        ] {
            let size: ByteSize = text.parse().unwrap();
            assert_eq!(size.bytes(), bytes, "{text}");
            assert_eq!(size.to_string(), text);
        }
    }

    #[test]
    fn a_size_that_a_larger_unit_divides_is_shown_in_it() {
        for (text, shown) in [
            ("1024B", "1KiB"),
            ("1536KiB", "1536KiB"),
            ("2048KiB", "2MiB"),
            ("007KiB", "7KiB"),
            ("0GiB", "0B"),
        ] {
            assert_eq!(text.parse::<ByteSize>().unwrap().to_string(), shown);
        }
    }

    #[test]
    fn anything_else_is_no_size() {
        for text in [
            "",
            "0",
            "1024",
            "lots",
            "KiB",
            "1 KiB",
            " 1KiB",
            "1KiB ",
            "1kib",
            "1KB",
            "1K",
            "1.5MiB",
            "-1KiB",
            "+1KiB",
            "1KiBKiB",
            "٣KiB",
            "18446744073709551616B",
            "18446744073709551615KiB",
        ] {
            assert_eq!(text.parse::<ByteSize>(), Err(ByteSizeError), "{text:?}");
        }
    }
}
