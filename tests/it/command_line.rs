//! Commands that need no server: what they print, their exit statuses, and a key that lets its bearer in.

use crate::support::client::JSON;
use crate::support::fake_broker::{FakeBroker, Reply};
use crate::support::program::{headgate, run};
use crate::support::site::Site;
use crate::support::test_app::{over, with};

/// What a command that succeeds prints; it tells nothing else.
fn printed(arguments: &[&str]) -> String {
    let folder = tempfile::tempdir().unwrap();
    let output = run(arguments, folder.path());
    let told = String::from_utf8(output.stderr).unwrap();
    assert_eq!((output.status.code(), told.as_str()), (Some(0), ""));
    String::from_utf8(output.stdout).unwrap()
}

#[test]
fn version_and_help_are_printed() {
    let version = concat!("headgate ", env!("CARGO_PKG_VERSION"), "\n");
    assert_eq!(printed(&["--version"]), version);
    let help = printed(&["--help"]);
    for command in ["serve", "check", "keys", "spool", "dead-letters", "health"] {
        let is_told = |line: &str| line.trim_start().starts_with(command);
        assert!(help.lines().any(is_told), "{command} in {help}");
    }
}

#[test]
fn what_is_no_command_is_told_and_fails() {
    let folder = tempfile::tempdir().unwrap();
    for arguments in [
        &[][..],
        &["serv"],
        &["keys", "new"],
        &["keys", "new", "--name", "a:b"],
    ] {
        let output = run(arguments, folder.path());
        assert_eq!(output.status.code(), Some(2), "{arguments:?}");
        assert!(output.stdout.is_empty(), "{arguments:?}");
        assert!(!output.stderr.is_empty(), "{arguments:?}");
    }
}

#[tokio::test]
async fn what_cannot_be_printed_fails() {
    let broker = FakeBroker::start();
    broker.usually(Reply::status(503));
    let site = Site::new(&with(&[&broker], ""));
    let server = site.serve();
    assert_eq!(server.post("{}").await.status, 200);
    server.kill();
    for arguments in [
        &["keys", "new", "--name", "x"][..],
        &["check"],
        &["spool", "inspect", "--dir", "."],
        &["spool", "export", "--dir", "."],
    ] {
        let full = std::fs::File::create("/dev/full").unwrap();
        let output = headgate(arguments, &site.path("spool"))
            .stdout(full)
            .output();
        let output = output.unwrap();
        let told = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(1), "{arguments:?}: {told}");
        assert!(told.contains("standard output: "), "{told}");
    }
}

#[test]
fn a_purge_that_names_no_letters_is_told_how_to_name_all() {
    let folder = tempfile::tempdir().unwrap();
    let told = |arguments: &[&str]| {
        let output = run(
            &[&["dead-letters", "purge"], arguments].concat(),
            folder.path(),
        );
        let told = String::from_utf8(output.stderr).unwrap();
        (output.status.code(), told)
    };
    let (status, words) = told(&[]);
    assert_eq!(status, Some(2), "{words}");
    assert!(words.contains("--all"), "{words}");
    let (status, words) = told(&["1-1", "--all"]);
    assert_eq!(status, Some(2), "{words}");
    std::fs::create_dir(folder.path().join("broker")).unwrap();
    let (status, words) = told(&["1-1", "1-2", "--dir", "."]);
    assert_eq!(status, Some(1), "{words}");
    assert!(words.contains("1-1, 1-2"), "{words}");
}

#[tokio::test]
async fn a_new_key_and_its_lines_let_a_request_in() {
    let announced = printed(&["keys", "new", "--name", "x"]);
    let (told, lines) = announced.split_once("For the configuration:").unwrap();
    let key = told
        .lines()
        .map(str::trim)
        .find(|line| line.starts_with("hg_"));
    let broker = FakeBroker::start();
    let site = Site::new(&over(&with(&[&broker], ""), lines));
    let program = site.serve();
    for (key, status) in [(key.unwrap(), 200), ("hg_other", 401)] {
        let mut client = program.connect().await;
        let headers = [JSON, ("X-Api-Key", key)];
        let answer = client.request("POST", "/", &headers, "{}").await;
        assert_eq!(answer.status, status, "{key}");
    }
    broker.until_requests(1).await;
    program.signal("TERM");
    assert_eq!(program.end().0, Some(0));
    assert_eq!(broker.delivered().len(), 1);
}
