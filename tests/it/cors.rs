//! Web pages: what browsers are told before and after a page sends, and keys that stand in pages.

use serde_json::json;

use crate::support::client::{Answer, JSON, TEXT};
use crate::support::fake_broker::FakeBroker;
use crate::support::http2_client::{self, Http2Client};
use crate::support::keys;
use crate::support::test_app::TestApp;

const ALLOWED: (&str, &str) = ("Origin", "https://app.example");
const FOREIGN: (&str, &str) = ("Origin", "https://evil.example");
const PREFLIGHT: (&str, &str) = ("Access-Control-Request-Method", "POST");
const CORS: &str = "[cors]\nallowed_origins = ['https://app.example']\n";

/// A key of a page, and one of a server.
fn page_keys() -> String {
    let origins = "allowed_origins = ['https://app.example']\nfields = { Application = 'page' }";
    keys::entry("page", "page-key", origins) + &keys::entry("server", "server-key", "")
}

/// Fails unless the answer lets the allowed page read it.
fn expect_allowed(answer: &Answer) {
    assert_eq!(
        answer.header("access-control-allow-origin"),
        Some(ALLOWED.1),
        "{answer:?}"
    );
    assert_eq!(
        answer.header("access-control-allow-credentials"),
        Some("true")
    );
    let exposed = answer.header("access-control-expose-headers").unwrap();
    assert!(exposed.contains("X-Request-Id") && exposed.contains("Retry-After"));
    assert!(answer.header("vary").unwrap().contains("Origin"));
    assert!(answer.header("x-request-id").is_some());
}

/// Fails unless the answer says nothing to a page, and may not be kept for another one.
fn expect_silent(answer: &Answer) {
    for (name, _) in &answer.headers {
        let tells = [
            "access-control-allow-origin",
            "access-control-allow-credentials",
        ];
        assert!(!tells.contains(&name.as_str()), "{answer:?}");
    }
    assert!(
        answer.header("vary").unwrap().contains("Origin"),
        "{answer:?}"
    );
}

#[tokio::test]
async fn a_preflight_is_answered_before_credentials_and_is_no_event() {
    let broker = FakeBroker::start();
    let app = TestApp::start_with(&broker, &(CORS.to_owned() + &page_keys())).await;
    for target in ["/v1/events", "/", "/any/path?a=b"] {
        let answer = app
            .request("OPTIONS", target, &[ALLOWED, PREFLIGHT], "")
            .await;
        assert_eq!(answer.status, 204, "{target}");
        expect_allowed(&answer);
        let methods = answer.header("access-control-allow-methods").unwrap();
        assert!(
            methods.contains("POST") && methods.contains("PUT"),
            "{methods}"
        );
        let headers = answer.header("access-control-allow-headers").unwrap();
        for name in [
            "authorization",
            "content-type",
            "content-encoding",
            "x-api-key",
            "x-request-id",
            "traceparent",
        ] {
            assert!(headers.contains(name), "no {name} in {headers}");
        }
        assert!(answer.header("access-control-max-age").is_some());
        let vary = answer.header("vary").unwrap();
        assert!(vary.contains("Access-Control-Request-Method"), "{vary}");
        expect_silent(
            &app.request("OPTIONS", target, &[FOREIGN, PREFLIGHT], "")
                .await,
        );
        for headers in [&[ALLOWED][..], &[PREFLIGHT], &[]] {
            let answer = app.request("OPTIONS", target, headers, "").await;
            assert_eq!(answer.status, 405, "{target} {headers:?}");
            assert!(answer.header("allow").unwrap().contains("POST"));
        }
    }
    for target in ["/health", "/openapi.yaml"] {
        let answer = app
            .request("OPTIONS", target, &[ALLOWED, PREFLIGHT], "")
            .await;
        assert_eq!(answer.status, 405, "{target}");
    }
    app.finish().await;
    assert!(broker.requests().is_empty());
}

