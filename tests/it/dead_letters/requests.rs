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
use crate::support::site::files;

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
    fs::create_dir(folder.path().join("arrival")).unwrap();
    for arguments in [&["replay"][..], &["purge", "--all"]] {
        command_in(folder.path(), arguments).expect("no dead letters in ");
    }
    assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1);
}

#[tokio::test]
async fn a_folder_that_is_not_there_or_is_something_else_is_told() {
    let folder = tempfile::tempdir().unwrap();
    let not_there = folder.path().join("none");
    for letters in [&not_there, folder.path()] {
        for arguments in [&["list"][..], &["replay"], &["purge", "--all"]] {
            let told = command_in(letters, arguments);
            assert_eq!(told.status, Some(1), "{told:?}");
            let words = "there are no dead letters in";
            assert!(told.complaint.contains(words), "{told:?}");
        }
    }
    assert!(!not_there.exists());
}

#[test]
fn a_folder_that_cannot_be_looked_into_is_a_fault_with_its_path() {
    let folder = tempfile::tempdir().unwrap();
    let letters = folder.path().join("loop");
    // A link to itself can be followed by nobody, root included.
    std::os::unix::fs::symlink(&letters, &letters).unwrap();
    for arguments in [&["list"][..], &["replay"], &["purge", "--all"]] {
        let told = command_in(&letters, arguments);
        assert_eq!(told.status, Some(1), "{told:?}");
        let path = letters.display().to_string();
        assert!(told.complaint.contains(&path), "{told:?}");
        assert!(told.complaint.contains("(os error"), "{told:?}");
    }
}

#[tokio::test]
async fn damaged_letters_are_told_and_left_alone() {
    let (_broker, app) = poisoned(MEMORY).await;
    app.post("/", &[JSON], r#"[{"poison":1},{"poison":2}]"#)
        .await;
    app.until_book("dead_lettered", 2).await;
    let kept = files(&folder_of(&app).join("broker")).remove(0);
    let text = fs::read_to_string(&kept).unwrap();
    let folder = tempfile::tempdir().unwrap();
    let (letters, shelf) = (folder.path(), folder.path().join("broker"));
    let file = shelf.join(kept.file_name().unwrap());
    fs::create_dir(shelf).unwrap();
    fs::write(&file, text.replacen('{', "x", 1)).unwrap();
    let words = "lines that are damaged and no letters: 1";
    let listed = command_in(letters, &["list"]);
    assert_eq!(listed.output.lines().count(), 1);
    assert!(listed.complaint.contains(words), "{listed:?}");
    let sound = listed.output.split('\t').next().unwrap();
    let purged = command_in(letters, &["purge", sound]);
    assert!(purged.complaint.contains(words), "{purged:?}");
    let damaged = text.lines().next().unwrap().replacen('{', "x", 1) + "\n";
    assert_eq!(fs::read_to_string(&file).unwrap(), damaged);
    fs::write(&file, text.replacen('{', "x", 1)).unwrap();
    command_in(letters, &["purge", "--all"]).expect("purged: 1 dead letter");
    assert_eq!(fs::read_to_string(&file).unwrap(), damaged);
    app.finish().await;
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
    let counted = server
        .operator()
        .metric("headgate_dead_letters_purged_total")
        .await;
    assert_eq!(counted, 1.0);
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
async fn requests_that_cannot_be_looked_for_are_told_and_done_later() {
    let folder = tempfile::tempdir().unwrap();
    let broker = FakeBroker::start();
    let config = configure(&folder, &broker, "[validate]\nrequired = ['wanted']\n");
    let mut server = Program::serve(&config, folder.path());
    post(&server, "{}").await;
    let letters = folder.path().join("dead-letters");
    eventually("a letter", async || (count(&letters) == 1).then_some(())).await;
    let [inbox, aside] = ["requests", "aside"].map(|name| letters.join(name));
    fs::rename(&inbox, &aside).unwrap();
    fs::write(&inbox, "no folder").unwrap();
    server.until_logged("they wait and are looked for again");
    fs::remove_file(&inbox).unwrap();
    fs::rename(&aside, &inbox).unwrap();
    command_in(&letters, &["purge", "--all"]).expect("the running server");
    until_fulfilled(&letters).await;
    assert_eq!(count(&letters), 0);
    end(server);
}
