//! What is asked of events beside the limits: that their times are near their arrival, and that they fit a
//! JSON Schema; on both APIs.

use std::path::Path;
use std::time::Duration;

use jiff::Timestamp;
use serde_json::{Value, json};

use crate::support::client::JSON;
use crate::support::fake_broker::FakeBroker;
use crate::support::program::headgate;
use crate::support::test_app::TestApp;

const SCHEMA: &str = r#"{
    "properties": { "level": { "enum": ["info", "error"] }, "user": { "properties": { "id": { "type": "integer" } } } },
    "required": ["level"]
}"#;

/// A schema file in this folder, and the configuration that names it.
fn with_schema(folder: &Path, schema: &str) -> String {
    let path = folder.join("schema.json");
    std::fs::write(&path, schema).unwrap();
    format!("[validate]\nschema = {path:?}\n")
}

/// The events that the Broker got, as they were sent.
fn texts(broker: &FakeBroker) -> Vec<String> {
    let requests = broker.requests();
    let bodies = requests.iter().map(|request| request.body.to_vec());
    bodies
        .map(|body| String::from_utf8(body).unwrap())
        .collect()
}

#[tokio::test]
async fn what_does_not_fit_the_schema_is_told_to_applications() {
    let folder = tempfile::tempdir().unwrap();
    let broker = FakeBroker::start();
    let app = TestApp::start_with(&broker, &with_schema(folder.path(), SCHEMA)).await;
    let body = r#"[{ "level":"info","n":1e400,"s":"\ud800" },{"level":"hunter2"},{"level":"error","user":{"id":"hunter2"}}]"#;
    let answer = app.post("/v1/events", &[JSON], body).await;
    assert_eq!(answer.status, 207);
    assert_eq!(
        answer.json(),
        json!({"accepted": 1, "rejected": [
            {"index": 1, "errors": [{"field": "[level]", "code": "schema", "message": "value is not one of \"info\" or \"error\""}]},
            {"index": 2, "errors": [{"field": "[user][id]", "code": "schema", "message": "value is not of type \"integer\""}]},
        ]})
    );
    let answer = app
        .post("/v1/events", &[JSON], r#"{"host":"hunter2"}"#)
        .await;
    assert_eq!(
        (answer.status, answer.problem_code().as_str()),
        (422, "invalid_events")
    );
    assert_eq!(answer.json()["rejected"][0]["errors"][0]["code"], "schema");
    assert!(!answer.text().contains("hunter2"));
    let samples = app.samples().await;
    let rejected = samples.value("headgate_events_rejected_total", &[("reason", "schema")]);
    assert_eq!(rejected, Some(3.0));
    app.finish().await;
    let texts = texts(&broker);
    assert_eq!(texts.len(), 1);
    assert!(
        texts[0].starts_with(r#"[{ "level":"info","n":1e400,"s":"\ud800" ,"#),
        "{texts:?}"
    );
}

#[tokio::test]
async fn what_does_not_fit_the_schema_is_kept_of_shippers() {
    let folder = tempfile::tempdir().unwrap();
    let toml = with_schema(folder.path(), SCHEMA);
    let body = r#"[{"level":"info"},{"level":"loud"}]"#;
    let broker = FakeBroker::start();
    let app = TestApp::start_with(&broker, &toml).await;
    assert_eq!(app.post("/", &[JSON], body).await.status, 200);
    app.until_book("dead_lettered", 1).await;
    let letter = app.dead_letters().remove(0);
    assert_eq!(letter["reason"], "schema");
    assert_eq!(letter["event"]["level"], "loud");
    app.finish().await;
    assert_eq!(broker.only_event()["level"], "info");
    let broker = FakeBroker::start();
    let app = TestApp::start_with(&broker, &format!("{toml}on_invalid = 'tag'\n")).await;
    assert_eq!(app.post("/", &[JSON], body).await.status, 200);
    app.finish().await;
    let events = broker.delivered();
    assert_eq!(events[0].get("tags"), None);
    assert_eq!(events[1]["tags"], json!(["_validationfailure"]));
    assert_eq!(events[1]["headgate"]["errors"][0]["field"], "[level]");
}

#[tokio::test]
async fn times_that_are_too_far_from_now_are_refused() {
    let toml = "[validate]\ntimestamp_max_future = '1h'\ntimestamp_max_age = '1h'\n";
    let broker = FakeBroker::start();
    let app = TestApp::start_with(&broker, toml).await;
    let now = Timestamp::now();
    let day = Duration::from_secs(24 * 60 * 60);
    let body = json!([
        {"@timestamp": (now + day).to_string()},
        {"@timestamp": (now - day).to_string()},
        {"@timestamp": now.to_string()},
        {"@timestamp": "yesterday"},
        {},
    ]);
    let answer = app.post("/v1/events", &[JSON], body.to_string()).await;
    assert_eq!(
        (answer.status, &answer.json()["accepted"]),
        (207, &json!(3))
    );
    let rejected = answer.json()["rejected"].take();
    let codes: Vec<&Value> = rejected
        .as_array()
        .unwrap()
        .iter()
        .map(|event| &event["errors"][0]["code"])
        .collect();
    assert_eq!(codes, ["timestamp_in_future", "timestamp_too_old"]);
    assert_eq!(app.post("/", &[JSON], body.to_string()).await.status, 200);
    app.until_book("dead_lettered", 2).await;
    app.finish().await;
    assert_eq!(broker.delivered().len(), 6);
}

#[test]
fn a_schema_that_is_none_is_told_before_the_server_starts() {
    let folder = tempfile::tempdir().unwrap();
    let toml = with_schema(folder.path(), r#"{"properties":{"a":{"type":"text"}}}"#);
    let file = folder.path().join("own.toml");
    std::fs::write(&file, toml).unwrap();
    for command in ["check", "serve"] {
        let output = headgate(
            &[command, "--config", file.to_str().unwrap()],
            folder.path(),
        )
        .output()
        .unwrap();
        let told = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(2), "{told}");
        for word in ["validate.schema", "schema.json", "#/properties/a/type"] {
            assert!(told.contains(word), "{word} in {told}");
        }
    }
}
