//! HTTP/2 as attackers speak it: malformed requests, which must leave no event; and floods, which must end, cost no
//! memory that is not given back, and disturb nobody else.

use crate::support::client::JSON;
use crate::support::eventually;
use crate::support::fake_broker::FakeBroker;
use crate::support::http2_frames::*;
use crate::support::test_app::TestApp;

/// The server's word for an attack (RFC 9113, 7).
const ENHANCE_YOUR_CALM: u32 = 0xb;

/// `SETTINGS_INITIAL_WINDOW_SIZE`.
const INITIAL_WINDOW_SIZE: u16 = 4;

fn headers(flags: u8, more: &[(&[u8], &[u8])]) -> Vec<u8> {
    let mut all: Vec<(&[u8], &[u8])> = Vec::new();
    all.extend(POST.map(|(name, value)| (name.as_bytes(), value.as_bytes())));
    all.extend(more);
    frame(HEADERS, flags | END_HEADERS, 1, &block(&all))
}

fn head(pseudo: &[(&str, &str)]) -> Vec<u8> {
    frame(HEADERS, END_HEADERS | END_STREAM, 1, &block(pseudo))
}

/// A POST with these headers and the body `body`.
fn post(more: &[(&[u8], &[u8])]) -> Vec<u8> {
    let mut bytes = headers(0, more);
    bytes.extend(frame(DATA, END_STREAM, 1, b"body"));
    bytes
}

/// Requests that RFC 9113, 8.1.1 calls malformed.
fn malformed_requests() -> Vec<(&'static str, Vec<u8>)> {
    let trailers = |fields: &[(&str, &str)], flags: u8| {
        let mut bytes = headers(0, &[]);
        bytes.extend(frame(DATA, 0, 1, b"body"));
        bytes.extend(frame(HEADERS, flags, 1, &block(fields)));
        bytes
    };
    vec![
        ("longer than the length", post(&[(b"content-length", b"3")])),
        (
            "shorter than the length",
            post(&[(b"content-length", b"5")]),
        ),
        (
            "a length and no body",
            headers(END_STREAM, &[(b"content-length", b"5")]),
        ),
        (
            "two lengths",
            post(&[(b"content-length", b"4"), (b"content-length", b"5")]),
        ),
        ("a length that is none", post(&[(b"content-length", b"4x")])),
        ("a length with a sign", post(&[(b"content-length", b"+4")])),
        ("a length in a list", post(&[(b"content-length", b"4, 4")])),
        (
            "transfer-encoding",
            post(&[(b"transfer-encoding", b"chunked")]),
        ),
        (
            "transfer-encoding identity",
            post(&[(b"transfer-encoding", b"identity")]),
        ),
        ("connection", post(&[(b"connection", b"close")])),
        ("keep-alive", post(&[(b"keep-alive", b"timeout=5")])),
        (
            "proxy-connection",
            post(&[(b"proxy-connection", b"keep-alive")]),
        ),
        ("upgrade", post(&[(b"upgrade", b"h2c")])),
        ("te", post(&[(b"te", b"gzip")])),
        ("CR in a value", post(&[(b"x", b"a\rb")])),
        ("LF in a value", post(&[(b"x", b"a\nb")])),
        (
            "a request in a value",
            post(&[(b"x", b"a\r\n\r\nPOST /hidden HTTP/1.1")]),
        ),
        ("NUL in a value", post(&[(b"x", b"a\0b")])),
        ("capitals in a name", post(&[(b"X-Capital", b"a")])),
        ("a space in a name", post(&[(b"x y", b"a")])),
        ("a colon in a name", post(&[(b"x:y", b"a")])),
        ("a line end in a name", post(&[(b"x\r\ny", b"a")])),
        ("no name", post(&[(b"", b"a")])),
        ("a strange pseudo-header", post(&[(b":strange", b"a")])),
        ("a status", post(&[(b":status", b"200")])),
        (
            "a late pseudo-header",
            post(&[(b"x", b"a"), (b":path", b"/late")]),
        ),
        ("the path twice", post(&[(b":path", b"/other")])),
        ("the method twice", post(&[(b":method", b"GET")])),
        ("the authority twice", post(&[(b":authority", b"other")])),
        ("no method", head(&[(":scheme", "http"), (":path", "/")])),
        ("no scheme", head(&[(":method", "POST"), (":path", "/")])),
        ("no path", head(&[(":method", "POST"), (":scheme", "http")])),
        (
            "an empty path",
            head(&[(":method", "POST"), (":scheme", "http"), (":path", "")]),
        ),
        (
            "a request line in the method",
            head(&[
                (":method", "POST / HTTP/1.1\r\nX: y"),
                (":scheme", "http"),
                (":path", "/"),
            ]),
        ),
        (
            "a request line in the path",
            head(&[
                (":method", "POST"),
                (":scheme", "http"),
                (":path", "/ HTTP/1.1\r\nX: y"),
            ]),
        ),
        (
            "a space in the path",
            head(&[(":method", "POST"), (":scheme", "http"), (":path", "/a b")]),
        ),
        (
            "a head in the middle of a body",
            trailers(&[("x", "y")], END_HEADERS),
        ),
    ]
}