#[tokio::test]
async fn without_origins_browsers_are_told_nothing() {
    let app = TestApp::start("").await;
    for (method, status) in [("OPTIONS", 405), ("POST", 200)] {
        let answer = app
            .request(method, "/v1/events", &[ALLOWED, PREFLIGHT], "{}")
            .await;
        assert_eq!(answer.status, status);
        let names = answer.headers.iter().map(|(name, _)| name.as_str());
        let told: Vec<&str> = names
            .filter(|name| name.starts_with("access-control") || *name == "vary")
            .collect();
        assert!(told.is_empty(), "{told:?}");
    }
    app.finish().await;
}

#[tokio::test]
async fn every_answer_can_be_read_by_an_allowed_page_and_by_no_other() {
    let broker = FakeBroker::start();
    let limits = "[ingest]\nmax_content_length = '2KiB'\n[auth]\nuser = 'u'\npassword = 'p'\n";
    let limited = keys::entry("web", "web-key", "events_per_second = 1");
    let app = TestApp::start_with(&broker, &[CORS, limits, &limited].concat()).await;
    let key = ("X-Api-Key", "web-key");
    let large = "x".repeat(4096);
    let batch = format!("[{}]", vec!["{}"; 600].join(","));
    type Case<'a> = (&'a str, &'a str, &'a [(&'a str, &'a str)], &'a str, u16);
    let cases: [Case<'_>; 9] = [
        ("POST", "/v1/events", &[JSON, key], &batch, 200),
        ("POST", "/v1/events", &[JSON, key], "{}", 429),
        ("POST", "/v1/events", &[JSON], "{}", 401),
        ("POST", "/", &[TEXT, ("X-Api-Key", "wrong")], "x", 401),
        ("POST", "/", &[TEXT, key], &large, 413),
        ("POST", "/", &[("Host", "another")], "x", 400),
        ("POST", "/v1/other", &[], "", 404),
        ("DELETE", "/", &[], "", 405),
        ("GET", "/health", &[], "", 200),
    ];
    for (method, target, headers, body, status) in cases {
        let with = |origin| [headers, &[origin]].concat();
        // The foreign page first: what it sends with a right key is taken, for its browser alone keeps it
        // from reading the answer.
        if status != 200 || method == "GET" {
            let answer = app.request(method, target, &with(FOREIGN), body).await;
            assert_eq!(answer.status, status, "{target} {answer:?}");
            expect_silent(&answer);
        }
        let answer = app.request(method, target, &with(ALLOWED), body).await;
        assert_eq!(answer.status, status, "{target} {answer:?}");
        expect_allowed(&answer);
    }
    // With HTTP/1 this is hyper's own bare answer.
    let mut request = http2_client::post("/", "text/plain", "x");
    for number in 0..101 {
        let name: http::HeaderName = format!("x-{number}").parse().unwrap();
        request.headers_mut().insert(name, "v".parse().unwrap());
    }
    let origin = ALLOWED.1.parse().unwrap();
    request.headers_mut().insert(http::header::ORIGIN, origin);
    let client = Http2Client::open(app.public()).await;
    let answer = client.request(request).await;
    assert_eq!(answer.status, 431);
    expect_allowed(&answer);
    app.finish().await;
    assert_eq!(broker.delivered().len(), 600);
}

#[tokio::test]
async fn any_page_may_send_without_what_the_browser_keeps() {
    let app = TestApp::start("[cors]\nallowed_origins = ['*', 'https://app.example']").await;
    let answer = app.post("/", &[JSON, FOREIGN], "{}").await;
    assert_eq!(answer.header("access-control-allow-origin"), Some("*"));
    assert_eq!(answer.header("access-control-allow-credentials"), None);
    expect_allowed(&app.post("/", &[JSON, ALLOWED], "{}").await);
    expect_silent(&app.post("/", &[JSON], "{}").await);
    app.finish().await;
}

