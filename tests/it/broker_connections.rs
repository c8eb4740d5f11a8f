//! Connections to Brokers: how many, to which addresses, how long, and what their end costs.

use std::sync::Arc;
use std::time::Duration;

use serde_json::json;

use crate::support::client::{JSON, NDJSON};
use crate::support::eventually;
use crate::support::fake_broker::{DownBroker, FakeBroker, Reply};
use crate::support::names::{Names, URL};
use crate::support::test_app::TestApp;

/// A Broker that is seen to fail once gets nothing more for longer than any test takes.
const NO_SECOND_TRY: &str = "[broker]\nretry_initial = '8000h'\nretry_max = '8000h'\n";

/// Numbered events, one a line.
fn numbered(count: usize) -> String {
    let lines = (0..count).map(|number| json!({"n": number}).to_string() + "\n");
    lines.collect()
}

/// Sends one event, which must be taken.
async fn post_one(app: &TestApp) {
    assert_eq!(app.post("/", &[JSON], "{}").await.status, 200);
}

/// Requests that are to be tried again, so far, whichever Broker they were to.
async fn errored(app: &TestApp) -> f64 {
    const NAME: &str = "headgate_broker_requests_total";
    let samples = app.samples().await;
    let broker = samples.labels(NAME)[0]["broker"].clone();
    let labels = [("broker", broker.as_str()), ("outcome", "errored")];
    samples.value(NAME, &labels).unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_thousand_batches_open_no_more_connections_than_may_be_in_flight() {
    let broker = FakeBroker::start();
    broker.usually(Reply::Answer(200, vec![], "ok"));
    broker.delay_bodies(Duration::from_millis(1));
    let toml = "[ingest]\ndurability = 'memory'\n[broker]\nformat = 'json'\nmax_in_flight = 4";
    let app = TestApp::start_with(&broker, toml).await;
    assert_eq!(app.post("/", &[NDJSON], numbered(1000)).await.status, 200);
    app.finish().await;
    assert_eq!(broker.requests().len(), 1000);
    assert_eq!(broker.connections(), 4);
}

#[tokio::test]
async fn a_name_that_changes_its_addresses_is_followed_without_an_error() {
    let (old, new) = (FakeBroker::start(), FakeBroker::start());
    let names = Names::of(&[&old]);
    let toml =
        format!("[broker]\nurls = ['{URL}']\nmax_in_flight = 1\nconnection_max_age = '200ms'");
    let app = TestApp::start_resolving(Arc::clone(&names) as _, &toml).await;
    post_one(&app).await;
    assert_eq!(old.requests().len(), 1);
    names.lead_to(&[&new]);
    eventually("traffic at the new address", async || {
        post_one(&app).await;
        (!new.requests().is_empty()).then_some(())
    })
    .await;
    let so_far = old.requests().len();
    for _ in 0..100 {
        post_one(&app).await;
    }
    assert_eq!(old.requests().len(), so_far, "the old address is left");
    assert_eq!(errored(&app).await, 0.0);
    app.finish().await;
}

#[tokio::test]
async fn all_addresses_of_a_name_are_used() {
    let brokers = [
        FakeBroker::start(),
        FakeBroker::start(),
        FakeBroker::start(),
    ];
    let names = Names::of(&brokers.each_ref());
    let toml = format!(
        "[ingest]\ndurability = 'memory'\n[broker]\nurls = ['{URL}']\nmax_in_flight = 3\nmax_batch_events = 1"
    );
    let app = TestApp::start_resolving(names, &toml).await;
    brokers.iter().for_each(FakeBroker::hold);
    assert_eq!(app.post("/", &[NDJSON], numbered(30)).await.status, 200);
    for broker in &brokers {
        broker.until_requests(1).await;
        broker.release();
    }
    app.finish().await;
    for broker in &brokers {
        assert_eq!(broker.connections(), 1);
    }
}

#[tokio::test]
async fn an_address_that_refuses_costs_nothing_where_the_name_has_another() {
    let (up, down) = (FakeBroker::start(), DownBroker::new());
    let names = Arc::new(Names::default());
    names.lead_to_addresses([down.address(), up.address()]);
    let toml = format!("[broker]\nurls = ['{URL}']\nmax_in_flight = 4\nconnection_max_age = '1ms'");
    let app = TestApp::start_resolving(names, &toml).await;
    for _ in 0..20 {
        post_one(&app).await;
    }
    assert_eq!(errored(&app).await, 0.0);
    app.finish().await;
    assert_eq!(up.delivered().len(), 20);
}

#[tokio::test]
async fn a_name_without_an_address_is_told_and_its_events_wait() {
    let broker = FakeBroker::start();
    let names = Arc::new(Names::default());
    let toml = format!("[ingest]\ndurability = 'memory'\n[broker]\nurls = ['{URL}']");
    let app = TestApp::start_resolving(Arc::clone(&names) as _, &toml).await;
    post_one(&app).await;
    eventually("the Broker to be seen down", async || {
        (app.status().await["brokers"][0]["up"] == false).then_some(())
    })
    .await;
    names.lead_to(&[&broker]);
    app.finish().await;
    assert_eq!(broker.delivered().len(), 1);
}

#[tokio::test]
async fn while_a_name_has_no_address_open_connections_are_kept_on() {
    let (old, new) = (FakeBroker::start(), FakeBroker::start());
    let names = Names::of(&[&old]);
    let toml = format!("[broker]\nurls = ['{URL}']\nmax_in_flight = 1\nconnection_max_age = '1ms'");
    let app = TestApp::start_resolving(Arc::clone(&names) as _, &toml).await;
    post_one(&app).await;
    names.lead_to(&[]);
    for _ in 0..100 {
        post_one(&app).await;
    }
    app.until_book("delivered", 101).await;
    assert_eq!(errored(&app).await, 0.0);
    names.lead_to(&[&new]);
    eventually("traffic at the new address", async || {
        post_one(&app).await;
        (!new.requests().is_empty()).then_some(())
    })
    .await;
    app.finish().await;
}

#[tokio::test]
async fn a_broker_that_closes_connections_at_once_never_rests() {
    let broker = FakeBroker::start();
    broker.close_after_answers();
    let app = TestApp::start_with(&broker, &format!("{NO_SECOND_TRY}max_in_flight = 2")).await;
    for _ in 0..200 {
        post_one(&app).await;
    }
    app.finish().await;
    assert_eq!(broker.delivered().len(), 200);
    // A request that comes while the answer before it is still being written is taken too.
    assert!(broker.connections() > 20, "{}", broker.connections());
}

#[tokio::test]
async fn a_kept_connection_that_ends_under_a_request_costs_a_retry_and_a_new_one_a_rest() {
    let broker = FakeBroker::start();
    broker.script([Reply::status(200), Reply::Cut]);
    let app = TestApp::start_with(&broker, &format!("{NO_SECOND_TRY}max_in_flight = 1")).await;
    post_one(&app).await;
    post_one(&app).await;
    assert_eq!((broker.requests().len(), broker.connections()), (3, 2));
    assert_eq!(errored(&app).await, 1.0, "it may have been taken");
    app.finish().await;

    let broker = FakeBroker::start();
    broker.script([Reply::status(200), Reply::Cut, Reply::Cut]);
    let toml = format!("[ingest]\ndurability = 'memory'\n{NO_SECOND_TRY}max_in_flight = 1");
    let app = TestApp::start_with(&broker, &toml).await;
    post_one(&app).await;
    app.until_book("delivered", 1).await;
    post_one(&app).await;
    eventually("the second try to fail too", async || {
        (errored(&app).await == 2.0).then_some(())
    })
    .await;
    assert_eq!(broker.requests().len(), 3, "the batch pauses");
    app.stop().await;
}
