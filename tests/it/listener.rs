//! The public listener, byte by byte: connections, heads and bodies as clients, balancers and attackers send them.

use serde_json::json;

use crate::support::client::{JSON, head};
use crate::support::fake_broker::FakeBroker;
use crate::support::test_app::TestApp;

#[tokio::test]
async fn a_connection_serves_many_requests() {
    let broker = FakeBroker::start();
    let app = TestApp::start_with(&broker, "").await;
    let mut connection = app.connect().await;
    for number in 0..50 {
        let body = json!({"number": number}).to_string();
        let answer = connection.request("POST", "/", &[JSON], body).await;
        assert_eq!(answer.status, 200);
        assert_eq!(
            connection.request("GET", "/health", &[], "").await.status,
            200
        );
    }
    app.until_connections(1).await;
    app.finish().await;
    assert_eq!(broker.delivered().len(), 50);
}

#[tokio::test]
async fn pipelined_requests_are_answered_in_order() {
    let broker = FakeBroker::start();
    let app = TestApp::start_with(&broker, "").await;
    let mut connection = app.connect().await;
    let mut bytes = String::new();
    for number in 0..20 {
        let body = json!({"number": number}).to_string();
        let id = number.to_string();
        bytes += &head("POST", "/", &[JSON, ("X-Request-Id", &id)], body.len());
        bytes += &body;
    }
    connection.send(bytes).await;
    for number in 0..20 {
        let answer = connection.answer().await;
        let id = number.to_string();
        assert_eq!(
            (answer.status, answer.header("x-request-id")),
            (200, Some(id.as_str()))
        );
    }
    app.finish().await;
    let numbers: Vec<_> = broker
        .delivered()
        .iter()
        .map(|event| event["number"].as_u64())
        .collect();
    assert_eq!(numbers, (0..20).map(Some).collect::<Vec<_>>());
}

#[tokio::test]
async fn http_1_0_is_served_and_closed_unless_it_asks_otherwise() {
    let broker = FakeBroker::start();
    let app = TestApp::start_with(&broker, "").await;
    let mut connection = app.connect().await;
    connection
        .send("POST /x HTTP/1.0\r\nConnection: keep-alive\r\nContent-Length: 2\r\n\r\nhi")
        .await;
    assert_eq!(connection.answer().await.text(), "ok");
    connection
        .send("POST /x HTTP/1.0\r\nContent-Length: 2\r\n\r\nho")
        .await;
    assert_eq!(connection.answer().await.text(), "ok");
    connection.expect_closed().await;
    let mut probe = app.connect().await;
    probe.send("GET /health HTTP/1.0\r\n\r\n").await;
    assert_eq!(probe.answer().await.status, 200);
    probe.expect_closed().await;
    app.finish().await;
    let events = broker.delivered();
    assert_eq!(
        (&events[0]["message"], &events[1]["message"]),
        (&json!("hi"), &json!("ho"))
    );
    assert_eq!(events[0]["headers"]["http_version"], "HTTP/1.0");
}

#[tokio::test]
async fn a_client_that_waits_for_100_is_asked_or_refused_before_its_body() {
    let broker = FakeBroker::start();
    let app = TestApp::start_with(&broker, "[ingest]\nmax_content_length = '1KiB'").await;
    let expect = ("Expect", "100-continue");
    let mut connection = app.connect().await;
    connection.send(head("POST", "/", &[JSON, expect], 2)).await;
    assert_eq!(connection.answer().await.status, 100);
    connection.send("{}").await;
    assert_eq!(connection.answer().await.status, 200);
    for (target, length, status, code) in [
        ("/", 1025, 413, "body_too_large"),
        ("/v1/x", 9, 404, "not_found"),
    ] {
        let mut connection = app.connect().await;
        connection
            .send(head("POST", target, &[JSON, expect], length))
            .await;
        let answer = connection.answer().await;
        assert_eq!(
            (answer.status, answer.problem_code().as_str()),
            (status, code)
        );
        assert_eq!(answer.header("connection"), Some("close"));
        connection.expect_closed().await;
    }
    app.finish().await;
    assert_eq!(broker.delivered().len(), 1);
}

/// A request that hides behind another one. It must never be answered, nor become an event.
const HIDDEN: &str = "POST /hidden HTTP/1.1\r\nHost: x\r\nContent-Length: 6\r\n\r\nhidden";

