//! An outage that is longer than what is kept in memory: order holds, and memory is bounded while the backlog is on
//! disk.

use std::fmt::Write as _;

use crate::support::client::JSON;
use crate::support::fake_broker::{DownBroker, FakeBroker, Reply};
use crate::support::numbered::{array, numbers};
use crate::support::site::Site;
use crate::support::test_app::{TestApp, with};

#[tokio::test]
async fn a_backlog_beyond_the_tail_arrives_in_order_also_while_more_comes() {
    let broker = FakeBroker::start();
    broker.usually(Reply::status(503));
    let toml = with(
        &[&broker],
        "[ingest]\ndurability = 'disk'\n[enrich]\nheaders = false\n\
         [spool]\ntail_bytes = '8KiB'\nsegment_bytes = '64KiB'\n[broker]\nmax_in_flight = 1\nmax_batch_events = 64",
    );
    let app = TestApp::start(&toml).await;
    let mut client = app.connect().await;
    for request in 0..100 {
        let body = array(50 * request..50 * (request + 1));
        assert_eq!(client.request("POST", "/", &[JSON], body).await.status, 200);
    }
    broker.usually(Reply::status(200));
    for request in 100..200 {
        let body = array(50 * request..50 * (request + 1));
        assert_eq!(client.request("POST", "/", &[JSON], body).await.status, 200);
    }
    drop(client);
    app.until_spooled(0).await;
    app.finish().await;
    assert_eq!(
        numbers(&broker.delivered()),
        (0..10_000).collect::<Vec<_>>()
    );
}

#[tokio::test]
async fn a_backlog_found_at_the_start_arrives_in_order_before_what_comes_after_it() {
    let broker = FakeBroker::start();
    broker.usually(Reply::status(503));
    let toml = with(
        &[&broker],
        "[ingest]\ndurability = 'disk'\n[spool]\ntail_bytes = '8KiB'\nsegment_bytes = '32KiB'\n\
         [broker]\nmax_in_flight = 1\nmax_batch_events = 7",
    );
    let mut app = TestApp::start(&toml).await;
    for life in 0..3 {
        for request in 0..20 {
            let first = 20 * (20 * life + request);
            let body = array(first..first + 20);
            assert_eq!(app.post("/", &[JSON], body).await.status, 200);
        }
        app = app.restart(&toml).await;
    }
    assert_eq!(app.post("/", &[JSON], array(1200..1220)).await.status, 200);
    broker.usually(Reply::status(200));
    app.until_spooled(0).await;
    app.finish().await;
    assert_eq!(numbers(&broker.delivered()), (0..1220).collect::<Vec<_>>());
}

/// Bytes of memory that a process has, or had at most.
#[cfg(target_os = "linux")]
fn memory(process: u32, name: &str) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{process}/status")).unwrap();
    let line = status.lines().find(|line| line.starts_with(name)).unwrap();
    let kib = line.split_whitespace().nth(1).unwrap();
    kib.parse::<u64>().unwrap() * 1024
}

#[cfg(target_os = "linux")]
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn memory_is_bounded_however_much_lies_in_the_spool() {
    const REQUESTS: u64 = 160;
    const REQUEST_BYTES: u64 = 256 * 1024;
    const MIB: u64 = 1024 * 1024;
    // Nobody listens: who answers 503 is sent other batches too, of which 64 MiB may wait in memory.
    let broker = DownBroker::new();
    let toml = format!(
        "[spool]\ntail_bytes = '1MiB'\nsegment_bytes = '4MiB'\n\
         [broker]\nurls = ['{}']\nmax_in_flight = 2\nmax_batch_bytes = '256KiB'",
        broker.url()
    );
    let site = Site::new(&toml);
    let server = site.serve();
    let operator = server.operator();
    let mut client = server.connect().await;
    let mut base = 0;
    for number in 0..REQUESTS {
        let mut body = String::new();
        write!(body, "{{\"n\":{number},\"message\":\"").unwrap();
        body.extend(std::iter::repeat_n('x', REQUEST_BYTES as usize));
        body.push_str("\"}");
        let answer = client.request("POST", "/", &[JSON], body).await;
        assert_eq!(answer.status, 200);
        if number == 4 {
            base = memory(server.id(), "VmRSS:");
        }
    }
    assert!(operator.metric("headgate_spool_bytes").await >= (REQUESTS * REQUEST_BYTES) as f64);
    assert_eq!(operator.metric("headgate_in_flight_bytes").await, 0.0);
    let broker = broker.up();
    operator.until_all_done().await;
    let most = memory(server.id(), "VmHWM:");
    let growth = most.saturating_sub(base);
    assert!(growth < 24 * MIB, "from {base} to {most}");
    server.signal("TERM");
    assert_eq!(server.end().0, Some(0));
    let mut arrived = numbers(&broker.delivered());
    arrived.sort_unstable();
    assert_eq!(arrived, (0..REQUESTS).collect::<Vec<_>>());
}
