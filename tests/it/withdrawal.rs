//! With durability `broker` a 200 means that a Broker has the events, and a 503 takes back what is not yet under way.

use http::HeaderValue;
use serde_json::{Value, json};

use crate::support::client::{JSON, NDJSON, head};
use crate::support::eventually;
use crate::support::fake_broker::{DownBroker, FakeBroker, Reply};
use crate::support::http2_client::{self, Http2Client};
use crate::support::keys;
use crate::support::test_app::TestApp;

#[tokio::test]
async fn the_answer_waits_for_the_brokers() {
    let broker = FakeBroker::start();
    broker.hold();
    let app = TestApp::start_with(&broker, "").await;
    let mut connection = app.connect().await;
    connection
        .send(head("POST", "/v1/events", &[JSON], 2) + "{}")
        .await;
    broker.until_requests(1).await;
    assert_eq!(
        app.book("received").await,
        0,
        "nobody was told anything yet"
    );
    assert_eq!(app.status().await["spool"]["events"], 1);
    broker.release();
    assert_eq!(connection.answer().await.json(), json!({"accepted": 1}));
    assert_eq!(app.book("delivered").await, 1);
    app.finish().await;
}

#[tokio::test]
async fn events_that_no_broker_took_in_time_do_not_arrive_later() {
    let down = DownBroker::new();
    let toml = format!(
        "[server]\nrequest_timeout = '50ms'\n[broker]\nurls = ['{}']",
        down.url()
    );
    let app = TestApp::start(&toml).await;
    for target in ["/", "/v1/events"] {
        let answer = app.post(target, &[NDJSON], "{\"n\":1}\n{\"n\":2}").await;
        assert_eq!(
            (answer.status, answer.problem_code().as_str()),
            (503, "broker_unavailable")
        );
        eventually("the Broker to be seen down", async || {
            (app.status().await["brokers"][0]["up"] == false).then_some(())
        })
        .await;
    }
    // What one of the workers holds for its next try is under way; all else is gone.
    let under_way = app.status().await["spool"]["events"].as_u64().unwrap();
    assert!(under_way <= 2, "{under_way}");
    assert_eq!(app.book("received").await, under_way);
    let broker = down.up();
    app.until_book("delivered", under_way).await;
    assert_eq!(app.post("/", &[JSON], "{\"n\":3}").await.status, 200);
    assert_eq!(app.book("received").await, under_way + 1);
    app.finish().await;
    let events = broker.delivered();
    assert_eq!(events.len() as u64, under_way + 1);
    assert_eq!(events.last().unwrap()["n"], 3);
}

#[tokio::test]
async fn what_is_under_way_at_the_503_may_still_arrive_and_the_rest_may_not() {
    let broker = FakeBroker::start();
    broker.hold();
    let toml =
        "[server]\nrequest_timeout = '50ms'\n[broker]\nmax_in_flight = 1\nmax_batch_events = 2";
    let app = TestApp::start_with(&broker, toml).await;
    let body: String = (0..5).map(|n| json!({"n": n}).to_string()).collect();
    assert_eq!(app.post("/", &[JSON], body).await.status, 503);
    let books = app.status().await["books"].clone();
    assert_eq!(
        (&books["received"], &books["accepted"], &books["spooled"]),
        (&json!(2), &json!(2), &json!(2))
    );
    broker.release();
    app.until_book("delivered", 2).await;
    app.finish().await;
    let numbers: Vec<Value> = broker
        .delivered()
        .iter()
        .map(|event| event["n"].clone())
        .collect();
    assert_eq!(numbers, [json!(0), json!(1)]);
}

