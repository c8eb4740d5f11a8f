//! Request smuggling over HTTP/1: bytes that two servers could read as different requests. Each case says which answers
//! an honest reading allows, what is stored, and whether the connection may live on; the request that hides behind
//! another one is never answered and never stored. tests/it/listener.rs has the plain cases.

use crate::support::client::{Connection, JSON};
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

/// The statuses of the answers, and whether the connection was closed. Where it is to live on, one more request is sent,
/// whose answer tells.
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

#[tokio::test]
async fn transfer_encodings_that_hide_are_refused() {
    let lines = [
        ("space before the colon", "Transfer-Encoding : chunked\r\n"),
        ("tab before the colon", "Transfer-Encoding\t: chunked\r\n"),
        ("space before the name", " Transfer-Encoding: chunked\r\n"),
        ("vertical tab before", "Transfer-Encoding: \x0bchunked\r\n"),
        ("vertical tab behind", "Transfer-Encoding: chunked\x0b\r\n"),
        ("form feed", "Transfer-Encoding:\x0cchunked\r\n"),
        ("NUL behind", "Transfer-Encoding: chunked\0\r\n"),
        ("line feed before", "Transfer-Encoding:\n chunked\r\n"),
        ("folded", "Transfer-Encoding:\r\n chunked\r\n"),
        ("folded with a tab", "Transfer-Encoding:\r\n\tchunked\r\n"),
        (
            "folded into another",
            "X: a\r\n Transfer-Encoding: chunked\r\n",
        ),
        ("carriage return", "X: a\rTransfer-Encoding: chunked\r\n"),
        ("carriage return behind", "Transfer-Encoding: chunked\r\r\n"),
        (
            "identity behind",
            "Transfer-Encoding: chunked, identity\r\n",
        ),
        (
            "identity before",
            "Transfer-Encoding: identity, chunked\r\n",
        ),
        ("identity alone", "Transfer-Encoding: identity\r\n"),
        ("empty", "Transfer-Encoding: \r\n"),
        ("comma behind", "Transfer-Encoding: chunked,\r\n"),
        ("comma before", "Transfer-Encoding: ,chunked\r\n"),
        ("parameter", "Transfer-Encoding: chunked;q=1\r\n"),
        ("quoted", "Transfer-Encoding: \"chunked\"\r\n"),
        ("bracketed", "Transfer-Encoding: [chunked]\r\n"),
        ("cut", "Transfer-Encoding: chunke\r\n"),
        ("prefixed with a dash", "Transfer-Encoding: -chunked\r\n"),
        ("two words", "Transfer-Encoding: chunked chunked\r\n"),
        ("not ASCII", "Transfer-Encoding: chun\u{212a}ed\r\n"),
        (
            "twice",
            "Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n",
        ),
        (
            "twice, the first unknown",
            "Transfer-Encoding: x\r\nTransfer-Encoding: chunked\r\n",
        ),
        (
            "twice, one in other letters",
            "Transfer-Encoding: chunked\r\nTRANSFER-ENCODING: cow\r\n",
        ),
        (
            "hidden from a length",
            "Content-Length: 5\r\nTransfer-Encoding: xchunked\r\n",
        ),
    ];
    let cases = lines.map(|(name, lines)| {
        let sent = post(lines, &format!("0\r\n\r\n{HIDDEN}"));
        Case::refused(name, sent)
    });
    play("", cases.into()).await;
}

#[tokio::test]
async fn what_is_no_transfer_encoding_is_none() {
    let known = [
        "Chunked",
        "CHUNKED",
        "  chunked  ",
        "\tchunked\t",
        "chunked",
    ];
    let mut cases: Vec<Case> = known
        .into_iter()
        .map(|value| {
            let lines = format!("Transfer-Encoding:{value}\r\n");
            Case::taken(value, post(&lines, "2\r\nhi\r\n0\r\n\r\n"), "hi")
        })
        .collect();
    // Another header: the request has no body, and what follows is no request.
    cases.push(Case {
        statuses: vec![200, 400],
        ..Case::taken(
            "underscore",
            post(
                "Transfer_Encoding: chunked\r\n",
                &format!("0\r\n\r\n{HIDDEN}"),
            ),
            "",
        )
        .and_closed()
    });
    play("", cases).await;
}

