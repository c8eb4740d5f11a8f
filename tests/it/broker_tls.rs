//! TLS towards Brokers: who is believed, who is shown, and how a mismatch is told.

use std::path::Path;

use serde_json::Value;

use crate::support::certificates::{Authority, file};
use crate::support::client::JSON;
use crate::support::eventually;
use crate::support::fake_broker::FakeBroker;
use crate::support::program::Program;
use crate::support::test_app::{TestApp, config, with};

/// `[broker.tls]` that believes this authority.
fn believing(folder: &Path, authority: &Authority) -> String {
    let path = file(folder, "ca.pem", &authority.pem());
    format!("[broker.tls]\nca = {path:?}\n")
}

async fn post_one(app: &TestApp) {
    assert_eq!(app.post("/", &[JSON], "{}").await.status, 200);
}

#[tokio::test]
async fn a_broker_that_the_authority_vouches_for_is_delivered_to() {
    let folder = tempfile::tempdir().unwrap();
    let authority = Authority::new();
    let broker = FakeBroker::start_tls(authority.server());
    let believing = believing(folder.path(), &authority);
    let toml = format!("[broker]\nmax_in_flight = 1\n{believing}");
    let app = TestApp::start_with(&broker, &toml).await;
    for _ in 0..10 {
        post_one(&app).await;
    }
    app.finish().await;
    assert_eq!((broker.delivered().len(), broker.connections()), (10, 1));
}

/// Events wait while there is no agreement with the Broker, and the log says what to mend, in some of these words.
async fn told(broker: &FakeBroker, tls: &str, words: &[&str]) {
    let folder = tempfile::tempdir().unwrap();
    let toml = format!(
        "[server]\nlisten = '127.0.0.1:0'\ndrain_delay = '0s'\ndrain_timeout = '1ms'\n[admin]\nlisten = '127.0.0.1:0'\n[ingest]\ndurability = 'memory'\n[log]\nformat = 'json'\n[broker]\nurls = ['{}']\n{tls}",
        broker.url()
    );
    let config = file(folder.path(), "headgate.toml", &toml);
    let program = Program::serve(&config, folder.path());
    let mut connection = crate::support::client::Connection::open(program.public).await;
    assert_eq!(
        connection.request("POST", "/", &[JSON], "{}").await.status,
        200
    );
    let mut admin = crate::support::client::Connection::open(program.admin).await;
    eventually("the Broker to be seen down", async || {
        let status = admin.request("GET", "/status", &[], "").await.json();
        let is_down = status["brokers"][0]["up"] == false && status["spool"]["events"] == 1;
        is_down.then_some(())
    })
    .await;
    program.signal("TERM");
    let (_status, _output, log) = program.end();
    let lines = log.iter().map(|line| serde_json::from_str(line).unwrap());
    let down: Vec<Value> = lines
        .filter(|line: &Value| line["message"].as_str().unwrap().starts_with("Broker down"))
        .collect();
    let [line] = &down[..] else {
        panic!("told once: {log:#?}");
    };
    let reason = line["reason"].as_str().unwrap();
    assert!(words.iter().any(|words| reason.contains(words)), "{reason}");
    assert_eq!(broker.requests().len(), 0);
}

#[tokio::test]
async fn a_broker_that_is_not_believed_gets_nothing_and_the_log_says_what_to_mend() {
    let folder = tempfile::tempdir().unwrap();
    let (authority, stranger) = (Authority::new(), Authority::new());
    let believing = believing(folder.path(), &authority);
    let of_a_stranger = FakeBroker::start_tls(stranger.server());
    told(&of_a_stranger, &believing, &["broker.tls.ca"]).await;
    let of_the_system = FakeBroker::start_tls(authority.server());
    told(&of_the_system, "", &["broker.tls.ca"]).await;
    let other_name = FakeBroker::start_tls(authority.server_for("elsewhere.test"));
    told(&other_name, &believing, &["check the host in broker.urls"]).await;
    let authority_itself = FakeBroker::start_tls(authority.as_a_server());
    told(
        &authority_itself,
        &believing,
        &["basicConstraints=CA:FALSE"],
    )
    .await;
}

