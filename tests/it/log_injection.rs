//! What clients send never reaches the program's own log: no secret, no body, no line of their making, no word to the
//! terminal of whoever reads it.

use crate::support::client::{Connection, JSON, head};
use crate::support::http2_client::{self, Http2Client};
use crate::support::http2_frames::{
    ACK, END_HEADERS, END_STREAM, FrameClient, HEADERS, PING, POST, block, frame,
};
use crate::support::program::Program;

/// In everything that is sent.
const MARK: &str = "qX7mark";

/// A line break, a forged line, and orders to a terminal, as far as a head can carry them.
const POISON: &str = "qX7mark%0a%1b[2J\\n\\u001b[31m{\"level\":\"ERROR\"}";

#[tokio::test]
async fn nothing_of_a_request_is_logged_whatever_the_level() {
    let folder = tempfile::tempdir().unwrap();
    let config = folder.path().join("headgate.toml");
    let toml = "[server]\nlisten = '127.0.0.1:0'\ndrain_delay = '0s'\n[admin]\nlisten = '127.0.0.1:0'\n\
                [auth]\nuser = 'u'\npassword = 'qX7mark-password'\n[log]\nlevel = 'trace'\nformat = 'json'";
    std::fs::write(&config, toml).unwrap();
    let server = Program::serve(&config, folder.path());
    attack(&server).await;
    attack_with_frames(&server).await;
    server.signal("TERM");
    let (status, output, log) = server.end();
    assert_eq!((status, output.as_str()), (Some(0), ""));
    for line in &log {
        assert!(!line.contains(MARK), "{line}");
        assert!(!line.chars().any(char::is_control), "{line:?}");
        let told: serde_json::Value = serde_json::from_str(line).unwrap();
        assert_ne!(told["level"], "ERROR", "{line}");
    }
    assert!(log.iter().any(|line| line.contains("DEBUG")), "{log:#?}");
}

async fn attack(server: &Program) {
    // "u:qX7mark-password" and "u:qX7mark".
    let right = ("Authorization", "Basic dTpxWDdtYXJrLXBhc3N3b3Jk");
    let wrong = ("Authorization", "Basic dTpxWDdtYXJr");
    let bearer = format!("Bearer {MARK}");
    let target = format!("/{POISON}?key={MARK}");
    let escape = format!("{{\"{MARK}\":\"\\u001b[2J\n\x1b[31m\"");
    for (headers, body) in [
        (vec![JSON, right, ("X-Request-Id", POISON)], "{}"),
        (vec![JSON, right, ("User-Agent", POISON)], escape.as_str()),
        (vec![JSON, wrong, ("Cookie", POISON)], escape.as_str()),
        (vec![JSON, ("Authorization", bearer.as_str())], "{}"),
        (vec![JSON, ("X-Api-Key", MARK)], "{}"),
        (vec![JSON, right, ("Content-Encoding", POISON)], "{}"),
        (vec![("Content-Type", POISON), right], "\x1b[2J"),
    ] {
        for path in [target.as_str(), "/v1/events", "/v1/qX7mark"] {
            let mut connection = server.connect().await;
            connection.request("POST", path, &headers, body).await;
        }
    }
    for bytes in [
        format!("{MARK} {MARK} {MARK}\r\n\r\n"),
        format!("POST /{MARK}\x1b[2J HTTP/1.1\r\n\r\n"),
        format!("POST / HTTP/1.1\r\n{MARK}: \x1b[2J\r\n\r\n"),
        format!("{}{MARK}", head("POST", "/", &[right], 500)),
    ] {
        let mut connection = Connection::open(server.public).await;
        connection.try_send(bytes).await;
        connection.half_close().await;
        connection.rest_or_reset().await;
    }
    let http2 = Http2Client::open(server.public).await;
    for authorization in [right.1, bearer.as_str()] {
        let mut request =
            http2_client::post(&format!("/{MARK}"), "application/json", escape.clone());
        let headers = request.headers_mut();
        headers.insert("authorization", authorization.parse().unwrap());
        headers.insert("x-mark", MARK.parse().unwrap());
        http2.request(request).await;
    }
}

/// Heads that the HTTP/2 library itself refuses, and an answer to a ping that was never sent.
async fn attack_with_frames(server: &Program) {
    for name in [":scheme", ":authority", ":path"] {
        let value = format!("/{MARK} \x1b[2J");
        let spoilt = POST.map(|pair| match pair.0 == name {
            true => (name, value.as_str()),
            false => pair,
        });
        let mut client = FrameClient::open(server.public, &[]).await;
        let flags = END_HEADERS | END_STREAM;
        client.send(frame(HEADERS, flags, 1, &block(&spoilt))).await;
        client.outcome_of(1).await.expect("a refusal");
        client.send(frame(PING, ACK, 0, b"qX7mark!")).await;
    }
}
