//! Dead letters through the command line: sent again or removed, beside a running server or at its next start, and
//! never lost or sent in a loop.

use std::fs;
use std::path::{Path, PathBuf};

use serde_json::{Value, json};
use tempfile::TempDir;

use crate::support::client::{Connection, JSON};
use crate::support::eventually;
use crate::support::fake_broker::{FakeBroker, Reply};
use crate::support::program::{Program, run};
use crate::support::test_app::TestApp;

/// With an answer before delivery, and one request at a time.
const MEMORY: &str = "[ingest]\ndurability = 'memory'\n[broker]\nmax_in_flight = 1\n";

/// A server whose Broker rejects events with a member `poison`.
async fn poisoned(toml: &str) -> (FakeBroker, TestApp) {
    let broker = FakeBroker::start();
    poison(&broker);
    let app = TestApp::start_with(&broker, toml).await;
    (broker, app)
}

fn poison(broker: &FakeBroker) {
    broker.poison(Reply::status(422), |event| event.get("poison").is_some());
}

fn cure(broker: &FakeBroker) {
    broker.poison(Reply::status(200), |_| false);
}

/// Runs `headgate dead-letters` on the folder of this server.
fn command(app: &TestApp, arguments: &[&str]) -> Told {
    command_in(&folder_of(app), arguments)
}

fn command_in(letters: &Path, arguments: &[&str]) -> Told {
    let dir = letters.display().to_string();
    let arguments = [&["dead-letters"], arguments, &["--dir", &dir]].concat();
    let output = run(&arguments, Path::new("/"));
    Told {
        status: output.status.code(),
        output: String::from_utf8(output.stdout).unwrap(),
        complaint: String::from_utf8(output.stderr).unwrap(),
    }
}

/// What a command told.
#[derive(Debug)]
struct Told {
    status: Option<i32>,
    output: String,
    complaint: String,
}

impl Told {
    fn expect(&self, output: &str) {
        assert_eq!(self.status, Some(0), "{self:?}");
        assert!(self.output.contains(output), "{self:?}");
    }
}

fn folder_of(app: &TestApp) -> PathBuf {
    app.keep_folder().path().join("dead-letters")
}

fn ids(app: &TestApp) -> Vec<String> {
    let letters = app.dead_letters();
    let ids = letters.iter().map(|letter| letter["id"].as_str());
    ids.map(|id| id.unwrap().to_owned()).collect()
}

fn requests(letters: &Path) -> Vec<String> {
    let files = fs::read_dir(letters.join("requests")).unwrap();
    let names = files.map(|file| file.unwrap().file_name().into_string().unwrap());
    names.collect()
}