#[tokio::test]
async fn malformed_requests_are_reset_and_leave_no_event() {
    let broker = FakeBroker::start();
    let app = TestApp::start_with(&broker, "").await;
    let mut faults = Vec::new();
    for (name, bytes) in malformed_requests() {
        let mut client = FrameClient::open(app.public(), &[]).await;
        client.send(bytes).await;
        let end = client.outcome_of(1).await;
        let is_refused = end
            .as_ref()
            .is_some_and(|end| end.kind != HEADERS || end.says_bad_request());
        if !is_refused || !broker.delivered().is_empty() {
            faults.push(format!("{name}: {end:?}, stored {:?}", broker.delivered()));
        }
    }
    assert!(faults.is_empty(), "{}", faults.join("\n"));
    app.finish().await;
    assert_eq!(broker.delivered().len(), 0);
}

#[tokio::test]
async fn an_honest_request_with_every_frame_written_out_is_taken() {
    let broker = FakeBroker::start();
    let app = TestApp::start_with(&broker, "").await;
    let mut client = FrameClient::open(app.public(), &[]).await;
    let request = block(&[
        (":method", "POST"),
        (":scheme", "http"),
        (":authority", "logs.example"),
        (":path", "/a?b"),
        ("host", "other.example"),
        ("te", "trailers"),
        ("content-length", "4"),
    ]);
    let (first, rest) = request.split_at(7);
    client.send(frame(HEADERS, 0, 1, first)).await;
    client.send(frame(CONTINUATION, 0, 1, &[])).await;
    client.send(frame(CONTINUATION, END_HEADERS, 1, rest)).await;
    client.send(frame(DATA, PADDED, 1, b"\x03bo---")).await;
    client.send(frame(DATA, 0, 1, b"")).await;
    client.send(frame(DATA, 0, 1, b"dy")).await;
    // The library lets a pseudo-header pass here, which says as little as any other trailer.
    let trailers = block(&[(":path", "/late"), ("content-encoding", "gzip")]);
    client
        .send(frame(HEADERS, END_HEADERS | END_STREAM, 1, &trailers))
        .await;
    assert_eq!(client.end_of(1).await.unwrap().kind, DATA);
    app.finish().await;
    let event = broker.only_event();
    assert_eq!(event["message"], "body");
    assert_eq!(event["headers"]["request_path"], "/a?b");
    assert_eq!(event["headers"]["http_host"], "logs.example");
}