#[tokio::test]
async fn lengths_that_two_servers_could_read_differently() {
    let refused = [
        ("a list of equals", "Content-Length: 5, 5\r\n"),
        ("a comma", "Content-Length: 5,\r\n"),
        ("a point", "Content-Length: 5.0\r\n"),
        ("an exponent", "Content-Length: 5e0\r\n"),
        ("an underscore", "Content-Length: 5_0\r\n"),
        ("hexadecimal", "Content-Length: a\r\n"),
        ("octal", "Content-Length: 0o5\r\n"),
        ("another script", "Content-Length: \u{0665}\r\n"),
        ("minus zero", "Content-Length: -0\r\n"),
        ("vertical tab", "Content-Length: \x0b5\r\n"),
        ("a tab before the colon", "Content-Length\t: 5\r\n"),
        ("a number cut by NUL", "Content-Length: 5\x005\r\n"),
        ("a carriage return", "X: a\rContent-Length: 5\r\n"),
        (
            "differing in letters",
            "content-length: 5\r\nCONTENT-LENGTH: 0\r\n",
        ),
        (
            "one good, one bad",
            "Content-Length: 5\r\nContent-Length: x\r\n",
        ),
    ];
    let mut cases: Vec<Case> = refused
        .into_iter()
        .map(|(name, lines)| Case::refused(name, post(lines, &format!("hello{HIDDEN}"))))
        .collect();
    for (name, lines) in [
        ("spaces around", "Content-Length:  5 \t\r\n"),
        (
            "leading zeros",
            "Content-Length: 0000000000000000000000005\r\n",
        ),
        (
            "twice the same",
            "Content-Length: 5\r\nContent-Length: 5\r\n",
        ),
    ] {
        cases.push(Case::taken(name, post(lines, "hello"), "hello"));
    }
    play("", cases).await;
}

#[tokio::test]
async fn with_both_framings_the_chunks_count_and_nothing_behind_them() {
    let chunks = format!("3\r\nabc\r\n0\r\n\r\n{HIDDEN}");
    let cases = [
        "Content-Length: 0\r\nTransfer-Encoding: chunked\r\n",
        "Transfer-Encoding: chunked\r\nContent-Length: 0\r\n",
        "Content-Length: 3\r\nTransfer-Encoding: Chunked\r\nContent-Length: 3\r\n",
        "Transfer-Encoding: chunked\r\nContent-Length: 3, 4\r\n",
        "Transfer-Encoding: chunked\r\nContent-Length: 3\r\nConnection: keep-alive\r\n",
        "Content-Length: 999\r\nTransfer-Encoding: chunked\r\nConnection: keep-alive\r\n",
    ];
    let cases = cases.map(|lines| Case::taken(lines, post(lines, &chunks), "abc").and_closed());
    play("", cases.into()).await;
}

