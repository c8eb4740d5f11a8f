//! Frames that are malformed, or that come where they must not.

use super::{INITIAL_WINDOW_SIZE, headers};
use crate::support::fake_broker::FakeBroker;
use crate::support::http2_frames::*;
use crate::support::test_app::TestApp;

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
