//! Dead letters through the command line: sent again or removed, beside a running server or at its next start, and
//! never lost or sent in a loop.

mod next_start;
mod replay;
mod requests;

use std::fs;
use std::path::{Path, PathBuf};

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
