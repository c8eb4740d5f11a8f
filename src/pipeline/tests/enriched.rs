//! What is added, and what happens where the event has it already: conflicts, merges, repairs, forced fields.

use serde_json::json;

use super::{ADDED, NOW, Sent, value};

const JSON: &[(&str, &str)] = &[("content-type", "application/json")];

/// Keys with forced fields: of index 0 and 1.
const KEYS: &str = "[auth]\nkeys = [\
    { name = 'web', hash = 'sha256:0000000000000000000000000000000000000000000000000000000000000000', fields = { App = 'web', '[team][name]' = 'front' } },\
    { name = 'odd', hash = 'sha256:0000000000000000000000000000000000000000000000000000000000000001', fields = { tags = ['forced'], headgate = 'ours', '@timestamp' = '2020-01-01T00:00:00.000Z' } }]\n";

#[test]
fn fields_that_are_there_stay_however_they_are_spelt() {
    for (event, added) in [
        (
            r#"{"host":null}"#,
            r#""@timestamp":"2026-11-23T08:15:30.123Z","@version":"1"}"#,
        ),
        (
            r#"{"h\u006fst":1,"@version":2}"#,
            r#""@timestamp":"2026-11-23T08:15:30.123Z"}"#,
        ),
        (
            r#"{"@timestamp":"2024-01-02T03:04:05Z","host":{},"\u0040version":"1"}"#,
            "}",
        ),
        (r#"{"Host":1,"a":{"host":1},"hostt":1}"#, ADDED),
    ] {
        let kept = event.strip_suffix('}').unwrap();
        let comma = if added == "}" { "" } else { "," };
        assert_eq!(
            Sent::default().lines(event),
            [format!("{kept}{comma}{added}")],
            "{event}"
        );
    }
}

#[test]
fn overwriting_replaces_every_spelling_and_adds_once() {
    let toml = "[enrich]\non_conflict = 'overwrite'\nfields = { env = 'test', '[a][b]' = 1 }";
    let sent = Sent {
        toml,
        ..Sent::default()
    };
    for event in [
        r#"{"host":"x","env":"x"}"#,
        r#"{"host":"x","h\u006fst":["x"],"env":{"env":"x"},"a":{"b":"x"}}"#,
        r#"{"a":"x","env":"x","env":"x"}"#,
        r#"{"a":{"b":"x","\u0062":"x"},"host":{"host":"x"}}"#,
        r#"{"a":{"b":"x"},"a":{"b":{"c":"x"}}}"#,
        "{}",
    ] {
        let line = &sent.lines(event)[0];
        assert_eq!(
            value(line),
            json!({"@timestamp": NOW, "@version": "1", "host": "192.0.2.7", "env": "test", "a": {"b": 1}})
        );
        assert!(!line.contains("\"x\""), "{line}");
        assert_eq!(line.matches("192.0.2.7").count(), 1, "{line}");
    }
}

#[test]
fn ecs_fields_are_merged_into_the_events_own_objects() {
    let toml = "[enrich]\necs_compatibility = 'v1'";
    let http = json!({"version": "HTTP/1.1", "method": "POST", "request": {"body": {"bytes": "0"}, "mime_type": "application/json"}});
    let url = json!({"domain": "logs.example", "port": 8080, "path": "/in?x=1"});
    for (event, changed) in [
        ("{}", json!({})),
        (
            r#"{"http":"mine","url":null,"host":"h"}"#,
            json!({"http": "mine", "url": null, "host": "h"}),
        ),
        (
            r#"{"http":{"own":1},"url":{"port":1,"x":2}}"#,
            json!({"http": {"own": 1, "version": "HTTP/1.1", "method": "POST", "request": http["request"]}, "url": {"port": 1, "x": 2, "domain": "logs.example", "path": "/in?x=1"}}),
        ),
        (
            r#"{"http":{"request":{"b\u006fdy":{"bytes":7}},"version":[]}}"#,
            json!({"http": {"request": {"body": {"bytes": 7}, "mime_type": "application/json"}, "version": [], "method": "POST"}}),
        ),
        (
            r#"{"http":{"request":5}}"#,
            json!({"http": {"request": 5, "version": "HTTP/1.1", "method": "POST"}}),
        ),
        (
            r#"{"host":{"name":"n"},"user_agent":{"original":"mine"}}"#,
            json!({"host": {"name": "n", "ip": "192.0.2.7"}, "user_agent": {"original": "mine"}}),
        ),
        (
            r#"{"host":{"name":"first"},"host":{"name":"last"}}"#,
            json!({"host": {"name": "last", "ip": "192.0.2.7"}}),
        ),
        (
            r#"{"url":{"path":"first","path":"last"}}"#,
            json!({"url": {"path": "last", "domain": "logs.example", "port": 8080}}),
        ),
    ] {
        let sent = Sent::to_logstash(toml, JSON);
        let mut expected = json!({"@timestamp": NOW, "@version": "1", "host": {"ip": "192.0.2.7"}, "http": http, "url": url});
        for (name, value) in changed.as_object().unwrap() {
            expected[name] = value.clone();
        }
        if let Some(request) = expected
            .pointer_mut("/http/request/body/bytes")
            .filter(|bytes| **bytes == "0")
        {
            *request = json!(event.len().to_string());
        }
        assert_eq!(sent.event(event), expected, "{event}");
    }
}

#[test]
fn a_bad_timestamp_is_put_aside_and_tagged_beside_the_events_own_tags() {
    for (tags, expected) in [
        ("", json!(["_timestampparsefailure"])),
        (r#","tags":[]"#, json!(["_timestampparsefailure"])),
        (
            r#","tags":[ "a" , {"b":1} ]"#,
            json!(["a", {"b": 1}, "_timestampparsefailure"]),
        ),
        (r#","tags":"a""#, json!(["a", "_timestampparsefailure"])),
        (r#","tags":7"#, json!([7, "_timestampparsefailure"])),
        (r#","tags":null"#, json!(["_timestampparsefailure"])),
        (
            r#","t\u0061gs":["a"],"tags":["b"]"#,
            json!(["b", "_timestampparsefailure"]),
        ),
    ] {
        for bad in [
            "\"not a time\"",
            "1700000000",
            "null",
            "\"\"",
            "{}",
            "\"2024-02-30T00:00:00Z\"",
            "true",
        ] {
            for event in [
                format!("{{\"@timestamp\":{bad}{tags}}}"),
                format!(
                    "{{\"@timestamp\":\"2024-01-02T03:04:05Z\",\"\\u0040timestamp\":{bad}{tags}}}"
                ),
            ] {
                let line = &Sent::default().lines(&event)[0];
                let seen = value(line);
                assert_eq!(seen["@timestamp"], NOW, "{event}");
                assert_eq!(seen["_@timestamp"].to_string(), bad, "{event}");
                assert_eq!(seen["tags"], expected, "{event}");
                assert_eq!(line.matches("\"@timestamp\":").count(), 1, "{line}");
            }
        }
    }
}

#[test]
fn a_good_timestamp_stays_as_it_was_written() {
    for good in [
        "2024-01-02T03:04:05.678Z",
        "2024-01-02T03:04:05+02:00",
        "2024-01-02",
        r"2024-01-02T03:04:05\u002b02:00",
        r"2024-01-02T03:04:05\u005A",
        r"2024\u002d01-02T03:04:05.678Z",
    ] {
        let event = format!("{{\"@timestamp\":\"{good}\"}}");
        let line = &Sent::default().lines(&event)[0];
        assert!(
            line.starts_with(&format!("{{\"@timestamp\":\"{good}\",")),
            "{line}"
        );
        assert_eq!(value(line).get("tags"), None, "{line}");
    }
}

#[test]
fn a_field_of_the_name_that_a_bad_timestamp_goes_to_is_not_doubled() {
    for event in [
        r#"{"_@timestamp":"older","@timestamp":"bad"}"#,
        r#"{"@timestamp":"bad","_@timestamp":"older"}"#,
    ] {
        let line = &Sent::default().lines(event)[0];
        assert_eq!(line.matches("\"_@timestamp\":").count(), 1, "{line}");
        assert_eq!(value(line)["_@timestamp"], "bad", "{line}");
    }
}

#[test]
fn a_keys_fields_are_forced_on_live_and_dead_events() {
    let toml = format!("{KEYS}[validate]\nrequired = ['a']");
    let sent = Sent {
        key: Some(0),
        ..Sent::to_logstash(&toml, JSON)
    };
    let event = r#"{"App":"evil","te\u0061m":{"n\u0061me":"evil","x":1}}"#;
    let letters = sent.letters(event);
    let letter = &letters[0]["event"];
    assert_eq!(
        (&letter["App"], &letter["team"]),
        (&json!("web"), &json!({"x": 1, "name": "front"}))
    );
    let live = sent.event(r#"{"a":1,"App":"evil","team":"evil"}"#);
    assert_eq!(
        (&live["App"], &live["team"]),
        (&json!("web"), &json!({"name": "front"}))
    );
    let no_key = Sent::to_logstash(&toml, JSON).event(r#"{"a":1,"App":"own"}"#);
    assert_eq!(no_key["App"], "own");
    let text = Sent {
        key: Some(0),
        ..Sent::to_logstash(KEYS, &[])
    }
    .event("text");
    assert_eq!(
        (&text["App"], &text["message"]),
        (&json!("web"), &json!("text"))
    );
}

#[test]
fn forced_fields_are_never_doubled_by_what_the_server_writes() {
    let toml = format!("{KEYS}[validate]\nrequired = ['a']\non_invalid = 'tag'");
    for event in [
        "{}",
        r#"{"a":1}"#,
        r#"{"a":1,"tags":["own"],"headgate":"own"}"#,
        r#"{"tags":["own"],"headgate":{"errors":"own"},"@timestamp":"2024-01-02T03:04:05Z"}"#,
        r#"{"a":1,"tags":["own"],"@timestamp":"bad"}"#,
        r#"{"tags":"own","t\u0061gs":["own"],"@timestamp":7}"#,
    ] {
        let sent = Sent {
            key: Some(1),
            ..Sent::to_logstash(&toml, JSON)
        };
        let line = &sent.lines(event)[0];
        for name in ["tags", "headgate", "@timestamp", "_@timestamp"] {
            assert!(
                line.matches(&format!("\"{name}\":")).count() <= 1,
                "{event} became {line}"
            );
        }
        assert!(!line.contains("\"own\""), "{event} became {line}");
        let seen = value(line);
        assert_eq!(
            (&seen["@timestamp"], &seen["tags"][0]),
            (&json!("2020-01-01T00:00:00.000Z"), &json!("forced")),
            "{event} became {line}"
        );
    }
}

#[test]
fn forced_tags_leave_those_of_the_server() {
    let sent = Sent {
        key: Some(1),
        ..Sent::to_logstash(KEYS, JSON)
    };
    let event = sent.event("no JSON");
    assert_eq!(
        (&event["message"], &event["tags"]),
        (&json!("no JSON"), &json!(["forced", "_jsonparsefailure"]))
    );
    let toml = format!("{KEYS}[validate]\nrequired = ['a']\n");
    let sent = Sent {
        key: Some(1),
        ..Sent::to_logstash(&toml, JSON)
    };
    assert_eq!(
        sent.letters("no JSON")[0]["event"]["tags"],
        json!(["forced", "_jsonparsefailure"])
    );
    let toml = toml + "on_invalid = 'tag'\n";
    let sent = Sent {
        key: Some(1),
        ..Sent::to_logstash(&toml, JSON)
    };
    assert_eq!(
        sent.event("no JSON")["tags"],
        json!(["forced", "_jsonparsefailure", "_validationfailure"])
    );
}

#[test]
fn a_header_is_dropped_however_its_name_is_written_and_the_pieces_of_a_cookie_are_one() {
    let headers = [
        ("x-secret", "1"),
        ("x_secret", "2"),
        ("cookie", "a=1"),
        ("cookie", "b=2"),
    ];
    for dropped in ["x_secret", "X-Secret"] {
        let event = Sent {
            toml: &format!("[enrich]\ndrop_headers = ['{dropped}']\n"),
            ..Sent::to_logstash("", &headers)
        }
        .event("{}");
        assert_eq!(event["headers"].get("x_secret"), None, "{event}");
        assert_eq!(event["headers"]["cookie"], "a=1; b=2");
    }
}

/// Logstash casts `@metadata` to a map when it makes an event, and what throws there costs the whole array: it becomes one event
/// with all of its text.
#[test]
fn metadata_that_are_no_object_are_put_aside_and_tagged() {
    let good = Sent::default().event(r#"{"@metadata":{"beat":"x"}}"#);
    assert_eq!(good["@metadata"], json!({"beat": "x"}));
    assert_eq!(good.get("tags"), None);
    for bad in ["null", "\"x\"", "7", "[]", "[{\"a\":1}]", "true"] {
        for text in [
            format!(r#"{{"@metadata":{bad},"a":1}}"#),
            format!(r#"{{"@metadata":{{}},"_@metadata":0,"a":1,"@met\u0061data":{bad}}}"#),
        ] {
            let event = Sent::default().event(&text);
            assert_eq!(event.get("@metadata"), None, "{text}");
            assert_eq!(event["_@metadata"], value(bad), "{text}");
            assert_eq!(event["tags"], json!(["_metadataparsefailure"]), "{text}");
            assert_eq!(event["a"], 1, "{text}");
        }
    }
    let event = Sent::default().event(r#"{"@metadata":1,"@timestamp":2}"#);
    let tags = json!(["_timestampparsefailure", "_metadataparsefailure"]);
    assert_eq!(event["tags"], tags);
    for (conflict, aside) in [("keep", Some(&json!(1))), ("overwrite", None)] {
        let toml = format!(
            "[enrich]\non_conflict = '{conflict}'\nfields = {{ '[@metadata][x]' = 'y' }}\n"
        );
        let sent = Sent {
            toml: &toml,
            ..Sent::default()
        };
        let event = sent.event(r#"{"@metadata":1}"#);
        assert_eq!(event["@metadata"], json!({"x": "y"}));
        assert_eq!(event.get("_@metadata"), aside);
        assert_eq!(event["tags"], json!(["_metadataparsefailure"]));
    }
}
