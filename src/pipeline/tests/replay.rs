//! Letters become events again: as they were, with nothing of a request, by the rules of now.

use super::*;

/// What becomes of the events of letters: what is to be delivered, and the letters of those that die again.
fn replay(toml: &str, events: &[&str]) -> (Vec<String>, Vec<Value>) {
    let ready = ready(toml);
    let events = events.iter().map(|event| event.as_bytes());
    let sources = &ready.telemetry.sources;
    let envelope = ready.pipeline.replay(NOW.parse().unwrap(), events, sources);
    assert_eq!(envelope.origin, Origin::Replay);
    let by_source: u64 = envelope.sources.iter().map(|count| count.events).sum();
    assert_eq!(by_source, envelope.events() as u64);
    let letters = texts(&envelope.dead);
    let letters = letters.iter().map(|line| value(line)).collect();
    (texts(&envelope.live), letters)
}

fn live(toml: &str, events: &[&str]) -> Vec<String> {
    let (live, letters) = replay(toml, events);
    assert!(letters.is_empty(), "{letters:#?}");
    live
}

/// A configuration that would add and overwrite all that one can.
const GREEDY: &str = "[enrich]\non_conflict = 'overwrite'\nfields = { Environment = 'new' }\nid_field = '[event][id]'\n\
    received_at_field = 'received'\nclient_ip_field = 'client'\nrequest_id_field = 'request'\ntrace_id_field = 'trace'";

#[test]
fn an_enriched_event_stays_as_it_was_byte_for_byte() {
    for event in [
        r#"{"n":1e400,"d":12345678901234567890.10,"m":"\ud800 \u00e9","@timestamp":"2020-01-01T00:00:00.000Z","@version":"1","host":"192.0.2.1","headers":{"a":"b"}}"#,
        r#"{"event":{"id":"01980f1e-7b0c-7c3a-9d52-3f6f0c2f8a11"},"@timestamp":"2020-01-01T00:00:00.000Z","@version":"1"}"#,
        r#"{ "\u0068ost" : [ 1 ] , "Environment":"old", "@version":2,"@timestamp":"2020-01-01T00:00:00+01:00" }"#,
    ] {
        assert_eq!(live(GREEDY, &[event]), [event]);
    }
}

