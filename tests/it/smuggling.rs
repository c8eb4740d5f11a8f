//! Request smuggling over HTTP/1: bytes that two servers could read as different requests. Each case says which answers
//! an honest reading allows, what is stored, and whether the connection may live on; the request that hides behind
//! another one is never answered and never stored. tests/it/listener.rs has the plain cases.

mod bodies;
mod chunks;
mod framing;
mod heads;
mod tunnels;

use crate::support::client::Connection;
use crate::support::fake_broker::FakeBroker;
use crate::support::test_app::TestApp;

/// A request that hides behind another one.
const HIDDEN: &str = "POST /hidden HTTP/1.1\r\nHost: x\r\nContent-Length: 6\r\n\r\nhidden";

/// What is to become of a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum End {
    /// The server closes it, whatever else was sent.
    Closed,
    /// It serves a further request.
    Kept,
}

/// Bytes on a fresh connection, and what is to come of them.
struct Case {
    name: String,
    sent: Vec<u8>,
    statuses: Vec<u16>,
    stored: Vec<String>,
    end: End,
}

impl Case {
    /// Refused with 400, and nothing that follows is read.
    fn refused(name: &str, sent: impl AsRef<[u8]>) -> Self {
        Self {
            name: name.to_owned(),
            sent: sent.as_ref().to_vec(),
            statuses: vec![400],
            stored: Vec::new(),
            end: End::Closed,
        }
    }

    /// Read as one request with this body.
    fn taken(name: &str, sent: impl AsRef<[u8]>, stored: &str) -> Self {
        Self {
            name: name.to_owned(),
            sent: sent.as_ref().to_vec(),
            statuses: vec![200],
            stored: vec![stored.to_owned()],
            end: End::Kept,
        }
    }

    fn and_closed(mut self) -> Self {
        self.end = End::Closed;
        self
    }
}

/// Plays the cases against one server and reports all that went wrong.
async fn play(toml: &str, cases: Vec<Case>) {
    let broker = FakeBroker::start();
    let app = TestApp::start_with(&broker, toml).await;
    let mut faults = Vec::new();
    let mut expected = 0;
    for case in cases {
        let mut connection = app.connect().await;
        connection.try_send(&case.sent).await;
        let (statuses, is_closed) = statuses(&mut connection, case.end).await;
        let messages: Vec<String> = broker.delivered()[expected..]
            .iter()
            .map(|event| event["message"].as_str().unwrap().to_owned())
            .collect();
        expected += messages.len();
        let is_closed_rightly = is_closed == (case.end == End::Closed);
        if statuses != case.statuses || messages != case.stored || !is_closed_rightly {
            faults.push(format!(
                "{}: answers {statuses:?}, stored {messages:?}, closed {is_closed}; \
                 expected {:?}, {:?}, {:?}",
                case.name, case.statuses, case.stored, case.end
            ));
        }
    }
    assert!(faults.is_empty(), "{}", faults.join("\n"));
    app.finish().await;
    let delivered = broker.delivered();
    assert_eq!(
        delivered.len(),
        expected,
        "stored after its answer: {delivered:?}"
    );
}

/// The statuses of the answers, and whether the connection was closed. Where it is to live on, one more
/// request is sent, whose answer tells.
async fn statuses(connection: &mut Connection, end: End) -> (Vec<u16>, bool) {
    if end == End::Kept {
        let last =
            "GET /live HTTP/1.1\r\nHost: x\r\nX-Request-Id: last\r\nConnection: close\r\n\r\n";
        connection.try_send(last).await;
    }
    let bytes = String::from_utf8(connection.rest_or_reset().await).unwrap();
    let mut statuses: Vec<u16> = bytes
        .match_indices("HTTP/1.1 ")
        .map(|(at, _)| bytes[at + 9..at + 12].parse().unwrap())
        .collect();
    let is_last_answered = bytes.contains("x-request-id: last\r\n");
    if is_last_answered {
        assert_eq!(statuses.pop(), Some(200), "{bytes}");
    }
    (statuses, !is_last_answered)
}

fn post(lines: &str, body: &str) -> String {
    format!("POST / HTTP/1.1\r\nHost: x\r\n{lines}\r\n{body}")
}

fn chunked(body: &str) -> String {
    post("Transfer-Encoding: chunked\r\n", body)
}
