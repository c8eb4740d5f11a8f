//! Nobody reads the log any more: the server goes on.

use std::io::{BufRead, BufReader};
use std::net::SocketAddr;
use std::process::Stdio;

use crate::support::client::{Connection, head};
use crate::support::eventually;
use crate::support::fake_broker::FakeBroker;
use crate::support::operator::Operator;
use crate::support::program::headgate;
use crate::support::site::Site;
use crate::support::test_app::with;

/// Requests that are sent before their answers are read.
const AT_ONCE: usize = 100;

#[tokio::test]
async fn a_log_that_nobody_reads_holds_up_nothing() {
    let broker = FakeBroker::start();
    let site = Site::new(&with(&[&broker], "[log]\nlevel = 'debug'\nformat = 'json'"));
    let config = site.path("headgate.toml").display().to_string();
    let mut command = headgate(&["serve", "--config", &config], &site.path(""));
    command.stdout(Stdio::null()).stderr(Stdio::piped());
    let mut server = command.spawn().unwrap();
    let mut log = BufReader::new(server.stderr.take().unwrap()).lines();
    let mut listening = || -> SocketAddr {
        loop {
            let line: serde_json::Value =
                serde_json::from_str(&log.next().unwrap().unwrap()).unwrap();
            if line["message"] == "listening" {
                return line["address"].as_str().unwrap().parse().unwrap();
            }
        }
    };
    let (public, admin) = (listening(), listening());
    let mut connection = Connection::open(public).await;
    // Each has a line in the log. Many at once, for thousands of turns between two processes take long on a busy machine.
    let requests = head("GET", "/nothing", &[], 0).repeat(AT_ONCE);
    eventually("lines to be lost", async || {
        connection.send(&requests).await;
        for _ in 0..AT_ONCE {
            assert_eq!(connection.answer().await.status, 405);
        }
        let samples = Operator::new(admin).samples().await;
        let lost = samples.value("headgate_log_lines_lost_total", &[]);
        (lost > Some(0.0)).then_some(())
    })
    .await;
    let health = connection.request("GET", "/health", &[], "").await;
    assert_eq!(health.status, 200);
    let id = server.id().to_string();
    let told = std::process::Command::new("kill").arg(&id).status();
    assert!(told.unwrap().success());
    assert_eq!(server.wait().unwrap().code(), Some(0));
}