#[tokio::test]
async fn frames_out_of_order_end_the_connection_and_leave_no_event() {
    let broker = FakeBroker::start();
    let app = TestApp::start_with(&broker, "").await;
    let open = headers(0, &[]);
    let setting = |identifier: u16, value: u32| {
        [&identifier.to_be_bytes()[..], &value.to_be_bytes()].concat()
    };
    let cases = [
        ("data on no stream", frame(DATA, END_STREAM, 0, b"body")),
        (
            "data on an idle stream",
            frame(DATA, END_STREAM, 5, b"body"),
        ),
        (
            "an even stream",
            frame(HEADERS, END_HEADERS | END_STREAM, 2, &block(&POST)),
        ),
        (
            "a head on no stream",
            frame(HEADERS, END_HEADERS | END_STREAM, 0, &block(&POST)),
        ),
        (
            "an older stream",
            [
                frame(HEADERS, END_HEADERS, 7, &block(&POST)),
                frame(HEADERS, END_HEADERS | END_STREAM, 3, &block(&POST)),
            ]
            .concat(),
        ),
        (
            "more padding than there is",
            [open.clone(), frame(DATA, PADDED, 1, b"\x09body")].concat(),
        ),
        (
            "a continuation of nothing",
            frame(CONTINUATION, END_HEADERS, 1, &block(&POST)),
        ),
        (
            "data within a head",
            [
                frame(HEADERS, 0, 1, &block(&POST)),
                frame(DATA, END_STREAM, 1, b"body"),
            ]
            .concat(),
        ),
        (
            "a continuation on another stream",
            [
                frame(HEADERS, 0, 1, &block(&POST)),
                frame(CONTINUATION, END_HEADERS, 3, &[]),
            ]
            .concat(),
        ),
        (
            "a frame beyond the limit",
            [open.clone(), frame(DATA, END_STREAM, 1, &[0; 20_000])].concat(),
        ),
        (
            "a head that does not decode",
            frame(HEADERS, END_HEADERS | END_STREAM, 1, &[0xff; 9]),
        ),
        (
            "an index that is not there",
            frame(HEADERS, END_HEADERS | END_STREAM, 1, &[0xfe]),
        ),
        (
            "a promise",
            frame(PUSH_PROMISE, END_HEADERS, 1, &[0, 0, 0, 2]),
        ),
        ("a window of nothing", frame(WINDOW_UPDATE, 0, 0, &[0; 4])),
        (
            "a window beyond all bounds",
            frame(WINDOW_UPDATE, 0, 0, &0x7fff_ffff_u32.to_be_bytes()).repeat(2),
        ),
        (
            "a setting beyond all bounds",
            frame(SETTINGS, 0, 0, &setting(INITIAL_WINDOW_SIZE, u32::MAX)),
        ),
        (
            "settings of a stream",
            frame(SETTINGS, 0, 1, &setting(1, 0)),
        ),
        ("half a setting", frame(SETTINGS, 0, 0, &[0, 1])),
        ("a short ping", frame(PING, 0, 0, &[0; 7])),
        (
            "a reset of an idle stream",
            frame(RST_STREAM, 0, 9, &[0; 4]),
        ),
    ];
    let mut faults = Vec::new();
    for (name, bytes) in cases {
        let mut client = FrameClient::open(app.public(), &[]).await;
        client.send(bytes).await;
        let goaway = client.until(|frame| frame.kind == GOAWAY).await;
        if goaway.as_ref().is_none_or(|frame| frame.error_code() == 0) {
            faults.push(format!("{name}: {goaway:?}"));
        }
        assert_eq!(client.until(|_| false).await, None, "{name}: it is closed");
    }
    assert!(faults.is_empty(), "{}", faults.join("\n"));
    app.finish().await;
    assert_eq!(broker.delivered().len(), 0);
}

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

/// A client that asks and never opens its window.
#[tokio::test]
async fn answers_that_nobody_takes_end_with_their_connection() {
    let broker = FakeBroker::start();
    let app = TestApp::start_with(&broker, "[server]\nkeep_alive_timeout = '100ms'").await;
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
    let toml = "[server]\nrequest_timeout = '200ms'\n[validate]\nrequired = ['a', 'b', 'c']";
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
    app.finish().await;
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
