//! The spool on disk as clients and Brokers see it: a 2xx outlasts the server, nothing comes twice without need, and
//! the books go on over a restart. What a kill does is tested in `crash`.

use std::collections::HashSet;
use std::fs;
use std::sync::Arc;

use serde_json::json;
use tokio::task::JoinSet;

use crate::support::client::{JSON, head};
use crate::support::fake_broker::{FakeBroker, Reply};
use crate::support::http2_client::{self, Http2Client};
use crate::support::numbered::{Ledger, array, numbers, sorted};
use crate::support::test_app::{TestApp, with};

const DISK: &str = "[ingest]\ndurability = 'disk'\n";

/// A Broker that takes nothing for now.
fn unwilling() -> FakeBroker {
    let broker = FakeBroker::start();
    broker.usually(Reply::status(503));
    broker
}

fn take_all(broker: &FakeBroker) {
    broker.usually(Reply::status(200));
}

#[tokio::test]
async fn what_was_acknowledged_is_delivered_after_a_restart_and_the_books_go_on() {
    let broker = unwilling();
    let toml = with(&[&broker], DISK);
    let app = TestApp::start(&toml).await;
    assert_eq!(app.post("/", &[JSON], "{\"n\":0}").await.status, 200);
    let answer = app.post("/v1/events", &[JSON], array(1..5)).await;
    assert_eq!(answer.status, 200, "as durable as it gets, so not 202");
    assert_eq!(answer.json(), json!({"accepted": 4}));
    let app = app.restart(&toml).await;
    let status = app.status().await;
    assert_eq!(status["spool"]["events"], 5);
    assert_eq!(status["books"]["spooled_at_start"], 5);
    assert_eq!(status["books"]["balanced"], true);
    let samples = app.samples().await;
    assert_eq!(samples.value("headgate_spool_events", &[]), Some(5.0));
    assert!(samples.value("headgate_spool_bytes", &[]) > Some(0.0));
    assert_eq!(app.post("/", &[JSON], "{\"n\":5}").await.status, 200);
    take_all(&broker);
    app.until_book("delivered", 6).await;
    app.finish().await;
    assert_eq!(sorted(&broker.delivered()), [0, 1, 2, 3, 4, 5]);
}

#[tokio::test]
async fn what_was_delivered_is_not_delivered_again() {
    let broker = FakeBroker::start();
    let toml = with(&[&broker], DISK);
    let mut app = TestApp::start(&toml).await;
    for round in 0..4 {
        assert_eq!(app.book("spooled_at_start").await, 0);
        let numbers = 10 * round..10 * (round + 1);
        assert_eq!(app.post("/", &[JSON], array(numbers)).await.status, 200);
        app.until_book("delivered", 10).await;
        app = app.restart(&toml).await;
    }
    app.finish().await;
    assert_eq!(sorted(&broker.delivered()), (0..40).collect::<Vec<_>>());
}

#[tokio::test]
async fn of_a_request_that_was_delivered_in_part_only_the_rest_comes_again() {
    let broker = FakeBroker::start();
    broker.script([Reply::status(200), Reply::status(200), Reply::Hang]);
    let toml = with(
        &[&broker],
        &format!("{DISK}[broker]\nmax_in_flight = 1\nmax_batch_events = 3"),
    );
    let app = TestApp::start(&toml).await;
    assert_eq!(app.post("/", &[JSON], array(0..10)).await.status, 200);
    broker.until_requests(3).await;
    let app = app.restart(&toml).await;
    assert_eq!(app.book("spooled_at_start").await, 4);
    app.until_book("delivered", 4).await;
    app.finish().await;
    assert_eq!(numbers(&broker.delivered()), (0..10).collect::<Vec<_>>());
}

#[tokio::test]
async fn what_is_delivered_out_of_order_is_remembered_too() {
    let broker = FakeBroker::start();
    // Of twelve batches the third and some others are never answered.
    let hangs = [2, 5, 6];
    broker.script((0..12).map(|index| match hangs.contains(&index) {
        true => Reply::Hang,
        false => Reply::status(200),
    }));
    let toml = with(
        &[&broker],
        &format!("{DISK}[broker]\nmax_in_flight = 4\nmax_batch_events = 2"),
    );
    let app = TestApp::start(&toml).await;
    assert_eq!(app.post("/", &[JSON], array(0..24)).await.status, 200);
    app.until_book("delivered", 18).await;
    let app = app.restart(&toml).await;
    assert_eq!(app.book("spooled_at_start").await, 6);
    app.until_book("delivered", 6).await;
    app.finish().await;
    assert_eq!(sorted(&broker.delivered()), (0..24).collect::<Vec<_>>());
}

