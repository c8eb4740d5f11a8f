//! Connections that fall silent and are parked: nobody can tell. That one has been parked shows in the
//! beginning of a request that came behind the last one: only then its time limit begins.

use crate::support::client::{Connection, JSON, head};
use crate::support::fake_broker::FakeBroker;
use crate::support::test_app::TestApp;
use crate::support::tls_client::Wants;
use crate::support::tls_site::TlsSite;

const SHORT_HEADS: &str = "[server]\nheader_read_timeout = '50ms'";

/// A request, and behind it the beginning of another one.
fn request_and_beginning(beginning: &str) -> String {
    head("POST", "/", &[JSON], 2) + "{}" + beginning
}

/// Returns when connections that are silent by now have been parked.
async fn until_the_silent_are_parked(app: &TestApp) {
    let mut last = app.connect().await;
    last.send(request_and_beginning("GET /hea")).await;
    assert_eq!(last.answer().await.status, 200);
    assert_eq!(last.answer_to_head().await.status, 408);
}

async fn serves_on(
    connection: &mut Connection<impl tokio::io::AsyncRead + tokio::io::AsyncWrite + Unpin>,
) {
    for body in [
        "[{}, {}]".to_owned(),
        format!("[{{\"long\": \"{}\"}}]", "x".repeat(200_000)),
    ] {
        let answer = connection.request("POST", "/", &[JSON], body).await;
        assert_eq!(answer.status, 200);
    }
}

#[tokio::test]
async fn a_parked_connection_serves_on() {
    let broker = FakeBroker::start();
    let app = TestApp::start_with(&broker, SHORT_HEADS).await;
    let mut kept = app.connect().await;
    for _ in 0..2 {
        serves_on(&mut kept).await;
        until_the_silent_are_parked(&app).await;
    }
    // In pieces, of which the first one wakes it.
    for byte in head("GET", "/health", &[], 0).bytes() {
        kept.send([byte]).await;
    }
    assert_eq!(kept.answer().await.status, 200);
    app.finish().await;
    assert_eq!(broker.delivered().len(), 2 * (3 + 1));
}

#[tokio::test]
async fn a_parked_connection_of_tls_serves_on() {
    let site = TlsSite::new();
    let app = TestApp::start(&site.toml("")).await;
    let plain = TestApp::start(SHORT_HEADS).await;
    for protocols in [&[][..], &["http/1.1"]] {
        let client = site.client(&Wants {
            protocols,
            ..Wants::default()
        });
        let mut kept = client.connect(app.public()).await;
        serves_on(&mut kept).await;
        until_the_silent_are_parked(&plain).await;
        serves_on(&mut kept).await;
    }
    plain.finish().await;
    app.finish().await;
}

#[tokio::test]
async fn the_beginning_of_a_request_outlasts_parking() {
    let broker = FakeBroker::start();
    let app = TestApp::start_with(&broker, "").await;
    let other = TestApp::start(SHORT_HEADS).await;
    let next = head("POST", "/", &[JSON], 15) + "{\"a\": \"parked\"";
    let mut connection = app.connect().await;
    connection.send(request_and_beginning(&next[..40])).await;
    assert_eq!(connection.answer().await.status, 200);
    until_the_silent_are_parked(&other).await;
    connection.send(&next[40..]).await;
    connection.send("}").await;
    assert_eq!(connection.answer().await.status, 200);
    other.finish().await;
    app.finish().await;
    assert_eq!(broker.delivered()[1]["a"], "parked");
}

#[tokio::test]
async fn empty_lines_are_no_beginning_of_a_request() {
    let broker = FakeBroker::start();
    let app = TestApp::start_with(&broker, SHORT_HEADS).await;
    let mut behind = app.connect().await;
    let mut first = app.connect().await;
    first.send("\r\n").await;
    let mut apart = app.connect().await;
    assert_eq!(apart.request("GET", "/health", &[], "").await.status, 200);
    apart.send("\r\n").await;
    behind.send(request_and_beginning("\r\n")).await;
    assert_eq!(behind.answer().await.status, 200);
    until_the_silent_are_parked(&app).await;
    behind.send("\n\r\n").await;
    until_the_silent_are_parked(&app).await;
    for connection in [&mut first, &mut apart, &mut behind] {
        let answer = connection.request("POST", "/", &[JSON], "{}").await;
        assert_eq!(answer.status, 200);
    }
    app.finish().await;
    assert_eq!(broker.delivered().len(), 2 + 1 + 3);
}

#[tokio::test]
async fn parked_connections_are_closed_when_the_server_ends() {
    let app = TestApp::start("[server]\nheader_read_timeout = '1h'\ndrain_timeout = '1h'").await;
    let clock = TestApp::start(SHORT_HEADS).await;
    let mut parked = app.connect().await;
    assert_eq!(parked.request("GET", "/health", &[], "").await.status, 200);
    let mut with_empty_line = app.connect().await;
    with_empty_line.send(request_and_beginning("\r\n")).await;
    assert_eq!(with_empty_line.answer().await.status, 200);
    until_the_silent_are_parked(&clock).await;
    tokio::join!(
        app.finish(),
        parked.expect_closed(),
        with_empty_line.expect_closed()
    );
    clock.finish().await;
}
