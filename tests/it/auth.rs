//! Who may send: Basic as in Logstash, keys by three ways, and fields that a key forces on its events.

use data_encoding::BASE64;
use serde_json::{Value, json};

use crate::support::client::{JSON, NDJSON, TEXT};
use crate::support::fake_broker::FakeBroker;
use crate::support::keys;
use crate::support::test_app::TestApp;

/// A user and two keys.
fn config() -> String {
    let user = "[auth]\nuser = 'logstash'\npassword = 'pass:word'\n";
    let web = "fields = { Application = 'web', '[team][name]' = 'front' }";
    let odd = "fields = { tags = ['forced'], '@timestamp' = '2020-01-01T00:00:00.000Z' }";
    [
        user,
        &keys::entry("web", "web-key", web),
        &keys::entry("odd", "odd-key", odd),
    ]
    .concat()
}

fn basic(credentials: &str) -> String {
    format!("Basic {}", BASE64.encode(credentials.as_bytes()))
}

#[tokio::test]
async fn right_credentials_are_let_in_by_every_way_and_reach_no_event() {
    let broker = FakeBroker::start();
    // Whatever list of headers is configured.
    let toml = "[enrich]\ndrop_headers = []\n".to_owned() + &config();
    let app = TestApp::start_with(&broker, &toml).await;
    for (name, value, application) in [
        ("Authorization", basic("logstash:pass:word"), None),
        ("Authorization", "Bearer web-key".into(), Some("web")),
        ("Authorization", basic("web:web-key"), Some("web")),
        ("X-Api-Key", "web-key".into(), Some("web")),
    ] {
        let before = broker.delivered().len();
        for target in ["/", "/v1/events"] {
            let answer = app.post(target, &[JSON, (name, &value)], "{}").await;
            assert_eq!(answer.status, 200, "{value}");
        }
        for event in &broker.delivered()[before..] {
            assert_eq!(
                event.get("Application").and_then(Value::as_str),
                application
            );
            assert!(!event.to_string().contains(&value), "{event}");
        }
    }
    app.finish().await;
    assert_eq!(broker.delivered().len(), 8);
}

#[tokio::test]
async fn missing_credentials_are_asked_for_and_wrong_ones_are_not() {
    let broker = FakeBroker::start();
    let app = TestApp::start_with(&broker, &config()).await;
    for target in ["/", "/v1/events"] {
        let answer = app.post(target, &[JSON], "{}").await;
        assert_eq!(
            (answer.status, answer.problem_code().as_str()),
            (401, "unauthenticated")
        );
        assert!(
            answer
                .header("www-authenticate")
                .unwrap()
                .starts_with("Basic realm=\"")
        );
        for (name, value) in [
            ("Authorization", basic("logstash:wrong")),
            ("Authorization", basic("odd:web-key")),
            ("Authorization", "Bearer hidden-key".into()),
            ("Authorization", "Basic ***".into()),
            ("X-Api-Key", "hidden-key".into()),
            ("X-Api-Key", String::new()),
        ] {
            let answer = app.post(target, &[JSON, (name, &value)], "{}").await;
            assert_eq!(
                (answer.status, answer.problem_code().as_str()),
                (401, "unauthenticated"),
                "{value}"
            );
            assert_eq!(answer.header("www-authenticate"), None, "{value}");
            assert!(!answer.text().contains("hidden"), "{}", answer.text());
            assert!(!answer.text().contains("Bearer KEY"), "{value}");
        }
    }
    app.finish().await;
    assert_eq!(broker.requests().len(), 0);
}

#[tokio::test]
async fn another_scheme_is_told_which_ones_there_are() {
    let app = TestApp::start(&config()).await;
    for value in [
        "Splunk web-key",
        "ApiKey hidden-key",
        "Token hidden-key",
        "web-key",
        "hidden-key",
        "",
    ] {
        let answer = app.post("/", &[JSON, ("Authorization", value)], "{}").await;
        assert_eq!(answer.status, 401, "{value}");
        assert_eq!(answer.header("www-authenticate"), None, "{value}");
        let detail = answer.json()["detail"].as_str().unwrap().to_owned();
        for way in [
            "HTTP Basic",
            "`Authorization: Bearer KEY`",
            "`X-Api-Key: KEY`",
        ] {
            assert!(detail.contains(way), "{value}: {detail}");
        }
        assert!(!detail.contains("-key"), "{detail}");
    }
    app.finish().await;
}

#[tokio::test]
async fn health_needs_no_credentials() {
    let app = TestApp::start(&config()).await;
    for (method, target) in [
        ("GET", "/health"),
        ("GET", "/"),
        ("HEAD", "/any"),
        ("GET", "/ready"),
        ("GET", "/live"),
        ("GET", "/openapi.yaml"),
    ] {
        assert_eq!(
            app.request(method, target, &[], "").await.status,
            200,
            "{method} {target}"
        );
    }
    app.finish().await;
}

/// Sends an event with a key; its text as the Broker got it.
async fn forced(key: &str, event: &str) -> (Value, String) {
    let broker = FakeBroker::start();
    let app = TestApp::start_with(&broker, &config()).await;
    let answer = app
        .post("/v1/events", &[JSON, ("X-Api-Key", key)], event)
        .await;
    assert_eq!(answer.status, 200, "{event}");
    app.finish().await;
    let body = broker.requests()[0].body.clone();
    (broker.only_event(), String::from_utf8(body.into()).unwrap())
}

