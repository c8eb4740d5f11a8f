//! Times as text and as numbers. Pure: the clock is the caller's.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use jiff::Timestamp;
use jiff::fmt::temporal::DateTimePrinter;

/// ISO 8601, UTC, milliseconds: `2026-11-23T08:15:30.123Z`.
pub fn to_text(time: Timestamp) -> String {
    const PRINTER: DateTimePrinter = DateTimePrinter::new().precision(Some(3));
    PRINTER.timestamp_to_string(&time)
}

/// The time since the Unix epoch; none before it.
pub fn since_epoch(time: SystemTime) -> Duration {
    time.duration_since(UNIX_EPOCH).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn milliseconds_and_zulu() {
        let time: Timestamp = "2026-11-23T08:15:30.1239Z".parse().unwrap();
        assert_eq!(to_text(time), "2026-11-23T08:15:30.123Z");
    }
}
