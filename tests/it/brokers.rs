//! Several Brokers: who gets what while they are quick, slow or down; and how a single one is left alone and
//! comes back.

use serde_json::{Value, json};

use crate::support::client::{JSON, NDJSON};
use crate::support::fake_broker::{DownBroker, FakeBroker, Reply};
use crate::support::site::Site;
use crate::support::test_app::{TestApp, with};
use crate::support::{eventually, in_time};

fn numbered(count: u64) -> String {
    let lines = (0..count).map(|number| json!({"n": number}).to_string() + "\n");
    lines.collect()
}

fn numbers(brokers: &[&FakeBroker]) -> Vec<u64> {
    let events = brokers.iter().flat_map(|broker| broker.delivered());
    let mut numbers: Vec<u64> = events.map(|event| event["n"].as_u64().unwrap()).collect();
    numbers.sort_unstable();
    numbers
}

async fn up(app: &TestApp) -> Vec<Value> {
    let status = app.status().await;
    let brokers = status["brokers"].as_array().unwrap().iter();
    brokers.map(|broker| broker["up"].clone()).collect()
}

async fn until_up(app: &TestApp, expected: &[bool]) {
    eventually("Brokers to be up and down", async || {
        (up(app).await == expected).then_some(())
    })
    .await;
}

#[tokio::test]
async fn those_that_are_up_get_everything() {
    let (one, other, down) = (FakeBroker::start(), FakeBroker::start(), DownBroker::new());
    let toml = format!(
        "[ingest]\ndurability = 'memory'\n[broker]\nmax_batch_events = 1\nurls = [{:?}, {:?}, {:?}]",
        one.url(),
        down.url(),
        other.url()
    );
    let app = TestApp::start(&toml).await;
    for broker in [&one, &other] {
        broker.hold();
    }
    assert_eq!(app.post("/", &[NDJSON], numbered(64)).await.status, 200);
    for broker in [&one, &other] {
        broker.until_requests(8).await;
    }
    // Only the one that is down has room.
    until_up(&app, &[true, false, true]).await;
    for broker in [&one, &other] {
        broker.release();
    }
    app.until_book("delivered", 64).await;
    assert_eq!(numbers(&[&one, &other]), (0..64).collect::<Vec<_>>());
    app.finish().await;
}

#[tokio::test]
async fn one_that_is_down_costs_a_batch_no_wait() {
    let (broker, down) = (FakeBroker::start(), DownBroker::new());
    // Whoever waited for a pause would outlast the test.
    let toml = format!(
        "[broker]\nretry_initial = '8000h'\nretry_max = '8000h'\nurls = [{:?}, {:?}]",
        down.url(),
        broker.url()
    );
    let app = TestApp::start(&toml).await;
    in_time("all events", async {
        for number in 0..50 {
            let body = json!({"n": number}).to_string();
            assert_eq!(app.post("/", &[JSON], body).await.status, 200);
        }
    })
    .await;
    assert_eq!(numbers(&[&broker]), (0..50).collect::<Vec<_>>());
    let errored = [("broker", down.label()), ("outcome", "errored".to_owned())];
    let errored = errored
        .each_ref()
        .map(|(name, value)| (*name, value.as_str()));
    let samples = app.samples().await;
    let tries = samples.value("headgate_broker_requests_total", &errored);
    assert!(
        tries <= Some(5.0),
        "five failures in a row open it: {tries:?}"
    );
    app.finish().await;
}

#[tokio::test]
async fn one_that_is_down_gets_one_request_a_rest() {
    let (broker, ill) = (FakeBroker::start(), FakeBroker::start());
    ill.usually(Reply::Cut);
    let toml = "[ingest]\ndurability = 'memory'\n[broker]\nmax_batch_events = 1\n\
                retry_initial = '1ms'\nretry_max = '1ms'";
    let app = TestApp::start_with_all(&[&broker, &ill], toml).await;
    let mut sent = 0;
    eventually("it to be down", async || {
        assert_eq!(app.post("/", &[NDJSON], numbered(8)).await.status, 200);
        sent += 8;
        (up(&app).await == [true, false]).then_some(())
    })
    .await;
    app.until_book("delivered", sent).await;
    let so_far = ill.requests().len();
    ill.hold();
    eventually("a probe", async || {
        assert_eq!(app.post("/", &[NDJSON], numbered(8)).await.status, 200);
        sent += 8;
        (ill.requests().len() > so_far).then_some(())
    })
    .await;
    for _ in 0..20 {
        assert_eq!(app.post("/", &[NDJSON], numbered(8)).await.status, 200);
        sent += 8;
    }
    app.until_book("delivered", sent - 1).await;
    assert_eq!(ill.requests().len(), so_far + 1, "one probe at a time");
    ill.release();
    app.until_book("delivered", sent).await;
    ill.usually(Reply::status(200));
    eventually("it to be up", async || {
        assert_eq!(app.post("/", &[JSON], "{\"n\":0}").await.status, 200);
        (up(&app).await == [true, true]).then_some(())
    })
    .await;
    app.finish().await;
}

#[tokio::test]
async fn a_slow_one_holds_no_more_than_its_share() {
    let (quick, other, slow) = (
        FakeBroker::start(),
        FakeBroker::start(),
        FakeBroker::start(),
    );
    slow.hold();
    let toml = "[ingest]\ndurability = 'memory'\n[broker]\nmax_in_flight = 2\nmax_batch_events = 1";
    let app = TestApp::start_with_all(&[&quick, &other, &slow], toml).await;
    assert_eq!(app.post("/", &[NDJSON], numbered(300)).await.status, 200);
    app.until_book("delivered", 298).await;
    assert_eq!(
        slow.requests().len(),
        2,
        "it has two requests under way at most"
    );
    for broker in [&quick, &other] {
        let share = broker.requests().len();
        assert!(share > 60, "the quick ones share the rest: {share}");
    }
    slow.release();
    app.until_book("delivered", 300).await;
    assert_eq!(
        numbers(&[&quick, &other, &slow]),
        (0..300).collect::<Vec<_>>()
    );
    app.finish().await;
}

