//! HTTP/2 with prior knowledge, on the same port: real clients with many streams.

use bytes::Bytes;
use http::Request;
use http_body_util::Full;
use serde_json::json;
use tokio::task::JoinSet;

use crate::support::client::Answer;
use crate::support::fake_broker::FakeBroker;
use crate::support::http2_client::{self, Http2Client};
use crate::support::http2_frames::*;
use crate::support::test_app::TestApp;
use crate::support::{eventually, in_time, until_refused};

async fn get(client: &Http2Client, target: &str) -> Answer {
    let request = Request::get(format!("http://logs.example{target}"));
    client.request(request.body(Full::default()).unwrap()).await
}

#[tokio::test]
async fn hundreds_of_streams_share_a_connection() {
    let broker = FakeBroker::start();
    let app = TestApp::start_with(&broker, "").await;
    let client = Http2Client::open(app.public()).await;
    let mut streams = JoinSet::new();
    for number in 0..300 {
        let body = json!({"number": number}).to_string();
        let request = http2_client::post("/v1/events", "application/json", body);
        streams.spawn(http2_client::send(client.sender(), request));
    }
    while let Some(answer) = in_time("a stream", streams.join_next()).await {
        let answer = answer.unwrap().unwrap();
        assert_eq!(
            (answer.status, answer.json()),
            (200, json!({"accepted": 1}))
        );
        assert!(answer.header("x-request-id").is_some());
    }
    app.until_connections(1).await;
    drop(client);
    app.finish().await;
    let events = broker.delivered();
    let mut numbers: Vec<_> = events
        .iter()
        .map(|event| event["number"].as_u64().unwrap())
        .collect();
    numbers.sort_unstable();
    assert_eq!(numbers, (0..300).collect::<Vec<_>>());
}

#[tokio::test]
async fn health_and_refusals_are_answered_as_over_http1() {
    let app = TestApp::start("").await;
    let client = Http2Client::open(app.public()).await;
    assert_eq!(
        get(&client, "/health").await.json(),
        json!({"status": "ok"})
    );
    let answer = get(&client, "/app-logs").await;
    assert_eq!(
        (answer.status, answer.problem_code().as_str()),
        (405, "method_not_allowed")
    );
    assert_eq!(answer.header("allow"), Some("HEAD, POST, PUT"));
    let bad = http2_client::post("/v1/events", "application/json", "oops");
    assert_eq!(client.request(bad).await.problem_code(), "malformed_body");
    assert_eq!(get(&client, "/live").await.status, 200);
    app.finish().await;
}

#[tokio::test]
async fn the_answer_to_head_has_no_content() {
    let app = TestApp::start("").await;
    let client = Http2Client::open(app.public()).await;
    for (target, status) in [
        ("/", 200),
        ("/health", 200),
        ("/v1/events", 405),
        ("/openapi.yaml", 405),
        ("/v1/none", 404),
    ] {
        let request = Request::head(format!("http://logs.example{target}"));
        let answer = client.request(request.body(Full::default()).unwrap()).await;
        assert_eq!(
            (answer.status, answer.body.as_slice()),
            (status, &b""[..]),
            "{target}"
        );
        if status >= 400 {
            let length = answer.header("content-length").unwrap();
            assert!(length.parse::<u64>().unwrap() > 0, "{target}: {length}");
        }
    }
    assert_eq!(get(&client, "/live").await.status, 200);
    app.finish().await;
}

#[tokio::test]
async fn an_answer_bears_its_length() {
    let app = TestApp::start("").await;
    let client = Http2Client::open(app.public()).await;
    for target in ["/health", "/openapi.yaml", "/v1/none"] {
        let answer = get(&client, target).await;
        let length = answer.body.len().to_string();
        assert_eq!(answer.header("content-length"), Some(&*length), "{target}");
    }
    app.finish().await;
}

#[tokio::test]
async fn a_body_larger_than_the_window_is_taken_and_one_larger_than_allowed_refused() {
    let broker = FakeBroker::start();
    let app = TestApp::start_with(&broker, "[ingest]\nmax_content_length = '2MiB'").await;
    let client = Http2Client::open(app.public()).await;
    let large = Bytes::from(vec![b'x'; 1024 * 1024]);
    let answer = client
        .request(http2_client::post("/", "text/plain", large.clone()))
        .await;
    assert_eq!(answer.status, 200);
    let too_large = vec![b'x'; 3 * 1024 * 1024];
    let answer = client
        .request(http2_client::post("/", "text/plain", too_large))
        .await;
    assert_eq!(
        (answer.status, answer.problem_code().as_str()),
        (413, "body_too_large")
    );
    assert_eq!(
        get(&client, "/health").await.status,
        200,
        "the connection lives on"
    );
    drop(client);
    app.finish().await;
    assert_eq!(
        broker.only_event()["message"].as_str().unwrap().len(),
        large.len()
    );
}

