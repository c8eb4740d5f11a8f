//! Letters that a running server sends again.

use serde_json::{Value, json};

use super::{
    MEMORY, command, command_in, configure, count, cure, end, folder_of, ids, poisoned, post,
    requests, until_fulfilled,
};
use crate::support::client::JSON;
use crate::support::eventually;
use crate::support::fake_broker::{FakeBroker, Reply};
use crate::support::program::Program;
use crate::support::test_app::TestApp;

#[tokio::test]
async fn letters_are_sent_again_beside_a_running_server_as_they_were() {
    let toml =
        format!("{MEMORY}[enrich]\non_conflict = 'overwrite'\nfields = {{ Environment = 'test' }}");
    let broker = FakeBroker::start();
    broker.script([Reply::status(422)]);
    let app = TestApp::start_with(&broker, &toml).await;
    let event = r#"{"n":[12345678901234567890.10,1e400,-0.0],"\u006d":"\ud800 \u00e9 é"}"#;
    assert_eq!(app.post("/in?a=b", &[JSON], event).await.status, 200);
    app.until_book("dead_lettered", 1).await;
    command(&app, &["replay"]).expect("all 1 dead letter");
    app.until_book("delivered", 1).await;
    until_fulfilled(&folder_of(&app)).await;
    assert!(app.dead_letters().is_empty());
    let requests = broker.requests();
    assert_eq!(requests.len(), 2);
    assert_eq!(requests[0].body, requests[1].body);
    let samples = app.samples().await;
    let received = samples.value("headgate_events_received_total", &[("codec", "replay")]);
    assert_eq!(received, Some(1.0));
    assert_eq!(app.book("accepted").await, 2);
    app.finish().await;
}

#[tokio::test]
async fn chosen_letters_are_sent_again_and_the_others_stay() {
    let (broker, app) = poisoned(MEMORY).await;
    let events = r#"{"poison":1}{"poison":2}{"poison":3}"#;
    assert_eq!(app.post("/", &[JSON], events).await.status, 200);
    app.until_book("dead_lettered", 3).await;
    cure(&broker);
    let before = app.dead_letters();
    let ids = ids(&app);
    let told = command(&app, &["replay", &ids[0], &ids[2], &ids[2]]);
    told.expect(&format!("2 dead letters ({}, {})", ids[0], ids[2]));
    app.until_book("delivered", 2).await;
    until_fulfilled(&folder_of(&app)).await;
    assert_eq!(app.dead_letters(), [before[1].clone()]);
    let sent = broker.delivered();
    let sent: Vec<&Value> = sent.iter().map(|event| &event["poison"]).collect();
    assert_eq!(
        sent,
        [&before[0]["event"]["poison"], &before[2]["event"]["poison"]]
    );
    app.finish().await;
}

#[tokio::test]
async fn a_letter_that_fails_again_is_a_new_letter_and_not_sent_in_a_loop() {
    let toml = format!("{MEMORY}[validate]\nrequired = ['wanted']");
    let (broker, app) = poisoned(&toml).await;
    let events = r#"{"poison":1,"wanted":1}{"other":1}"#;
    app.post("/", &[JSON], events).await;
    app.until_book("dead_lettered", 2).await;
    let before = app.dead_letters();
    command(&app, &["replay"]).expect("all 2 dead letters");
    app.until_book("dead_lettered", 4).await;
    until_fulfilled(&folder_of(&app)).await;
    // Requests are fulfilled one after the other: what a loop would send was sent before this one.
    let ids = ids(&app);
    command(&app, &["purge", &ids[0]]).expect("requested");
    until_fulfilled(&folder_of(&app)).await;
    assert_eq!(app.book("received").await, 4);
    assert_eq!(broker.requests().len(), 2);
    let after = app.dead_letters();
    assert_eq!(after.len(), 1);
    assert_eq!(after[0]["event"], before[1]["event"]);
    assert_ne!(after[0]["id"], before[1]["id"]);
    app.finish().await;
}