#[tokio::test]
async fn equals_share() {
    let brokers = [
        FakeBroker::start(),
        FakeBroker::start(),
        FakeBroker::start(),
    ];
    let all: Vec<&FakeBroker> = brokers.iter().collect();
    let app = TestApp::start_with_all(&all, "[broker]\nmax_batch_events = 1").await;
    for _ in 0..30 {
        assert_eq!(app.post("/", &[NDJSON], numbered(10)).await.status, 200);
    }
    for broker in &brokers {
        let share = broker.requests().len();
        assert!(share > 30, "{share} of 300");
        assert!(broker.connections() <= 8 && broker.most_under_way() <= 8);
    }
    app.finish().await;
}

#[tokio::test]
async fn while_all_are_down_events_wait_and_health_does_not_care() {
    let (one, other) = (DownBroker::new(), DownBroker::new());
    let toml = format!(
        "[ingest]\ndurability = 'disk'\n[broker]\nurls = [{:?}, {:?}]",
        one.url(),
        other.url()
    );
    let app = TestApp::start(&toml).await;
    assert_eq!(app.post("/", &[NDJSON], numbered(10)).await.status, 200);
    until_up(&app, &[false, false]).await;
    let samples = app.samples().await;
    for label in [one.label(), other.label()] {
        let up = samples.value("headgate_broker_up", &[("broker", &label)]);
        assert_eq!(up, Some(0.0));
    }
    assert_eq!(app.get("/health").await.status, 200);
    assert_eq!(app.get("/ready").await.status, 200);
    assert_eq!(app.status().await["spool"]["events"], 10);
    let (one, other) = (one.up(), other.up());
    app.until_book("delivered", 10).await;
    assert_eq!(numbers(&[&one, &other]), (0..10).collect::<Vec<_>>());
    app.finish().await;
}

/// Also where there is one event only, so that nothing speaks against it or for them.
#[tokio::test]
async fn each_of_two_that_hang_is_seen_down() {
    let brokers = [FakeBroker::start(), FakeBroker::start()];
    for broker in &brokers {
        broker.poison(Reply::Hang, |_| true);
    }
    let toml = "[ingest]\ndurability = 'memory'\n[broker]\nrequest_timeout = '20ms'\nretry_initial = '1ms'\nretry_max = '5ms'";
    let app = TestApp::start_with_all(&[&brokers[0], &brokers[1]], toml).await;
    assert_eq!(app.post("/", &[JSON], "{}").await.status, 200);
    eventually("both to be seen down", async || {
        let status = app.status().await;
        let is_down = |index: usize| status["brokers"][index]["up"] == false;
        (is_down(0) && is_down(1)).then_some(())
    })
    .await;
    for broker in &brokers {
        broker.poison(Reply::Hang, |_| false);
    }
    app.finish().await;
}

/// What that event met before was its own fault, and this is not.
#[tokio::test]
async fn one_that_turns_busy_is_seen_down_also_by_an_event_that_it_never_took() {
    let broker = FakeBroker::start();
    broker.poison(Reply::status(500), |event| event["n"] == 0);
    let toml = "[ingest]\ndurability = 'memory'\n[broker]\nmax_in_flight = 2\nretry_initial = '1ms'\nretry_max = '5ms'";
    let app = TestApp::start_with(&broker, toml).await;
    assert_eq!(app.post("/", &[JSON], "{\"n\":0}").await.status, 200);
    let has_failed = || {
        let requests = broker.requests();
        let failed = requests.iter().filter(|one| one.status == Some(500));
        failed.count() > 8
    };
    let mut others = 0;
    while !has_failed() {
        others += 1;
        let other = json!({"n": others}).to_string();
        assert_eq!(app.post("/", &[JSON], other).await.status, 200);
        broker.until_requests(broker.requests().len() + 1).await;
    }
    app.until_book("delivered", others).await;
    broker.poison(Reply::status(503), |_| true);
    eventually("it to be seen down", async || {
        (app.status().await["brokers"][0]["up"] == false).then_some(())
    })
    .await;
    broker.poison(Reply::status(503), |_| false);
    app.finish().await;
}

#[tokio::test]
async fn a_failure_now_and_then_does_not_put_it_down() {
    let broker = FakeBroker::start();
    let app = TestApp::start_with(&broker, "[broker]\nmax_in_flight = 1").await;
    for _ in 0..5 {
        broker.script([500, 502, 503, 504].map(Reply::status));
        assert_eq!(app.post("/", &[JSON], "{\"n\":1}").await.status, 200);
        assert_eq!(up(&app).await, [true]);
    }
    assert_eq!(broker.requests().len(), 25);
    app.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_that_comes_and_goes_does_not_fill_the_log() {
    let broker = FakeBroker::start();
    let toml = "[broker]\nmax_in_flight = 1\nretry_initial = '1ms'\nretry_max = '2ms'";
    let site = Site::new(&with(&[&broker], toml));
    let server = site.serve();
    for round in 1..=20 {
        broker.script([404, 404, 404, 404, 404, 200].map(Reply::status));
        assert_eq!(server.post("{}").await.status, 200);
        broker.until_delivered(round).await;
    }
    server.signal("TERM");
    let (_, _, log) = server.end();
    for words in ["Broker down", "Broker up"] {
        let told = log.iter().filter(|line| line.contains(words)).count();
        assert!((1..10).contains(&told), "{words}: {log:#?}");
    }
}
