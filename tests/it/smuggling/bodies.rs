//! Requests that hide in the body of another: taken, of no use, or refused.

use super::{Case, End, HIDDEN, chunked, play, post};

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
                end: End::Kept,
            });
        }
    }
    play("", cases).await;
}

#[tokio::test]
async fn what_is_left_of_a_refused_body_is_never_a_request() {
    // A short rest is taken.
    refuse_hidden(200, End::Kept).await;
    refuse_hidden(2_000, End::Closed).await;
}

async fn refuse_hidden(times: usize, end: End) {
    let many = HIDDEN.repeat(times);
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
                end,
            });
        }
    }
    let toml = "[auth]\nuser = 'u'\npassword = 'p'\n[ingest]\nmax_content_length = '1KiB'\nmax_event_bytes = '1KiB'";
    play(toml, cases).await;
}
