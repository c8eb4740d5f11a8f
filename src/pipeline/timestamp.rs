//! Whether an event's `@timestamp` is an ISO 8601 time, and which. Pure.

use jiff::Timestamp;
use jiff::civil::DateTime;
use jiff::tz::TimeZone;

use super::fields::{Value, unescape};
use crate::units::timestamp::is_iso_8601;

/// Whether a value is an ISO 8601 time in a string, however it is escaped (some writers spell `+` as `\u002B`).
pub(super) fn is_time(text: &[u8], value: Value) -> bool {
    in_string(text, value, |raw| is_iso_8601(raw).then_some(())).is_some()
}

/// The time that a value is, by the same rules.
pub(super) fn of(text: &[u8], value: Value) -> Option<Timestamp> {
    in_string(text, value, read)
}

/// What is read in a string, as it is written or as the text that it stands for.
fn in_string<T>(text: &[u8], value: Value, read: impl Fn(&[u8]) -> Option<T>) -> Option<T> {
    let string = value.span.of(text);
    let [b'"', raw @ .., b'"'] = string else {
        return None;
    };
    let escaped = || {
        let is_escaped = raw.contains(&b'\\');
        let text = is_escaped.then(|| unescape(string))??;
        read(text.as_bytes())
    };
    read(raw).or_else(escaped)
}

/// The time that a text stands for, if it is an ISO 8601 time; without an offset in UTC.
fn read(text: &[u8]) -> Option<Timestamp> {
    if !is_iso_8601(text) {
        return None;
    }
    let text = std::str::from_utf8(text).ok()?;
    let local = || text.parse::<DateTime>().ok()?.to_zoned(TimeZone::UTC).ok();
    let with_offset = text.parse().ok();
    let time = with_offset.or_else(|| local().map(|time| time.timestamp()));
    // jiff's dates go a day further than its times.
    Some(time.unwrap_or(Timestamp::MAX))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_read_with_their_offset_or_in_utc() {
        for (text, expected) in [
            ("2024-01-02T03:04:05.678Z", Some("2024-01-02T03:04:05.678Z")),
            (
                "2024-01-02T05:04:05.678+02:00",
                Some("2024-01-02T03:04:05.678Z"),
            ),
            ("2024-01-02T05:04:05-0030", Some("2024-01-02T05:34:05Z")),
            ("2024-01-02T03:04:05", Some("2024-01-02T03:04:05Z")),
            ("2024-01-02", Some("2024-01-02T00:00:00Z")),
            ("9999-12-31", Some("9999-12-30T22:00:00.999999999Z")),
            (
                "9999-12-31T23:59:59Z",
                Some("9999-12-30T22:00:00.999999999Z"),
            ),
            ("2024-01-02T03:04:05Z[UTC]", None),
            ("1700000000", None),
        ] {
            let expected = expected.map(|time| time.parse().unwrap());
            assert_eq!(read(text.as_bytes()), expected, "{text}");
        }
    }
}
