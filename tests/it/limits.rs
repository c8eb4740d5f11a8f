//! Limits on memory: what a request takes of the budget is given back however it ends, and nothing that is small on the
//! wire becomes large in memory. `finish()` fails when bytes are still held.

use std::sync::Arc;

use tokio::task::JoinSet;

use crate::support::client::{JSON, NDJSON, head};
use crate::support::compress;
use crate::support::eventually;
use crate::support::fake_broker::{DownBroker, FakeBroker};
use crate::support::http2_client::{self, Http2Client};
use crate::support::own_clock::by_its_own_clock;
use crate::support::test_app::TestApp;

const KIB: usize = 1024;
const BUDGET: &str = "[ingest]\nmax_content_length = '64KiB'\nmax_envelope_bytes = '256KiB'\nmax_in_flight_bytes = '256KiB'\nmax_events_per_request = 100\n";

#[tokio::test]
async fn the_budget_is_given_back_however_a_request_ends() {
    let broker = FakeBroker::start();
    let toml =
        format!("[server]\nbody_read_timeout = '2s'\n[auth]\nuser = 'u'\npassword = 'p'\n{BUDGET}");
    let app = TestApp::start_with(&broker, &toml).await;
    let auth = ("Authorization", "Basic dTpw");
    // The client goes away in the middle: with an end, and with a reset.
    for is_reset in [false, true] {
        let mut gone = app.connect().await;
        gone.send(head("POST", "/", &[JSON, auth], 60 * KIB)).await;
        gone.send(vec![b' '; 50 * KIB]).await;
        app.until_held(50 * KIB).await;
        if is_reset {
            gone.reset();
        } else {
            gone.half_close().await;
            assert_eq!(gone.answer().await.status, 400);
        }
    }
    // The body stops.
    let mut silent = app.connect().await;
    silent
        .send(head("POST", "/", &[JSON, auth], 60 * KIB))
        .await;
    silent.send(vec![b' '; 50 * KIB]).await;
    assert_eq!(silent.answer().await.status, 408);
    // Refused, by the body's content and by its head.
    let many = "{}".repeat(101);
    let bomb = compress::gzip(&vec![b' '; 65 * KIB]);
    for (target, headers, body, status) in [
        ("/", vec![JSON, auth], many.as_bytes(), 413),
        (
            "/",
            vec![JSON, auth, ("Content-Encoding", "gzip")],
            &bomb,
            413,
        ),
        (
            "/",
            vec![JSON, auth, ("Content-Encoding", "zstd")],
            &bomb,
            400,
        ),
        ("/v1/events", vec![JSON, auth], b"[[[", 400),
        ("/v1/events", vec![JSON, auth], b"[1]", 422),
        ("/", vec![JSON], b"{}", 401),
        ("/v1/events", vec![JSON, auth], b"[{},5]", 207),
        ("/", vec![JSON, auth], b"[{}]", 200),
    ] {
        assert_eq!(app.post(target, &headers, body).await.status, status);
    }
    // All of it is free again.
    let whole = format!("\"{}\"", "x".repeat(60 * KIB));
    assert_eq!(app.post("/", &[auth], whole).await.status, 200);
    app.finish().await;
}

#[tokio::test]
async fn a_request_that_waited_in_vain_gives_its_budget_back() {
    let down = DownBroker::new();
    let toml = format!(
        "[server]\nrequest_timeout = '50ms'\ndrain_timeout = '0s'\n[broker]\nurls = ['{}']\n{BUDGET}",
        down.url()
    );
    let app = TestApp::start(&toml).await;
    for _ in 0..10 {
        let answer = app.post("/", &[], "x".repeat(40 * KIB)).await;
        assert_eq!(answer.problem_code(), "broker_unavailable");
    }
    app.finish().await;
}

