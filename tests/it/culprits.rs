//! Events that a Broker does not take, found among those that it does; and a Broker that takes none, which is
//! no fault of the events.

use std::time::Duration;

use serde_json::{Value, json};

use crate::support::client::{JSON, NDJSON};
use crate::support::eventually;
use crate::support::fake_broker::{FakeBroker, Reply};
use crate::support::test_app::TestApp;

const IN_MEMORY: &str = "[ingest]\ndurability = 'memory'\n";

fn numbered(count: u64) -> String {
    let lines = (0..count).map(|number| json!({"n": number}).to_string() + "\n");
    lines.collect()
}

fn numbers(events: &[Value]) -> Vec<u64> {
    let mut numbers: Vec<u64> = events.iter().filter_map(|e| e["n"].as_u64()).collect();
    numbers.sort_unstable();
    numbers
}

/// A Broker to which one number is poison.
fn broker_that_cannot_take(number: u64, status: u16) -> FakeBroker {
    let broker = FakeBroker::start();
    let reply = Reply::Answer(status, vec![], "cannot parse [n]");
    broker.poison(reply, move |event| event["n"] == number);
    broker
}

#[tokio::test]
async fn one_culprit_among_many_costs_two_requests_for_each_halving() {
    for culprit in [0, 100, 511, 1023] {
        let broker = broker_that_cannot_take(culprit, 400);
        let toml = "[broker]\nmax_in_flight = 1\nmax_batch_events = 1024";
        let app = TestApp::start_with(&broker, toml).await;
        let answer = app.post("/", &[NDJSON], numbered(1024)).await;
        assert_eq!(answer.status, 200);
        let letters = app.dead_letters();
        app.finish().await;
        assert_eq!(letters.len(), 1);
        assert_eq!(letters[0]["event"]["n"], culprit);
        let expected: Vec<u64> = (0..1024).filter(|number| *number != culprit).collect();
        assert_eq!(numbers(&broker.delivered()), expected);
        let requests = broker.requests().len();
        assert_eq!(requests, 1 + 2 * 10, "1,024 events are halved ten times");
    }
}

/// Statuses with which a Broker speaks of itself, and a rest that it asks for, about a few events only.
#[tokio::test]
async fn events_that_a_broker_turns_away_hold_up_no_others() {
    let after = ("retry-after", "0".to_owned());
    for (status, headers) in [(503, vec![]), (404, vec![]), (500, vec![after])] {
        let broker = FakeBroker::start();
        let reply = Reply::Answer(status, headers, "not these");
        broker.poison(reply, |event| event["n"].as_u64().unwrap() % 50 == 7);
        let toml = "[broker]\nmax_in_flight = 2\nmax_batch_events = 20\nretry_initial = '5ms'\nretry_max = '20ms'";
        let app = TestApp::start_with(&broker, &format!("{IN_MEMORY}{toml}")).await;
        for _ in 0..2 {
            assert_eq!(app.post("/", &[NDJSON], numbered(300)).await.status, 200);
        }
        app.until_book("delivered", 2 * 294).await;
        assert_eq!(
            app.book("dead_lettered").await,
            0,
            "they may be taken later"
        );
        broker.poison(Reply::status(200), |_| false);
        app.finish().await;
        assert_eq!(broker.delivered().len(), 600);
    }
}

/// It may be that it limits its rate, but these are not taken at any.
#[tokio::test]
async fn events_that_a_busy_broker_turns_away_hold_up_no_others() {
    let broker = FakeBroker::start();
    // Others are turned away too, and taken later.
    broker.script([503; 8].map(Reply::status));
    broker.poison(Reply::status(503), |event| {
        event["n"].as_u64().unwrap() % 50 == 7
    });
    let toml = "[broker]\nmax_batch_events = 20\nretry_initial = '5ms'\nretry_max = '20ms'";
    let app = TestApp::start_with(&broker, &format!("{IN_MEMORY}{toml}")).await;
    for _ in 0..2 {
        assert_eq!(app.post("/", &[NDJSON], numbered(300)).await.status, 200);
    }
    app.until_book("delivered", 2 * 294).await;
    broker.poison(Reply::status(200), |_| false);
    app.finish().await;
    assert_eq!(broker.delivered().len(), 600);
}

