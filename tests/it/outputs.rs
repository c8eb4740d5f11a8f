//! The output without a Broker: files, one an hour, an event a line.

use std::collections::BTreeMap;
use std::fs;

use serde_json::{Value, json};

use crate::support::client::{Connection, JSON, TEXT};
use crate::support::eventually;
use crate::support::program::Program;
use crate::support::test_app::TestApp;

/// What lies in the folder: the events of each file.
fn files(app: &TestApp) -> BTreeMap<String, Vec<Value>> {
    let files = fs::read_dir(app.events_folder()).unwrap();
    let files = files.map(|file| file.unwrap());
    let files = files.filter(|file| file.file_name() != ".headgate-lock");
    let files = files.map(|file| {
        let text = fs::read_to_string(file.path()).unwrap();
        assert!(text.is_empty() || text.ends_with('\n'));
        let events = text.lines().map(|line| serde_json::from_str(line).unwrap());
        (file.file_name().into_string().unwrap(), events.collect())
    });
    files.collect()
}

#[tokio::test]
async fn events_are_in_the_file_of_the_hour_when_the_client_reads_200() {
    let app = TestApp::start("").await;
    for number in 0..10 {
        let body = format!("[{{\n\"n\":{number}}},{{\"n\":{number},\"x\":1e400}}]");
        let answer = app
            .post("/v1/events", &[JSON], body.replace("1e400", "1"))
            .await;
        assert_eq!(answer.status, 200);
        let written: usize = files(&app).values().map(Vec::len).sum();
        assert_eq!(written, 2 * (number + 1));
    }
    assert_eq!(app.post("/", &[TEXT], "line\nbreak").await.status, 200);
    let files = files(&app);
    app.finish().await;
    for name in files.keys() {
        let hour = name.strip_suffix(".ndjson").unwrap();
        let time = format!("{hour}:00:00Z").parse::<jiff::Timestamp>();
        assert!(time.is_ok(), "{name}");
    }
    let events: Vec<&Value> = files.values().flatten().collect();
    let numbers: Vec<_> = events
        .iter()
        .filter_map(|event| event["n"].as_u64())
        .collect();
    let expected: Vec<_> = (0..10).flat_map(|number| [number, number]).collect();
    assert_eq!(numbers, expected);
    assert_eq!(events[20]["message"], "line\nbreak");
    assert_eq!(events[20]["host"], "127.0.0.1");
}

#[tokio::test]
async fn a_queue_is_written_out_at_the_end() {
    let app = TestApp::start("[ingest]\ndurability = 'memory'").await;
    for _ in 0..50 {
        assert_eq!(app.post("/v1/events", &[JSON], "[{},{}]").await.status, 202);
    }
    let (folder, _kept) = (app.events_folder(), app.keep_folder());
    app.drain().await;
    let lines: usize = fs::read_dir(folder)
        .unwrap()
        .map(|file| {
            fs::read_to_string(file.unwrap().path())
                .unwrap()
                .lines()
                .count()
        })
        .sum();
    assert_eq!(lines, 100);
}

#[tokio::test]
async fn a_folder_that_vanishes_is_made_again() {
    let app = TestApp::start("").await;
    let folder = app.events_folder();
    fs::remove_dir_all(&folder).unwrap();
    assert_eq!(
        app.post("/v1/events", &[JSON], "{\"n\":1}").await.status,
        200
    );
    assert_eq!(files(&app).values().flatten().count(), 1);
    app.finish().await;
}

/// A server of its own process with the file output and a queue in memory.
const LIMITED: &str = r#"
[server]
listen = "127.0.0.1:0"
drain_delay = "0s"
[admin]
listen = "127.0.0.1:0"
[ingest]
durability = "memory"
[log]
format = "json"
"#;

/// A JSON array of numbered events of some 600 bytes.
fn numbered(numbers: std::ops::Range<u64>) -> String {
    let event = |number| json!({"n": number, "padding": "x".repeat(500)});
    Value::from_iter(numbers.map(event)).to_string()
}

#[tokio::test]
async fn on_a_full_disk_events_wait_and_nothing_torn_stays() {
    let folder = tempfile::tempdir().unwrap();
    let config = folder.path().join("headgate.toml");
    fs::write(&config, LIMITED).unwrap();
    let mut program = Program::serve(&config, folder.path());
    program.limit_files(Some(10_000));
    let mut public = Connection::open(program.public).await;
    let mut admin = Connection::open(program.admin).await;
    let mut until_shown = async |delivered: u64, failing: bool| {
        eventually("the status to be as it should", async || {
            let status = admin.request("GET", "/status", &[], "").await.json();
            let is_shown = status["output_failing"] == failing;
            (is_shown && status["books"]["delivered"] == delivered).then_some(())
        })
        .await;
        let metrics = admin.request("GET", "/metrics", &[], "").await;
        let sample = format!("\nheadgate_output_failing {}\n", u8::from(failing));
        assert!(metrics.text().contains(&sample), "{sample}");
    };
    let mut post = async |numbers| {
        let answer = public.request("POST", "/v1/events", &[JSON], numbered(numbers));
        assert_eq!(answer.await.status, 202);
    };
    post(0..5).await;
    until_shown(5, false).await;
    // A part of these fits, and the part that was written has to go again.
    post(5..50).await;
    program.until_logged("the output cannot be written");
    until_shown(5, true).await;
    program.limit_files(None);
    until_shown(50, false).await;
    program.signal("TERM");
    let (status, _output, log) = program.end();
    assert_eq!(status, Some(0));
    for words in [
        "the output cannot be written",
        "the output is written again",
    ] {
        let lines = log.iter().filter(|line| line.contains(words));
        assert_eq!(lines.count(), 1, "{words}: {log:#?}");
    }
    let mut written = Vec::new();
    for file in fs::read_dir(folder.path().join("data/events")).unwrap() {
        let text = fs::read_to_string(file.unwrap().path()).unwrap();
        let events = text
            .lines()
            .map(|line| serde_json::from_str::<Value>(line).unwrap());
        written.extend(events.map(|event| event["n"].as_u64().unwrap()));
    }
    written.sort_unstable();
    assert_eq!(written, (0..50).collect::<Vec<_>>());
}