#[test]
fn what_every_event_has_is_added_and_nothing_else() {
    let added = r#""@timestamp":"2026-11-23T08:15:30.123Z","@version":"1"}"#;
    assert_eq!(
        live(GREEDY, &[r#"{"a":1}"#, "{}"]),
        [format!("{{\"a\":1,{added}"), format!("{{{added}")]
    );
}

#[test]
fn forced_fields_of_keys_are_not_added() {
    let hash = format!("sha256:{}", "0".repeat(64));
    let toml =
        format!("[[auth.keys]]\nname = 'k'\nhash = '{hash}'\nfields = {{ Application = 'k' }}");
    let events = live(&toml, &[r#"{"Application":"own"}"#]);
    assert_eq!(value(&events[0])["Application"], "own");
}

#[test]
fn a_text_is_a_message_where_keys_force_fields() {
    let hash = format!("sha256:{}", "0".repeat(64));
    let toml =
        format!("[[auth.keys]]\nname = 'k'\nhash = '{hash}'\nfields = {{ Application = 'k' }}");
    let forged = r#"{"Application":"own"}{"Application":"own"}"#;
    let events = live(&toml, &[&Value::from(forged).to_string()]);
    assert_eq!(events.len(), 1);
    assert_eq!(value(&events[0])["message"], forged);
    assert_eq!(value(&events[0]).get("Application"), None);
}

#[test]
fn a_text_is_read_like_a_body_of_json() {
    let deep = r#""{\"a\":{\"b\":{\"c\":\"\\ud800\"}},\"n\":1e400}""#;
    let (events, letters) = replay("", &[deep]);
    assert!(letters.is_empty());
    assert!(
        events[0].starts_with(r#"{"a":{"b":{"c":"\ud800"}},"n":1e400,"#),
        "{events:?}"
    );
    for (text, message) in [
        (r#""plain \"text\"\n""#, "plain \"text\"\n"),
        (r#""{\"cut\":\"of""#, "{\"cut\":\"of"),
        (r#""  ""#, "  "),
        ("5", "5"),
    ] {
        let events = live("", &[text]);
        assert_eq!(events.len(), 1);
        let event = value(&events[0]);
        assert_eq!(event["message"], message);
        assert_eq!(event["tags"], serde_json::json!(["_jsonparsefailure"]));
    }
}

#[test]
fn a_text_of_more_events_than_a_body_may_have_is_one() {
    let toml = "[ingest]\nmax_events_per_request = 10";
    let neighbours = [r#"{"first":1}"#, r#"{"last":1}"#];
    for (numbers, messages) in [(10, vec!["1"; 10]), (11, vec!["1 1 1 1 1 1 1 1 1 1 1 "])] {
        let text = Value::from("1 ".repeat(numbers)).to_string();
        let events = live(toml, &[neighbours[0], &text, &text, neighbours[1]]);
        let events: Vec<Value> = events.iter().map(|event| value(event)).collect();
        let [first, texts @ .., last] = &events[..] else {
            panic!("{events:?}");
        };
        assert_eq!((&first["first"], &last["last"]), (&1.into(), &1.into()));
        let told: Vec<&Value> = texts.iter().map(|event| &event["message"]).collect();
        assert_eq!(told, [&messages[..], &messages[..]].concat());
    }
}

#[test]
fn what_still_breaks_a_rule_is_a_letter_again() {
    let toml = "[validate]\nrequired = ['a']\n[ingest]\nmax_depth = 2\nmax_event_bytes = '100B'";
    let deep = r#""{\"a\":{\"b\":{}}}""#;
    let long = format!("{{\"a\":\"{}\"}}", "x".repeat(200));
    let events = [r#"{"b":1}"#, r#"{"a":1}"#, deep, &long];
    let (live, letters) = replay(toml, &events);
    assert_eq!(live.len(), 1);
    let reasons: Vec<&Value> = letters.iter().map(|letter| &letter["reason"]).collect();
    assert_eq!(reasons, ["required", "too_deep", "event_too_large"]);
    assert_eq!(letters[0]["event"]["b"], 1);
    assert_eq!(letters[1]["event"], r#"{"a":{"b":{}}}"#);
    assert_eq!(letters[2]["event"], long, "a letter is never cut again");
}

#[test]
fn what_breaks_a_rule_is_tagged_where_that_is_configured() {
    let toml = "[validate]\nrequired = ['a']\non_invalid = 'tag'";
    let events = live(toml, &[r#"{"b":1}"#]);
    let event = value(&events[0]);
    assert_eq!(event["tags"], serde_json::json!(["_validationfailure"]));
}

#[test]
fn a_letter_may_have_become_old_but_not_come_from_the_future() {
    let toml = "[validate]\ntimestamp_max_age = '1h'\ntimestamp_max_future = '1h'";
    let old = r#"{"@timestamp":"2020-01-01T00:00:00Z","@version":"1"}"#;
    let future = r#"{"@timestamp":"2030-01-01T00:00:00Z"}"#;
    let (live, letters) = replay(toml, &[old, future]);
    assert_eq!(live, [old]);
    assert_eq!(letters[0]["reason"], "timestamp_in_future");
}

#[test]
fn a_schema_speaks_of_a_letter_without_what_was_added_to_it() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("schema.json");
    let schema = r#"{"additionalProperties":false,"properties":{"a":{"type":"number"},"host":{"minLength":20},"event":{"minProperties":1}}}"#;
    std::fs::write(&path, schema).unwrap();
    let toml = format!("{GREEDY}\n[validate]\nschema = {path:?}");
    let added = r#""@timestamp":"2020-01-01T00:00:00.000Z","@version":"1","host":"192.0.2.1","headers":{"a":"b"},"event":{"id":"x"},"Environment":"new""#;
    let good = format!("{{\"a\":1e400,{added}}}");
    let bad = format!("{{\"a\":\"text\",{added}}}");
    let unknown = format!("{{\"b\":1,{added}}}");
    let (live, letters) = replay(&toml, &[&good, &bad, &unknown]);
    assert_eq!(live, [good]);
    let fields: Vec<&Value> = letters
        .iter()
        .map(|letter| &letter["errors"][0]["field"])
        .collect();
    assert_eq!(fields, [&Value::from("[a]"), &Value::Null]);
    assert_eq!(letters.len(), 2);
}