/// Smaller batches would be more requests, of which it has too many already.
#[tokio::test]
async fn a_broker_that_is_busy_gets_what_it_takes_at_a_time_in_whole_batches() {
    for status in [429, 503] {
        let broker = FakeBroker::start();
        broker.takes_at_a_time(2, Reply::status(status));
        broker.hold();
        let toml = "[broker]\nmax_batch_events = 16\nretry_initial = '1ms'\nretry_max = '5ms'";
        let app = TestApp::start_with(&broker, &format!("{IN_MEMORY}{toml}")).await;
        assert_eq!(app.post("/", &[NDJSON], numbered(1600)).await.status, 200);
        broker.until_requests(3).await;
        let label = broker.label();
        eventually("the window to be that wide", async || {
            let samples = app.samples().await;
            let window = samples.value("headgate_broker_window", &[("broker", &label)]);
            (window == Some(2.0)).then_some(())
        })
        .await;
        tokio::time::sleep(Duration::from_millis(100)).await;
        broker.release();
        app.until_book("delivered", 1600).await;
        app.finish().await;
        let requests = broker.requests();
        let parts = requests.iter().filter(|one| one.events().len() < 16);
        assert_eq!(parts.count(), 0, "of {} requests", requests.len());
    }
}

/// Nothing else is sent then, but for one event that shows that the Broker works.
#[tokio::test]
async fn the_others_of_the_only_batch_that_is_turned_away_arrive() {
    let broker = FakeBroker::start();
    broker.poison(Reply::status(503), |event| event["n"] == 11);
    let toml = "[broker]\nmax_in_flight = 2\nretry_initial = '1ms'\nretry_max = '5ms'";
    let app = TestApp::start_with(&broker, &format!("{IN_MEMORY}{toml}")).await;
    assert_eq!(app.post("/", &[NDJSON], numbered(16)).await.status, 200);
    eventually("the batch to be turned away", async || {
        (broker.requests().len() > 5).then_some(())
    })
    .await;
    let other = app.post("/", &[JSON], json!({"n": 100}).to_string());
    assert_eq!(other.await.status, 200);
    app.until_book("delivered", 16).await;
    broker.poison(Reply::status(200), |_| false);
    app.finish().await;
}

#[tokio::test]
async fn a_batch_keeps_its_id_and_halves_have_their_own() {
    let broker = FakeBroker::start();
    broker.script([Reply::status(503), Reply::Cut, Reply::status(422)]);
    let app = TestApp::start_with(&broker, "[broker]\nmax_in_flight = 1").await;
    assert_eq!(app.post("/", &[NDJSON], numbered(2)).await.status, 200);
    app.finish().await;
    let requests = broker.requests();
    let id = |index: usize| requests[index].headers["x-headgate-batch"].clone();
    assert_eq!(requests.len(), 5);
    assert!(id(0) == id(1) && id(1) == id(2));
    assert!(id(3) != id(0) && id(4) != id(0) && id(3) != id(4));
}

/// A filter that chokes on one event with an answer that speaks of the Broker; others come and go all the while.
async fn choke(status: u16, toml: &str) {
    let broker = broker_that_cannot_take(3, status);
    let app = TestApp::start_with(&broker, &format!("{IN_MEMORY}{toml}")).await;
    assert_eq!(app.post("/", &[NDJSON], numbered(20)).await.status, 200);
    let mut others = 0;
    eventually("the culprit to be found", async || {
        others += 1;
        let body = json!({"n": 1000 + others}).to_string();
        assert_eq!(app.post("/", &[JSON], body).await.status, 200);
        (app.book("dead_lettered").await == 1).then_some(())
    })
    .await;
    app.until_book("delivered", 19 + others).await;
    let letter = app.dead_letters().remove(0);
    let up = app.status().await["brokers"][0]["up"].clone();
    app.finish().await;
    assert_eq!(letter["event"]["n"], 3);
    assert_eq!(
        (&letter["reason"], &letter["status"], up),
        (&json!("poison"), &json!(status), json!(true))
    );
    let message = letter["errors"][0]["message"].as_str().unwrap();
    assert!(message.contains("cannot parse [n]"), "{message}");
    let expected = (0..20)
        .filter(|number| *number != 3)
        .chain(1001..=1000 + others);
    assert_eq!(numbers(&broker.delivered()), expected.collect::<Vec<_>>());
}

