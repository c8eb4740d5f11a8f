//! Requests that are malformed, and an honest one that looks odd.

use super::headers;
use crate::support::fake_broker::FakeBroker;
use crate::support::http2_frames::*;
use crate::support::test_app::TestApp;

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
        ("x\"quoted", "name"),
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
    assert_eq!(event["headers"]["x\"quoted"], "name");
}
