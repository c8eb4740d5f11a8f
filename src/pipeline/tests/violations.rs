//! Events that break a rule, one by one: told, kept as dead letters, or tagged.

use serde_json::{Value, json};

use super::{NOW, Sent};

const JSON: &[(&str, &str)] = &[("content-type", "application/json")];

/// A rule, an event that keeps it, one that breaks it, and what is told.
const RULES: &[(&str, &str, &str, &str, Option<&str>)] = &[
    (
        "[validate]\nrequired = ['a']",
        r#"{"a":0}"#,
        r#"{"b":1}"#,
        "required",
        Some("[a]"),
    ),
    (
        "[validate]\nrequired = ['a']",
        r#"{"a":null,"\u0061":""}"#,
        r#"{"a":1,"a":null}"#,
        "required",
        Some("[a]"),
    ),
    (
        "[validate]\nrequired = ['[a][b]']",
        r#"{"a":{"b":[]}}"#,
        r#"{"a":[{"b":1}]}"#,
        "required",
        Some("[a][b]"),
    ),
    (
        "[validate]\nrequired = ['[a][b]']",
        r#"{"a":0,"a":{"\u0062":{}}}"#,
        r#"{"a":{"b":1},"a":{}}"#,
        "required",
        Some("[a][b]"),
    ),
    (
        "[validate]\nmax_fields = 3",
        r#"{"a":1,"b":[2,{"c":3}]}"#,
        r#"{"a":1,"b":[2,3,4]}"#,
        "too_many_fields",
        None,
    ),
    (
        "[validate]\nmax_message_bytes = '4B'",
        r#"{"message":"\u00e9\n\"","x":"long enough"}"#,
        r#"{"message":"ééé"}"#,
        "message_too_large",
        Some("[message]"),
    ),
    (
        "[validate]\nmax_message_bytes = '4B'",
        r#"{"message":12.5}"#,
        r#"{"message":[1,2]}"#,
        "message_too_large",
        Some("[message]"),
    ),
    (
        "[ingest]\nmax_depth = 2",
        r#"{"a":[],"b":{}}"#,
        r#"{"a":[{}]}"#,
        "too_deep",
        None,
    ),
    (
        "[ingest]\nmax_depth = 1",
        "{}",
        r#"{"a":{}}"#,
        "too_deep",
        None,
    ),
    (
        "[ingest]\nmax_event_bytes = '16B'",
        r#"{"a":"12345678"}"#,
        r#"{"a":"123456789"}"#,
        "event_too_large",
        None,
    ),
];

#[test]
fn every_rule_is_told_to_the_applications() {
    for (toml, good, bad, code, field) in RULES {
        let sent = Sent {
            toml,
            ..Sent::default()
        };
        let decoded = sent.decode(format!("[{good},{bad},{good}]")).unwrap();
        assert_eq!(decoded.envelope.live.count, 2, "{good} keeps {toml}");
        assert_eq!(decoded.envelope.dead.count, 0);
        let [rejected] = &decoded.rejected[..] else {
            panic!("{bad} breaks {toml}");
        };
        assert_eq!(rejected.index, 1);
        let violation = &rejected.violations[0];
        assert_eq!(violation.code.as_str(), *code, "{bad}");
        assert_eq!(
            violation.field.as_ref().map(ToString::to_string).as_deref(),
            *field,
            "{bad}"
        );
        assert!(
            !violation.message.contains("12345"),
            "the event is not repeated"
        );
    }
}

#[test]
fn every_rule_makes_a_dead_letter_of_a_shippers_event() {
    for (toml, good, bad, code, _) in RULES {
        let sent = Sent::to_logstash(toml, JSON);
        let body = format!("[{good},{bad},{good}]");
        assert_eq!(sent.lines(&body).len(), 2, "{toml}");
        let letters = sent.letters(&body);
        assert_eq!(letters.len(), 1, "{toml}");
        let letter = &letters[0];
        assert_eq!(
            (&letter["reason"], &letter["at"]),
            (&json!(code), &json!(NOW))
        );
        assert_eq!(letter["errors"][0]["code"], *code);
        if let Some(text) = letter["event"].as_str() {
            assert!(["too_deep", "event_too_large"].contains(code));
            assert!(bad.starts_with(text), "{text}");
            assert_eq!(letter["original_bytes"], bad.len());
        } else {
            let event = &letter["event"];
            for (name, own) in super::value(bad).as_object().unwrap() {
                assert_eq!(event[name], *own, "{bad}");
            }
            assert_eq!(
                (&event["host"], &event["@timestamp"]),
                (&json!("192.0.2.7"), &json!(NOW))
            );
        }
    }
}

