//! Slowloris in all its forms: clients that send or read a little at a time, to hold what they do not pay
//! for. Each is cut off by the limit that is made short here; the other limits stay long.
//! tests/it/time_limits.rs has those that fall silent.

use crate::support::client::{Connection, JSON, head};
use crate::support::eventually;
use crate::support::fake_broker::FakeBroker;
use crate::support::http2_frames::{
    CONTINUATION, DATA, END_HEADERS, END_STREAM, FrameClient, HEADERS, POST, block, frame,
};
use crate::support::test_app::TestApp;

const CHUNKED: &str = "POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n";

/// Sends the drop again and again until the server is seen to give up; what it said then.
async fn drip(connection: &mut Connection, drop: &str) -> String {
    eventually("the slow client to be cut off", async || {
        if connection.has_bytes().await || !connection.try_send(drop).await {
            return Some(());
        }
        None
    })
    .await;
    String::from_utf8(connection.rest_or_reset().await).unwrap()
}

#[tokio::test]
async fn a_head_that_comes_byte_by_byte_is_cut_off() {
    let broker = FakeBroker::start();
    let app = TestApp::start_with(&broker, "[server]\nheader_read_timeout = '200ms'").await;
    for (beginning, drop) in [
        ("POST / HTTP/1.1\r\nHost: x\r\nX-Slow: ", "a"),
        ("POST / HTTP/1.1\r\nHost: x\r\n", "A: b\r\n"),
        ("POST /", "x"),
        ("\r\n", "\r\n"),
    ] {
        let mut connection = app.connect().await;
        connection.send(beginning).await;
        let told = drip(&mut connection, drop).await;
        // Many short lines become too many before they take too long.
        let is_cut = ["HTTP/1.1 408 ", "HTTP/1.1 431 "]
            .iter()
            .any(|status| told.starts_with(status));
        assert!(is_cut, "{beginning:?}: {told}");
    }
    // The next head of a connection that was served has no more time than the first.
    let mut connection = app.connect().await;
    let answer = connection.request("GET", "/health", &[], "").await;
    assert_eq!(answer.status, 200);
    connection.send("POST /").await;
    let told = drip(&mut connection, "x").await;
    assert!(told.starts_with("HTTP/1.1 408 "), "{told}");
    app.finish().await;
    assert_eq!(broker.requests().len(), 0);
}

#[tokio::test]
async fn a_body_that_comes_byte_by_byte_is_cut_off() {
    let broker = FakeBroker::start();
    let app = TestApp::start_with(&broker, "[server]\nbody_timeout = '200ms'").await;
    for (beginning, drop) in [
        (head("POST", "/", &[JSON], 1_000_000), " "),
        (head("POST", "/v1/events", &[JSON], 1_000_000), " "),
        (CHUNKED.to_owned(), "1\r\n \r\n"),
        (format!("{CHUNKED}fffff\r\n"), " "),
    ] {
        let mut connection = app.connect().await;
        connection.send(&beginning).await;
        let told = drip(&mut connection, drop).await;
        assert!(told.starts_with("HTTP/1.1 408 "), "{beginning}: {told}");
        assert!(told.contains("server.body_timeout"), "{told}");
    }
    app.finish().await;
    assert_eq!(broker.requests().len(), 0);
}

/// Bytes that are no part of the body are silence.
#[tokio::test]
async fn bytes_around_a_body_do_not_keep_it_alive() {
    let broker = FakeBroker::start();
    let app = TestApp::start_with(&broker, "[server]\nbody_read_timeout = '200ms'").await;
    for (beginning, drop) in [
        ("1;extension=", "x"),
        ("0000", "0"),
        ("0\r\nX-Trailer: ", "x"),
        ("0\r\n", "A: b\r\n"),
    ] {
        let mut connection = app.connect().await;
        connection.send(format!("{CHUNKED}{beginning}")).await;
        let told = drip(&mut connection, drop).await;
        // Or they are too many before they take too long.
        let is_cut = told.starts_with("HTTP/1.1 408 ") || told.starts_with("HTTP/1.1 400 ");
        assert!(is_cut, "{beginning:?}: {told}");
    }
    app.finish().await;
    assert_eq!(broker.requests().len(), 0);
}

#[tokio::test]
async fn an_answer_that_is_not_read_gives_its_memory_back() {
    let broker = FakeBroker::start();
    let toml = "[server]\nrequest_timeout = '2s'\n[validate]\nrequired = ['a', 'b', 'c', 'd']";
    let app = TestApp::start_with(&broker, toml).await;
    let mut connection = app.connect().await;
    // Its answer is longer than all that the sockets take.
    let many = "{}".repeat(60_000);
    connection
        .send(head("POST", "/v1/events", &[JSON], many.len()) + &many)
        .await;
    app.until_held(10_000_000).await;
    app.until_connections(0).await;
    app.finish().await;
}

#[tokio::test]
async fn slow_frames_of_http2_are_cut_off() {
    let broker = FakeBroker::start();
    let toml = "[server]\nbody_timeout = '200ms'\nkeep_alive_timeout = '200ms'";
    let app = TestApp::start_with(&broker, toml).await;
    let mut body = FrameClient::open(app.public(), &[]).await;
    body.send(frame(HEADERS, END_HEADERS, 1, &block(&POST)))
        .await;
    eventually("the slow body to be refused", async || {
        body.send(frame(DATA, 0, 1, b" ")).await;
        let status = [("route", "logstash"), ("status", "408")];
        let refused = app
            .samples()
            .await
            .value("headgate_requests_total", &status);
        (refused == Some(1.0)).then_some(())
    })
    .await;
    let mut head = FrameClient::open(app.public(), &[]).await;
    head.send(frame(HEADERS, END_STREAM, 1, &block(&POST)))
        .await;
    let drop = frame(CONTINUATION, 0, 1, &block(&[("x", "y")]));
    eventually("the slow head to be cut off", async || {
        (!head.send(&drop).await).then_some(())
    })
    .await;
    app.finish().await;
    assert_eq!(broker.requests().len(), 0);
}

#[tokio::test]
async fn slow_clients_do_not_slow_the_others() {
    let broker = FakeBroker::start();
    let app = TestApp::start_with(&broker, "").await;
    let mut slow = Vec::new();
    for number in 0..300 {
        let mut connection = app.connect().await;
        let beginning = match number % 3 {
            0 => "POST / HTT".to_owned(),
            1 => head("POST", "/", &[JSON], 1_000_000) + "{",
            _ => format!("{CHUNKED}5\r\nhe"),
        };
        connection.send(beginning).await;
        slow.push(connection);
    }
    for _ in 0..20 {
        assert_eq!(app.post("/", &[JSON], "{}").await.status, 200);
    }
    drop(slow);
    app.finish().await;
    assert_eq!(broker.delivered().len(), 20);
}
