//! Refusals: one form for all, with the headers that tell the client what to do, and without a word of what it sent.

use crate::support::client::{Answer, JSON, head};
use crate::support::compress;
use crate::support::fake_broker::{DownBroker, FakeBroker};
use crate::support::test_app::TestApp;

/// Never to be seen in an answer.
const SECRET: &str = "s3cr3t";

/// Fails unless this is a refusal as all refusals are.
fn expect(answer: &Answer, status: u16, code: &str) {
    assert_eq!(
        (answer.status, answer.problem_code().as_str()),
        (status, code),
        "{answer:?}"
    );
    let problem = answer.json();
    for name in ["type", "title", "detail", "request_id"] {
        let text = problem[name].as_str().unwrap();
        assert!(!text.is_empty(), "{name} in {problem}");
    }
    assert!(
        problem["type"].as_str().unwrap().ends_with(code),
        "{problem}"
    );
    assert_eq!(
        answer.header("x-request-id"),
        problem["request_id"].as_str()
    );
    assert!(!answer.text().contains(SECRET), "{problem}");
    let retry_after = answer
        .header("retry-after")
        .map(|value| value.parse::<u64>().unwrap());
    assert_eq!(
        retry_after.is_some(),
        [429, 503].contains(&status),
        "{answer:?}"
    );
}

#[tokio::test]
async fn paths_and_methods_that_do_not_exist() {
    let app = TestApp::start("").await;
    for (method, target, status, code, allow) in [
        ("POST", "/v1/", 404, "not_found", None),
        ("GET", "/v1/events/s3cr3t", 404, "not_found", None),
        ("PUT", "/v1/Events", 404, "not_found", None),
        (
            "GET",
            "/v1/events",
            405,
            "method_not_allowed",
            Some("POST, PUT"),
        ),
        (
            "DELETE",
            "/v1/events",
            405,
            "method_not_allowed",
            Some("POST, PUT"),
        ),
        (
            "POST",
            "/health",
            405,
            "method_not_allowed",
            Some("GET, HEAD"),
        ),
        (
            "PUT",
            "/ready",
            405,
            "method_not_allowed",
            Some("GET, HEAD"),
        ),
        (
            "DELETE",
            "/live",
            405,
            "method_not_allowed",
            Some("GET, HEAD"),
        ),
        (
            "POST",
            "/openapi.yaml",
            405,
            "method_not_allowed",
            Some("GET"),
        ),
        (
            "DELETE",
            "/",
            405,
            "method_not_allowed",
            Some("GET, HEAD, POST, PUT"),
        ),
        (
            "GET",
            "/app-logs?s3cr3t",
            405,
            "method_not_allowed",
            Some("HEAD, POST, PUT"),
        ),
        (
            "S3CR3T",
            "/app-logs",
            405,
            "method_not_allowed",
            Some("HEAD, POST, PUT"),
        ),
        (
            "OPTIONS",
            "/app-logs",
            405,
            "method_not_allowed",
            Some("HEAD, POST, PUT"),
        ),
    ] {
        let answer = app.request(method, target, &[JSON], SECRET).await;
        expect(&answer, status, code);
        assert_eq!(answer.header("allow"), allow, "{method} {target}");
    }
    for (target, status) in [
        ("/v1/other", 404),
        ("/v1/events", 405),
        ("/openapi.yaml", 405),
    ] {
        assert_eq!(
            app.request("HEAD", target, &[], "").await.status,
            status,
            "HEAD {target}"
        );
    }
    app.finish().await;
}

#[tokio::test]
async fn bodies_that_cannot_be_taken() {
    let broker = FakeBroker::start();
    let toml = "[ingest]\nmax_content_length = '64B'\nmax_events_per_request = 2\nmax_envelope_bytes = '4KiB'";
    let app = TestApp::start_with(&broker, toml).await;
    let long = "x".repeat(65);
    let bomb = compress::gzip(&[b' '; 65]);
    let secret = SECRET.as_bytes();
    for (target, coding, body, status, code) in [
        ("/", "", long.as_bytes(), 413, "body_too_large"),
        ("/v1/events", "", long.as_bytes(), 413, "body_too_large"),
        ("/", "gzip", &bomb, 413, "body_too_large"),
        ("/", "", b"{}{}{}", 413, "too_many_events"),
        ("/v1/events", "", b"[1,2,3]", 413, "too_many_events"),
        ("/", "gzip", secret, 400, "bad_content_encoding"),
        ("/", "zstd", secret, 400, "bad_content_encoding"),
        ("/", "br", secret, 400, "bad_content_encoding"),
        ("/v1/events", "deflate", secret, 400, "bad_content_encoding"),
        (
            "/",
            "gzip",
            &bomb[..bomb.len() - 5],
            400,
            "bad_content_encoding",
        ),
        ("/", "s3cr3t", secret, 415, "unsupported_content_encoding"),
        (
            "/v1/events",
            "gzip, gzip, gzip, gzip, gzip",
            secret,
            415,
            "unsupported_content_encoding",
        ),
        ("/v1/events", "", secret, 400, "malformed_body"),
        ("/v1/events", "", b"[5,\"s3cr3t\"]", 422, "invalid_events"),
    ] {
        let answer = app
            .post(target, &[JSON, ("Content-Encoding", coding)], body)
            .await;
        expect(&answer, status, code);
        let taken = (status == 415).then_some("gzip, deflate, zstd, br");
        assert_eq!(answer.header("accept-encoding"), taken);
    }
    let many = [("Content-Encoding", "gzip, gzip, gzip, gzip, gzip")];
    let answer = app.post("/", &many, secret).await;
    let detail = "The body has more than 4 content codings one on top of the other.";
    assert_eq!(answer.json()["detail"], detail);
    let headers = "h".repeat(3 * 1024);
    let answer = app.post("/", &[JSON, ("X-Long", &headers)], "{}{}").await;
    expect(&answer, 413, "body_too_large");
    assert!(answer.text().contains("max_envelope_bytes"));
    app.finish().await;
    assert_eq!(broker.requests().len(), 0);
}