#[tokio::test]
async fn lines_end_with_crlf_or_with_lf_and_with_nothing_else() {
    let refused = [
        (
            "a bare CR",
            "POST / HTTP/1.1\rHost: x\rContent-Length: 2\r\rhi",
        ),
        (
            "CR CR LF",
            "POST / HTTP/1.1\r\r\nHost: x\r\r\nContent-Length: 2\r\r\n\r\r\nhi",
        ),
        (
            "CR in the target",
            "POST /a\rb HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\n\r\nhi",
        ),
        (
            "LF in the target",
            "POST /a\nb HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\n\r\nhi",
        ),
        (
            "NUL in the target",
            "POST /a\0b HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\n\r\nhi",
        ),
        (
            "NUL in the method",
            "PO\0ST / HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\n\r\nhi",
        ),
        (
            "NUL in a name",
            "POST / HTTP/1.1\r\nHost: x\r\nX\0: a\r\nContent-Length: 2\r\n\r\nhi",
        ),
        (
            "escape in a value",
            "POST / HTTP/1.1\r\nHost: x\r\nX: \x1b[2J\r\nContent-Length: 2\r\n\r\nhi",
        ),
        (
            "delete in a value",
            "POST / HTTP/1.1\r\nHost: x\r\nX: \x7f\r\nContent-Length: 2\r\n\r\nhi",
        ),
        (
            "no colon",
            "POST / HTTP/1.1\r\nHost: x\r\nContent-Length\r\n\r\nhi",
        ),
        ("no name", "POST / HTTP/1.1\r\nHost: x\r\n: 2\r\n\r\nhi"),
        (
            "not ASCII in a name",
            "POST / HTTP/1.1\r\nHost: x\r\nX\u{e9}: a\r\n\r\nhi",
        ),
    ];
    let mut cases: Vec<Case> = refused
        .into_iter()
        .map(|(name, sent)| Case::refused(name, format!("{sent}{HIDDEN}")))
        .collect();
    for (name, sent) in [
        (
            "LF alone",
            "POST / HTTP/1.1\nHost: x\nContent-Length: 2\n\nhi",
        ),
        (
            "an empty line first",
            "\r\nPOST / HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\n\r\nhi",
        ),
    ] {
        cases.push(Case::taken(name, sent, "hi"));
    }
    play("", cases).await;
}

#[tokio::test]
async fn request_lines_have_one_form() {
    let lines = [
        "POST  / HTTP/1.1",
        "POST /  HTTP/1.1",
        "POST / HTTP/1.1 ",
        " POST / HTTP/1.1",
        "POST\t/\tHTTP/1.1",
        "POST / x HTTP/1.1",
        "POST /",
        "POST HTTP/1.1",
        "POST / HTTP/1.2",
        "POST / HTTP/9.9",
        "POST / HTTP/0.9",
        "POST / HTTP/1.10",
        "POST / HTTP/01.1",
        "POST / HTTP/1",
        "POST / http/1.1",
        "POST / HTTP/ 1.1",
        "POST / HTTPS/1.1",
        "POST / HTTP/2.0",
        "PO ST / HTTP/1.1",
        "POST: / HTTP/1.1",
        "(POST) / HTTP/1.1",
    ];
    let cases = lines.map(|line| {
        let sent = format!("{line}\r\nHost: x\r\nContent-Length: 2\r\n\r\nhi{HIDDEN}");
        Case::refused(line, sent)
    });
    play("", cases.into()).await;
}

#[tokio::test]
async fn of_hosts_there_is_one() {
    let mut cases = Vec::new();
    for lines in [
        "Host: x\r\nHost: y\r\n",
        "Host: x\r\nhost: x\r\n",
        "Host:\r\nHost: x\r\n",
    ] {
        let sent = format!("POST / HTTP/1.1\r\n{lines}Content-Length: 2\r\n\r\nhi{HIDDEN}");
        cases.push(Case::refused(lines, sent));
    }
    // No request is led anywhere by its host, so one without is as clear as one with.
    for lines in ["", "Host:\r\n"] {
        let sent = format!("POST / HTTP/1.1\r\n{lines}Content-Length: 2\r\n\r\nhi");
        cases.push(Case::taken(&format!("{lines:?}"), sent, "hi"));
    }
    play("", cases).await;
}

