//! The time limits of a connection, each made short so that it is reached. No test measures time: where one limit must
//! not apply, another one that is as short has been reached meanwhile.

use crate::support::client::{JSON, head};
use crate::support::eventually;
use crate::support::fake_broker::FakeBroker;
use crate::support::http2_client::Http2Client;
use crate::support::http2_frames::{END_HEADERS, FrameClient, HEADERS, POST, block, frame};
use crate::support::test_app::TestApp;

#[tokio::test]
async fn a_head_that_does_not_end_is_answered_408_and_silence_before_it_is_no_head() {
    let app = TestApp::start("[server]\nheader_read_timeout = '50ms'").await;
    let mut silent = app.connect().await;
    let mut kept = app.connect().await;
    assert_eq!(kept.request("GET", "/health", &[], "").await.status, 200);
    for beginning in ["G", "PRI * HT", "POST / HTTP/1.1\r\nHost: x\r\nContent-Le"] {
        let mut slow = app.connect().await;
        slow.send(beginning).await;
        let answer = String::from_utf8(slow.rest().await).unwrap();
        let is_told = answer.starts_with("HTTP/1.1 408 ");
        // Half a preface of HTTP/2 may be closed without a word.
        assert!(
            is_told || (answer.is_empty() && beginning.starts_with("PRI")),
            "{beginning}: {answer}"
        );
    }
    let mut second_head = app.connect().await;
    assert_eq!(
        second_head.request("GET", "/health", &[], "").await.status,
        200
    );
    second_head.send("GET /hea").await;
    assert_eq!(second_head.answer_to_head().await.status, 408);
    for connection in [&mut silent, &mut kept] {
        assert_eq!(
            connection.request("GET", "/health", &[], "").await.status,
            200
        );
    }
    app.finish().await;
}

#[tokio::test]
async fn an_idle_connection_is_closed_and_one_that_is_served_is_not() {
    let broker = FakeBroker::start();
    let app = TestApp::start_with(&broker, "[server]\nkeep_alive_timeout = '50ms'").await;
    broker.hold();
    let mut served = app.connect().await;
    served.send(head("POST", "/", &[JSON], 2) + "{}").await;
    let mut in_body = app.connect().await;
    in_body.send(head("POST", "/", &[JSON], 2) + "{").await;
    broker.until_requests(1).await;
    let mut silent = app.connect().await;
    silent.expect_closed().await;
    let mut idle = app.connect().await;
    assert_eq!(idle.request("GET", "/health", &[], "").await.status, 200);
    idle.expect_closed().await;
    let http2 = Http2Client::open(app.public()).await;
    eventually("the idle HTTP/2 connection to be closed", async || {
        http2.is_closed().then_some(())
    })
    .await;
    broker.release();
    in_body.send("}").await;
    for connection in [&mut served, &mut in_body] {
        assert_eq!(connection.answer().await.status, 200);
    }
    app.finish().await;
}

#[tokio::test]
async fn a_connection_that_idles_for_long_is_closed_though_it_was_parked_meanwhile() {
    let app = TestApp::start("[server]\nkeep_alive_timeout = '1100ms'").await;
    let mut idle = app.connect().await;
    assert_eq!(idle.request("GET", "/health", &[], "").await.status, 200);
    idle.expect_closed().await;
    app.finish().await;
}

#[tokio::test]
async fn a_body_that_stops_or_drips_is_refused() {
    for (toml, key) in [
        ("body_read_timeout = '50ms'", "body_read_timeout"),
        ("body_timeout = '50ms'", "body_timeout"),
    ] {
        let broker = FakeBroker::start();
        let app = TestApp::start_with(&broker, &format!("[server]\n{toml}")).await;
        for target in ["/", "/v1/events"] {
            let mut connection = app.connect().await;
            connection
                .send(head("POST", target, &[JSON], 9) + "{}")
                .await;
            let answer = connection.answer().await;
            assert_eq!(
                (answer.status, answer.problem_code().as_str()),
                (408, "body_timeout")
            );
            assert!(answer.text().contains(key), "{}", answer.text());
            assert_eq!(answer.header("connection"), Some("close"));
            connection.expect_closed().await;
        }
        app.finish().await;
        assert_eq!(broker.requests().len(), 0);
    }
}

#[tokio::test]
async fn a_body_that_drips_keeps_silence_short_and_takes_too_long_all_the_same() {
    let app = TestApp::start("[server]\nbody_timeout = '100ms'\nbody_read_timeout = '10s'").await;
    let mut connection = app.connect().await;
    connection.send(head("POST", "/", &[JSON], 1_000_000)).await;
    let refused = eventually("the slow body to be refused", async || {
        let is_open = connection.try_send(" ").await;
        (!is_open
            || app.samples().await.value(
                "headgate_requests_total",
                &[("route", "logstash"), ("status", "408")],
            ) == Some(1.0))
        .then_some(())
    });
    refused.await;
    assert_eq!(connection.answer().await.problem_code(), "body_timeout");
    app.finish().await;
}

#[tokio::test]
async fn a_client_of_http2_that_waits_for_100_continue_is_told_that_it_comes_never() {
    let app = TestApp::start("[server]\nbody_read_timeout = '50ms'").await;
    for (expectation, is_told) in [(Some(("expect", "100-continue")), true), (None, false)] {
        let mut client = FrameClient::open(app.public(), &[]).await;
        let headers: Vec<_> = POST.into_iter().chain(expectation).collect();
        client
            .send(frame(HEADERS, END_HEADERS, 1, &block(&headers)))
            .await;
        let problem = client.end_of(1).await.unwrap().payload;
        let problem = String::from_utf8(problem).unwrap();
        assert!(problem.contains("body_read_timeout"), "{problem}");
        assert_eq!(problem.contains("`Expect`"), is_told, "{problem}");
    }
    app.finish().await;
}