#[tokio::test]
async fn an_event_that_fails_while_others_are_taken_is_poison() {
    for status in [403, 500] {
        choke(status, "").await;
    }
}

#[tokio::test]
async fn one_request_at_a_time_is_not_blocked_by_poison_for_ever() {
    choke(500, "[broker]\nmax_in_flight = 1").await;
}

#[tokio::test]
async fn a_broker_that_fails_everything_makes_no_poison() {
    let broker = FakeBroker::start();
    broker.usually(Reply::status(500));
    let app = TestApp::start_with(&broker, IN_MEMORY).await;
    assert_eq!(app.post("/", &[NDJSON], numbered(10)).await.status, 200);
    let requests = broker.until_requests(30).await;
    assert!(
        requests.iter().all(|request| request.events().len() == 10),
        "nothing is halved"
    );
    broker.usually(Reply::status(200));
    app.until_book("delivered", 10).await;
    assert_eq!(app.book("dead_lettered").await, 0);
    app.finish().await;
}

#[tokio::test]
async fn a_broker_that_answers_400_to_everything_costs_a_thousand_events_at_most() {
    let broker = FakeBroker::start();
    let plain_to_tls = "The plain HTTP request was sent to HTTPS port";
    broker.usually(Reply::Answer(400, vec![], plain_to_tls));
    let toml = format!("{IN_MEMORY}[broker]\nmax_batch_events = 100");
    let app = TestApp::start_with(&broker, &toml).await;
    assert_eq!(app.post("/", &[NDJSON], numbered(3000)).await.status, 200);
    eventually("the Broker to be seen down", async || {
        (app.status().await["brokers"][0]["up"] == false).then_some(())
    })
    .await;
    let so_far = broker.requests().len();
    broker.until_requests(so_far + 50).await;
    let dead = app.book("dead_lettered").await;
    assert!(dead <= 1000, "{dead}");
    broker.usually(Reply::status(200));
    app.until_book("delivered", 3000 - dead).await;
    assert_eq!(app.book("dead_lettered").await, dead);
    app.finish().await;
}

#[tokio::test]
async fn more_bad_events_than_can_be_put_off_do_not_stop_the_good_ones_behind_them() {
    let broker = FakeBroker::start();
    let bad = |event: &Value| event["n"].as_u64() < Some(2000);
    broker.poison(Reply::status(400), bad);
    let toml = format!("{IN_MEMORY}[broker]\nmax_batch_events = 10\nretry_max = '20ms'");
    let app = TestApp::start_with(&broker, &toml).await;
    assert_eq!(app.post("/", &[NDJSON], numbered(2000)).await.status, 200);
    let mut good = 0;
    eventually("all bad ones to be found", async || {
        let body = json!({"n": 2000 + good}).to_string();
        assert_eq!(app.post("/", &[JSON], body).await.status, 200);
        good += 1;
        (app.book("dead_lettered").await == 2000).then_some(())
    })
    .await;
    app.until_book("delivered", good).await;
    app.finish().await;
    assert_eq!(numbers(&broker.delivered()).len() as u64, good);
}

#[tokio::test]
async fn good_events_in_the_batch_of_the_last_bad_one_are_delivered_without_others_behind_them() {
    let broker = FakeBroker::start();
    let bad = |event: &Value| event["n"].as_u64() < Some(1001);
    broker.poison(Reply::status(400), bad);
    let toml = format!("{IN_MEMORY}[broker]\nmax_in_flight = 1\nretry_max = '20ms'");
    let app = TestApp::start_with(&broker, &toml).await;
    assert_eq!(app.post("/", &[NDJSON], numbered(1500)).await.status, 200);
    app.until_book("delivered", 499).await;
    app.until_book("dead_lettered", 1001).await;
    app.finish().await;
    assert_eq!(
        numbers(&broker.delivered()),
        (1001..1500).collect::<Vec<_>>()
    );
}
