//! What is added to each event: the request's own fields in both ECS modes, static fields, and what happens where the
//! event has them already.

use serde_json::{Value, json};

use crate::support::client::{JSON, TEXT};
use crate::support::fake_broker::FakeBroker;
use crate::support::http2_client::{self, Http2Client};
use crate::support::test_app::TestApp;

/// Sends one event and gives back what the Broker got.
async fn enriched(toml: &str, headers: &[(&str, &str)], body: &str) -> Value {
    let broker = FakeBroker::start();
    let app = TestApp::start_with(&broker, toml).await;
    let answer = app.post("/a/b?c=d&e", headers, body).await;
    assert_eq!(answer.status, 200);
    app.finish().await;
    broker.only_event()
}

fn is_now(value: &Value) -> bool {
    let text = value.as_str().unwrap();
    let time: jiff::Timestamp = text.parse().unwrap();
    let age = jiff::Timestamp::now().duration_since(time);
    text.len() == "2026-01-02T03:04:05.678Z".len()
        && text.ends_with('Z')
        && age.as_secs() >= 0
        && age < jiff::SignedDuration::from_mins(5)
}

#[tokio::test]
async fn an_event_gets_what_logstash_adds() {
    let headers = [
        TEXT,
        ("Accept", "*/*"),
        ("User-Agent", "curl/8"),
        ("X-Custom-Id", "7"),
        ("X-Twice", "first"),
        ("x-twice", "second"),
        ("Authorization", "Bearer secret"),
        ("Cookie", "secret"),
        ("X-Api-Key", "secret"),
        ("Proxy-Authorization", "secret"),
    ];
    let mut event = enriched("", &headers, "hello").await;
    assert!(is_now(&event["@timestamp"].take()));
    assert_eq!(
        event,
        json!({
            "message": "hello", "@timestamp": null, "@version": "1", "host": "127.0.0.1",
            "headers": {
                "request_method": "POST", "request_path": "/a/b?c=d&e", "http_version": "HTTP/1.1",
                "http_host": "test", "http_accept": "*/*", "http_user_agent": "curl/8",
                "content_type": "text/plain", "content_length": "5", "x_custom_id": "7", "x_twice": "second",
            },
        })
    );
}

#[tokio::test]
async fn ecs_has_its_own_fields_and_merges_them_into_the_events_objects() {
    let toml = "[enrich]\necs_compatibility = 'v8'";
    let headers = [JSON, ("User-Agent", "curl/8")];
    let body = r#"{"http":{"own":1,"method":"MINE"},"url":"taken","user_agent":{}}"#;
    let mut event = enriched(toml, &headers, body).await;
    assert!(is_now(&event["@timestamp"].take()));
    assert_eq!(
        event,
        json!({
            "@timestamp": null, "@version": "1", "host": {"ip": "127.0.0.1"},
            "http": {
                "own": 1, "method": "MINE", "version": "HTTP/1.1",
                "request": {"body": {"bytes": body.len().to_string()}, "mime_type": "application/json"},
            },
            "url": "taken",
            "user_agent": {"original": "curl/8"},
        })
    );
    let event = enriched(toml, &[TEXT], "x").await;
    assert_eq!(
        event["url"],
        json!({"domain": "test", "path": "/a/b?c=d&e"})
    );
    assert_eq!(event.get("headers"), None);
}

#[tokio::test]
async fn over_http2_the_authority_is_the_host() {
    let broker = FakeBroker::start();
    let app = TestApp::start_with(
        &broker,
        "[enrich]\necs_compatibility = 'v1'\nrequest_headers_target_field = '[in][headers]'",
    )
    .await;
    let client = Http2Client::open(app.public()).await;
    let answer = client
        .request(http2_client::post("/p?q", "text/plain", "hi"))
        .await;
    assert_eq!((answer.status, answer.text()), (200, "ok"));
    drop(client);
    app.finish().await;
    let event = broker.only_event();
    assert_eq!(
        event["url"],
        json!({"domain": "logs.example", "port": 8080, "path": "/p?q"})
    );
    assert_eq!(event["http"]["version"], "HTTP/2.0");
    assert_eq!(event["in"]["headers"]["http_host"], "logs.example:8080");
    assert_eq!(event["in"]["headers"]["http_version"], "HTTP/2.0");
    assert_eq!(event["in"]["headers"].get("host"), None);
}

/// RFC 9112, 3.2.2: as a proxy is asked.
#[tokio::test]
async fn the_host_of_a_whole_target_counts_and_not_the_header() {
    let broker = FakeBroker::start();
    let app = TestApp::start_with(&broker, "").await;
    let target = "http://other.example:99/x?y";
    assert_eq!(app.post(target, &[JSON], "{}").await.status, 200);
    app.finish().await;
    let headers = &broker.only_event()["headers"];
    assert_eq!(headers["http_host"], "other.example:99");
    assert_eq!(headers["request_path"], "/x?y");
}

/// RFC 9110, 4.2.3.
#[tokio::test]
async fn a_whole_target_without_a_path_has_the_first_one() {
    for (target, path) in [
        ("http://other.example", "/"),
        ("http://other.example?y=/", "/?y=/"),
    ] {
        let broker = FakeBroker::start();
        let app = TestApp::start_with(&broker, "").await;
        assert_eq!(app.post(target, &[JSON], "{}").await.status, 200);
        app.finish().await;
        assert_eq!(broker.only_event()["headers"]["request_path"], path);
    }
}

