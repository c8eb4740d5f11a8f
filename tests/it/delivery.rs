//! Towards the Broker: formats, batches, what is tried again and what becomes a dead letter.

use serde_json::{Value, json};

use crate::support::client::{JSON, NDJSON};
use crate::support::fake_broker::{DownBroker, FakeBroker, Received, Reply};
use crate::support::test_app::TestApp;
use crate::support::{eventually, in_time};

/// With one connection and an answer before delivery.
const ORDERED: &str = "[ingest]\ndurability = 'memory'\n[broker]\nmax_in_flight = 1\n";

/// Numbered events, one a line.
fn numbered(count: usize) -> String {
    let lines = (0..count).map(|number| json!({"n": number}).to_string() + "\n");
    lines.collect()
}

fn numbers(events: &[Value]) -> Vec<u64> {
    let numbers = events.iter().map(|event| event["n"].as_u64());
    numbers.map(Option::unwrap).collect()
}

/// The numbers of each request's events.
fn batches(requests: &[Received]) -> Vec<Vec<u64>> {
    let events = requests.iter().map(Received::events);
    events.map(|events| numbers(&events)).collect()
}

#[tokio::test]
async fn each_format_has_its_body_and_its_media_type() {
    for (format, media_type, requests) in [
        ("json_batch", "application/json", 1),
        ("json_lines", "application/x-ndjson", 1),
        ("json", "application/json", 3),
    ] {
        let broker = FakeBroker::start();
        let toml =
            format!("[enrich]\nheaders = false\n[broker]\nformat = '{format}'\nmax_in_flight = 1");
        let app = TestApp::start_with(&broker, &toml).await;
        assert_eq!(app.post("/", &[NDJSON], numbered(3)).await.status, 200);
        app.finish().await;
        let received = broker.requests();
        assert_eq!(received.len(), requests, "{format}");
        assert_eq!(numbers(&broker.delivered()), [0, 1, 2]);
        for request in &received {
            let text = std::str::from_utf8(&request.body).unwrap();
            assert_eq!(request.target, "/in");
            assert_eq!(request.headers["content-type"], media_type);
            assert_eq!(request.headers["content-length"], text.len().to_string());
            match format {
                "json_batch" => assert!(text.starts_with("[{") && text.ends_with("}]"), "{text}"),
                "json_lines" => {
                    assert!(text.lines().count() == 3 && text.ends_with("}\n"), "{text}");
                }
                _ => assert!(text.starts_with('{') && text.ends_with('}'), "{text}"),
            }
        }
    }
}

#[tokio::test]
async fn the_broker_gets_the_headers_and_credentials_that_are_configured() {
    let broker = FakeBroker::start();
    let toml = "[broker]\nuser = 'me'\npassword = 'pa:ss'\nheaders = { X-Tenant = 'a', User-Agent = 'mine', Content-Type = 'a/b' }";
    let app = TestApp::start_with(&broker, toml).await;
    app.post("/", &[JSON], "{}").await;
    app.finish().await;
    let headers = &broker.requests()[0].headers;
    assert_eq!(headers["authorization"], "Basic bWU6cGE6c3M=");
    assert_eq!(
        ["x-tenant", "user-agent", "content-type"].map(|name| headers[name].to_str().unwrap()),
        ["a", "mine", "a/b"]
    );
}

#[tokio::test]
async fn batches_keep_to_both_limits_and_to_the_order() {
    let broker = FakeBroker::start();
    broker.hold();
    let toml = format!(
        "{ORDERED}max_batch_events = 3\nmax_batch_bytes = '512B'\n[enrich]\nheaders = false"
    );
    let app = TestApp::start_with(&broker, &toml).await;
    for start in ["first", "second"] {
        let body: String = (0..10)
            .map(|n| json!({"n": n, "of": start}).to_string())
            .collect();
        assert_eq!(app.post("/", &[JSON], body).await.status, 200);
    }
    let long = json!({"n": 10, "x": "y".repeat(600)}).to_string();
    assert_eq!(app.post("/", &[JSON], long).await.status, 200);
    broker.release();
    app.finish().await;
    let requests = broker.requests();
    let expected = [(0..10).collect::<Vec<_>>(), (0..10).collect(), vec![10]].concat();
    assert_eq!(batches(&requests).concat(), expected);
    assert_eq!(broker.most_under_way(), 1);
    for request in &requests {
        let count = request.events().len();
        assert!(count <= 3, "{count}");
        assert!(
            count == 1 || request.body.len() <= 512 + 2,
            "{}",
            request.body.len()
        );
    }
}

