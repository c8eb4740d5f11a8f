//! No file is left to open: new connections wait, and nothing else does.

use std::process::Command;

use crate::support::client::JSON;
use crate::support::fake_broker::FakeBroker;
use crate::support::program::Program;
use crate::support::site::Site;
use crate::support::test_app::with;

/// More than the program needs beside its connections.
const OPEN_FILES: usize = 64;

fn serve(site: &Site) -> Program {
    let mut command = Command::new("sh");
    command
        .args(["-c", "ulimit -n \"$0\"; exec \"$@\""])
        .arg(OPEN_FILES.to_string())
        .args([env!("CARGO_BIN_EXE_headgate"), "serve", "--config"])
        .arg(site.path("headgate.toml"));
    Program::start(command)
}

#[tokio::test]
async fn running_out_of_files_pauses_accepting_and_nothing_else() {
    let broker = FakeBroker::start();
    let site = Site::new(&with(&[&broker], ""));
    let mut program = serve(&site);
    let mut kept = program.connect().await;
    let mut post = async || kept.request("POST", "/", &[JSON], "{}").await.status;
    assert_eq!(post().await, 200);
    broker.until_delivered(1).await;
    let mut fillers = Vec::new();
    for _ in 0..OPEN_FILES {
        fillers.push(program.connect().await);
    }
    program.until_next("a connection could not be accepted");
    for _ in 0..3 {
        assert_eq!(post().await, 200);
    }
    broker.until_delivered(4).await;
    // The first of them were accepted.
    fillers.drain(..OPEN_FILES / 2);
    assert_eq!(program.post("{}").await.status, 200);
    broker.until_delivered(5).await;
    drop(fillers);
    program.signal("TERM");
    let (status, _, log) = program.end();
    assert_eq!(status, Some(0), "{log:#?}");
    assert_eq!(broker.delivered().len(), 5);
}