#[tokio::test]
async fn a_declared_length_is_compared_with_what_is_free_and_not_reserved() {
    let broker = FakeBroker::start();
    let app = TestApp::start_with(&broker, BUDGET).await;
    let mut promised = Vec::new();
    for _ in 0..10 {
        let mut connection = app.connect().await;
        connection.send(head("POST", "/", &[JSON], 60 * KIB)).await;
        promised.push(connection);
    }
    assert_eq!(
        app.post("/", &[JSON], " ".repeat(60 * KIB)).await.status,
        200
    );
    for connection in &mut promised[..4] {
        connection.send(" ".repeat(59 * KIB)).await;
    }
    app.until_held(4 * 59 * KIB).await;
    let answer = app.post("/", &[JSON], " ".repeat(60 * KIB)).await;
    assert_eq!(
        (answer.status, answer.problem_code().as_str()),
        (503, "overloaded")
    );
    for connection in &mut promised[..4] {
        connection.send(" ".repeat(KIB)).await;
        assert_eq!(connection.answer().await.status, 200);
    }
    drop(promised);
    app.finish().await;
}

#[tokio::test]
async fn bombs_are_refused_in_every_coding() {
    let broker = FakeBroker::start();
    let app = TestApp::start_with(&broker, BUDGET).await;
    let zeros = vec![0; 32 * KIB * KIB];
    for (coding, packed) in [
        ("gzip", compress::gzip(&zeros)),
        ("deflate", compress::zlib(&zeros)),
        ("deflate", compress::raw_deflate(&zeros)),
        ("zstd", compress::zstd(&zeros)),
        ("br", compress::brotli(&zeros)),
        ("gzip, gzip", compress::gzip(&compress::gzip(&zeros))),
    ] {
        assert!(packed.len() < 64 * KIB, "{coding}: {}", packed.len());
        let headers = [JSON, ("Content-Encoding", coding)];
        let answer = app.post("/", &headers, packed).await;
        assert_eq!(
            (answer.status, answer.problem_code().as_str()),
            (413, "body_too_large"),
            "{coding}"
        );
    }
    app.finish().await;
    assert_eq!(broker.requests().len(), 0);
}

#[tokio::test]
async fn a_body_that_inflates_beyond_what_is_free_is_shed() {
    let broker = FakeBroker::start();
    let limits =
        "max_content_length = '2MiB'\nmax_envelope_bytes = '2MiB'\nmax_in_flight_bytes = '2MiB'";
    let app = TestApp::start_with(&broker, &format!("[ingest]\n{limits}")).await;
    let mut holder = app.connect().await;
    holder.send(head("POST", "/", &[JSON], 1600 * KIB)).await;
    holder.send(" ".repeat(1500 * KIB)).await;
    app.until_held(1500 * KIB).await;
    let packed = compress::gzip(&vec![b' '; 900 * KIB]);
    let headers = [JSON, ("Content-Encoding", "gzip")];
    let answer = app.post("/", &headers, &packed).await;
    assert_eq!(
        (answer.status, answer.problem_code().as_str()),
        (503, "overloaded")
    );
    holder.send(" ".repeat(100 * KIB)).await;
    assert_eq!(holder.answer().await.status, 200);
    assert_eq!(app.post("/", &headers, &packed).await.status, 200);
    app.finish().await;
}

#[tokio::test]
async fn what_waits_for_a_broker_counts_without_its_body() {
    let broker = FakeBroker::start();
    broker.hold();
    let app = TestApp::start_with(&broker, "[ingest]\ndurability = 'broker'").await;
    let event = format!("{{\"a\":\"{}\"}}", "x".repeat(100 * KIB));
    let mut waiting = app.connect().await;
    waiting.send(head("POST", "/", &[JSON], event.len())).await;
    waiting.send(&event).await;
    broker.until_requests(1).await;
    let envelope = event.len() as f64;
    eventually("the body to count no longer", async || {
        let samples = app.samples().await;
        let held = samples.value("headgate_in_flight_bytes", &[]).unwrap();
        assert!(held >= envelope, "{held} are held");
        (held < envelope * 1.1).then_some(())
    })
    .await;
    broker.release();
    assert_eq!(waiting.answer().await.status, 200);
    app.finish().await;
}