#[tokio::test]
async fn what_speaks_of_the_broker_is_tried_again_with_the_same_body() {
    let elsewhere = FakeBroker::start();
    let moved = Reply::Answer(307, vec![("location", elsewhere.url())], "");
    let statuses = [300, 401, 403, 404, 405, 408, 429, 500, 502, 503, 504];
    let replies = statuses.into_iter().map(Reply::status);
    let replies: Vec<Reply> = replies.chain([moved, Reply::Cut]).collect();
    let broker = FakeBroker::start();
    let tries = replies.len();
    broker.script(replies);
    let app = TestApp::start_with(&broker, "[broker]\nmax_in_flight = 1").await;
    assert_eq!(app.post("/", &[NDJSON], numbered(3)).await.status, 200);
    let samples = app.samples().await;
    app.finish().await;
    let requests = broker.requests();
    assert_eq!(requests.len(), tries + 1);
    assert!(
        requests
            .iter()
            .all(|request| request.body == requests[0].body)
    );
    assert_eq!(numbers(&broker.delivered()), [0, 1, 2]);
    assert_eq!(elsewhere.requests().len(), 0, "redirects are not followed");
    let label = broker.label();
    for (outcome, expected) in [
        ("errored", tries as f64),
        ("delivered", 1.0),
        ("rejected", 0.0),
    ] {
        let labels = [("broker", label.as_str()), ("outcome", outcome)];
        assert_eq!(
            samples.value("headgate_broker_requests_total", &labels),
            Some(expected)
        );
    }
    assert_eq!(
        samples.value("headgate_broker_up", &[("broker", &label)]),
        Some(1.0)
    );
}

#[tokio::test]
async fn a_broker_that_does_not_answer_in_time_is_tried_again() {
    let broker = FakeBroker::start();
    broker.script([Reply::Hang]);
    let app = TestApp::start_with(&broker, "[broker]\nrequest_timeout = '50ms'").await;
    assert_eq!(app.post("/", &[JSON], "{\"n\":7}").await.status, 200);
    app.finish().await;
    // More often where this machine was slow.
    let tries = batches(&broker.requests());
    assert!(
        tries.len() >= 2 && tries.iter().all(|batch| *batch == [7]),
        "{tries:?}"
    );
}

#[tokio::test]
async fn retry_after_wins_over_the_backoff() {
    // Shorter than the backoff, which would outlast any test.
    let broker = FakeBroker::start();
    broker.script([Reply::Answer(503, vec![("retry-after", "0".into())], "")]);
    let app = TestApp::start_with(
        &broker,
        "[broker]\nretry_initial = '8000h'\nretry_max = '8000h'",
    )
    .await;
    assert_eq!(app.post("/", &[JSON], "{}").await.status, 200);
    app.finish().await;
    // Longer: the other Broker gets everything meanwhile.
    let (busy, other) = (FakeBroker::start(), FakeBroker::start());
    busy.usually(Reply::Answer(429, vec![("retry-after", "300".into())], ""));
    let app = TestApp::start_with_all(&[&busy, &other], "[broker]\nmax_in_flight = 1").await;
    in_time("the busy Broker to be asked", async {
        while busy.requests().is_empty() {
            assert_eq!(app.post("/", &[JSON], "{\"n\":0}").await.status, 200);
        }
    })
    .await;
    for _ in 0..30 {
        assert_eq!(app.post("/", &[JSON], "{\"n\":1}").await.status, 200);
    }
    assert_eq!(busy.requests().len(), 1);
    app.finish().await;
}

