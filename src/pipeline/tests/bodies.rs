//! From a body to events: shapes, codecs, character sets, and what does not parse.

use serde_json::{Value, json};

use super::{ADDED, DecodeError, Sent};

const JSON: &[(&str, &str)] = &[("content-type", "application/json")];
const NDJSON: &[(&str, &str)] = &[("content-type", "application/x-ndjson")];
/// Nothing of the request but what `ADDED` says.
const BARE: &str = "[enrich]\nheaders = false\n";

#[test]
fn what_json_allows_leaves_as_it_came() {
    for (body, kept) in [
        (r#"{"a":1}"#, r#"{"a":1,"#),
        ("{}", "{"),
        ("{ }", "{ "),
        ("{\n}", "{ "),
        (" \t\r\n{\"a\":1} \n", r#"{"a":1,"#),
        ("\u{feff}{\"a\":1}", r#"{"a":1,"#),
        (
            r#"{"n":1e400,"m":-0.10E+2,"o":123456789012345678901234567890}"#,
            r#"{"n":1e400,"m":-0.10E+2,"o":123456789012345678901234567890,"#,
        ),
        (
            r#"{"s":"\ud800 \u00e9 \/ \ud83d\ude00","\udc00":1}"#,
            r#"{"s":"\ud800 \u00e9 \/ \ud83d\ude00","\udc00":1,"#,
        ),
        (r#"{"z":1,"a":2,"z":3}"#, r#"{"z":1,"a":2,"z":3,"#),
        (
            "{\"a\":\n[1,\r\n2],\n\"b\":\"\\n\"\n}",
            "{\"a\": [1,  2], \"b\":\"\\n\" ,",
        ),
        (
            r#"{"":"","a b":null,"t":true,"f":false}"#,
            r#"{"":"","a b":null,"t":true,"f":false,"#,
        ),
        ("{\"é\":\"日本 \u{2028}\"}", "{\"é\":\"日本 \u{2028}\","),
    ] {
        let line = format!("{kept}{ADDED}");
        assert_eq!(Sent::default().lines(body), [line.as_str()], "{body:?}");
        assert_eq!(
            Sent::to_logstash(BARE, JSON).lines(body),
            [line.as_str()],
            "{body:?}"
        );
        let array = format!("[{}]", body.trim_start_matches('\u{feff}'));
        assert_eq!(Sent::default().lines(array), [line.as_str()], "{body:?}");
    }
}

#[test]
fn an_empty_body_is_empty_whatever_its_coding() {
    for coding in ["gzip", "deflate", "zstd", "br", "gzip, br"] {
        let sent = |content_type| [("content-type", content_type), ("content-encoding", coding)];
        let text = Sent::to_logstash(BARE, &sent("text/plain")).event("");
        assert_eq!(text["message"], "", "{coding}");
        let json = Sent::to_logstash(BARE, &sent("application/json")).events("");
        assert_eq!(json, [Value::Null; 0], "{coding}");
        let headers = &sent("application/json");
        let strict = Sent {
            headers,
            ..Sent::default()
        };
        let refused = strict.decode("").unwrap_err();
        assert!(matches!(refused, DecodeError::Empty(_)), "{refused:?}");
    }
}

#[test]
fn what_json_forbids_does_not_parse() {
    for body in [
        "{'a':1}",
        "{a:1}",
        "{\"a\":1,}",
        "[{},]",
        "{\"a\":01}",
        "{\"a\":.5}",
        "{\"a\":1.}",
        "{\"a\":+1}",
        "{\"a\":NaN}",
        "{\"a\":0x1}",
        "{\"a\":\"\t\"}",
        "{\"a\":\"\\x\"}",
        "{\"a\":\"\\u12g4\"}",
        "{\"a\" 1}",
        "{\"a\":1 \"b\":2}",
        "{\"a\":tru}",
        "{\"a\":1}}",
        "[{}]]",
        "{\"a\":1},{\"a\":2}",
        "{\"a\":\"",
        "[{}",
        "{} // x",
        "\u{a0}{}",
        "nul",
        "-",
        "\"",
        "{\"a\":1e}",
        "2024-11-23",
        "truefalse",
        "\"a\"\"b\"",
        "7{}",
    ] {
        let refused = Sent::default().decode(body);
        assert!(
            matches!(refused, Err(DecodeError::Malformed { .. })),
            "{body:?}: {refused:?}"
        );
        let event = Sent::to_logstash(BARE, JSON).event(body);
        assert_eq!(
            (&event["message"], &event["tags"]),
            (&json!(body), &json!(["_jsonparsefailure"]))
        );
        let event = Sent::to_logstash("[ingest]\ncodec = 'auto'", &[]).event(body);
        assert_eq!((&event["message"], event.get("tags")), (&json!(body), None));
    }
}

/// What each codec makes of a body: the messages, with a `!` before those that are tagged.
fn messages(events: &[Value]) -> Vec<String> {
    let told = events.iter().map(|event| {
        let mark = match event.get("tags") {
            None => "",
            Some(tags) => {
                assert_eq!(*tags, json!(["_jsonparsefailure"]));
                "!"
            }
        };
        let message = event["message"].as_str().unwrap();
        format!("{mark}{message}")
    });
    told.collect()
}

#[test]
fn each_codec_has_its_own_idea_of_a_body() {
    let m = |text: &str| format!("{{\"message\":\"{text}\"}}");
    let (a, b) = (m("a"), m("b"));
    for (body, json, json_lines, auto) in [
        ("", vec![], vec![], vec![""]),
        (" \n ", vec![], vec![], vec![" \n "]),
        ("[]", vec![], vec![], vec![]),
        (&*a, vec!["a"], vec!["a"], vec!["a"]),
        (
            &format!("{a}{b}"),
            vec!["a", "b"],
            vec!["a", "b"],
            vec!["a", "b"],
        ),
        (
            &format!("[{a},{b}]{a}"),
            vec!["a", "b", "a"],
            vec!["a", "b", "a"],
            vec!["a", "b", "a"],
        ),
        (
            &format!("{a}\r\n\r\n{b}\r\n"),
            vec!["a", "b"],
            vec!["a", "b"],
            vec!["a", "b"],
        ),
        (
            &format!("[{a},\n{b}]"),
            vec!["a", "b"],
            vec![&format!("![{a},"), &format!("!{b}]")],
            vec!["a", "b"],
        ),
        (
            &format!("{a}\nx\n{b}"),
            vec![&format!("!{a}\nx\n{b}")],
            vec!["a", "!x", "b"],
            vec![&format!("{a}\nx\n{b}")],
        ),
        (
            &format!("[{a},1,null]"),
            vec!["a", "!1", "!null"],
            vec!["a", "!1", "!null"],
            vec!["a", "!1", "!null"],
        ),
        ("5", vec!["!5"], vec!["!5"], vec!["5"]),
        ("\"x\"", vec!["!\"x\""], vec!["!\"x\""], vec!["\"x\""]),
        ("[[{}]]", vec!["![{}]"], vec!["![{}]"], vec!["![{}]"]),
        ("plain", vec!["!plain"], vec!["!plain"], vec!["plain"]),
    ] {
        for (codec, expected) in [
            ("plain", vec![body]),
            ("json", json),
            ("json_lines", json_lines),
            ("auto", auto),
        ] {
            let toml = format!("[ingest]\ncodec = '{codec}'");
            let events = Sent::to_logstash(&toml, &[]).events(body);
            assert_eq!(messages(&events), expected, "{codec}: {body:?}");
        }
    }
}

#[test]
fn white_space_in_front_of_many_documents_is_passed_over_once() {
    // Looked at again for each document, it would take minutes.
    let body = " ".repeat(16 << 20) + &"{}".repeat(5_000);
    let decoded = Sent::default().decode(body).unwrap();
    assert_eq!(decoded.envelope.live.count, 5_000);
}

#[test]
fn a_wrapper_is_an_object_with_nothing_but_events_or_logs() {
    for (body, count) in [
        (r#"{"events":[{},{}]}"#, 2),
        ("\n{ \"logs\" : [ {} ] }\n", 1),
        (r#"{"events":[]}"#, 0),
        (r#"{"events":{}}"#, 1),
        (r#"{"events":null}"#, 1),
        (r#"{"events":[],"x":1}"#, 1),
        (r#"{"events":[],"logs":[]}"#, 1),
        (r#"{"Events":[]}"#, 1),
        (r#"[{"events":[{},{}]}]"#, 1),
    ] {
        let decoded = Sent::default().decode(body).unwrap();
        assert_eq!(
            (decoded.envelope.live.count, decoded.rejected.len()),
            (count, 0),
            "{body}"
        );
        let kept = Sent::to_logstash("", JSON).events(body);
        assert_eq!(kept.len(), 1, "the Logstash paths unwrap nothing: {body}");
    }
    let two_documents = Sent::default().lines("{\"logs\":[]}{}");
    assert_eq!(two_documents.len(), 2);
}

#[test]
fn bytes_that_are_no_text_are_refused_or_replaced() {
    for (body, line, column, replaced) in [
        (&b"{\"a\":\"\xff\"}"[..], 1, 7, "{\"a\":\"\u{fffd}\"}"),
        (b"{\"a\":1}\n \xc3\x28", 2, 2, "{\"a\":1}\n \u{fffd}("),
        (b"\xed\xa0\x80", 1, 1, "\u{fffd}\u{fffd}\u{fffd}"),
        (
            "é\u{fffd}".as_bytes().split_last().unwrap().1,
            1,
            2,
            "é\u{fffd}",
        ),
    ] {
        match Sent::default().decode(body) {
            Err(DecodeError::Malformed { place, .. }) => {
                assert_eq!((place.line, place.column), (line, column), "{replaced}");
            }
            other => panic!("{other:?}"),
        }
        let event = Sent::to_logstash("", JSON).event(body);
        assert_eq!(
            (&event["message"], &event["tags"]),
            (&json!(replaced), &json!(["_jsonparsefailure"]))
        );
        for codec in ["plain", "auto"] {
            let toml = format!("[ingest]\ncodec = '{codec}'");
            let event = Sent::to_logstash(&toml, &[]).event(body);
            assert_eq!(
                (&event["message"], event.get("tags")),
                (&json!(replaced), None)
            );
        }
    }
}

#[test]
fn the_place_that_is_no_text_is_told_in_every_charset() {
    for (charset, body, line, column) in [
        ("shift_jis", &b"{}\n{\"\x93\xfa\":\"\x93 \"}"[..], 2, 7),
        ("utf-16le", b"{\0}\0\n\0\xe9\0\0\xd8\"\0", 2, 2),
        ("utf-16be", b"\0{\0}\0", 1, 3),
    ] {
        let content_type = format!("application/json; charset={charset}");
        let sent = Sent {
            headers: &[("content-type", &content_type)],
            ..Sent::default()
        };
        match sent.decode(body) {
            Err(DecodeError::Malformed { place, .. }) => {
                assert_eq!((place.line, place.column), (line, column), "{charset}");
            }
            other => panic!("{charset}: {other:?}"),
        }
    }
}

#[test]
fn a_bad_line_is_alone() {
    for (body, expected) in [
        (
            &b"{\"message\":\"a\"}\n\xff\n{\"message\":\"b\"}"[..],
            ["a", "!\u{fffd}", "b"],
        ),
        (
            "{\"message\":\"a\"}\n{\"message\":\"\u{fffd}\"}\n\u{e9}".as_bytes(),
            ["a", "\u{fffd}", "!\u{e9}"],
        ),
        // A character that stands for a bad one is itself a good one.
        (
            b"{\"message\":\"a\"}\n{\"message\":\"\xef\xbf\xbd\"}\n\xff",
            ["a", "\u{fffd}", "!\u{fffd}"],
        ),
    ] {
        let events = Sent::to_logstash("", NDJSON).events(body);
        assert_eq!(messages(&events), expected);
    }
}

#[test]
fn the_charset_decides_how_bytes_are_read() {
    for (charset, body, text) in [
        ("\"utf-8\"", &b"\xe9"[..], "\u{fffd}"),
        ("LATIN1", b"\xff", "ÿ"),
        ("utf-16be", b"\0a\0b", "ab"),
    ] {
        let content_type = format!("text/plain;x=y; Charset={charset}");
        let headers = [("content-type", content_type.as_str())];
        let event = Sent::to_logstash("", &headers).event(body);
        assert_eq!(event["message"], text, "{charset}");
    }
}

#[test]
fn places_are_counted_in_lines_and_characters() {
    for (body, line, column) in [
        ("", 1, 1),
        ("  ", 1, 3),
        ("\n\n", 3, 1),
        ("x", 1, 1),
        ("{\"é\": x}", 1, 7),
        ("{}\n{\"a\":\n\ttru}", 3, 5),
        ("{\"events\":[{}, oops]}", 1, 16),
        ("[{},", 1, 5),
        ("{\"a\":1} {\"a\":1]", 1, 15),
    ] {
        match Sent::default().decode(body) {
            Err(DecodeError::Empty(place) | DecodeError::Malformed { place, .. }) => {
                let told = (place.line, place.column);
                assert_eq!(told, (line, column), "{body:?}");
            }
            other => panic!("{body:?}: {other:?}"),
        }
    }
}
