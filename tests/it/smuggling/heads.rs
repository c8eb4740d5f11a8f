//! What a head is made of: line ends, the request line, the host, the target.

use super::{Case, HIDDEN, play};
use crate::support::client::JSON;
use crate::support::fake_broker::FakeBroker;
use crate::support::test_app::TestApp;

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
    for (target, host) in [
        ("/", "user:secret@x"),
        ("/", "user@x:80"),
        ("http://user:secret@x/", "x"),
        ("http://x/", "user:secret@x"),
    ] {
        let sent = format!(
            "POST {target} HTTP/1.1\r\nHost: {host}\r\nContent-Length: 2\r\n\r\nhi{HIDDEN}"
        );
        cases.push(Case::refused(target, sent));
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
