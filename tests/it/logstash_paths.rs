//! The Logstash paths: codecs, codings, character sets, tags and answers, as a client of Logstash's http input knows
//! them.

use serde_json::{Value, json};

use crate::support::client::{JSON, NDJSON, TEXT};
use crate::support::compress;
use crate::support::fake_broker::FakeBroker;
use crate::support::test_app::TestApp;

/// Sends one body and gives back the events that the Broker got, in order.
async fn events_of(toml: &str, headers: &[(&str, &str)], body: &[u8]) -> Vec<Value> {
    let broker = FakeBroker::start();
    let app = TestApp::start_with(&broker, toml).await;
    let answer = app.post("/app-logs", headers, body).await;
    assert_eq!((answer.status, answer.text()), (200, "ok"));
    assert_eq!(answer.header("content-type"), Some("text/plain"));
    app.finish().await;
    broker.delivered()
}

/// The members of each event that the client itself sent, or that tell how it was read.
fn told(events: &[Value]) -> Vec<Value> {
    let mut told = events.to_vec();
    for event in &mut told {
        let event = event.as_object_mut().unwrap();
        for added in ["@timestamp", "@version", "host", "headers"] {
            assert!(
                event.remove(added).is_some(),
                "{added} is missing in {event:?}"
            );
        }
    }
    told
}

#[tokio::test]
async fn each_media_type_has_its_codec() {
    for (headers, body, expected) in [
        (vec![TEXT], "a\nb\n", json!([{"message": "a\nb\n"}])),
        (vec![], "{\"a\":1}", json!([{"message": "{\"a\":1}"}])),
        (vec![TEXT], "", json!([{"message": ""}])),
        (vec![JSON], "{\"a\":1}", json!([{"a": 1}])),
        (
            vec![JSON],
            " [{\"a\":1}, {\"a\":2}] ",
            json!([{"a": 1}, {"a": 2}]),
        ),
        (
            vec![JSON],
            "{\"a\":1}{\"a\":2}\n[{\"a\":3}]",
            json!([{"a": 1}, {"a": 2}, {"a": 3}]),
        ),
        (
            vec![("Content-Type", "Application/JSON ; charset=utf-8")],
            "{\"a\":1}",
            json!([{"a": 1}]),
        ),
        (
            vec![NDJSON],
            "{\"a\":1}\r\n\n[{\"a\":2},{\"a\":3}]\n{\"a\":4}",
            json!([{"a": 1}, {"a": 2}, {"a": 3}, {"a": 4}]),
        ),
    ] {
        let events = events_of("", &headers, body.as_bytes()).await;
        assert_eq!(json!(told(&events)), expected, "{body:?}");
    }
}

#[tokio::test]
async fn the_codec_of_other_media_types_is_configured() {
    let toml = "[ingest]\ncodec = 'auto'\ncodecs = { 'application/vnd.log+json' = 'json_lines' }";
    for (headers, body, expected) in [
        (vec![TEXT], " {\"a\":1}", json!([{"a": 1}])),
        (
            vec![JSON],
            "{\"a\":1} {",
            json!([{"message": "{\"a\":1} {"}]),
        ),
        (vec![], "plain", json!([{"message": "plain"}])),
        (vec![], "", json!([{"message": ""}])),
        (
            vec![("Content-Type", "application/vnd.log+json")],
            "{\"a\":1}\n{\"a\":2}",
            json!([{"a": 1}, {"a": 2}]),
        ),
    ] {
        let events = events_of(toml, &headers, body.as_bytes()).await;
        assert_eq!(json!(told(&events)), expected, "{body:?}");
    }
}

#[tokio::test]
async fn what_does_not_parse_is_kept_as_text_and_tagged() {
    let tags = json!(["_jsonparsefailure"]);
    for (headers, body, expected) in [
        (
            JSON,
            "not json",
            json!([{"message": "not json", "tags": tags}]),
        ),
        (
            JSON,
            "{\"a\":1}{\"a\":",
            json!([{"message": "{\"a\":1}{\"a\":", "tags": tags}]),
        ),
        (
            JSON,
            "[{\"a\":1}, 5 ,\"x\"]",
            json!([{"a": 1}, {"message": "5", "tags": tags}, {"message": "\"x\"", "tags": tags}]),
        ),
        (JSON, "null", json!([{"message": "null", "tags": tags}])),
        (
            NDJSON,
            "{\"a\":1}\n{bad\n{\"a\":2}",
            json!([{"a": 1}, {"message": "{bad", "tags": tags}, {"a": 2}]),
        ),
    ] {
        let events = events_of("", &[headers], body.as_bytes()).await;
        assert_eq!(json!(told(&events)), expected, "{body:?}");
    }
}

