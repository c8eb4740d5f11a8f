//! What the commands request of a server or do themselves: unknown letters, none at all, removal, and requests that
//! cannot be read.

use std::fs;

use super::{
    MEMORY, command, command_in, configure, count, cure, end, folder_of, ids, poisoned, post,
    requests, until_fulfilled,
};
use crate::support::client::JSON;
use crate::support::eventually;
use crate::support::fake_broker::FakeBroker;
use crate::support::program::Program;

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
