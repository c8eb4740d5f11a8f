//! More connections than there is room for: health checks get through, others are told, and nothing has to be
//! restarted.

use crate::support::client::{Connection, JSON};
use crate::support::fake_broker::FakeBroker;
use crate::support::http2_client::{Http2Client, post, send};
use crate::support::test_app::TestApp;
use crate::support::{eventually, in_time};

/// How many connections are accepted beyond `server.max_connections`.
const RESERVE: usize = 64;

/// A server with room for one connection, and that one.
async fn full(broker: &FakeBroker) -> (TestApp, Connection) {
    let app = TestApp::start_with(broker, "[server]\nmax_connections = 1").await;
    let mut first = app.connect().await;
    assert_eq!(first.request("GET", "/live", &[], "").await.status, 200);
    (app, first)
}

#[tokio::test]
async fn health_is_answered_through_a_flood_of_silent_connections() {
    let broker = FakeBroker::start();
    let app = TestApp::start_with(&broker, "[server]\nmax_connections = 10").await;
    let mut flood: Vec<Connection> = Vec::new();
    for _ in 0..10 + RESERVE + 30 {
        flood.push(app.connect().await);
    }
    // It waits behind the reserve until those that say nothing are closed.
    for target in ["/health", "/ready", "/"] {
        assert_eq!(app.get(target).await.status, 200, "{target}");
    }
    drop(flood);
    app.until_connections(0).await;
    assert_eq!(app.post("/", &[JSON], "{}").await.status, 200);
    app.finish().await;
    assert_eq!(broker.delivered().len(), 1);
}

#[tokio::test]
async fn everything_else_beyond_the_most_connections_is_refused_before_its_body() {
    let broker = FakeBroker::start();
    let (app, mut first) = full(&broker).await;
    for (method, target) in [
        ("POST", "/"),
        ("PUT", "/app-logs"),
        ("POST", "/v1/events"),
        ("GET", "/openapi.yaml"),
        ("DELETE", "/app-logs"),
    ] {
        let mut reserve = app.connect().await;
        let line = format!("{method} {target} HTTP/1.1\r\nHost: x\r\n");
        reserve
            .send(line + "Content-Length: 1000\r\nExpect: 100-continue\r\n\r\n")
            .await;
        let answer = reserve.answer().await;
        assert_eq!(
            (answer.status, answer.problem_code().as_str()),
            (503, "overloaded"),
            "{method} {target}"
        );
        assert!(answer.header("retry-after").is_some());
        reserve.expect_closed().await;
    }
    assert_eq!(first.request("POST", "/", &[JSON], "{}").await.status, 200);
    app.finish().await;
    assert_eq!(broker.delivered().len(), 1);
}

#[tokio::test]
async fn a_storm_of_connections_that_come_and_go_leaves_nothing_behind() {
    let broker = FakeBroker::start();
    let app = TestApp::start_with(&broker, "[server]\nmax_connections = 20").await;
    for number in 0..1000 {
        let mut connection = app.connect().await;
        match number % 4 {
            0 => {}
            1 => connection.reset(),
            2 => drop(connection.try_send("POST / HTTP/1.1\r\nHost").await),
            _ => {
                connection
                    .try_send("POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 9\r\n\r\n{")
                    .await;
                connection.reset();
            }
        }
    }
    app.until_connections(0).await;
    eventually("room for a request", async || {
        (app.post("/", &[JSON], "{}").await.status == 200).then_some(())
    })
    .await;
    app.finish().await;
    assert_eq!(broker.delivered().len(), 1);
}

#[tokio::test]
async fn a_busy_http2_connection_beyond_the_most_is_refused_and_closed() {
    let broker = FakeBroker::start();
    let (app, mut first) = full(&broker).await;
    let health = || {
        let request = http::Request::get("http://logs.example/health");
        request.body(http_body_util::Full::default()).unwrap()
    };
    let client = Http2Client::open(app.public()).await;
    for _ in 0..3 {
        assert_eq!(client.request(health()).await.status, 200);
    }
    let refused = client.request(post("/", "application/json", "{}")).await;
    assert_eq!(
        (refused.status, refused.problem_code().as_str()),
        (503, "overloaded")
    );
    // However often it asks: silence alone would close it too.
    in_time("the connection to be closed", async {
        while send(client.sender(), health()).await.is_ok() {
            tokio::task::yield_now().await;
        }
    })
    .await;
    app.until_connections(1).await;
    assert_eq!(first.request("POST", "/", &[JSON], "{}").await.status, 200);
    app.finish().await;
    assert_eq!(broker.delivered().len(), 1);
}

#[tokio::test]
async fn a_connection_that_came_while_others_closed_is_one_like_all() {
    let broker = FakeBroker::start();
    let (app, first) = full(&broker).await;
    let mut second = app.connect().await;
    assert_eq!(second.request("GET", "/live", &[], "").await.status, 200);
    drop(first);
    app.until_connections(1).await;
    for _ in 0..2 {
        assert_eq!(second.request("POST", "/", &[JSON], "{}").await.status, 200);
    }
    let mut third = app.connect().await;
    assert_eq!(third.request("POST", "/", &[JSON], "{}").await.status, 503);
    app.finish().await;
    assert_eq!(broker.delivered().len(), 2);
}

/// How many connections the admin listener has places for.
const OF_OPERATORS: usize = 64;

#[tokio::test]
async fn operators_are_answered_through_a_flood_of_silent_connections() {
    let broker = FakeBroker::start();
    let app = TestApp::start_with(&broker, "").await;
    let mut scraper = Connection::open(app.admin()).await;
    let mut flood: Vec<Connection> = Vec::new();
    for _ in 0..3 * OF_OPERATORS {
        assert_eq!(scraper.request("GET", "/live", &[], "").await.status, 200);
        flood.push(Connection::open(app.admin()).await);
    }
    for target in ["/metrics", "/status", "/health"] {
        let answer = scraper.request("GET", target, &[], "").await;
        assert_eq!(answer.status, 200, "one that asks keeps its place");
        assert_eq!(app.admin_page(target).await.status, 200, "{target}");
    }
    let (longest_silent, newest) = (&mut flood[0], 3 * OF_OPERATORS - 1);
    longest_silent.expect_closed().await;
    let answer = flood[newest].request("GET", "/live", &[], "").await;
    assert_eq!(answer.status, 200);
    app.finish().await;
}