#[tokio::test]
async fn a_key_of_a_page_is_taken_from_that_page_only() {
    let broker = FakeBroker::start();
    let app = TestApp::start_with(&broker, &page_keys()).await;
    let page = ("Authorization", "Bearer page-key");
    let server = ("Authorization", "Bearer server-key");
    for target in ["/v1/events", "/", "/v1/events?key=page-key"] {
        for headers in [
            &[page, JSON][..],
            &[page, JSON, FOREIGN],
            &[page, JSON, ("Origin", "null")],
        ] {
            let answer = app.post(target, headers, "{}").await;
            assert_eq!(answer.status, 403, "{target} {headers:?}");
            assert_eq!(answer.problem_code(), "forbidden");
            assert!(!answer.text().contains("page-key"));
        }
        let answer = app.post(target, &[page, JSON, ALLOWED], "{}").await;
        assert_eq!(answer.status, 200, "{target}");
        expect_allowed(&answer);
        assert_eq!(app.post(target, &[server, JSON], "{}").await.status, 200);
    }
    // Its origins are allowed without standing in [cors].
    let answer = app
        .request("OPTIONS", "/v1/events", &[ALLOWED, PREFLIGHT], "")
        .await;
    expect_allowed(&answer);
    let samples = app.samples().await;
    let refused = samples.value("headgate_key_requests_refused_total", &[("key", "page")]);
    assert_eq!(refused, Some(9.0));
    app.finish().await;
    assert_eq!(broker.delivered().len(), 6);
}

#[tokio::test]
async fn a_beacon_bears_its_key_in_the_query_and_nothing_keeps_it() {
    let broker = FakeBroker::start();
    for (ecs, target, expected) in [
        ("disabled", "/v1/events?key=page-key", None),
        ("v1", "/v1/events?key=page-key", Some("/v1/events")),
        (
            "v1",
            "/v1/events?a=b&k%65y=page%2dkey&key=page-key",
            Some("/v1/events?a=b"),
        ),
        ("disabled", "/app?key=page-key&c", Some("/app?c")),
        ("v1", "/app?key=page-key", Some("/app")),
    ] {
        let toml = format!("[enrich]\necs_compatibility = '{ecs}'\n{}", page_keys());
        let app = TestApp::start_with(&broker, &toml).await;
        let headers = [("Content-Type", "text/plain;charset=UTF-8"), ALLOWED];
        let before = broker.delivered().len();
        let answer = app.post(target, &headers, r#"{"message":"left"}"#).await;
        assert_eq!(answer.status, 200, "{target} {answer:?}");
        app.finish().await;
        let event = &broker.delivered()[before];
        assert_eq!(event["Application"], "page");
        let kept = match ecs {
            "v1" => &event["url"]["path"],
            _ => &event["headers"]["request_path"],
        };
        assert_eq!(kept, &json!(expected), "{event}");
        assert!(!event.to_string().contains("page-key"), "{event}");
        assert!(!event.to_string().contains("page%2dkey"), "{event}");
    }
}

#[tokio::test]
async fn no_other_key_may_come_in_the_query() {
    let app = TestApp::start(&page_keys()).await;
    for query in [
        "?key=server-key",
        "?key=wrong",
        "?key=",
        "?KEY=page-key",
        "?key=wrong&key=page-key",
    ] {
        let target = format!("/v1/events{query}");
        let answer = app.post(&target, &[JSON, ALLOWED], "{}").await;
        assert_eq!(answer.status, 401, "{query}");
        assert!(!answer.text().contains("server-key"), "{answer:?}");
    }
    app.finish().await;
    let app = TestApp::start(&keys::entry("server", "server-key", "")).await;
    let answer = app.post("/v1/events?key=server-key", &[JSON], "{}").await;
    assert_eq!(answer.status, 401);
    assert!(answer.header("www-authenticate").is_some());
    app.finish().await;
}

#[tokio::test]
async fn without_keys_of_pages_a_query_is_the_clients_own() {
    let broker = FakeBroker::start();
    let app = TestApp::start_with(&broker, CORS).await;
    let answer = app.post("/app?key=value", &[JSON, ALLOWED], "{}").await;
    assert_eq!(answer.status, 200);
    app.finish().await;
    let event = broker.only_event();
    assert_eq!(event["headers"]["request_path"], "/app?key=value");
}
