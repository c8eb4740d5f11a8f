//! Events whose own time is too far from their arrival, which is always [`NOW`].

use super::{NOW, Sent};

const BOTH: &str = "[validate]\ntimestamp_max_future = '10m'\ntimestamp_max_age = '1h'\n";

fn told(toml: &str, event: &str) -> Option<(&'static str, String)> {
    let sent = Sent {
        toml,
        ..Sent::default()
    };
    let mut rejected = sent.decode(event).unwrap().rejected;
    let mut violations = rejected.pop()?.violations;
    assert_eq!(violations.len(), 1);
    let violation = violations.remove(0);
    assert_eq!(violation.field.unwrap().to_string(), "[@timestamp]");
    Some((violation.code.as_str(), violation.message))
}

#[test]
fn a_time_may_lie_between_both_limits_and_on_them() {
    const FUTURE: Option<&str> = Some("timestamp_in_future");
    const OLD: Option<&str> = Some("timestamp_too_old");
    assert_eq!(NOW, "2026-11-23T08:15:30.123Z");
    for (time, expected) in [
        ("2026-11-23T08:15:30.123Z", None),
        ("2026-11-23T08:25:30.123Z", None),
        ("2026-11-23T08:25:30.124Z", FUTURE),
        ("2026-11-23T08:25:30.123000001Z", FUTURE),
        ("2026-11-23T07:15:30.123Z", None),
        ("2026-11-23T07:15:30.122Z", OLD),
        ("2026-11-23T10:15:30.123+02:00", None),
        ("2026-11-23T10:15:30.123\\u002B02:00", None),
        ("2026-11-23T08:15:30.123+02:00", OLD),
        ("2026-11-23T08:15:30.123\\u002d02:00", FUTURE),
        ("2026-11-23T08:15:30", None),
        ("2026-11-23", OLD),
        ("9999-12-28T23:59:59Z", FUTURE),
        ("9999-12-31", FUTURE),
        ("0001-01-01T00:00:00Z", OLD),
    ] {
        let event = format!("{{\"@timestamp\":\"{time}\"}}");
        let code = told(BOTH, &event).map(|(code, _)| code);
        assert_eq!(code, expected, "{time}");
        assert_eq!(told("", &event), None, "nothing is checked by default");
    }
}

#[test]
fn each_limit_holds_without_the_other() {
    let future = "[validate]\ntimestamp_max_future = '10m'\n";
    let age = "[validate]\ntimestamp_max_age = '1h'\n";
    let (early, late) = (
        r#"{"@timestamp":"2020-01-01T00:00:00Z"}"#,
        r#"{"@timestamp":"2030-01-01T00:00:00Z"}"#,
    );
    assert_eq!(told(future, early), None);
    assert_eq!(told(age, late), None);
    assert_eq!(
        told(future, late).unwrap().1,
        "the time is more than 10m ahead of its arrival (validate.timestamp_max_future)"
    );
    assert_eq!(
        told(age, early).unwrap().1,
        "the time is more than 1h before its arrival (validate.timestamp_max_age)"
    );
}

#[test]
fn an_event_without_a_time_of_its_own_is_never_at_fault() {
    for event in [
        "{}",
        r#"{"@timestamp":null}"#,
        r#"{"@timestamp":1}"#,
        r#"{"@timestamp":"tomorrow"}"#,
        r#"{"@timestamp":["2030-01-01T00:00:00Z"]}"#,
        r#"{"timestamp":"2030-01-01T00:00:00Z","a":{"@timestamp":"2030-01-01T00:00:00Z"}}"#,
        r#"{"@timestamp":"2030-01-01T00:00:00Z","@timestamp":"2026-11-23T08:15:30Z"}"#,
    ] {
        assert_eq!(told(BOTH, event), None, "{event}");
    }
}

#[test]
fn a_shippers_event_is_kept_with_its_time() {
    let headers = [("content-type", "application/json")];
    let letters =
        Sent::to_logstash(BOTH, &headers).letters(r#"{"@timestamp":"2030-01-01T00:00:00Z"}"#);
    assert_eq!(letters[0]["reason"], "timestamp_in_future");
    assert_eq!(letters[0]["event"]["@timestamp"], "2030-01-01T00:00:00Z");
}
