//! Requests that the client does not let end: it takes no answer, or sends no body.

use super::INITIAL_WINDOW_SIZE;
use crate::support::eventually;
use crate::support::fake_broker::FakeBroker;
use crate::support::http2_frames::*;
use crate::support::test_app::TestApp;

/// A client that asks and never opens its window.
#[tokio::test]
async fn answers_that_nobody_takes_end_with_their_connection() {
    let broker = FakeBroker::start();
    let toml = "[server]\nkeep_alive_timeout = '100ms'\nrequest_timeout = '2s'";
    let app = TestApp::start_with(&broker, toml).await;
    let mut client = FrameClient::open(app.public(), &[(INITIAL_WINDOW_SIZE, 0)]).await;
    let block = block(&POST);
    for stream in (1..500).step_by(2) {
        client
            .send(frame(HEADERS, END_HEADERS | END_STREAM, stream, &block))
            .await;
    }
    assert_eq!(client.until(|_| false).await, None);
    app.until_connections(0).await;
    app.finish().await;
    assert_eq!(broker.delivered().len(), 250);
}

/// A large answer is counted in the byte budget; who does not take it must not hold it, busy as the connection may be.
#[tokio::test]
async fn a_large_answer_that_nobody_takes_gives_its_memory_back() {
    let broker = FakeBroker::start();
    let toml = "[server]\nrequest_timeout = '2s'\n[validate]\nrequired = ['a', 'b', 'c']";
    let app = TestApp::start_with(&broker, toml).await;
    let mut client = FrameClient::open(app.public(), &[(INITIAL_WINDOW_SIZE, 0)]).await;
    let events = [
        (":method", "POST"),
        (":scheme", "http"),
        (":path", "/v1/events"),
    ];
    client
        .send(frame(HEADERS, END_HEADERS, 1, &block(&events)))
        .await;
    client
        .send(frame(DATA, END_STREAM, 1, "{}".repeat(2000).as_bytes()))
        .await;
    app.until_held(100_000).await;
    until_closed_though_busy(&mut client).await;
    app.finish().await;
}

/// A short answer is not counted, and takes memory all the same: who does not take it must not keep it there for ever,
/// busy as the connection may be.
#[tokio::test]
async fn a_short_answer_that_nobody_takes_ends_a_busy_connection() {
    let broker = FakeBroker::start();
    let app = TestApp::start_with(&broker, "[server]\nrequest_timeout = '2s'").await;
    let mut client = FrameClient::open(app.public(), &[(INITIAL_WINDOW_SIZE, 0)]).await;
    client
        .send(frame(HEADERS, END_HEADERS | END_STREAM, 1, &block(&POST)))
        .await;
    until_closed_though_busy(&mut client).await;
    app.finish().await;
    assert_eq!(broker.delivered().len(), 1);
}

/// Asks for what is answered without content, which waits for no window.
async fn until_closed_though_busy(client: &mut FrameClient) {
    let health = block(&[
        (":method", "HEAD"),
        (":scheme", "http"),
        (":path", "/health"),
    ]);
    let mut stream = 1;
    eventually(
        "the connection to be closed though it is busy",
        async || {
            stream += 2;
            let ask = frame(HEADERS, END_HEADERS | END_STREAM, stream, &health);
            (!client.send_now(&ask)).then_some(())
        },
    )
    .await;
}

/// One connection could hold 250 heads of 96 KiB beside the byte budget.
#[tokio::test]
async fn long_heads_are_counted_while_their_bodies_are_waited_for() {
    let broker = FakeBroker::start();
    let limits =
        "max_content_length = '1MiB'\nmax_envelope_bytes = '1MiB'\nmax_in_flight_bytes = '1MiB'";
    let app = TestApp::start_with(&broker, &format!("[ingest]\n{limits}")).await;
    let mut client = FrameClient::open(app.public(), &[]).await;
    let mut head = block(&POST);
    for number in 0..6 {
        head.extend(block(&[(format!("x-{number}"), "v".repeat(14_000))]));
    }
    let (first, rest) = head.split_at(16_000);
    for stream in (1..40).step_by(2) {
        client.send(frame(HEADERS, 0, stream, first)).await;
        for (number, piece) in rest.chunks(16_000).enumerate() {
            let is_last = (number + 1) * 16_000 >= rest.len();
            let flags = if is_last { END_HEADERS } else { 0 };
            client.send(frame(CONTINUATION, flags, stream, piece)).await;
        }
    }
    // Twelve of them fill the budget; the others are told so.
    let mut refused = 0;
    while refused < 8 {
        let answer = client
            .until(|frame| frame.kind == HEADERS && frame.stream > 0)
            .await;
        assert!(answer.is_some(), "the connection lives on");
        refused += 1;
    }
    app.until_held(900_000).await;
    assert_eq!(app.get("/health").await.status, 200);
    drop(client);
    app.finish().await;
    assert_eq!(broker.requests().len(), 0);
}

/// A head of fourteen bytes, or of many short headers, takes kilobytes as long as its body is waited for.
#[tokio::test]
async fn short_heads_are_counted_by_what_they_take() {
    let broker = FakeBroker::start();
    let app = TestApp::start_with(&broker, "").await;
    let mut client = FrameClient::open(app.public(), &[]).await;
    for stream in (1..201).step_by(2) {
        client
            .send(frame(HEADERS, END_HEADERS, stream, &block(&POST)))
            .await;
    }
    app.until_held(100 * 8_000).await;
    drop(client);
    app.until_at_rest().await;
    let mut client = FrameClient::open(app.public(), &[]).await;
    let mut head = block(&POST);
    for number in 0..90 {
        head.extend(block(&[(format!("a{number}"), String::new())]));
    }
    for stream in (1..201).step_by(2) {
        client
            .send(frame(HEADERS, END_HEADERS, stream, &head))
            .await;
    }
    app.until_held(100 * (8_000 + 90 * 200)).await;
    drop(client);
    app.finish().await;
    assert_eq!(broker.requests().len(), 0);
}

/// What a proxy sends whose own client went away in the middle of a body.
#[tokio::test]
async fn a_body_that_is_reset_without_an_error_leaves_no_event() {
    let broker = FakeBroker::start();
    let app = TestApp::start_with(&broker, "[ingest]\ndurability = 'memory'").await;
    let mut client = FrameClient::open(app.public(), &[]).await;
    let no_error = [0; 4];
    client
        .send(
            [
                frame(HEADERS, END_HEADERS, 1, &block(&POST)),
                frame(DATA, 0, 1, b"half a li"),
                frame(RST_STREAM, 0, 1, &no_error),
                frame(HEADERS, END_HEADERS, 3, &block(&POST)),
                frame(DATA, 0, 3, b"a whole "),
                frame(DATA, END_STREAM, 3, b"line"),
            ]
            .concat(),
        )
        .await;
    let is_answer = |frame: &Frame| frame.kind == HEADERS && frame.stream == 3;
    assert!(client.until(is_answer).await.is_some());
    app.finish().await;
    let messages: Vec<_> = broker
        .delivered()
        .iter()
        .map(|event| event["message"].clone())
        .collect();
    assert_eq!(messages, ["a whole line"]);
}
