//! `/v1/events`: the fate of each event is told, and nothing that was told to be rejected is kept.

use serde_json::{Value, json};

use crate::support::client::{Answer, JSON, TEXT};
use crate::support::fake_broker::FakeBroker;
use crate::support::test_app::TestApp;

const RULES: &str = "[validate]\nrequired = ['message']\nmax_message_bytes = '8B'\nmax_fields = 4\n[ingest]\nmax_depth = 3\nmax_event_bytes = '64B'";

/// Sends one body; the answer and what the Broker got of it.
async fn send(toml: &str, body: &[u8]) -> (Answer, Vec<Value>) {
    let broker = FakeBroker::start();
    let app = TestApp::start_with(&broker, toml).await;
    let answer = app.post("/v1/events", &[TEXT], body).await;
    app.finish().await;
    (answer, broker.delivered())
}

fn messages(events: &[Value]) -> Vec<&str> {
    let messages = events.iter().map(|event| event["message"].as_str());
    messages.map(Option::unwrap).collect()
}

#[tokio::test]
async fn every_shape_of_body_is_taken_whatever_the_media_type_says() {
    for (body, expected) in [
        ("{\"message\":\"a\"}", vec!["a"]),
        (
            "\u{feff}[{\"message\":\"a\"},{\"message\":\"b\"}]",
            vec!["a", "b"],
        ),
        (
            "{\"message\":\"a\"}\n\n{\"message\":\"b\"}\r\n",
            vec!["a", "b"],
        ),
        ("{\"message\":\"a\"}{\"message\":\"b\"}", vec!["a", "b"]),
        (" { \"events\" : [ {\"message\":\"a\"} ] } ", vec!["a"]),
        (
            "{\"logs\":[{\"message\":\"a\"},{\"message\":\"b\"}]}",
            vec!["a", "b"],
        ),
        ("[]", vec![]),
        ("{\"events\":[]}", vec![]),
    ] {
        let (answer, events) = send("", body.as_bytes()).await;
        assert_eq!(answer.status, 200, "{body}");
        assert_eq!(answer.header("content-type"), Some("application/json"));
        assert_eq!(answer.json(), json!({"accepted": expected.len()}), "{body}");
        assert_eq!(messages(&events), expected, "{body}");
    }
}

#[tokio::test]
async fn what_only_looks_like_a_wrapper_is_an_event() {
    for body in [
        r#"{"events":[{"message":"a"}],"more":1}"#,
        r#"{"events":{"message":"a"}}"#,
        r#"{"events":[1],"events":[2]}"#,
        "{\"logs\":[]}\n{\"logs\":[]}",
    ] {
        let (answer, events) = send("", body.as_bytes()).await;
        assert_eq!(answer.status, 200, "{body}");
        assert_eq!(answer.json()["accepted"], body.lines().count());
        assert!(events[0].get("logs").or(events[0].get("events")).is_some());
    }
}

#[tokio::test]
async fn events_are_enriched_without_the_headers() {
    let (_, events) = send("[enrich]\nfields = { env = 'test' }", br#"{"message":"a"}"#).await;
    let event = events[0].as_object().unwrap();
    let names: Vec<&String> = event.keys().collect();
    assert_eq!(names, ["message", "@timestamp", "@version", "host", "env"]);
    assert_eq!(event["host"], "127.0.0.1");
}

#[tokio::test]
async fn each_rejected_event_is_named_with_its_reasons() {
    let body = r#"[{"message":"good"},{"a":1},5,{"message":"too long a text"},{"message":null},
        {"message":"a","b":{"c":{"d":{}}}},{"message":"a","b":[1,2,3,4]},{"message":"a","b":"xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx"}]"#;
    let (answer, events) = send(RULES, body.as_bytes()).await;
    assert_eq!(answer.status, 207);
    assert_eq!(answer.header("content-type"), Some("application/json"));
    let outcome = answer.json();
    assert_eq!(outcome["accepted"], 1);
    let rejected = outcome["rejected"].as_array().unwrap();
    let told: Vec<_> = rejected
        .iter()
        .map(|event| {
            let error = &event["errors"][0];
            assert!(!error["message"].as_str().unwrap().is_empty());
            (
                event["index"].as_u64().unwrap(),
                error["field"].as_str(),
                error["code"].as_str().unwrap(),
            )
        })
        .collect();
    assert_eq!(
        told,
        [
            (1, Some("[message]"), "required"),
            (2, None, "not_an_object"),
            (3, Some("[message]"), "message_too_large"),
            (4, Some("[message]"), "required"),
            (5, None, "too_deep"),
            (6, None, "too_many_fields"),
            (7, None, "event_too_large"),
        ]
    );
    assert_eq!(messages(&events), ["good"]);
}