#[tokio::test]
async fn forced_fields_replace_the_clients_own_however_they_are_spelt() {
    for event in [
        r#"{"Application":"evil"}"#,
        r#"{"Applic\u0061tion":"evil"}"#,
        r#"{"Application":"evil","\u0041pplication":["evil"],"Application":{"a":"evil"}}"#,
        r#"{"team":"evil"}"#,
        r#"{"team":{"name":"evil"}}"#,
        r#"{"team":{"n\u0061me":"evil","name":"evil"},"Application":null}"#,
        r#"{"team":{"name":"evil"},"te\u0061m":{"name":"evil","\u006eame":"evil"}}"#,
        r#"{"team":{"name":"evil"},"team":"evil"}"#,
        r#"{"team":"evil","team":{}}"#,
        r#"{"team":[{"name":"evil"}],"@timestamp":"evil"}"#,
    ] {
        let (seen, text) = forced("web-key", event).await;
        assert_eq!(seen["Application"], "web", "{event}");
        assert_eq!(seen["team"], json!({"name": "front"}), "{event}");
        assert_eq!(text.matches("\"web\"").count(), 1, "{text}");
        assert_eq!(text.matches("\"front\"").count(), 1, "{text}");
        let evil = text.matches("evil").count();
        assert_eq!(evil, usize::from(event.contains("timestamp")), "{text}");
    }
}

#[tokio::test]
async fn forced_fields_keep_what_stands_beside_them() {
    let (seen, _) = forced(
        "web-key",
        r#"{"team":{"size":3,"name":"x","lead":{"name":"own"}},"a":1}"#,
    )
    .await;
    assert_eq!(
        seen["team"],
        json!({"size": 3, "lead": {"name": "own"}, "name": "front"})
    );
    assert_eq!(seen["a"], 1);
}

#[tokio::test]
async fn fields_that_the_server_itself_writes_can_be_forced_too() {
    for event in [
        "{}",
        r#"{"tags":["own"]}"#,
        r#"{"tags":["own"],"@timestamp":"2024-01-02T03:04:05Z"}"#,
        r#"{"@timestamp":"not a time"}"#,
        r#"{"tags":["own"],"@timestamp":"not a time"}"#,
    ] {
        let (seen, text) = forced("odd-key", event).await;
        assert_eq!(
            seen["@timestamp"], "2020-01-01T00:00:00.000Z",
            "{event} became {text}"
        );
        assert_eq!(seen["tags"][0], "forced", "{event} became {text}");
        assert!(!text.contains("\"own\""), "{event} became {text}");
        for name in ["\"tags\":", "\"@timestamp\":"] {
            assert_eq!(text.matches(name).count(), 1, "{event} became {text}");
        }
    }
}

#[tokio::test]
async fn fields_are_forced_on_every_event_of_every_codec() {
    let broker = FakeBroker::start();
    let key = ("X-Api-Key", "web-key");
    for ecs in ["disabled", "v1"] {
        let toml = format!("[enrich]\necs_compatibility = '{ecs}'\n{}", config());
        let app = TestApp::start_with(&broker, &toml).await;
        let before = broker.delivered().len();
        for (media_type, body) in [
            (TEXT, "a line"),
            (JSON, "not JSON"),
            (
                JSON,
                r#"[{"Application":"evil"},{"\u0041pplication":"evil","Application":"evil"},5]"#,
            ),
            (
                JSON,
                r#"{"team":{"name":"evil"}}{"team":{"\u006eame":"evil"}}"#,
            ),
            (
                NDJSON,
                "{\"Application\":\"evil\",\"team\":\"evil\"}\n{}\nnot JSON\n",
            ),
        ] {
            let answer = app.post("/app", &[media_type, key], body).await;
            assert_eq!(answer.status, 200, "{body}");
        }
        app.finish().await;
        let events = &broker.delivered()[before..];
        assert_eq!(events.len(), 10);
        for event in events {
            assert_eq!(event["Application"], "web", "{event}");
            assert_eq!(event["team"]["name"], "front", "{event}");
        }
    }
    for request in broker.requests() {
        let text = String::from_utf8(request.body.into()).unwrap();
        assert!(!text.contains("evil"), "{text}");
        assert_eq!(
            text.matches("\"front\"").count(),
            text.matches("\"web\"").count()
        );
    }
}

#[tokio::test]
async fn there_may_be_thousands_of_keys() {
    const KEYS: usize = 3000;
    let broker = FakeBroker::start();
    let all = (0..KEYS).map(|number| {
        let fields = format!("fields = {{ number = {number} }}");
        keys::entry(&format!("name-{number}"), &format!("key-{number}"), &fields)
    });
    let app = TestApp::start_with(&broker, &all.collect::<String>()).await;
    let numbers = [0, 1, KEYS / 2, KEYS - 1];
    for number in numbers {
        for credentials in [
            format!("Bearer key-{number}"),
            basic(&format!("name-{number}:key-{number}")),
        ] {
            let headers = [JSON, ("Authorization", &*credentials)];
            assert_eq!(app.post("/", &headers, "{}").await.status, 200);
        }
        let other = basic(&format!("name-{number}:key-{}", number + 2));
        let headers = [JSON, ("Authorization", &*other)];
        assert_eq!(app.post("/", &headers, "{}").await.status, 401);
    }
    let samples = app.samples().await;
    for number in numbers {
        let name = format!("name-{number}");
        let counted = samples.value("headgate_key_events_total", &[("key", &name)]);
        assert_eq!(counted, Some(2.0));
    }
    app.finish().await;
    let seen = broker.delivered();
    let seen: Vec<&Value> = seen.iter().map(|event| &event["number"]).collect();
    let expected: Vec<Value> = numbers
        .iter()
        .flat_map(|number| [json!(number), json!(number)])
        .collect();
    assert_eq!(seen, expected.iter().collect::<Vec<_>>());
}