#[tokio::test]
async fn a_rejected_batch_is_halved_down_to_the_culprits() {
    let broker = FakeBroker::start();
    broker.poison(Reply::Answer(422, vec![], "no such index"), |event| {
        [3, 6].contains(&event["n"].as_u64().unwrap())
    });
    let app = TestApp::start_with(&broker, "[broker]\nmax_in_flight = 1").await;
    assert_eq!(app.post("/", &[NDJSON], numbered(8)).await.status, 200);
    let letters = app.dead_letters();
    app.finish().await;
    assert_eq!(numbers(&broker.delivered()), [0, 1, 2, 4, 5, 7]);
    assert_eq!(letters.len(), 2, "{letters:#?}");
    for (letter, number) in std::iter::zip(&letters, [3, 6]) {
        assert_eq!(letter["event"]["n"], number);
        assert_eq!(letter["event"]["host"], "127.0.0.1");
        assert_eq!(
            (&letter["reason"], &letter["status"]),
            (&json!("rejected_by_broker"), &json!(422))
        );
        assert_eq!(letter["broker"], broker.label());
        let message = letter["errors"][0]["message"].as_str().unwrap();
        assert!(
            message.contains("422") && message.contains("no such index"),
            "{message}"
        );
    }
}

#[tokio::test]
async fn every_rejecting_answer_is_configured() {
    let broker = FakeBroker::start();
    broker.script([Reply::status(418), Reply::status(400)]);
    let app = TestApp::start_with(&broker, "[broker]\nrejected_codes = [418]").await;
    for number in 0..2 {
        let body = json!({"n": number}).to_string();
        assert_eq!(app.post("/", &[JSON], body).await.status, 200);
    }
    let letters = app.dead_letters();
    app.finish().await;
    assert_eq!((letters.len(), &letters[0]["status"]), (1, &json!(418)));
    assert_eq!(batches(&broker.requests()), [[0], [1], [1]]);
}

#[tokio::test]
async fn a_thousand_rejections_in_a_row_mean_the_broker() {
    let broker = FakeBroker::start();
    broker.usually(Reply::status(400));
    let app = TestApp::start_with(
        &broker,
        "[ingest]\ndurability = 'memory'\n[broker]\nformat = 'json'",
    )
    .await;
    assert_eq!(app.post("/", &[NDJSON], numbered(1100)).await.status, 200);
    eventually("the Broker to be seen down", async || {
        (app.status().await["brokers"][0]["up"] == false).then_some(())
    })
    .await;
    app.until_book("dead_lettered", 1000).await;
    broker.until_requests(1030).await;
    assert_eq!(app.book("dead_lettered").await, 1000);
    broker.usually(Reply::status(200));
    app.until_book("delivered", 100).await;
    assert_eq!(app.book("dead_lettered").await, 1000);
    app.finish().await;
}

#[tokio::test]
async fn a_broker_that_comes_back_gets_what_waited_in_order() {
    let down = DownBroker::new();
    let toml = format!("{ORDERED}max_batch_events = 2\nurls = ['{}']", down.url());
    let app = TestApp::start(&toml).await;
    for round in 0..5 {
        let body = json!({"n": round}).to_string();
        assert_eq!(app.post("/", &[JSON], body).await.status, 200);
    }
    eventually("the Broker to be seen down", async || {
        (app.status().await["brokers"][0]["up"] == false).then_some(())
    })
    .await;
    assert_eq!(app.status().await["spool"]["events"], 5);
    let broker = down.up();
    app.finish().await;
    assert_eq!(numbers(&broker.delivered()), [0, 1, 2, 3, 4]);
}

#[tokio::test]
async fn batches_by_the_hundred_open_no_more_connections_than_may_be_in_flight() {
    let broker = FakeBroker::start();
    let toml = "[ingest]\ndurability = 'memory'\n[broker]\nformat = 'json'\nmax_in_flight = 4";
    let app = TestApp::start_with(&broker, toml).await;
    for _ in 0..5 {
        assert_eq!(app.post("/", &[NDJSON], numbered(200)).await.status, 200);
        let so_far = broker.requests().len();
        broker.until_requests(so_far + 100).await;
    }
    app.finish().await;
    assert_eq!(broker.requests().len(), 1000);
    assert!(broker.connections() <= 4, "{}", broker.connections());
    assert!(broker.most_under_way() <= 4);
}
