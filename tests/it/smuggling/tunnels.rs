//! Attempts to make a connection speak something else than HTTP/1.

use super::{Case, HIDDEN, play, post};

#[tokio::test]
async fn a_connection_stays_http_1() {
    let h2c = "Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AAMAAABkAAQAAP__\r\nContent-Length: 2\r\n";
    let websocket = "Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: x\r\nContent-Length: 2\r\n";
    let preface = "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
    let cases = vec![
        Case::taken("h2c", post(h2c, "hi"), "hi"),
        Case::taken("websocket", post(websocket, "hi"), "hi"),
        Case {
            // What is no request of HTTP/1 gets no answer of it.
            statuses: vec![200],
            ..Case::taken(
                "the preface of HTTP/2 behind a request",
                post("Content-Length: 2\r\n", &format!("hi{preface}{HIDDEN}")),
                "hi",
            )
            .and_closed()
        },
        Case {
            statuses: vec![405],
            ..Case::refused(
                "a tunnel",
                format!("CONNECT x:80 HTTP/1.1\r\nHost: x:80\r\n\r\n{HIDDEN}"),
            )
        },
    ];
    play("", cases).await;
}
