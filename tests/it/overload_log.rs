//! A server that refuses requests because of load tells so in its log: when that begins, and not again and again.

use crate::support::client::{Connection, JSON, head};
use crate::support::eventually;
use crate::support::program::Program;
use crate::support::site::Site;

const KIB: usize = 1024;

const SMALL: &str = r"
[server]
max_connections = 8
request_timeout = '50ms'
drain_timeout = '0s'
[ingest]
durability = 'broker'
max_content_length = '200KiB'
max_envelope_bytes = '256KiB'
max_in_flight_bytes = '256KiB'
[broker]
urls = ['http://127.0.0.1:9']
";

/// Fills the memory for bodies with one that does not end.
async fn fill(server: &Program) -> Connection {
    let mut holder = server.connect().await;
    holder.send(head("POST", "/", &[JSON], 200 * KIB)).await;
    holder.send(" ".repeat(190 * KIB)).await;
    eventually("the body to be held", async || {
        let held = server.operator().metric("headgate_in_flight_bytes").await;
        (held >= (190 * KIB) as f64).then_some(())
    })
    .await;
    holder
}

#[tokio::test]
async fn load_that_has_requests_refused_is_told_when_it_begins() {
    let server = Site::new(SMALL);
    let mut server = server.serve();
    for _ in 0..3 {
        assert_eq!(server.post("{}").await.problem_code(), "broker_unavailable");
    }
    let holder = fill(&server).await;
    for _ in 0..2 {
        let refused = server.post(" ".repeat(100 * KIB)).await;
        assert_eq!(refused.problem_code(), "overloaded");
    }
    let mut crowd = Vec::new();
    for _ in 0..8 {
        crowd.push(server.connect().await);
    }
    server.until_logged("server.max_connections are open");
    assert_eq!(server.post("{}").await.problem_code(), "overloaded");
    drop((holder, crowd));
    server.signal("TERM");
    let (_, _, log) = server.end();
    for words in [
        "no output took their events in time",
        "ingest.max_in_flight_bytes has no room",
        "server.max_connections are open",
    ] {
        let told = log.iter().filter(|line| line.contains(words));
        assert_eq!(told.count(), 1, "{words}: {log:#?}");
    }
}