#[tokio::test]
async fn with_no_valid_event_the_request_is_refused() {
    let broker = FakeBroker::start();
    let app = TestApp::start_with(&broker, RULES).await;
    let answer = app.post("/v1/events", &[JSON], "[{\"secret\":1},{}]").await;
    assert_eq!(
        (answer.status, answer.problem_code().as_str()),
        (422, "invalid_events")
    );
    let rejected = answer.json()["rejected"].clone();
    assert_eq!(
        (&rejected[0]["index"], &rejected[1]["index"]),
        (&json!(0), &json!(1))
    );
    assert!(!answer.text().contains("secret"), "{}", answer.text());
    assert_eq!(app.book("rejected").await, 2);
    assert_eq!(app.book("accepted").await, 0);
    assert_eq!(app.dead_letters(), [Value::Null; 0]);
    app.finish().await;
    assert_eq!(broker.requests().len(), 0);
}

#[tokio::test]
async fn a_body_that_is_no_json_is_refused_with_its_place() {
    for (body, line, column) in [
        (&b""[..], 1, 1),
        (b" \n ", 2, 2),
        (b"plain", 1, 1),
        (b"{\"a\":1}\n{\"b\":\n  oops}", 3, 3),
        ("{\"é\":\"é\" x}".as_bytes(), 1, 10),
        (b"[{\"a\":1}", 1, 9),
        (b"[{\"a\":1},]", 1, 10),
        (b"{\"a\":\"\n\"}", 1, 7),
        (b"{\"a\":1}\n{\"a\":\"\xff\"}", 2, 7),
        (b"{\"a\":01}", 1, 7),
    ] {
        let (answer, events) = send("", body).await;
        let shown = String::from_utf8_lossy(body);
        assert_eq!(
            (answer.status, answer.problem_code().as_str()),
            (400, "malformed_body"),
            "{shown}"
        );
        let problem = answer.json();
        assert_eq!(
            (&problem["line"], &problem["column"]),
            (&json!(line), &json!(column)),
            "{shown}: {problem}"
        );
        let detail = problem["detail"].as_str().unwrap();
        let has_place = detail.contains("read as JSON") && detail.contains(" at line ");
        assert_eq!(has_place, !shown.trim().is_empty(), "{shown}: {problem}");
        assert_eq!(events, [Value::Null; 0]);
    }
}

#[tokio::test]
async fn the_charset_is_obeyed_here_too() {
    let broker = FakeBroker::start();
    let app = TestApp::start_with(&broker, "").await;
    let latin = ("Content-Type", "application/json; charset=iso-8859-1");
    let answer = app
        .post("/v1/events", &[latin], b"{\"message\":\"\xe9\"}")
        .await;
    assert_eq!(answer.status, 200);
    app.finish().await;
    assert_eq!(messages(&broker.delivered()), ["é"]);
}

#[tokio::test]
async fn what_is_only_queued_is_accepted_with_202() {
    let broker = FakeBroker::start();
    let app = TestApp::start_with(&broker, "[ingest]\ndurability = 'memory'").await;
    broker.hold();
    let put = app
        .request("PUT", "/v1/events", &[JSON], r#"{"message":"a"}"#)
        .await;
    assert_eq!((put.status, put.json()), (202, json!({"accepted": 1})));
    let none = app.post("/v1/events", &[JSON], "[]").await;
    assert_eq!((none.status, none.json()), (200, json!({"accepted": 0})));
    broker.release();
    app.finish().await;
    assert_eq!(messages(&broker.delivered()), ["a"]);
}