#[tokio::test]
async fn ambiguous_framing_is_refused_and_the_connection_closed() {
    let broker = FakeBroker::start();
    let app = TestApp::start_with(&broker, "").await;
    for lines in [
        "Content-Length: 5\r\nContent-Length: 6\r\n",
        "Content-Length: 5, 6\r\n",
        "Content-Length: +5\r\n",
        "Content-Length: -5\r\n",
        "Content-Length: 0x5\r\n",
        "Content-Length: 5 5\r\n",
        "Content-Length: \r\n",
        "Content-Length: 99999999999999999999999\r\n",
        "Content-Length : 5\r\n",
        "Transfer-Encoding: gzip\r\n",
        "Transfer-Encoding: chunked, gzip\r\n",
        "Transfer-Encoding: gzip, chunked\r\n",
        "Transfer-Encoding: chunked\r\nTransfer-Encoding: identity\r\n",
        "Transfer-Encoding: xchunked\r\n",
        "Transfer-Encoding: chunked, chunked\r\n",
        "X-Folded: a\r\n b\r\nContent-Length: 5\r\n",
        "Content-Length:\r\n 5\r\n",
        "X-Nul: a\0b\r\nContent-Length: 5\r\n",
        "X Space: a\r\nContent-Length: 5\r\n",
    ] {
        let mut connection = app.connect().await;
        let request = format!("POST / HTTP/1.1\r\nHost: x\r\n{lines}\r\n");
        connection.send(format!("{request}0\r\n\r\n{HIDDEN}")).await;
        let answer = connection.answer().await;
        assert_eq!(answer.status, 400, "{lines:?}");
        connection.expect_closed().await;
    }
    let mut connection = app.connect().await;
    let request = "POST / HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n";
    connection.send(format!("{request}{HIDDEN}")).await;
    assert_eq!(connection.answer().await.status, 400);
    connection.expect_closed().await;
    app.finish().await;
    assert_eq!(broker.requests().len(), 0);
}

#[tokio::test]
async fn of_two_lengths_the_chunks_count_and_the_connection_is_closed() {
    let broker = FakeBroker::start();
    let app = TestApp::start_with(&broker, "").await;
    let lines = ["Content-Length: 4\r\n", "Transfer-Encoding: chunked\r\n"];
    for (first, second) in [(0, 1), (1, 0)] {
        let mut connection = app.connect().await;
        let head = format!(
            "POST /seen HTTP/1.1\r\nHost: x\r\n{}{}\r\n",
            lines[first], lines[second]
        );
        connection
            .send(format!("{head}4\r\nseen\r\n0\r\n\r\n{HIDDEN}"))
            .await;
        let answer = connection.answer().await;
        assert!([200, 400].contains(&answer.status), "{answer:?}");
        connection.expect_closed().await;
    }
    app.finish().await;
    for event in broker.delivered() {
        assert_eq!(event["message"], "seen");
    }
}

#[tokio::test]
async fn a_body_that_is_cut_or_malformed_leaves_no_event() {
    let broker = FakeBroker::start();
    let app = TestApp::start_with(&broker, "").await;
    let chunked = "POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n";
    for request in [
        format!("{}hi", head("POST", "/", &[], 3)),
        format!("{chunked}2\r\nhi\r\n"),
        format!("{chunked}2\r\nhi\r\n0\r\n"),
        format!("{chunked}3\r\nhi\r\n0\r\n\r\n"),
        format!("{chunked}zz\r\nhi\r\n0\r\n\r\n"),
        format!("{chunked}-2\r\nhi\r\n0\r\n\r\n"),
        format!("{chunked}FFFFFFFFFFFFFFFFF\r\nhi\r\n0\r\n\r\n"),
    ] {
        let mut connection = app.connect().await;
        connection.send(&request).await;
        connection.half_close().await;
        let rest = String::from_utf8(connection.rest().await).unwrap();
        assert!(!rest.contains(" 200 "), "{request:?}: {rest}");
        assert_eq!(rest.matches("HTTP/1.1 ").count(), 1, "{request:?}: {rest}");
    }
    let mut connection = app.connect().await;
    connection
        .send(format!(
            "{chunked}2;ext=1\r\nhi\r\n3\r\n ho\r\n0\r\nX-Trailer: t\r\n\r\n"
        ))
        .await;
    assert_eq!(connection.answer().await.status, 200);
    app.finish().await;
    assert_eq!(broker.only_event()["message"], "hi ho");
}

#[tokio::test]
async fn the_rest_of_a_refused_body_is_never_taken_for_a_request() {
    let broker = FakeBroker::start();
    let app = TestApp::start_with(&broker, "[auth]\nuser = 'u'\npassword = 'p'").await;
    // All of it at once: the connection may live on.
    let mut connection = app.connect().await;
    connection.send(head("POST", "/", &[], HIDDEN.len())).await;
    connection.send(HIDDEN).await;
    assert_eq!(connection.answer().await.status, 401);
    let rest = String::from_utf8({
        connection.half_close().await;
        connection.rest().await
    });
    assert_eq!(rest.unwrap(), "");
    // The rest comes after the answer.
    let mut connection = app.connect().await;
    connection
        .send(head("POST", "/", &[], 10 + HIDDEN.len()))
        .await;
    connection.send("0123456789").await;
    assert_eq!(connection.answer().await.status, 401);
    connection.try_send(HIDDEN).await;
    connection.expect_closed().await;
    app.finish().await;
    assert_eq!(broker.requests().len(), 0);
}

#[tokio::test]
async fn a_refusal_that_comes_before_a_short_body_does_not_cost_the_connection() {
    let broker = FakeBroker::start();
    let app = TestApp::start_with(&broker, "[auth]\nuser = 'u'\npassword = 'p'").await;
    let mut connection = app.connect().await;
    for _ in 0..3 {
        // More than a connection is read with at first.
        let body = "x".repeat(40_000);
        connection
            .send(head("POST", "/", &[], body.len()) + &body)
            .await;
        let answer = connection.answer().await;
        assert_eq!((answer.status, answer.header("connection")), (401, None));
    }
    app.finish().await;
}