#[tokio::test]
async fn a_body_without_events_is_answered_and_sends_nothing() {
    for (header, body) in [
        (JSON, ""),
        (JSON, " \n"),
        (JSON, "[]"),
        (NDJSON, "\n\n"),
        (NDJSON, ""),
    ] {
        assert_eq!(
            events_of("", &[header], body.as_bytes()).await,
            [json!(null); 0],
            "{body:?}"
        );
    }
}

#[tokio::test]
async fn bodies_are_inflated_by_every_coding_and_by_several() {
    let body = br#"{"message":"packed"}"#;
    let twice = compress::zstd(&compress::gzip(body));
    let members = [
        compress::gzip(b"{\"message\":"),
        compress::gzip(b"\"packed\"}"),
    ]
    .concat();
    for (coding, packed) in [
        ("gzip", compress::gzip(body)),
        ("X-GZIP", compress::gzip(body)),
        ("gzip", members),
        ("deflate", compress::zlib(body)),
        ("deflate", compress::raw_deflate(body)),
        ("zstd", compress::zstd(body)),
        ("br", compress::brotli(body)),
        ("identity", body.to_vec()),
        ("gzip, identity, zstd", twice),
    ] {
        let events = events_of("", &[JSON, ("Content-Encoding", coding)], &packed).await;
        assert_eq!(told(&events), [json!({"message": "packed"})], "{coding}");
    }
}

#[tokio::test]
async fn the_charset_is_obeyed() {
    for (media_type, body, message) in [
        (
            "text/plain; charset=ISO-8859-1",
            &b"caf\xe9 \x80"[..],
            "café \u{80}",
        ),
        ("text/plain; charset=\"windows-1252\"", b"\x80", "€"),
        ("text/plain; charset=utf-8", "\u{feff}é".as_bytes(), "é"),
        ("text/plain; charset=utf-16le", b"\xff\xfea\0", "a"),
        (
            "text/plain",
            b"bad \xff\xfe byte",
            "bad \u{fffd}\u{fffd} byte",
        ),
    ] {
        let events = events_of("", &[("Content-Type", media_type)], body).await;
        assert_eq!(told(&events), [json!({"message": message})], "{media_type}");
    }
    let latin = ("Content-Type", "application/json; charset=latin1");
    let events = events_of("", &[latin], b"{\"message\":\"\xe9\"}").await;
    assert_eq!(told(&events), [json!({"message": "é"})]);
}

#[tokio::test]
async fn bytes_that_are_no_utf_8_make_a_body_that_does_not_parse() {
    let tags = json!(["_jsonparsefailure"]);
    let events = events_of("", &[JSON], b"{\"a\":\"\xff\"}").await;
    assert_eq!(
        told(&events),
        [json!({"message": "{\"a\":\"\u{fffd}\"}", "tags": tags})]
    );
    let events = events_of("", &[NDJSON], b"{\"a\":1}\n{\"a\":\"\xff\"}\n{\"a\":2}\n").await;
    let bad = json!({"message": "{\"a\":\"\u{fffd}\"}", "tags": tags});
    assert_eq!(told(&events), [json!({"a": 1}), bad, json!({"a": 2})]);
}

#[tokio::test]
async fn what_json_allows_leaves_as_it_came() {
    let broker = FakeBroker::start();
    let app = TestApp::start_with(&broker, "").await;
    let event =
        r#"{"z":1e400,"n":123456789012345678901234567890.10,"s":"\ud800 \u00e9\/","a":{"b":-0.0}"#;
    let answer = app.post("/", &[JSON], format!("{event}}}")).await;
    assert_eq!(answer.status, 200);
    app.finish().await;
    let body = broker.requests()[0].body.clone();
    let start = format!("[{event},\"@timestamp\":");
    assert!(body.starts_with(start.as_bytes()), "{body:?}");
}

