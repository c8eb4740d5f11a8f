//! Who may send: Basic as in Logstash, keys by three ways, and fields that a key forces on its events.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};
use sha2::{Digest, Sha256};

use crate::support::client::JSON;
use crate::support::fake_broker::FakeBroker;
use crate::support::test_app::TestApp;

/// A user and two keys.
fn config() -> String {
    let hash = |key: &str| {
        let digits = Sha256::digest(key)
            .iter()
            .map(|byte| format!("{byte:02x}"))
            .collect::<String>();
        format!("sha256:{digits}")
    };
    format!(
        "[auth]\nuser = 'logstash'\npassword = 'pass:word'\n\
         [[auth.keys]]\nname = 'web'\nhash = '{}'\nfields = {{ Application = 'web', '[team][name]' = 'front' }}\n\
         [[auth.keys]]\nname = 'odd'\nhash = '{}'\nfields = {{ tags = ['forced'], '@timestamp' = '2020-01-01T00:00:00.000Z' }}\n",
        hash("web-key"),
        hash("odd-key")
    )
}

fn basic(credentials: &str) -> String {
    format!("Basic {}", STANDARD.encode(credentials))
}

#[tokio::test]
async fn right_credentials_are_let_in_by_every_way_and_reach_no_event() {
    let broker = FakeBroker::start();
    let app = TestApp::start_with(&broker, &config()).await;
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
        }
    }
    app.finish().await;
    assert_eq!(broker.requests().len(), 0);
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