#[tokio::test]
async fn who_sends_broken_chunks_is_told_that_the_connection_closes() {
    let broker = FakeBroker::start();
    let app = TestApp::start_with(&broker, "").await;
    let mut connection = app.connect().await;
    connection
        .send(
            "POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\nZZ\r\n",
        )
        .await;
    let answer = connection.answer().await;
    assert_eq!(
        (answer.status, answer.header("connection")),
        (400, Some("close"))
    );
    connection.expect_closed().await;
    app.finish().await;
}

#[tokio::test]
async fn a_client_that_half_closes_gets_its_answer() {
    let broker = FakeBroker::start();
    let app = TestApp::start_with(&broker, "").await;
    broker.hold();
    let mut connection = app.connect().await;
    connection.send(head("POST", "/", &[JSON], 2) + "{}").await;
    connection.half_close().await;
    broker.until_requests(1).await;
    broker.release();
    assert_eq!(connection.answer().await.text(), "ok");
    connection.expect_closed().await;
    app.finish().await;
}

#[tokio::test]
async fn a_refusal_can_be_read_by_a_client_that_still_sends() {
    let app = TestApp::start("[ingest]\nmax_content_length = '1KiB'").await;
    let piece = vec![b'x'; 256 * 1024];
    let mut declared = app.connect().await;
    declared
        .send(head("POST", "/", &[JSON], 16 * piece.len()))
        .await;
    let mut chunked = app.connect().await;
    chunked
        .send("POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n400000\r\n")
        .await;
    for connection in [&mut declared, &mut chunked] {
        for _ in 0..16 {
            if !connection.try_send(&piece).await {
                break;
            }
        }
        let answer = connection.answer().await;
        assert_eq!(
            (answer.status, answer.problem_code().as_str()),
            (413, "body_too_large")
        );
        assert_eq!(answer.header("connection"), Some("close"));
        connection.expect_closed().await;
    }
    app.finish().await;
}

#[tokio::test]
async fn what_is_no_http_gets_a_bare_400_and_a_close() {
    let app = TestApp::start("").await;
    for bytes in [
        &b"\x16\x03\x01\x02\x00\x01\x00"[..],
        b"hello\r\n\r\n",
        b"GET / HTTP/3.7\r\n\r\n",
        b"{\"message\":\"syslog\"}\n\n",
    ] {
        let mut connection = app.connect().await;
        connection.send(bytes).await;
        connection.half_close().await;
        let answer = String::from_utf8(connection.rest().await).unwrap();
        assert!(answer.starts_with("HTTP/1.1 400 "), "{bytes:?}: {answer}");
    }
    app.finish().await;
}

#[tokio::test]
async fn heads_are_taken_up_to_a_balancers_maximum() {
    let broker = FakeBroker::start();
    let app = TestApp::start_with(&broker, "").await;
    let long = "v".repeat(7 * 1024);
    let names: Vec<String> = (0..9).map(|number| format!("X-{number}")).collect();
    let headers: Vec<_> = names
        .iter()
        .map(|name| (name.as_str(), long.as_str()))
        .collect();
    assert_eq!(app.post("/", &headers, "x").await.status, 200);
    let too_long = "v".repeat(130 * 1024);
    for lines in [
        format!("X-Long: {too_long}\r\n"),
        format!("X-{too_long}: v\r\n"),
    ] {
        let mut connection = app.connect().await;
        connection
            .try_send(format!("GET / HTTP/1.1\r\nHost: x\r\n{lines}\r\n"))
            .await;
        assert_eq!(connection.answer_to_head().await.status, 431);
        connection.rest().await;
    }
    app.finish().await;
    assert_eq!(broker.delivered().len(), 1);
}

#[tokio::test]
async fn beyond_the_most_connections_only_health_is_answered() {
    let broker = FakeBroker::start();
    let app = TestApp::start_with(&broker, "[server]\nmax_connections = 2").await;
    let mut first = app.connect().await;
    let mut second = app.connect().await;
    for connection in [&mut first, &mut second] {
        assert_eq!(
            connection.request("POST", "/", &[JSON], "{}").await.status,
            200
        );
    }
    let mut reserve = app.connect().await;
    for target in ["/health", "/ready", "/live", "/"] {
        assert_eq!(
            reserve.request("GET", target, &[], "").await.status,
            200,
            "{target}"
        );
    }
    let answer = reserve.request("POST", "/", &[JSON], "{}").await;
    assert_eq!(
        (answer.status, answer.problem_code().as_str()),
        (503, "overloaded")
    );
    assert_eq!(answer.header("connection"), Some("close"));
    reserve.expect_closed().await;
    drop(first);
    app.until_connections(1).await;
    assert_eq!(app.post("/", &[JSON], "{}").await.status, 200);
    app.finish().await;
    assert_eq!(broker.delivered().len(), 3);
}
