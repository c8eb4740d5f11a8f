//! The output without a Broker: files, one an hour, an event a line.

use std::collections::BTreeMap;
use std::fs;

use serde_json::Value;

use crate::support::client::{JSON, TEXT};
use crate::support::test_app::TestApp;

/// What lies in the folder: the events of each file.
fn files(app: &TestApp) -> BTreeMap<String, Vec<Value>> {
    let files = fs::read_dir(app.events_folder()).unwrap().map(|file| {
        let file = file.unwrap();
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
