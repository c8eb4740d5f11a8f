//! A configuration that is read again while the server runs: in force at once, or named as waiting for a restart; and
//! refused where it is wrong.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::Path;

use serde_json::{Value, json};
use sha2::{Digest, Sha256};

use crate::support::client::{Connection, JSON, head};
use crate::support::eventually;
use crate::support::fake_broker::FakeBroker;
use crate::support::program::{Program, headgate, run};
use crate::support::site::Site;
use crate::support::test_app::{TestApp, with};

/// One key, and the field that it forces.
fn key(secret: &str, application: &str) -> String {
    let digits: String = Sha256::digest(secret)
        .iter()
        .map(|byte| format!("{byte:02x}"))
        .collect();
    format!(
        "[[auth.keys]]\nname = '{secret}'\nhash = 'sha256:{digits}'\nfields = {{ Application = '{application}' }}\n"
    )
}

async fn post(connection: &mut Connection, secret: &str) -> u16 {
    let headers = [JSON, ("X-Api-Key", secret)];
    connection.request("POST", "/", &headers, "{}").await.status
}

fn applications(events: &[Value]) -> Vec<&str> {
    let applications = events.iter().map(|event| &event["Application"]);
    applications.map(|name| name.as_str().unwrap()).collect()
}

#[tokio::test]
async fn keys_and_their_fields_change_on_open_connections() {
    let broker = FakeBroker::start();
    let app = TestApp::start_with(&broker, &key("old", "a")).await;
    let mut connection = app.connect().await;
    assert_eq!(post(&mut connection, "old").await, 200);

    let changes = app.reload(&with(&[&broker], &key("old", "b")));
    assert_eq!(changes.applied, ["auth.keys"]);
    assert_eq!(post(&mut connection, "old").await, 200);

    app.reload(&with(&[&broker], &key("new", "c")));
    assert_eq!(post(&mut connection, "old").await, 401);
    assert_eq!(post(&mut connection, "new").await, 200);
    app.finish().await;
    assert_eq!(applications(&broker.delivered()), ["a", "b", "c"]);
}

#[tokio::test]
async fn a_request_under_way_keeps_the_rules_that_it_began_with() {
    let broker = FakeBroker::start();
    let app = TestApp::start_with(&broker, &key("old", "a")).await;
    let mut connection = app.connect().await;
    let headers = [JSON, ("X-Api-Key", "old"), ("Expect", "100-continue")];
    connection.send(head("POST", "/", &headers, 2)).await;
    assert_eq!(connection.answer().await.status, 100, "it is let in");

    let toml = format!("{}[validate]\nrequired = ['n']\n", key("new", "b"));
    app.reload(&with(&[&broker], &toml));
    connection.send("{}").await;
    assert_eq!(connection.answer().await.status, 200);
    assert_eq!(post(&mut connection, "old").await, 401);
    app.finish().await;
    assert_eq!(applications(&broker.delivered()), ["a"]);
}

#[tokio::test]
async fn what_needs_a_restart_is_named_each_time_and_stays_as_it_was() {
    let broker = FakeBroker::start();
    let app = TestApp::start_with(&broker, "").await;
    let toml = "[ingest]\nmax_content_length = '10B'\nmax_depth = 1\n[log]\nlevel = 'debug'";
    let toml = with(&[&broker], toml);
    let changes = app.reload(&toml);
    assert_eq!(changes.applied, ["ingest.max_depth", "log.level"]);
    assert_eq!(changes.needs_restart, ["ingest.max_content_length"]);
    let body = json!({"message": "longer than ten bytes"}).to_string();
    assert_eq!(app.post("/v1/events", &[JSON], body).await.status, 200);
    assert_eq!(
        app.post("/v1/events", &[JSON], "{\"a\":[]}").await.status,
        422
    );

    let changes = app.reload(&toml);
    assert_eq!(changes.applied, [""; 0]);
    assert_eq!(changes.needs_restart, ["ingest.max_content_length"]);
    let changes = app.reload(&with(&[&broker], ""));
    assert_eq!(changes.applied, ["ingest.max_depth", "log.level"]);
    assert_eq!(changes.needs_restart, [""; 0]);
    let samples = app.samples().await;
    let applied = samples.value("headgate_config_reloads_total", &[("outcome", "applied")]);
    assert_eq!(applied, Some(3.0));
    app.finish().await;
}