#[tokio::test]
async fn a_target_with_a_host_of_its_own_is_one_request_to_its_path() {
    let broker = FakeBroker::start();
    let app = TestApp::start_with(&broker, "").await;
    let mut connection = app.connect().await;
    for target in ["http://other.example/a?b", "HTTP://x:1/a?b"] {
        let answer = connection.request("POST", target, &[JSON], "{}").await;
        assert_eq!(answer.status, 200, "{target}");
    }
    let answer = connection
        .request("POST", "http://other/v1/events", &[JSON], "{}")
        .await;
    assert_eq!(answer.text(), "{\"accepted\":1}");
    let answer = connection
        .request("GET", "http://other/health", &[], "")
        .await;
    assert_eq!(answer.status, 200);
    let answer = connection
        .request("GET", "http://other/v1/../health", &[], "")
        .await;
    assert_eq!(answer.status, 404, "a path is not rewritten");
    app.finish().await;
    let events = broker.delivered();
    assert_eq!(events.len(), 3);
    for event in &events[..2] {
        assert_eq!(event["headers"]["request_path"], "/a?b", "{event}");
    }
}

#[tokio::test]
async fn chunks_that_two_servers_could_read_differently() {
    let end = format!("0\r\n\r\n{HIDDEN}");
    let long = "x".repeat(64 * 1024);
    let refused = [
        ("a plus", "+2\r\nhi\r\n".to_owned()),
        ("0x", "0x2\r\nhi\r\n".to_owned()),
        ("an underscore", "0_2\r\nhi\r\n".to_owned()),
        ("no size", "\r\nhi\r\n".to_owned()),
        ("only an extension", ";a=b\r\nhi\r\n".to_owned()),
        ("NUL behind", "2\0\r\nhi\r\n".to_owned()),
        ("vertical tab", "\x0b2\r\nhi\r\n".to_owned()),
        ("a space before", " 2\r\nhi\r\n".to_owned()),
        ("two numbers", "2 2\r\nhi\r\n".to_owned()),
        ("LF behind the size", "2\nhi\r\n".to_owned()),
        ("CR behind the size", "2\rhi\r\n".to_owned()),
        ("LF in an extension", "2;a\nhi\r\n".to_owned()),
        ("CR in an extension", "2;a\rb\r\nhi\r\n".to_owned()),
        ("LF behind the data", "2\r\nhi\n".to_owned()),
        ("nothing behind the data", "2\r\nhi".to_owned()),
        ("longer than its size", "2\r\nhii\r\n".to_owned()),
        ("2 to the 64", "10000000000000000\r\nhi\r\n".to_owned()),
        (
            "2 to the 64 and 2",
            "10000000000000002\r\nhi\r\n".to_owned(),
        ),
        ("a huge extension", format!("2;{long}\r\nhi\r\n")),
        (
            "many extensions",
            "1;aaaaaaaaaaaaaaaaaaaa\r\nx\r\n".repeat(2000),
        ),
    ];
    let mut cases: Vec<Case> = refused
        .into_iter()
        .map(|(name, chunk)| Case::refused(name, chunked(&format!("{chunk}{end}"))))
        .collect();
    for (name, chunks) in [
        (
            "upper and lower case",
            "A\r\n0123456789\r\na\r\n0123456789\r\n",
        ),
        (
            "leading zeros",
            "000A\r\n0123456789\r\n00a\r\n0123456789\r\n",
        ),
        (
            "a space behind",
            "A \r\n0123456789\r\na\t\r\n0123456789\r\n",
        ),
        (
            "extensions",
            "A;x\r\n0123456789\r\na;y=\"\\\"\"\r\n0123456789\r\n",
        ),
    ] {
        let sent = chunked(&format!("{chunks}0\r\n\r\n"));
        cases.push(Case::taken(name, sent, "01234567890123456789"));
    }
    play("", cases).await;
}

