//! The examples of refusals say what the server says.

use std::collections::BTreeSet;

use headgate::ingress::problem_types;
use http::HeaderValue;
use serde_json::{Value, json};

use super::{collect_problems, description};
use crate::support::client::{Answer, JSON, head};
use crate::support::fake_broker::FakeBroker;
use crate::support::http2_client::{self, Http2Client};
use crate::support::keys;
use crate::support::test_app::TestApp;

/// Codes whose answers take a server that is failing or ending.
const NOT_PROVOKED: [&str; 4] = ["spool_full", "spool_failed", "draining", "timeout"];

/// What a problem says of its request, besides the id.
fn told(problem: &Value) -> String {
    let mut problem = problem.clone();
    problem.as_object_mut().unwrap().remove("request_id");
    problem.to_string()
}

#[tokio::test]
async fn examples_of_refusals_say_what_the_server_says() {
    let description = description();
    let mut examples = Vec::new();
    collect_problems(&description, &mut examples);
    let is_provoked = |problem: &&&Value| {
        let code = problem["code"].as_str().unwrap();
        !NOT_PROVOKED.contains(&code)
    };
    let examples: BTreeSet<String> = examples
        .iter()
        .filter(is_provoked)
        .map(|problem| told(problem))
        .collect();
    let mut refusals = of_what_is_sent().await;
    refusals.extend(of_senders().await);
    refusals.extend(of_what_is_under_way().await);
    let answers: BTreeSet<String> = refusals.iter().map(told).collect();
    let differing: Vec<&String> = examples.symmetric_difference(&answers).collect();
    assert!(differing.is_empty(), "in one of both: {differing:#?}");
    let codes: BTreeSet<&str> = refusals
        .iter()
        .map(|problem| problem["code"].as_str().unwrap())
        .chain(NOT_PROVOKED)
        .collect();
    assert_eq!(codes, problem_types().map(|known| known.word).collect());
}

fn problem(answer: &Answer) -> Value {
    assert!(answer.status >= 400, "{answer:?}");
    answer.json()
}

/// Refusals of requests that are wrong by themselves.
async fn of_what_is_sent() -> Vec<Value> {
    let app = TestApp::start("[validate]\nrequired = ['message']").await;
    let many_events = format!("[{}]", vec!["{}"; 100_001].join(","));
    let mut problems = Vec::new();
    for (method, target, headers, body) in [
        ("GET", "/health", &[("Host", "other")][..], ""),
        ("POST", "/", &[("Content-Encoding", "gzip")], "oops"),
        (
            "POST",
            "/v1/events",
            &[],
            "{\"a\":1}\n{\"a\":2}\n{\"a\":oops}",
        ),
        ("POST", "/v1/other", &[], ""),
        ("GET", "/v1/events", &[], ""),
        ("POST", "/v1/events", &[], &many_events),
        ("POST", "/", &[("Content-Encoding", "lzma")], ""),
        ("POST", "/v1/events", &[], "{}"),
    ] {
        let answer = app.request(method, target, headers, body).await;
        problems.push(problem(&answer));
    }
    // With HTTP/1 it is without a body.
    let mut many_headers = http2_client::post("/", "text/plain", "");
    for _ in 0..=100 {
        let one = HeaderValue::from_static("1");
        many_headers.headers_mut().append("x-filler", one);
    }
    let http2 = Http2Client::open(app.public()).await;
    problems.push(problem(&http2.request(many_headers).await));
    let mut too_long = app.connect().await;
    let head = head("POST", "/", &[JSON], 100 * 1024 * 1024 + 1);
    too_long.send(head).await;
    problems.push(problem(&too_long.answer().await));
    app.finish().await;
    problems
}

/// Refusals for what the sender is, or has sent before.
async fn of_senders() -> Vec<Value> {
    let keys = [
        keys::entry("web", "web-key", "events_per_second = 100"),
        keys::entry(
            "page",
            "page-key",
            "allowed_origins = ['https://app.example']",
        ),
    ];
    let app = TestApp::start(&keys.concat()).await;
    let web = ("X-Api-Key", "web-key");
    let much = format!("[{}]", vec!["{}"; 10_000].join(","));
    app.post("/v1/events", &[JSON, web], much).await;
    let mut problems = Vec::new();
    for headers in [&[][..], &[("X-Api-Key", "page-key")], &[web]] {
        let answer = app.post("/v1/events", headers, "{}").await;
        problems.push(problem(&answer));
    }
    app.finish().await;
    problems
}

/// Refusals for want of connections, time and Brokers.
async fn of_what_is_under_way() -> Vec<Value> {
    let mut problems = Vec::new();
    let app = TestApp::start("[server]\nmax_connections = 1").await;
    let mut only = app.connect().await;
    only.request("GET", "/live", &[], "").await;
    problems.push(problem(&app.post("/", &[], "").await));
    drop(only);
    app.finish().await;

    let app = TestApp::start("[server]\nbody_read_timeout = '30ms'").await;
    let mut silent = app.connect().await;
    silent.send(head("POST", "/", &[JSON], 2)).await;
    let mut too_slow = problem(&silent.answer().await);
    let detail = too_slow["detail"].as_str().unwrap();
    // Of the default, which nobody wants to wait for.
    too_slow["detail"] = json!(detail.replace("30ms", "30s"));
    problems.push(too_slow);
    app.finish().await;

    let broker = FakeBroker::start();
    let app = TestApp::start_with(&broker, "[server]\nrequest_timeout = '50ms'").await;
    broker.hold();
    problems.push(problem(&app.post("/", &[], "held").await));
    broker.release();
    app.finish().await;
    problems
}
