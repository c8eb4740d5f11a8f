//! Floods: resets, heads without end, heads that grow when decoded, and chatter.

use crate::support::client::JSON;
use crate::support::eventually;
use crate::support::fake_broker::FakeBroker;
use crate::support::http2_frames::*;
use crate::support::test_app::TestApp;

/// The server's word for an attack (RFC 9113, 7).
const ENHANCE_YOUR_CALM: u32 = 0xb;

/// CVE-2023-44487.
#[tokio::test]
async fn rapid_resets_end_the_connection() {
    let broker = FakeBroker::start();
    let app = TestApp::start_with(&broker, "").await;
    let mut client = FrameClient::open(app.public(), &[]).await;
    let block = block(&POST);
    let mut flood = Vec::new();
    for stream in (1..20_000).step_by(2) {
        flood.extend(frame(HEADERS, END_HEADERS, stream, &block));
        flood.extend(frame(RST_STREAM, 0, stream, &8_u32.to_be_bytes()));
    }
    client.send(&flood).await;
    let goaway = client.until(|frame| frame.kind == GOAWAY).await;
    assert!(
        goaway
            .as_ref()
            .is_none_or(|frame| frame.error_code() == ENHANCE_YOUR_CALM),
        "{goaway:?}"
    );
    assert_eq!(client.until(|_| false).await, None);
    assert_eq!(app.post("/", &[JSON], "{}").await.status, 200);
    app.until_connections(0).await;
    app.finish().await;
    assert_eq!(broker.delivered().len(), 1);
}

/// Streams that the server has to reset: each violates the protocol after it was accepted.
#[tokio::test]
async fn resets_that_the_server_is_made_to_send_end_the_connection() {
    let broker = FakeBroker::start();
    let app = TestApp::start_with(&broker, "").await;
    let mut client = FrameClient::open(app.public(), &[]).await;
    let block = block(&POST);
    let mut flood = Vec::new();
    for stream in (1..20_000).step_by(2) {
        flood.extend(frame(HEADERS, END_HEADERS, stream, &block));
        flood.extend(frame(WINDOW_UPDATE, 0, stream, &[0; 4]));
    }
    client.send(&flood).await;
    assert_eq!(client.until(|_| false).await, None);
    app.until_connections(0).await;
    app.finish().await;
    assert_eq!(broker.delivered().len(), 0);
}

/// CVE-2024-27316.
#[tokio::test]
async fn heads_without_end_end_the_connection() {
    let app = TestApp::start("").await;
    let field = block(&[("x", "y".repeat(1000))]);
    for (name, piece, most) in [
        ("long", field.repeat(16), 200),
        ("short", block(&[("x", "y")]), 200_000),
        ("empty", Vec::new(), 200_000),
    ] {
        let mut client = FrameClient::open(app.public(), &[]).await;
        client.send(frame(HEADERS, 0, 1, &block(&POST))).await;
        let pieces = frame(CONTINUATION, 0, 1, &piece).repeat(100);
        let mut sent = 0;
        while client.send(&pieces).await {
            sent += 100;
            assert!(sent <= most, "{name}: {sent} frames of a head were taken");
        }
        client.until(|_| false).await;
    }
    app.until_connections(0).await;
    app.finish().await;
}

/// A few bytes that stand for a long header, again and again (CVE-2016-6581 and its kin).
#[tokio::test]
async fn a_head_that_is_short_on_the_wire_and_long_inside_is_refused() {
    let broker = FakeBroker::start();
    let app = TestApp::start_with(&broker, "").await;
    let mut client = FrameClient::open(app.public(), &[]).await;
    for stream in (1..200).step_by(2) {
        let mut bomb = block(&POST);
        // Into the table, where it gets the first dynamic index; and 10,000 times out of it.
        bomb.push(0x40);
        push_text(&mut bomb, b"x");
        push_text(&mut bomb, &[b'v'; 4000]);
        bomb.extend([0x80 | 62; 10_000]);
        client
            .send(frame(HEADERS, END_HEADERS | END_STREAM, stream, &bomb))
            .await;
        let end = client.end_of(stream).await;
        if end.is_none_or(|end| end.kind == GOAWAY) {
            break;
        }
    }
    assert_eq!(app.get("/health").await.status, 200);
    drop(client);
    app.finish().await;
    assert_eq!(broker.delivered().len(), 0);
}

/// Frames that ask for work and are no request.
fn chatter() -> [(&'static str, Vec<u8>); 6] {
    [
        ("pings", frame(PING, 0, 0, &[7; 8])),
        ("acknowledged pings", frame(PING, ACK, 0, &[7; 8])),
        ("settings", frame(SETTINGS, 0, 0, &[])),
        ("priorities", frame(PRIORITY, 0, 1, &[0, 0, 0, 3, 9])),
        ("windows", frame(WINDOW_UPDATE, 0, 0, &1_u32.to_be_bytes())),
        ("unknown frames", frame(99, 0, 0, &[0; 100])),
    ]
}

#[tokio::test]
async fn chatter_without_a_request_is_idle() {
    let app = TestApp::start("[server]\nkeep_alive_timeout = '100ms'").await;
    for (name, drop) in chatter() {
        let mut client = FrameClient::open(app.public(), &[]).await;
        eventually(&format!("a goodbye to {name}"), async || {
            client.send(&drop).await;
            client.has_said(GOAWAY).await.then_some(())
        })
        .await;
    }
    app.finish().await;
}

/// A flood whose answers nobody reads holds up nobody and leaves nothing behind.
#[tokio::test]
async fn a_flood_of_chatter_disturbs_nobody() {
    let broker = FakeBroker::start();
    let app = TestApp::start_with(&broker, "").await;
    let mut floods = Vec::new();
    for (_, drop) in chatter() {
        let mut client = FrameClient::open(app.public(), &[]).await;
        let drops = drop.repeat(500);
        for _ in 0..200 {
            if !client.send_now(&drops) {
                break;
            }
        }
        assert_eq!(app.post("/", &[JSON], "{}").await.status, 200);
        floods.push(client);
    }
    drop(floods);
    app.until_connections(0).await;
    app.finish().await;
    assert_eq!(broker.delivered().len(), chatter().len());
}