#[tokio::test]
async fn more_headers_than_anybody_sends() {
    let app = TestApp::start("").await;
    let head: String = (0..101)
        .map(|number| format!("X-{number}: {SECRET}\r\n"))
        .collect();
    let mut connection = app.connect().await;
    connection
        .send(format!(
            "POST / HTTP/1.1\r\nHost: x\r\n{head}Content-Length: 0\r\n\r\n"
        ))
        .await;
    assert_eq!(connection.answer_to_head().await.status, 431);
    app.finish().await;
}

#[tokio::test]
async fn a_queue_that_is_full() {
    let broker = FakeBroker::start();
    broker.hold();
    let toml = "[ingest]\ndurability = 'memory'\n[enrich]\nheaders = false\n[spool]\nmemory_bytes = '1KiB'";
    let app = TestApp::start_with(&broker, toml).await;
    let event = format!("{{\"message\":\"{}\"}}", "x".repeat(600));
    assert_eq!(app.post("/", &[JSON], &event).await.status, 200);
    for target in ["/", "/v1/events"] {
        expect(&app.post(target, &[JSON], &event).await, 503, "spool_full");
    }
    assert_eq!(app.get("/ready").await.status, 503);
    assert_eq!(app.get("/ready").await.json()["status"], "spool_full");
    assert_eq!(app.get("/health").await.status, 200);
    // Before a byte of the body was asked for.
    for (bytes, status) in [(600, 503), (2000, 413)] {
        let mut connection = app.connect().await;
        let head = "POST / HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nExpect: 100-continue\r\n";
        connection
            .send(format!("{head}Content-Length: {bytes}\r\n\r\n"))
            .await;
        assert_eq!(connection.answer().await.status, status);
    }
    assert_eq!(app.get("/ready").await.status, 503);
    let huge = format!("{{\"message\":\"{}\"}}", "x".repeat(2000));
    let answer = app.post("/", &[JSON], huge).await;
    expect(&answer, 413, "body_too_large");
    broker.release();
    app.until_book("delivered", 1).await;
    assert_eq!(app.get("/ready").await.status, 200);
    assert_eq!(app.post("/", &[JSON], &event).await.status, 200);
    app.finish().await;
    assert_eq!(broker.delivered().len(), 2);
}

#[tokio::test]
async fn no_broker_in_time() {
    let down = DownBroker::new();
    let toml = format!(
        "[server]\nrequest_timeout = '50ms'\ndrain_timeout = '0s'\n[broker]\nurls = ['{}']",
        down.url()
    );
    let app = TestApp::start(&toml).await;
    for target in ["/", "/v1/events"] {
        let answer = app.post(target, &[JSON], "{\"a\":\"s3cr3t\"}").await;
        expect(&answer, 503, "broker_unavailable");
    }
    app.finish().await;
}

#[tokio::test]
async fn the_status_of_shedding_is_configured() {
    for status in [503, 429] {
        let broker = FakeBroker::start();
        let limits = "max_content_length = '1KiB'\nmax_envelope_bytes = '1KiB'\nmax_in_flight_bytes = '1KiB'";
        let toml = format!("[ingest]\n{limits}\noverload_status = {status}");
        let app = TestApp::start_with(&broker, &toml).await;
        let mut slow = app.connect().await;
        slow.send(head("POST", "/", &[JSON], 700)).await;
        slow.send(" ".repeat(600)).await;
        app.until_held(600).await;
        let answer = app.post("/", &[JSON], SECRET.repeat(100)).await;
        expect(&answer, status, "overloaded");
        slow.send(" ".repeat(100)).await;
        assert_eq!(slow.answer().await.status, 200);
        app.finish().await;
    }
}

#[tokio::test]
async fn the_id_of_a_request_is_the_clients_where_it_is_fit() {
    let app = TestApp::start("").await;
    let longest = "q".repeat(128);
    for own in ["abc-123", longest.as_str()] {
        let answer = app
            .request("GET", "/v1/x", &[("X-Request-Id", own)], "")
            .await;
        assert_eq!(answer.header("x-request-id"), Some(own));
        assert_eq!(answer.json()["request_id"], own);
    }
    let too_long = "q".repeat(129);
    for unfit in ["two words", "", too_long.as_str(), "\"\u{e9}"] {
        let answer = app
            .request("GET", "/health", &[("X-Request-Id", unfit)], "")
            .await;
        let id = answer.header("x-request-id").unwrap();
        assert!(id != unfit && !id.is_empty() && id.bytes().all(|byte| byte.is_ascii_graphic()));
    }
    app.finish().await;
}
