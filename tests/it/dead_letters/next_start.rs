//! What waits for the next start of a server; and that a folder has one server at a time.

use std::fs;

use super::{command_in, configure, count, cure, end, poison, post, until_fulfilled};
use crate::support::eventually;
use crate::support::fake_broker::FakeBroker;
use crate::support::program::{Program, run};

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