/// Waits until every request was taken up and done with.
async fn until_fulfilled(letters: &Path) {
    eventually("the requests to be fulfilled", async || {
        let requests = requests(letters);
        let waits = |name: &String| name.ends_with(".json");
        (!requests.iter().any(waits)).then_some(())
    })
    .await;
}

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
async fn an_unknown_id_is_told_and_nothing_is_requested() {
    let (_broker, app) = poisoned(MEMORY).await;
    app.post("/", &[JSON], r#"{"poison":1}"#).await;
    app.until_book("dead_lettered", 1).await;
    let known = ids(&app).remove(0);
    for action in ["replay", "purge"] {
        for unknown in ["7", "no-id"] {
            let told = command(&app, &[action, &known, unknown]);
            assert_eq!(told.status, Some(1), "{told:?}");
            let complaint = format!("no dead letter {unknown} in ");
            assert!(told.complaint.contains(&complaint), "{told:?}");
        }
    }
    assert!(requests(&folder_of(&app)).is_empty());
    assert_eq!(ids(&app), [known]);
    app.finish().await;
}

#[tokio::test]
async fn where_there_are_no_letters_nothing_is_requested() {
    let folder = tempfile::tempdir().unwrap();
    let letters = folder.path().join("none");
    for arguments in [&["replay"][..], &["purge", "--all"]] {
        command_in(&letters, arguments).expect("no dead letters in ");
    }
    assert!(!letters.exists());
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
async fn the_next_start_does_what_was_requested_without_a_server() {
    let folder = tempfile::tempdir().unwrap();
    let broker = FakeBroker::start();
    let shallow = configure(&folder, &broker, "max_depth = 3\n");
    let server = Program::serve(&shallow, folder.path());
    let deep = r#"{"a":{"b":{"c":{"d":"\ud800","n":1E+30}}}}"#;
    post(&server, deep).await;
    let letters = folder.path().join("dead-letters");
    eventually("a letter", async || (count(&letters) == 1).then_some(())).await;
    end(server);

    command_in(&letters, &["replay"]).expect("next start");
    assert_eq!(count(&letters), 1);
    let server = Program::serve(&configure(&folder, &broker, ""), folder.path());
    let sent = broker.until_requests(1).await.remove(0);
    let text = std::str::from_utf8(&sent.body).unwrap();
    let inside = deep.strip_suffix('}').unwrap();
    assert!(
        text.starts_with(&format!("[{inside},\"@timestamp\":")),
        "{text}"
    );
    assert!(
        !text.contains("host"),
        "nothing of a request is added: {text}"
    );
    until_fulfilled(&letters).await;
    assert_eq!(count(&letters), 0);
    let log = end(server);
    assert!(log.contains("\"replayed\":1"), "{log}");
}

#[tokio::test]
async fn a_replay_that_is_cut_short_goes_on_at_the_next_start() {
    for (signal, status) in [("KILL", None), ("TERM", Some(0))] {
        let folder = tempfile::tempdir().unwrap();
        let broker = FakeBroker::start();
        poison(&broker);
        let config = configure(&folder, &broker, "");
        let text = fs::read_to_string(&config).unwrap();
        fs::write(&config, text.replace("'memory'", "'broker'")).unwrap();
        let server = Program::serve(&config, folder.path());
        post(&server, r#"{"poison":1}{"poison":2}"#).await;
        cure(&broker);
        broker.hold();
        let sent_before = broker.requests().len();
        let letters = folder.path().join("dead-letters");
        command_in(&letters, &["replay"]).expect("all 2 dead letters");
        broker.until_requests(sent_before + 1).await;
        server.signal(signal);
        assert_eq!(server.end().0, status);
        assert_eq!(count(&letters), 2, "after {signal}");

        broker.release();
        let server = Program::serve(&config, folder.path());
        until_fulfilled(&letters).await;
        assert_eq!(count(&letters), 0);
        end(server);
        let delivered = broker.delivered();
        for number in 1..=2 {
            let arrived = delivered.iter().any(|event| event["poison"] == number);
            assert!(arrived, "{number} after {signal}: {delivered:#?}");
        }
    }
}

#[tokio::test]
async fn letters_are_purged_beside_a_running_server_and_without_one() {
    let folder = tempfile::tempdir().unwrap();
    let broker = FakeBroker::start();
    let config = configure(&folder, &broker, "[validate]\nrequired = ['wanted']\n");
    let server = Program::serve(&config, folder.path());
    post(&server, "{}{}{}{}").await;
    let letters = folder.path().join("dead-letters");
    eventually("four letters", async || {
        (count(&letters) == 4).then_some(())
    })
    .await;
    let listed = command_in(&letters, &["list"]).output;
    let ids: Vec<&str> = listed
        .lines()
        .map(|line| line.split('\t').next().unwrap())
        .collect();

    let told = command_in(&letters, &["purge"]);
    assert_eq!(told.status, Some(2), "all need a word more: {told:?}");
    command_in(&letters, &["purge", ids[1]]).expect("the running server");
    until_fulfilled(&letters).await;
    assert_eq!(count(&letters), 3);
    let log = end(server);
    assert!(log.contains("\"purged\":1"), "{log}");

    command_in(&letters, &["purge", ids[2]]).expect("purged: 1 dead letter");
    let listed = command_in(&letters, &["list"]).output;
    assert!(
        listed.contains(ids[0]) && listed.contains(ids[3]),
        "{listed}"
    );
    command_in(&letters, &["purge", "--all"]).expect("purged: 2 dead letters");
    assert_eq!(count(&letters), 0);
    assert!(requests(&letters).is_empty());
}

#[tokio::test]
async fn a_request_that_cannot_be_read_is_set_aside_and_holds_up_nothing() {
    let (broker, app) = poisoned(MEMORY).await;
    app.post("/", &[JSON], r#"{"poison":1}"#).await;
    app.until_book("dead_lettered", 1).await;
    cure(&broker);
    let folder = folder_of(&app);
    fs::write(folder.join("requests/0.json"), "nonsense").unwrap();
    command(&app, &["replay"]).expect("requested");
    app.until_book("delivered", 1).await;
    until_fulfilled(&folder).await;
    assert_eq!(requests(&folder), ["0.unreadable"]);
    app.finish().await;
}

#[tokio::test]
async fn a_second_server_on_the_same_folder_does_not_start() {
    let folder = tempfile::tempdir().unwrap();
    let broker = FakeBroker::start();
    let config = configure(&folder, &broker, "");
    let server = Program::serve(&config, folder.path());
    let second = run(
        &["serve", "--config", &config.display().to_string()],
        folder.path(),
    );
    let told = String::from_utf8(second.stderr).unwrap();
    assert_eq!(second.status.code(), Some(1), "{told}");
    assert!(told.contains("dead-letters is locked"), "{told}");
    end(server);
}

/// Writes the configuration of a program; `more` goes on in `[ingest]`.
fn configure(folder: &TempDir, broker: &FakeBroker, more: &str) -> PathBuf {
    let file = folder.path().join("headgate.toml");
    let toml = format!(
        "[server]\nlisten = '127.0.0.1:0'\ndrain_delay = '0s'\ndrain_timeout = '500ms'\n[admin]\nlisten = '127.0.0.1:0'\n\
         [log]\nformat = 'json'\n[dead_letters]\ndir = 'dead-letters'\n\
         [broker]\nurls = ['{}']\nlinger = '0s'\n[ingest]\ndurability = 'memory'\n{more}",
        broker.url()
    );
    fs::write(&file, toml).unwrap();
    file
}

async fn post(server: &Program, body: &str) {
    let mut connection = Connection::open(server.public).await;
    let answer = connection.request("POST", "/", &[JSON], body).await;
    assert_eq!(answer.status, 200);
}

fn count(letters: &Path) -> usize {
    let listed = command_in(letters, &["list"]);
    assert_eq!(listed.status, Some(0), "{listed:?}");
    listed.output.lines().count()
}

/// Ends a server cleanly; its log.
fn end(server: Program) -> String {
    server.signal("TERM");
    let (status, _, log) = server.end();
    assert_eq!(status, Some(0), "{log:#?}");
    log.join("\n")
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
