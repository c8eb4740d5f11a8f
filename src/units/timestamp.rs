//! Times as text. Pure: the clock is the caller's.

use jiff::Timestamp;

/// ISO 8601, UTC, milliseconds: `2026-11-23T08:15:30.123Z`.
pub fn to_text(time: Timestamp) -> String {
    format!("{time:.3}")
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