#[tokio::test]
async fn a_certificate_is_shown_to_a_broker_that_demands_one() {
    let folder = tempfile::tempdir().unwrap();
    let authority = Authority::new();
    let broker = FakeBroker::start_tls(authority.demanding_server());
    let identity = authority.identity("headgate.test");
    let certificate = file(folder.path(), "client.pem", &identity.certificate);
    let key = file(folder.path(), "client.key", &identity.key);
    let believing = believing(folder.path(), &authority);
    let toml = format!("{believing}client_certificate = {certificate:?}\nclient_key = {key:?}");
    let app = TestApp::start_with(&broker, &toml).await;
    post_one(&app).await;
    app.finish().await;
    assert_eq!(broker.delivered().len(), 1);
    let without = FakeBroker::start_tls(authority.demanding_server());
    // With TLS 1.3 its refusal comes when we think that we are connected, and a reset may overtake its words.
    let words = [
        "broker.tls.client_certificate",
        "before the request was sent",
        "the request failed",
    ];
    told(&without, &believing, &words).await;
}

#[tokio::test]
async fn a_file_that_holds_something_else_is_named_as_waiting_for_a_restart() {
    let folder = tempfile::tempdir().unwrap();
    let authority = Authority::new();
    let broker = FakeBroker::start_tls(authority.server());
    let toml = with(&[&broker], &believing(folder.path(), &authority));
    let app = TestApp::start(&toml).await;
    assert_eq!(app.reload(&toml).needs_restart, [""; 0]);
    believing(folder.path(), &Authority::new());
    for _each_time in 0..2 {
        let changes = app.reload(&toml);
        assert_eq!(changes.applied, [""; 0]);
        assert_eq!(changes.needs_restart, ["broker.tls.ca"]);
    }
    post_one(&app).await;
    believing(folder.path(), &authority);
    assert_eq!(app.reload(&toml).needs_restart, [""; 0]);
    app.finish().await;
    assert_eq!(broker.delivered().len(), 1);
}

#[tokio::test]
async fn every_wrong_file_is_told_with_its_key() {
    let folder = tempfile::tempdir().unwrap();
    let authority = Authority::new();
    let (one, other) = (
        authority.identity("one.test"),
        authority.identity("other.test"),
    );
    let certificate = file(folder.path(), "one.pem", &one.certificate);
    let other_key = file(folder.path(), "other.key", &other.key);
    let damaged = file(
        folder.path(),
        "damaged.pem",
        "-----BEGIN CERTIFICATE-----\n!\n-----END CERTIFICATE-----\n",
    );
    let nothing = file(folder.path(), "nothing.pem", "nothing");
    let missing = folder.path().join("missing.pem");
    for (ca, certificate, key, words) in [
        (
            Some(&missing),
            None,
            None,
            &["broker.tls.ca = ", "cannot be read"][..],
        ),
        (
            Some(&nothing),
            None,
            None,
            &["broker.tls.ca = ", "holds none"],
        ),
        (
            Some(&damaged),
            None,
            None,
            &["broker.tls.ca = ", "is damaged"],
        ),
        (
            Some(&other_key),
            Some(&nothing),
            Some(&missing),
            &[
                "tls.ca = ",
                "tls.client_certificate = ",
                "tls.client_key = ",
            ],
        ),
        (
            None,
            Some(&certificate),
            Some(&other_key),
            &[
                "tls.client_key = ",
                "not the key of broker.tls.client_certificate",
            ],
        ),
        (
            None,
            Some(&certificate),
            None,
            &["both must be set, or neither"],
        ),
    ] {
        let line = |name: &str, path: Option<&std::path::PathBuf>| {
            path.map(|path| format!("{name} = {path:?}\n"))
                .unwrap_or_default()
        };
        let toml = [
            "[broker]\nurls = ['https://logstash/']\n[broker.tls]\n".to_owned(),
            line("ca", ca),
            line("client_certificate", certificate),
            line("client_key", key),
        ]
        .concat();
        let errors = config(folder.path(), &toml).unwrap_err().to_string();
        for word in words {
            assert!(errors.contains(word), "no {word} in {errors}");
        }
    }
    let toml = format!("[broker]\nurls = ['http://a/']\n[broker.tls]\nca = {certificate:?}");
    let errors = config(folder.path(), &toml).unwrap_err().to_string();
    assert!(errors.contains("none of these has it"), "{errors}");
}