#[tokio::test]
async fn events_that_died_on_arrival_are_as_durable_as_the_others() {
    let broker = unwilling();
    let toml = with(
        &[&broker],
        &format!("{DISK}[validate]\nrequired = ['n']\non_invalid = 'dead_letter'"),
    );
    let app = TestApp::start(&toml).await;
    // No letter can be written while a file is where their folder should be.
    let letters = app.keep_folder().path().join("dead-letters/arrival");
    fs::remove_dir_all(&letters).unwrap_or_default();
    fs::write(&letters, "in the way").unwrap();
    let body = r#"[{"n":0},{"bad":1},{"n":1},{"bad":2},{"bad":3}]"#;
    assert_eq!(app.post("/", &[JSON], body).await.status, 200);
    app.until_spooled(5).await;
    let app = {
        app.until_at_rest().await;
        let folder = app.keep_folder();
        app.stop().await;
        fs::remove_file(&letters).unwrap();
        TestApp::start_on(&folder, &toml).await
    };
    app.until_book("dead_lettered", 3).await;
    let written = app.dead_letters();
    let bad = |letters: &[serde_json::Value]| {
        let bad = letters.iter().map(|letter| letter["event"]["bad"].as_u64());
        bad.collect::<Vec<_>>()
    };
    assert_eq!(bad(&written), [Some(1), Some(2), Some(3)]);
    // The letters are done, the events are not: only these come again.
    let app = app.restart(&toml).await;
    assert_eq!(app.book("spooled_at_start").await, 2);
    take_all(&broker);
    app.until_book("delivered", 2).await;
    assert_eq!(app.dead_letters(), written);
    assert_eq!(app.book("dead_lettered").await, 0);
    app.finish().await;
    assert_eq!(sorted(&broker.delivered()), [0, 1]);
}

#[tokio::test]
async fn what_the_broker_rejected_is_done_with_over_a_restart() {
    let broker = FakeBroker::start();
    broker.poison(Reply::status(400), |event| event["n"] == 3);
    let toml = with(&[&broker], DISK);
    let app = TestApp::start(&toml).await;
    assert_eq!(app.post("/", &[JSON], array(0..8)).await.status, 200);
    app.until_book("dead_lettered", 1).await;
    app.until_book("delivered", 7).await;
    let app = app.restart(&toml).await;
    assert_eq!(app.book("spooled_at_start").await, 0);
    assert_eq!(app.dead_letters().len(), 1);
    app.finish().await;
    assert_eq!(sorted(&broker.delivered()), [0, 1, 2, 4, 5, 6, 7]);
}

#[tokio::test]
async fn the_other_durabilities_write_nothing_below_the_folder_of_the_spool() {
    for durability in ["memory", "broker"] {
        let broker = FakeBroker::start();
        let toml = format!("[ingest]\ndurability = '{durability}'");
        let app = TestApp::start_with(&broker, &toml).await;
        for _ in 0..5 {
            assert_eq!(app.post("/", &[JSON], array(0..9)).await.status, 200);
        }
        let folder = app.keep_folder();
        app.finish().await;
        let spool = folder.path().join("spool");
        assert!(!spool.exists(), "with {durability}");
        assert_eq!(broker.delivered().len(), 45);
    }
}

#[tokio::test]
async fn clients_that_go_away_while_their_request_waits_are_no_problem() {
    let broker = FakeBroker::start();
    let app = TestApp::start_with(&broker, DISK).await;
    let ledger = Ledger::default();
    for _ in 0..100 {
        let numbers = ledger.begin(3);
        let body = array(numbers);
        let mut connection = app.connect().await;
        let head = head("POST", "/", &[JSON], body.len());
        assert!(connection.try_send(head + &body).await);
        connection.reset();
    }
    let numbers = ledger.begin(1);
    let answer = app.post("/", &[JSON], array(numbers.clone())).await;
    assert_eq!(answer.status, 200);
    ledger.acknowledge(numbers);
    app.until_connections(0).await;
    app.until_spooled(0).await;
    app.finish().await;
    let arrived = numbers_once(&broker);
    ledger.check(&arrived);
}

#[tokio::test]
async fn http2_clients_and_cancelled_streams_are_no_problem_either() {
    let broker = FakeBroker::start();
    let app = TestApp::start_with(&broker, DISK).await;
    let ledger = Arc::new(Ledger::default());
    let client = Http2Client::open(app.public()).await;
    let mut streams = JoinSet::new();
    for index in 0..200 {
        let numbers = ledger.begin(2);
        let request = http2_client::post("/", "application/json", array(numbers.clone()));
        let (sender, ledger) = (client.sender(), Arc::clone(&ledger));
        let stream = streams.spawn(async move {
            let answer = http2_client::send(sender, request).await.unwrap();
            assert_eq!(answer.status, 200);
            ledger.acknowledge(numbers);
        });
        // Not so many at once that the server takes it for an attack.
        if index % 20 == 0 {
            tokio::task::yield_now().await;
            stream.abort();
        }
    }
    while let Some(outcome) = streams.join_next().await {
        assert!(outcome.is_ok() || outcome.is_err_and(|error| error.is_cancelled()));
    }
    assert!(ledger.acknowledged() >= 190);
    drop(client);
    app.until_connections(0).await;
    app.until_spooled(0).await;
    app.finish().await;
    ledger.check(&numbers_once(&broker));
}

/// The numbers of what was delivered, each of them once.
fn numbers_once(broker: &FakeBroker) -> HashSet<u64> {
    let all = numbers(&broker.delivered());
    let once: HashSet<u64> = all.iter().copied().collect();
    assert_eq!(once.len(), all.len(), "some were delivered twice");
    once
}