#[tokio::test]
async fn trailers_change_nothing() {
    let long = "x".repeat(128 * 1024);
    let mut cases = Vec::new();
    for trailer in [
        "Content-Length: 500",
        "Transfer-Encoding: chunked",
        "Content-Encoding: gzip",
        "Content-Type: application/json",
        "Host: y",
        "Authorization: Basic eDp5",
        "X-Api-Key: hg_x",
        "Expect: 100-continue",
        "Connection: close",
    ] {
        let sent = chunked(&format!("2\r\nhi\r\n0\r\n{trailer}\r\n\r\n"));
        cases.push(Case::taken(trailer, sent, "hi"));
    }
    for (name, trailer) in [
        ("a request line", "POST /hidden HTTP/1.1".to_owned()),
        ("folded", "X: a\r\n b".to_owned()),
        ("space before the colon", "X : a".to_owned()),
        ("NUL", "X: a\0b".to_owned()),
        ("a long one", format!("X: {long}")),
        ("many", "X: a\r\n".repeat(5000) + "X: a"),
    ] {
        let sent = chunked(&format!("2\r\nhi\r\n0\r\n{trailer}\r\n\r\n{HIDDEN}"));
        cases.push(Case::refused(name, sent));
    }
    play("", cases).await;
}

#[tokio::test]
async fn a_request_inside_a_body_is_a_text() {
    let length = HIDDEN.len();
    let with_length = format!("Content-Length: {length}\r\n");
    let chunks = format!("{length:x}\r\n{HIDDEN}\r\n0\r\n\r\n");
    let mut cases = vec![
        Case::taken("with a length", post(&with_length, HIDDEN), HIDDEN),
        Case::taken("in a chunk", chunked(&chunks), HIDDEN),
    ];
    // Those that have no use for a body skip it.
    for (method, target, status) in [
        ("GET", "/health", 200),
        ("GET", "/", 200),
        ("HEAD", "/app-logs", 200),
        ("GET", "/app-logs", 405),
        ("OPTIONS", "/app-logs", 405),
        ("POST", "/health", 405),
        ("POST", "/v1/nothing", 404),
    ] {
        for (framing, body) in [
            (with_length.as_str(), HIDDEN),
            ("Transfer-Encoding: chunked\r\n", chunks.as_str()),
        ] {
            cases.push(Case {
                name: format!("{method} {target} {framing}"),
                sent: format!("{method} {target} HTTP/1.1\r\nHost: x\r\n{framing}\r\n{body}")
                    .into(),
                statuses: vec![status],
                stored: Vec::new(),
                // Chunks are not waited for, so what follows them is not read.
                end: if framing == with_length {
                    End::Kept
                } else {
                    End::Closed
                },
            });
        }
    }
    play("", cases).await;
}

#[tokio::test]
async fn what_is_left_of_a_refused_body_is_never_a_request() {
    let many = HIDDEN.repeat(200);
    let length = many.len();
    let with_length = format!("Content-Length: {length}\r\n");
    let chunks = format!("{length:x}\r\n{many}\r\n0\r\n\r\n");
    let mut cases = Vec::new();
    for (lines, status) in [
        ("", 413),
        ("Content-Encoding: nonsense\r\n", 415),
        ("Authorization: Basic bm86bm8=\r\n", 401),
    ] {
        for (framing, body) in [
            (with_length.as_str(), &many),
            ("Transfer-Encoding: chunked\r\n", &chunks),
        ] {
            let credentials = if lines.starts_with("Auth") {
                ""
            } else {
                "Authorization: Basic dTpw\r\n"
            };
            let lines = format!("{credentials}{lines}{framing}");
            let status = if lines.contains("nonsense") && framing == with_length {
                413
            } else {
                status
            };
            cases.push(Case {
                name: format!("{status} {lines}"),
                sent: post(&lines, body).into(),
                statuses: vec![status],
                stored: Vec::new(),
                end: End::Closed,
            });
        }
    }
    let toml = "[auth]\nuser = 'u'\npassword = 'p'\n[ingest]\nmax_content_length = '1KiB'\nmax_event_bytes = '1KiB'";
    play(toml, cases).await;
}

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