/// Each costs its client a few bytes, and there can be 250 of them on one connection.
#[tokio::test]
async fn a_stream_that_waits_for_a_broker_counts_until_its_answer() {
    let broker = FakeBroker::start();
    broker.hold();
    let app = TestApp::start_with(&broker, "[ingest]\ndurability = 'broker'").await;
    let event = format!("{{\"a\":\"{}\"}}", "x".repeat(100 * KIB));
    let bytes = event.len();
    let client = Http2Client::open(app.public()).await;
    let waiting = client.request(http2_client::post("/", "application/json", event));
    let looking = async {
        broker.until_requests(1).await;
        let held = eventually("the body to count no longer", async || {
            let samples = app.samples().await;
            let held = samples.value("headgate_in_flight_bytes", &[]).unwrap() as usize;
            (held < bytes + bytes / 2).then_some(held)
        })
        .await;
        assert!(held >= bytes + 8 * KIB, "{held} are held");
        broker.release();
    };
    let (answer, ()) = tokio::join!(waiting, looking);
    assert_eq!(answer.status, 200);
    drop(client);
    app.finish().await;
}

#[tokio::test]
async fn what_is_small_on_the_wire_and_large_once_enriched_is_refused() {
    let broker = FakeBroker::start();
    let toml = "[ingest]\nmax_envelope_bytes = '1MiB'";
    let app = TestApp::start_with(&broker, toml).await;
    let long = "v".repeat(8 * KIB);
    for body in ["{}".repeat(1000), "[{}]\n".repeat(1000), "5 ".repeat(1000)] {
        let answer = app.post("/", &[JSON, ("X-Long", &long)], body).await;
        assert_eq!(
            (answer.status, answer.problem_code().as_str()),
            (413, "body_too_large")
        );
    }
    app.finish().await;
    assert_eq!(broker.requests().len(), 0);
}

#[tokio::test]
async fn a_million_levels_do_not_hurt() {
    let broker = FakeBroker::start();
    let app = TestApp::start_with(&broker, "").await;
    let deep = "[".repeat(1_000_000);
    let nested = format!("{}1{}", "{\"a\":".repeat(300_000), "}".repeat(300_000));
    assert_eq!(
        app.post("/v1/events", &[JSON], &deep).await.problem_code(),
        "malformed_body"
    );
    assert_eq!(
        app.post("/v1/events", &[JSON], &nested)
            .await
            .problem_code(),
        "invalid_events"
    );
    assert_eq!(app.post("/", &[JSON], &deep).await.status, 200);
    assert_eq!(
        app.post("/", &[NDJSON], format!("{{}}\n{nested}\n"))
            .await
            .status,
        200
    );
    app.until_book("dead_lettered", 1).await;
    assert_eq!(app.dead_letters()[0]["reason"], "too_deep");
    app.finish().await;
    let events = broker.delivered();
    assert_eq!(events.len(), 2);
    assert_eq!(events[0]["message"].as_str().unwrap().len(), deep.len());
}

#[tokio::test]
async fn large_bodies_take_turns_instead_of_refusing_each_other() {
    // Nobody waits for a turn longer than two seconds.
    by_its_own_clock(many_large_bodies_are_taken()).await;
}

async fn many_large_bodies_are_taken() {
    const CLIENTS: usize = 60;
    const EVENTS: usize = 150;
    let broker = FakeBroker::start();
    let budget = "[ingest]\nmax_content_length = '4MiB'\nmax_envelope_bytes = '4MiB'\nmax_in_flight_bytes = '4MiB'\n";
    let app = Arc::new(TestApp::start_with(&broker, budget).await);
    let event = format!(r#"{{"message":"{}"}}"#, "x".repeat(500));
    let body = format!("[{}]", vec![event; EVENTS].join(","));
    // Some ten of them fit at once, if each is taken to its end.
    let mut clients = JoinSet::new();
    for _ in 0..CLIENTS {
        let (app, body) = (Arc::clone(&app), body.clone());
        clients.spawn(async move { app.post("/v1/events", &[JSON], body).await.status });
    }
    let answers = clients.join_all().await;
    assert_eq!(answers, vec![200; CLIENTS]);
    let app = Arc::into_inner(app).expect("no client is left");
    app.until_book("delivered", (CLIENTS * EVENTS) as u64).await;
    app.finish().await;
}