#[tokio::test]
async fn target_fields_are_configured_and_headers_can_be_left_out() {
    let toml = "[enrich]\nremote_host_target_field = '[peer][ip]'\nrequest_headers_target_field = 'req'\ndrop_headers = ['X-Secret']";
    let event = enriched(toml, &[JSON, ("X-Secret", "s"), ("X-Open", "o")], "{}").await;
    assert_eq!(event["peer"]["ip"], "127.0.0.1");
    assert_eq!(event["req"]["x_open"], "o");
    assert_eq!(event["req"].get("x_secret"), None);
    assert_eq!((event.get("host"), event.get("headers")), (None, None));
    let event = enriched("[enrich]\nheaders = false", &[JSON], "{}").await;
    assert_eq!(event.get("headers"), None);
    assert_eq!(event["host"], "127.0.0.1");
}

#[tokio::test]
async fn a_field_that_is_there_stays_or_goes_as_configured() {
    let body = r#"{"host":"mine","headers":{"a":1},"Environment":"mine","@version":"7","@timestamp":"2024-01-02T03:04:05.000Z"}"#;
    let fields = "fields = { Environment = 'production', '[cloud][region]' = 'eu' }";
    let kept = enriched(&format!("[enrich]\n{fields}"), &[JSON], body).await;
    assert_eq!(
        (&kept["host"], &kept["headers"]),
        (&json!("mine"), &json!({"a": 1}))
    );
    assert_eq!(
        (&kept["Environment"], &kept["cloud"]),
        (&json!("mine"), &json!({"region": "eu"}))
    );
    let toml = format!("[enrich]\non_conflict = 'overwrite'\n{fields}");
    let overwritten = enriched(&toml, &[JSON], body).await;
    assert_eq!(overwritten["host"], "127.0.0.1");
    assert_eq!(overwritten["headers"]["request_method"], "POST");
    assert_eq!(overwritten["Environment"], "production");
    for event in [kept, overwritten] {
        assert_eq!(event["@version"], "7");
        assert_eq!(event["@timestamp"], "2024-01-02T03:04:05.000Z");
    }
}

#[tokio::test]
async fn a_timestamp_that_is_none_is_put_aside() {
    for own in [
        "\"yesterday\"",
        "1700000000",
        "null",
        "\"2024-01-02 03:04:05\"",
    ] {
        let body = format!("{{\"@timestamp\":{own},\"tags\":[\"own\"]}}");
        let event = enriched("", &[JSON], &body).await;
        assert!(is_now(&event["@timestamp"]));
        assert_eq!(event["_@timestamp"].to_string(), own);
        assert_eq!(event["tags"], json!(["own", "_timestampparsefailure"]));
    }
}

#[tokio::test]
async fn long_headers_are_cut_and_the_event_says_so() {
    let long = "v".repeat(10 * 1024);
    let headers = [
        TEXT,
        ("X-First", long.as_str()),
        ("X-Second", long.as_str()),
    ];
    let event = enriched("", &headers, "x").await;
    assert_eq!(event["tags"], json!(["_headerscut"]));
    let headers = event["headers"].as_object().unwrap();
    let bytes = headers
        .iter()
        .map(|(name, value)| name.len() + value.as_str().unwrap().len());
    assert_eq!(bytes.sum::<usize>(), 16 * 1024);
    assert_eq!(headers["request_path"], "/a/b?c=d&e");
}

#[tokio::test]
async fn events_tell_of_their_request_on_both_apis() {
    let toml = "[enrich]\nheaders = false\nid_field = '[event][id]'\nreceived_at_field = '[event][ingested]'\n\
        client_ip_field = '[client][ip]'\nrequest_id_field = '[request][id]'\ntrace_id_field = '[trace][id]'";
    let root = "1-5759e988-bd862e3fe1be46a994272793";
    let amazon = format!("Self=1-67891234-12456789abcdef012345678;Root={root}");
    let headers = [
        JSON,
        ("X-Amzn-Trace-Id", amazon.as_str()),
        ("X-Request-Id", "mine-7"),
    ];
    for target in ["/", "/v1/events"] {
        let broker = FakeBroker::start();
        let app = TestApp::start_with(&broker, toml).await;
        let body = r#"[{"a":1},{"a":2,"event":{"id":"own","kind":"x"}},{"a":3}]"#;
        let answer = app.post(target, &headers, body).await;
        assert_eq!(answer.header("x-request-id"), Some("mine-7"));
        let made = app.post(target, &[JSON], "{}").await;
        let made = made.header("x-request-id").unwrap().to_owned();
        app.finish().await;
        let mut events = broker.delivered();
        assert_eq!(events.len(), 4);
        let mut ids = Vec::new();
        for event in &mut events {
            assert!(is_now(&event["event"]["ingested"]));
            assert_eq!(event["client"], json!({"ip": "127.0.0.1"}));
            ids.push(event["event"]["id"].as_str().unwrap().to_owned());
        }
        assert_eq!(events[0]["request"]["id"], "mine-7");
        assert_eq!(events[2]["trace"]["id"], root);
        assert_eq!(events[3]["request"]["id"], made);
        assert_eq!(events[3].get("trace"), None);
        assert_eq!(
            (ids[1].as_str(), &events[1]["event"]["kind"]),
            ("own", &json!("x"))
        );
        assert!(ids[0] < ids[2] && ids[2] < ids[3], "{ids:?}");
    }
}