#[tokio::test]
async fn long_heads_are_taken_and_too_long_ones_refused() {
    let broker = FakeBroker::start();
    let app = TestApp::start_with(&broker, "").await;
    let client = Http2Client::open(app.public()).await;
    let with_headers = |count: usize, value: &str| {
        let mut request = http2_client::post("/", "text/plain", "x");
        for number in 0..count {
            let name: http::HeaderName = format!("x-{number}").parse().unwrap();
            request.headers_mut().insert(name, value.parse().unwrap());
        }
        request
    };
    let answer = client.request(with_headers(9, &"v".repeat(7 * 1024))).await;
    assert_eq!(answer.status, 200);
    let answer = client.request(with_headers(101, "v")).await;
    assert_eq!(
        (answer.status, answer.problem_code().as_str()),
        (431, "headers_too_large")
    );
    let answer = client
        .request(with_headers(20, &"v".repeat(7 * 1024)))
        .await;
    assert_eq!(answer.status, 431);
    assert_eq!(
        get(&client, "/health").await.status,
        200,
        "the connection lives on"
    );
    drop(client);
    app.finish().await;
    assert_eq!(broker.delivered().len(), 1);
}

#[tokio::test]
async fn the_pieces_of_a_cookie_are_one_header() {
    let broker = FakeBroker::start();
    let app = TestApp::start_with(&broker, "[enrich]\ndrop_headers = []").await;
    let client = Http2Client::open(app.public()).await;
    let with_pieces = |others: usize| {
        let mut request = http2_client::post("/", "text/plain", "x");
        for number in 0..150 {
            let piece = format!("c{number}=1").parse().unwrap();
            request.headers_mut().append("cookie", piece);
        }
        for number in 0..others {
            let name: http::HeaderName = format!("x-{number}").parse().unwrap();
            request.headers_mut().insert(name, "v".parse().unwrap());
        }
        request
    };
    assert_eq!(client.request(with_pieces(90)).await.status, 200);
    let refused = client.request(with_pieces(101)).await;
    assert_eq!(refused.problem_code(), "headers_too_large");
    drop(client);
    app.finish().await;
    let event = broker.only_event();
    let cookie = event["headers"]["cookie"].as_str().unwrap();
    assert!(cookie.starts_with("c0=1; c1=1; "), "{cookie}");
    assert_eq!(cookie.split("; ").count(), 150);
}

#[tokio::test]
async fn a_drain_lets_streams_finish_and_ends_the_connection() {
    let broker = FakeBroker::start();
    broker.hold();
    let app = TestApp::start_with(&broker, "").await;
    let client = Http2Client::open(app.public()).await;
    let request = http2_client::post("/", "application/json", "{}");
    let mut streams = JoinSet::new();
    streams.spawn(http2_client::send(client.sender(), request));
    broker.until_requests(1).await;
    let (_, answer) = tokio::join!(app.drain(), async {
        eventually("the server to say goodbye", async || {
            let probe = Request::get("http://logs.example/health");
            let probe = probe.body(Full::default()).unwrap();
            let answer = http2_client::send(client.sender(), probe).await;
            (!answer.is_ok_and(|answer| answer.status == 200)).then_some(())
        })
        .await;
        broker.release();
        streams.join_next().await.unwrap().unwrap().unwrap()
    });
    assert_eq!((answer.status, answer.text()), (200, "ok"));
    eventually("the connection to end", async || {
        client.is_closed().then_some(())
    })
    .await;
    assert_eq!(broker.delivered().len(), 1);
}

/// Java's own client, among others, takes the farewell for the end of what is under way.
#[tokio::test]
async fn answers_under_way_at_a_drain_come_before_the_farewell() {
    // They have a second: on a machine that is busy they may come too late.
    eventually("an answer in time", async || {
        let broker = FakeBroker::start();
        broker.hold();
        let app = TestApp::start_with(&broker, "").await;
        let address = app.public();
        let mut client = FrameClient::open(address, &[]).await;
        let flags = END_HEADERS | END_STREAM;
        client.send(frame(HEADERS, flags, 1, &block(&POST))).await;
        broker.until_requests(1).await;
        let ((), next) = tokio::join!(app.drain(), async {
            until_refused(address).await;
            broker.release();
            let next = client.until(|frame| matches!(frame.kind, HEADERS | GOAWAY));
            next.await.unwrap().kind
        });
        (next == HEADERS).then_some(())
    })
    .await;
}

/// A client that sends on must not find its stream reset before it has read the answer, nor lose the connection.
#[tokio::test]
async fn what_is_left_of_a_refused_body_is_thrown_away_and_the_connection_lives() {
    let broker = FakeBroker::start();
    let app = TestApp::start_with(&broker, "[auth]\nuser = 'u'\npassword = 'p'").await;
    let mut client = FrameClient::open(app.public(), &[]).await;
    for stream in [1, 3] {
        client
            .send(frame(HEADERS, END_HEADERS, stream, &block(&POST)))
            .await;
        let end = client.end_of(stream).await.unwrap();
        assert_ne!(end.kind, RST_STREAM, "the answer comes whole");
        for _ in 0..10 {
            client.send(frame(DATA, 0, stream, &[b'x'; 10_000])).await;
        }
        client.send(frame(DATA, END_STREAM, stream, b"x")).await;
        client.send(frame(PING, 0, 0, b"12345678")).await;
        let next = client.until(|frame| matches!(frame.kind, PING | RST_STREAM | GOAWAY));
        assert_eq!(next.await.unwrap().kind, PING);
    }
    app.finish().await;
    assert_eq!(broker.requests().len(), 0);
}