#[tokio::test]
async fn dead_letters_are_replayed_by_the_new_rules() {
    let broker = FakeBroker::start();
    let app = TestApp::start_with(&broker, "[validate]\nrequired = ['n']").await;
    assert_eq!(app.post("/", &[JSON], "{}").await.status, 200);
    app.until_book("dead_lettered", 1).await;

    app.reload(&with(&[&broker], ""));
    let letters = app.events_folder().with_file_name("dead-letters");
    let letters = letters.to_str().unwrap();
    let told = run(
        &["dead-letters", "replay", "--dir", letters],
        Path::new("/"),
    );
    assert!(told.status.success());
    app.until_book("delivered", 1).await;
    app.finish().await;
}

/// Log lines with these words.
fn count(log: &[String], words: &str) -> usize {
    log.iter().filter(|line| line.contains(words)).count()
}

const IN_FORCE: &str = "the new values of these keys are in force";
const NEEDS_RESTART: &str = "need a restart";
const REFUSED: &str = "it is wrong and was refused";
const UNCHANGED: &str = "no key has a new value";

async fn status_of(server: &Program, secret: &str) -> u16 {
    post(&mut server.connect().await, secret).await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_signal_has_a_wrong_file_refused_with_all_its_problems_and_a_mended_one_applied() {
    let site = Site::new(&key("old", "a"));
    let mut server = site.serve();
    let file = site.path("headgate.toml");
    let right = fs::read_to_string(&file).unwrap();
    let mut connection = server.connect().await;
    assert_eq!(post(&mut connection, "old").await, 200);

    let wrong = [
        "[auth]\nuser = 'u'\npassword = 'hidden'\nuzer = 'hidden'\n[ingest]\ncodec = 'xml'\nmax_depth = 0",
        "[auth]\nuser = ",
        "",
    ];
    for text in wrong {
        fs::write(&file, text).unwrap();
        server.signal("HUP");
        server.until_next(REFUSED);
        assert_eq!(post(&mut connection, "old").await, 200, "{text}");
    }
    fs::remove_file(&file).unwrap();
    server.signal("HUP");
    server.until_next(REFUSED);
    assert_eq!(post(&mut connection, "old").await, 200);
    assert_eq!(server.operator().status().await["config"]["refused"], true);
    let samples = server.operator().samples().await;
    let refused = samples.value("headgate_config_reloads_total", &[("outcome", "refused")]);
    assert!(refused >= Some(4.0), "{refused:?}");
    assert_eq!(
        samples.value("headgate_config_last_reload_successful", &[]),
        Some(0.0)
    );

    site.configure(&key("new", "b"));
    server.signal("HUP");
    let line = server.until_next(IN_FORCE);
    assert!(line.contains("auth.keys"), "{line}");
    assert_eq!(post(&mut connection, "old").await, 401);
    assert_eq!(post(&mut connection, "new").await, 200);
    let operator = server.operator();
    assert_eq!(operator.status().await["config"]["refused"], false);
    assert_eq!(
        operator
            .metric("headgate_config_last_reload_successful")
            .await,
        1.0
    );

    fs::write(&file, right).unwrap();
    server.signal("HUP");
    server.until_next(IN_FORCE);
    assert_eq!(post(&mut connection, "old").await, 200);
    server.signal("TERM");
    let (status, _, log) = server.end();
    assert_eq!(status, Some(0), "{log:#?}");
    for problem in [
        "auth.uzer",
        "there is no such key",
        "ingest.codec",
        "xml",
        "ingest.max_depth",
        "not TOML",
        "sets nothing",
        "cannot be read",
    ] {
        assert!(count(&log, problem) > 0, "{problem} in {log:#?}");
    }
    assert_eq!(count(&log, "hidden") + count(&log, "sha256"), 0, "{log:#?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_changed_file_is_read_again_by_itself() {
    let site = Site::new(&key("old", "a"));
    let mut server = site.serve();
    assert_eq!(status_of(&server, "old").await, 200);

    site.configure(&key("new", "b"));
    server.until_next(IN_FORCE);
    assert_eq!(status_of(&server, "old").await, 401);
    assert_eq!(status_of(&server, "new").await, 200);

    fs::remove_file(site.path("headgate.toml")).unwrap();
    server.until_next(REFUSED);
    assert_eq!(status_of(&server, "new").await, 200);
    site.configure(&key("old", "b"));
    server.until_next(IN_FORCE);
    assert_eq!(status_of(&server, "old").await, 200);
    server.kill();
}

/// Kubernetes mounts a ConfigMap as links to a folder, and swaps the link to it.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_swapped_link_is_a_changed_file() {
    let site = Site::new(&key("old", "a"));
    let mount = tempfile::tempdir().unwrap();
    let at = |name: &str| mount.path().join(name);
    let publish = |version: &str| {
        fs::create_dir(at(version)).unwrap();
        fs::copy(
            site.path("headgate.toml"),
            at(version).join("headgate.toml"),
        )
        .unwrap();
        symlink(version, at("..next")).unwrap();
        fs::rename(at("..next"), at("..data")).unwrap();
    };
    publish("..1");
    symlink("..data/headgate.toml", at("headgate.toml")).unwrap();
    let mut server = Program::serve(&at("headgate.toml"), mount.path());
    assert_eq!(status_of(&server, "old").await, 200);

    site.configure(&key("new", "b"));
    publish("..2");
    fs::remove_dir_all(at("..1")).unwrap();
    server.until_next(IN_FORCE);
    assert_eq!(status_of(&server, "new").await, 200);
    server.kill();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_level_of_the_log_changes_and_the_change_is_told() {
    let site = Site::new("");
    let mut server = site.serve();
    site.configure("[log]\nlevel = 'error'\n[server]\nmax_connections = 7");
    server.signal("HUP");
    assert!(server.until_next(IN_FORCE).contains("log.level"));
    assert!(
        server
            .until_next(NEEDS_RESTART)
            .contains("server.max_connections")
    );

    server.signal("HUP");
    eventually("the configuration to be read again", async || {
        let samples = server.operator().samples().await;
        let applied = samples.value("headgate_config_reloads_total", &[("outcome", "applied")]);
        (applied >= Some(2.0)).then_some(())
    })
    .await;
    site.configure("[server]\nmax_connections = 7");
    server.signal("HUP");
    server.until_next(IN_FORCE);
    server.until_next(NEEDS_RESTART);
    let log = server.kill();
    assert_eq!(
        count(&log, NEEDS_RESTART),
        2,
        "with the level error none was written: {log:#?}"
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn without_a_file_the_environment_stays_until_there_is_one() {
    let folder = tempfile::tempdir().unwrap();
    let mut command = headgate(&["serve"], folder.path());
    command
        .env("HEADGATE_SERVER__LISTEN", "127.0.0.1:0")
        .env("HEADGATE_ADMIN__LISTEN", "127.0.0.1:0")
        .env("HEADGATE_LOG__FORMAT", "json")
        .env("HEADGATE_INGEST__MAX_DEPTH", "1");
    let mut server = Program::start(command);
    server.signal("HUP");
    server.until_next(UNCHANGED);

    fs::create_dir(folder.path().join("config")).unwrap();
    let file = folder.path().join("config/headgate.toml");
    let toml = format!("[ingest]\nmax_depth = 2\n{}", key("new", "a"));
    fs::write(&file, toml).unwrap();
    server.signal("HUP");
    let line = server.until_next(IN_FORCE);
    assert!(
        line.contains("auth.keys") && !line.contains("max_depth"),
        "{line}"
    );

    fs::remove_file(&file).unwrap();
    server.signal("HUP");
    server.until_next(REFUSED);
    assert_eq!(
        server.post("{}").await.status,
        401,
        "it does not open again"
    );
    server.kill();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_pipe_is_not_read_again() {
    let site = Site::new(&key("old", "a"));
    let mut command = std::process::Command::new("sh");
    let script = "mkfifo pipe; cat \"$1\" >pipe & exec \"$0\" serve --config pipe";
    command
        .args(["-c", script, env!("CARGO_BIN_EXE_headgate")])
        .arg(site.path("headgate.toml"))
        .current_dir(site.path(""));
    let mut server = Program::start(command);
    server.signal("HUP");
    server.until_next(REFUSED);
    assert_eq!(status_of(&server, "old").await, 200);
    assert_eq!(status_of(&server, "new").await, 401);
    assert_eq!(count(&server.kill(), "no regular file"), 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn while_it_drains_nothing_is_read() {
    let site = Site::new("[server]\ndrain_delay = '1h'");
    let server = site.serve();
    server.signal("TERM");
    eventually("the drain to begin", async || {
        (server.operator().status().await["phase"] == "draining").then_some(())
    })
    .await;
    fs::write(site.path("headgate.toml"), "wrong").unwrap();
    server.signal("HUP");
    server.signal("TERM");
    let (status, _, log) = server.end();
    assert_eq!(status, Some(0), "{log:#?}");
    assert_eq!(count(&log, "read again"), 0, "{log:#?}");
}