#[tokio::test]
async fn letters_stay_until_the_spool_has_room() {
    let toml = format!("{MEMORY}[spool]\nmemory_bytes = '3000B'\n[enrich]\nheaders = false");
    let (broker, app) = poisoned(&toml).await;
    let event = |key: &str| json!({key: "x".repeat(1700)}).to_string();
    app.post("/", &[JSON], event("poison")).await;
    app.until_book("dead_lettered", 1).await;
    cure(&broker);
    broker.hold();
    assert_eq!(app.post("/", &[JSON], event("other")).await.status, 200);
    assert_eq!(app.get("/ready").await.status, 200);
    command(&app, &["replay"]).expect("requested");
    eventually("the spool to refuse the replay", async || {
        (app.get("/ready").await.status == 503).then_some(())
    })
    .await;
    assert_eq!(app.dead_letters().len(), 1);
    assert_eq!(requests(&folder_of(&app)).len(), 1);
    broker.release();
    app.until_book("delivered", 2).await;
    until_fulfilled(&folder_of(&app)).await;
    assert!(app.dead_letters().is_empty());
    app.finish().await;
}

#[tokio::test]
async fn a_letter_larger_than_the_spool_stays_and_holds_up_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let broker = FakeBroker::start();
    let config = |more: &str| configure(&folder, &broker, more);
    let make = config("[validate]\nrequired = ['wanted']\n");
    let server = Program::serve(&make, folder.path());
    let long = json!({"long": "x".repeat(2000)});
    for event in [json!({"a": 1}), long, json!({"a": 2})] {
        post(&server, &event.to_string()).await;
    }
    let letters = folder.path().join("dead-letters");
    eventually("three letters", async || {
        (count(&letters) == 3).then_some(())
    })
    .await;
    end(server);

    let server = Program::serve(&config("[spool]\nmemory_bytes = '1000B'\n"), folder.path());
    command_in(&letters, &["replay"]).expect("all 3 dead letters");
    until_fulfilled(&letters).await;
    eventually("two events at the Broker", async || {
        (broker.delivered().len() == 2).then_some(())
    })
    .await;
    assert_eq!(count(&letters), 1);
    let log = end(server);
    assert!(log.contains("\"too_large\":1"), "{log}");
}

#[tokio::test]
async fn a_letter_is_gone_only_when_the_broker_has_its_event() {
    let (broker, app) = poisoned("[ingest]\ndurability = 'broker'").await;
    assert_eq!(app.post("/", &[JSON], r#"{"poison":1}"#).await.status, 200);
    cure(&broker);
    broker.hold();
    command(&app, &["replay"]).expect("requested");
    broker.until_requests(2).await;
    assert_eq!(app.dead_letters().len(), 1);
    broker.release();
    until_fulfilled(&folder_of(&app)).await;
    assert!(app.dead_letters().is_empty());
    assert_eq!(broker.delivered().len(), 1);
    app.finish().await;
}

#[tokio::test]
async fn a_letter_keeps_its_id() {
    let toml = format!("{MEMORY}[enrich]\nid_field = '[event][id]'");
    let broker = FakeBroker::start();
    broker.script([Reply::status(422)]);
    let app = TestApp::start_with(&broker, &toml).await;
    assert_eq!(app.post("/", &[JSON], r#"{"a":1}"#).await.status, 200);
    app.until_book("dead_lettered", 1).await;
    let id = app.dead_letters()[0]["event"]["event"]["id"].clone();
    assert!(id.is_string());
    command(&app, &["replay"]).expect("all 1 dead letter");
    app.until_book("delivered", 1).await;
    until_fulfilled(&folder_of(&app)).await;
    app.finish().await;
    assert_eq!(
        broker.requests().last().unwrap().events()[0]["event"]["id"],
        id
    );
}