#[tokio::test]
async fn a_request_that_is_delivered_but_for_its_last_batch_is_not_confirmed() {
    let broker = FakeBroker::start();
    broker.script([Reply::status(200), Reply::Hang]);
    let toml = "[server]\nrequest_timeout = '2s'\ndrain_timeout = '0s'\n[broker]\nmax_in_flight = 1\nmax_batch_events = 2";
    let app = TestApp::start_with(&broker, toml).await;
    let answer = app
        .post(
            "/",
            &[JSON],
            "{\"n\":0}{\"n\":1}{\"n\":2}{\"n\":3}{\"n\":4}",
        )
        .await;
    assert_eq!(
        (answer.status, answer.problem_code().as_str()),
        (503, "broker_unavailable")
    );
    let books = app.status().await["books"].clone();
    assert_eq!(
        (&books["received"], &books["delivered"], &books["spooled"]),
        (&json!(4), &json!(2), &json!(2))
    );
    app.finish().await;
}

#[tokio::test]
async fn an_event_that_the_broker_refuses_for_good_is_confirmed() {
    let broker = FakeBroker::start();
    broker.usually(Reply::status(400));
    let app = TestApp::start_with(&broker, "").await;
    assert_eq!(app.post("/", &[JSON], "{\"n\":1}").await.status, 200);
    assert_eq!(app.dead_letters()[0]["event"]["n"], 1);
    assert_eq!(app.book("dead_lettered").await, 1);
    app.finish().await;
}

#[tokio::test]
async fn the_events_of_an_http2_client_that_goes_away_are_withdrawn() {
    let broker = FakeBroker::start();
    broker.hold();
    let toml = "[broker]\nmax_in_flight = 1\nmax_batch_events = 1";
    let app = TestApp::start_with(&broker, toml).await;
    let mut first = app.connect().await;
    first
        .send(head("POST", "/", &[JSON], 7) + "{\"n\":1}")
        .await;
    broker.until_requests(1).await;
    let client = Http2Client::open(app.public()).await;
    let request = http2_client::post("/", "application/json", "{\"n\":2}");
    tokio::select! {
        answer = http2_client::send(client.sender(), request) => panic!("answered: {answer:?}"),
        () = app.until_spooled(2) => {}
    }
    drop(client);
    app.until_spooled(1).await;
    let samples = app.samples().await;
    for (metric, labels, counted) in [
        (
            "headgate_requests_total",
            &[("route", "logstash"), ("status", "499")][..],
            1.0,
        ),
        // The first request is still to be answered.
        (
            "headgate_request_body_bytes_total",
            &[("route", "logstash")],
            7.0,
        ),
    ] {
        assert_eq!(samples.value(metric, labels), Some(counted), "{metric}");
    }
    broker.release();
    assert_eq!(first.answer().await.status, 200);
    assert_eq!(app.book("received").await, 1);
    app.finish().await;
    assert_eq!(broker.only_event()["n"], 1);
}

#[tokio::test]
async fn what_nobody_was_told_is_accepted_and_in_no_keys_count() {
    let broker = FakeBroker::start();
    broker.hold();
    let app = TestApp::start_with(&broker, &keys::entry("web", "secret", "")).await;
    let client = Http2Client::open(app.public()).await;
    let mut request = http2_client::post("/", "application/json", "{\"n\":1}");
    let key = HeaderValue::from_static("secret");
    request.headers_mut().insert("x-api-key", key);
    tokio::select! {
        answer = http2_client::send(client.sender(), request) => panic!("answered: {answer:?}"),
        _under_way = broker.until_requests(1) => {}
    }
    drop(client);
    app.until_book("accepted", 1).await;
    broker.release();
    app.until_book("delivered", 1).await;
    let samples = app.samples().await;
    let told = samples.value("headgate_key_events_total", &[("key", "web")]);
    assert_eq!(told, Some(0.0));
    app.finish().await;
}

#[tokio::test]
async fn a_client_that_breaks_its_connection_leaves_balanced_books() {
    let broker = FakeBroker::start();
    broker.hold();
    let app = TestApp::start_with(&broker, "").await;
    let mut gone = app.connect().await;
    gone.send(head("POST", "/", &[JSON], 7) + "{\"n\":1}").await;
    broker.until_requests(1).await;
    gone.reset();
    broker.release();
    app.until_book("delivered", 1).await;
    app.until_connections(0).await;
    app.finish().await;
}
