//! Durations as people write them: `200ms`, `75s`, `5m`, `1h`. Pure.
//!
//! The type is the standard library's; this module reads and shows it, and serves as `#[serde(with = "…")]`.

use std::time::Duration;

use serde::{Deserializer, Serializer};
use thiserror::Error;

use super::text;

/// The units, largest first, in milliseconds.
const UNITS: [(&str, u64); 4] = [("h", 3_600_000), ("m", 60_000), ("s", 1_000), ("ms", 1)];

/// What a duration looks like; told to whoever wrote something else.
const FORM: &str =
    r#"a duration: a whole number and ms, s, m or h, such as "200ms", "75s" or "5m""#;

/// The text is not a duration.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("not {FORM}")]
pub struct DurationError;

/// Reads a whole number and a unit, without a space between.
///
/// # Errors
///
/// [`DurationError`] for anything else: no unit, a fraction, a sign, several units, more milliseconds than a
/// `u64` holds.
pub fn parse(text: &str) -> Result<Duration, DurationError> {
    let millis = text::number_and_unit(text, &UNITS);
    millis.map(Duration::from_millis).ok_or(DurationError)
}

/// Shows a duration in the largest unit that divides it, so that [`parse`] reads it back as the same.
///
/// What is finer than a millisecond is left out: [`parse`] never makes it.
pub fn format(duration: Duration) -> String {
    let millis = duration.as_millis();
    if millis == 0 {
        return "0s".to_owned();
    }
    let (name, factor) = UNITS
        .into_iter()
        .find(|&(_, factor)| millis.is_multiple_of(factor.into()))
        .expect("the last unit is one millisecond, which divides every number");
    std::format!("{}{name}", millis / u128::from(factor))
}

/// Writes the form of [`format()`].
///
/// # Errors
///
/// Those of the serializer.
pub fn serialize<S: Serializer>(duration: &Duration, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(&format(*duration))
}

/// Reads a string with [`parse`].
///
/// # Errors
///
/// Says what a duration looks like.
pub fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Duration, D::Error> {
    text::deserialize(deserializer, FORM, parse)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_read_and_show_alike() {
        for (text, millis) in [
            ("0s", 0),
            ("5ms", 5),
            ("200ms", 200),
            ("1500ms", 1500),
            ("1s", 1_000),
            ("75s", 75_000),
            ("5m", 300_000),
            ("90m", 5_400_000),
            ("1h", 3_600_000),
            ("8760h", 31_536_000_000),
        ] {
            let duration = parse(text).unwrap();
            assert_eq!(duration, Duration::from_millis(millis), "{text}");
            assert_eq!(format(duration), text);
        }
    }

    #[test]
    fn a_duration_that_a_larger_unit_divides_is_shown_in_it() {
        for (text, shown) in [
            ("1000ms", "1s"),
            ("60s", "1m"),
            ("120m", "2h"),
            ("0ms", "0s"),
        ] {
            assert_eq!(format(parse(text).unwrap()), shown);
        }
    }

    #[test]
    fn anything_else_is_no_duration() {
        for text in [
            "",
            "0",
            "75",
            "soon",
            "s",
            "1 s",
            " 1s",
            "1s ",
            "1S",
            "1sec",
            "1.5s",
            "-1s",
            "+1s",
            "1m30s",
            "1d",
            "1us",
            "٣s",
            "18446744073709551616ms",
            "18446744073709551615h",
        ] {
            assert_eq!(parse(text), Err(DurationError), "{text:?}");
        }
    }
}