/// Logstash reads no longer ones: in a batch they would cost their neighbours, which may be another client's.
#[tokio::test]
async fn a_number_or_a_name_that_logstash_cannot_read_does_not_parse() {
    let tags = ["_jsonparsefailure"];
    for (long, longer) in [
        (
            format!(r#"{{"a":0.{}}}"#, "1".repeat(3_000)),
            format!(r#"{{"a":0.{}}}"#, "1".repeat(3_001)),
        ),
        (
            format!(r#"{{"{}":1}}"#, "x".repeat(50_000)),
            format!(r#"{{"{}":1}}"#, "x".repeat(50_001)),
        ),
    ] {
        let body = format!("{{\"b\":1}}\n{longer}\n{long}\n");
        let events = events_of("", &[NDJSON], body.as_bytes()).await;
        let bad = json!({"message": longer, "tags": tags});
        assert_eq!(told(&events[..2]), [json!({"b": 1}), bad]);
        assert_eq!((events.len(), events[2].get("message")), (3, None));
    }
}

#[tokio::test]
async fn an_event_is_one_line_however_it_was_printed() {
    let broker = FakeBroker::start();
    let app = TestApp::start_with(&broker, "[broker]\nformat = 'json_lines'").await;
    app.post("/", &[JSON], "[{\n  \"a\":\r\n 1\n},\n{\"b\" : \"x\\ny\"}]")
        .await;
    app.finish().await;
    let request = &broker.requests()[0];
    assert_eq!(memchr::memchr_iter(b'\n', &request.body).count(), 2);
    assert_eq!(
        told(&request.events()),
        [json!({"a": 1}), json!({"b": "x\ny"})]
    );
}

#[tokio::test]
async fn an_event_that_breaks_a_rule_is_kept_and_its_neighbours_go_on() {
    let broker = FakeBroker::start();
    let toml =
        "[ingest]\nmax_depth = 3\nmax_event_bytes = '64B'\n[validate]\nrequired = ['[user][id]']";
    let app = TestApp::start_with(&broker, toml).await;
    let long = format!("{{\"user\":{{\"id\":1}},\"xy\":\"{}\"}}", "é".repeat(40));
    let body = format!(
        "[{{\"user\":{{\"id\":1}}}},{{\"user\":{{}}}},{long},{{\"user\":{{\"id\":{{\"x\":{{}}}}}}}}]"
    );
    assert_eq!(app.post("/", &[JSON], body).await.status, 200);
    app.until_book("dead_lettered", 3).await;
    let letters = app.dead_letters();
    app.finish().await;
    assert_eq!(told(&broker.delivered()), [json!({"user": {"id": 1}})]);
    let of = |reason: &str| {
        let letter = letters.iter().find(|letter| letter["reason"] == reason);
        letter.unwrap_or_else(|| panic!("{reason} in {letters:#?}"))
    };
    let missing = of("required");
    assert_eq!(missing["event"]["user"], json!({}));
    assert_eq!(missing["errors"][0]["field"], "[user][id]");
    assert_eq!(missing["event"]["host"], "127.0.0.1");
    let cut = of("event_too_large");
    assert_eq!(cut["original_bytes"], long.len());
    let kept = cut["event"].as_str().unwrap();
    assert!(kept.len() <= 64 && long.starts_with(kept), "{kept}");
    assert_eq!(of("too_deep")["event"], "{\"user\":{\"id\":{\"x\":{}}}}");
}

#[tokio::test]
async fn an_invalid_event_is_tagged_where_that_is_configured() {
    let toml =
        "[ingest]\nmax_event_bytes = '32B'\n[validate]\nrequired = ['message']\non_invalid = 'tag'";
    let text = "x".repeat(40);
    let body = format!("[{{\"tags\":[\"own\"]}},{{\"message\":null,\"a\":\"{text}\"}}]");
    let events = told(&events_of(toml, &[JSON], body.as_bytes()).await);
    assert_eq!(events[0]["tags"], json!(["own", "_validationfailure"]));
    assert_eq!(events[0]["headgate"]["errors"][0]["code"], "required");
    assert_eq!(events[1]["tags"], json!(["_validationfailure"]));
    let long = body.split_once(',').unwrap().1.strip_suffix(']').unwrap();
    assert_eq!(events[1]["original_bytes"], long.len());
    assert_eq!(events[1]["message"], long[..32]);
}

#[tokio::test]
async fn the_answer_is_as_configured() {
    for code in [200, 201, 202, 204] {
        let broker = FakeBroker::start();
        let toml = format!(
            "[ingest]\nresponse_code = {code}\nresponse_headers = {{ X-Served-By = 'gate', Content-Type = 'text/x' }}"
        );
        let app = TestApp::start_with(&broker, &toml).await;
        let mut connection = app.connect().await;
        for method in ["POST", "PUT"] {
            let answer = connection
                .request(method, "/any/path?x=1", &[JSON], "{}")
                .await;
            assert_eq!(answer.status, code);
            assert_eq!(answer.text(), if code == 204 { "" } else { "ok" });
            assert_eq!(answer.header("x-served-by"), Some("gate"));
            assert_eq!(answer.header("content-type"), Some("text/x"));
        }
        app.finish().await;
        assert_eq!(broker.delivered().len(), 2);
    }
}
