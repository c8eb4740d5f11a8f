//! A storm between server and Broker: connections are reset, delayed, cut short, black-holed and answered with garbage.
//! Nothing is lost, nothing is given up, and nothing is sent again that the Broker's answer was heard for.

use std::collections::BTreeMap;

use serde_json::json;

use crate::support::chaos_proxy::ChaosProxy;
use crate::support::client::NDJSON;
use crate::support::fake_broker::FakeBroker;
use crate::support::test_app::TestApp;

const REQUESTS: u64 = 100;
const EVENTS_A_REQUEST: u64 = 5;
const EVENTS: u64 = REQUESTS * EVENTS_A_REQUEST;

async fn weather_a_storm(durability: &str, seed: u64) {
    let broker = FakeBroker::start();
    let proxy = ChaosProxy::start(broker.address(), seed).await;
    let toml = format!(
        "[ingest]\ndurability = '{durability}'\n[broker]\nurls = ['{}']\nmax_in_flight = 4\n\
         max_batch_events = 3\nrequest_timeout = '1s'",
        proxy.url()
    );
    let app = TestApp::start(&toml).await;
    for request in 0..REQUESTS {
        let numbers = request * EVENTS_A_REQUEST..(request + 1) * EVENTS_A_REQUEST;
        let body: String = numbers
            .map(|n| json!({"n": n}).to_string() + "\n")
            .collect();
        assert_eq!(app.post("/", &[NDJSON], body).await.status, 200);
    }
    app.until_book("delivered", EVENTS).await;
    let faults = proxy.faults();
    assert!(faults > 20, "seed {seed}: {faults} faults are no storm");
    proxy.calm();
    assert_eq!(app.post("/", &[NDJSON], "{\"n\":0}").await.status, 200);
    app.until_book("delivered", EVENTS + 1).await;
    let labels = [
        ("broker", proxy.label()),
        ("outcome", "delivered".to_owned()),
    ];
    let labels = labels
        .each_ref()
        .map(|(name, value)| (*name, value.as_str()));
    let heard = app
        .samples()
        .await
        .value("headgate_broker_requests_total", &labels);
    assert_eq!(app.book("dead_lettered").await, 0, "seed {seed}");
    app.finish().await;

    let mut arrived: BTreeMap<u64, usize> = BTreeMap::new();
    for event in broker.delivered() {
        *arrived.entry(event["n"].as_u64().unwrap()).or_default() += 1;
    }
    let numbers: Vec<u64> = arrived.into_keys().collect();
    assert_eq!(numbers, (0..EVENTS).collect::<Vec<_>>(), "seed {seed}");
    // Only an answer that was not heard makes a batch come again.
    let requests = broker.requests();
    let taken = requests
        .iter()
        .filter(|request| request.status == Some(200));
    let unheard = taken.count() - heard.unwrap() as usize;
    assert!(unheard <= faults, "seed {seed}: {unheard} of {faults}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn from_memory_every_event_arrives_at_least_once_after_a_storm() {
    for seed in [1, 2] {
        weather_a_storm("memory", seed).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn from_disk_every_event_arrives_at_least_once_after_a_storm() {
    for seed in [3, 4] {
        weather_a_storm("disk", seed).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_client_that_waits_for_the_broker_notices_nothing_of_a_storm() {
    weather_a_storm("broker", 5).await;
}