#[test]
fn every_rule_tags_where_that_is_configured() {
    for (toml, good, bad, code, field) in RULES {
        let on_invalid = "on_invalid = 'tag'";
        let toml = match toml.strip_prefix("[validate]\n") {
            Some(rest) => format!("[validate]\n{on_invalid}\n{rest}"),
            None => format!("{toml}\n[validate]\n{on_invalid}"),
        };
        let events = Sent::to_logstash(&toml, JSON).events(format!("[{good},{bad}]"));
        assert_eq!(events.len(), 2);
        assert_eq!(events[0].get("tags"), None, "{good}");
        let event = &events[1];
        assert_eq!(event["tags"], json!(["_validationfailure"]), "{bad}");
        let error = &event["headgate"]["errors"][0];
        assert_eq!(
            (&error["code"], error.get("field").and_then(Value::as_str)),
            (&json!(code), *field)
        );
        assert_eq!(event["host"], "192.0.2.7");
    }
}

#[test]
fn all_that_is_wrong_with_an_event_is_told_at_once() {
    let toml = "[validate]\nrequired = ['a', 'b']\nmax_fields = 1\nmax_message_bytes = '1B'";
    let sent = Sent {
        toml,
        ..Sent::default()
    };
    let decoded = sent.decode(r#"{"message":"xx","c":1}"#).unwrap();
    let codes: Vec<_> = decoded.rejected[0]
        .violations
        .iter()
        .map(|violation| violation.code.as_str())
        .collect();
    assert_eq!(
        codes,
        [
            "required",
            "required",
            "too_many_fields",
            "message_too_large"
        ]
    );
}

#[test]
fn a_long_text_is_cut_between_characters() {
    let toml = "[ingest]\nmax_event_bytes = '8B'";
    let tag = "[ingest]\nmax_event_bytes = '8B'\n[validate]\non_invalid = 'tag'";
    for (text, kept) in [
        ("12345678", None),
        ("123456789", Some("12345678")),
        ("1234567é", Some("1234567")),
        ("123456é9", Some("123456é")),
        ("日本語です", Some("日本")),
        ("12345😀", Some("12345")),
        ("a\n\"\\\u{1}67890", Some("a\n\"\\\u{1}678")),
    ] {
        let letters = Sent::to_logstash(toml, &[]).letters(text);
        let letter = letters.first().map(|letter| {
            (
                letter["event"].as_str().unwrap(),
                letter["original_bytes"].as_u64().unwrap(),
            )
        });
        assert_eq!(
            letter,
            kept.map(|kept| (kept, text.len() as u64)),
            "{text:?}"
        );
        let event = Sent::to_logstash(tag, &[]).event(text);
        assert_eq!(event["message"], kept.unwrap_or(text), "{text:?}");
        assert_eq!(event.get("original_bytes").is_some(), kept.is_some());
    }
}

#[test]
fn plain_text_keeps_the_rules_too() {
    let toml = "[validate]\nrequired = ['level']";
    let letters = Sent::to_logstash(toml, &[]).letters("some text");
    assert_eq!(letters[0]["reason"], "required");
    assert_eq!(letters[0]["event"]["message"], "some text");
    let toml = "[validate]\nmax_message_bytes = '4B'\non_invalid = 'tag'";
    let event = Sent::to_logstash(toml, JSON).event("not json");
    assert_eq!(
        event["tags"],
        json!(["_jsonparsefailure", "_validationfailure"])
    );
    assert_eq!(event["message"], "not json");
    let toml = "[validate]\non_invalid = 'tag'\n[ingest]\nmax_event_bytes = '4B'";
    let event = Sent::to_logstash(toml, JSON).event("not json");
    assert_eq!(
        event["tags"],
        json!(["_jsonparsefailure", "_validationfailure"])
    );
    assert_eq!(event["message"], "not ");
    let event = Sent::to_logstash(toml, &[]).event("plain text");
    assert_eq!(event["tags"], json!(["_validationfailure"]));
}

#[test]
fn elements_that_are_no_objects_are_told_or_kept() {
    let decoded = Sent::default().decode("[1,{},[{}],null,\"x\"] 7").unwrap();
    let told: Vec<_> = decoded
        .rejected
        .iter()
        .map(|event| (event.index, event.violations[0].code.as_str()))
        .collect();
    assert_eq!(told, [0, 2, 3, 4, 5].map(|index| (index, "not_an_object")));
    assert_eq!(decoded.envelope.live.count, 1);
}
