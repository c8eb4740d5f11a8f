//! Health for load balancers: what it says, what it does not depend on, and that asking never makes an event.

use crate::support::client::JSON;
use crate::support::fake_broker::{DownBroker, FakeBroker};
use crate::support::test_app::TestApp;

#[tokio::test]
async fn every_way_to_ask_is_answered_with_its_length_and_is_no_event() {
    let broker = FakeBroker::start();
    let app = TestApp::start_with(&broker, "").await;
    let mut connection = app.connect().await;
    for target in ["/health", "/ready", "/live", "/", "/health?x=1"] {
        let got = connection.request("GET", target, &[], "").await;
        assert_eq!(
            (got.status, got.text()),
            (200, "{\"status\":\"ok\"}"),
            "{target}"
        );
        assert_eq!(got.header("content-type"), Some("application/json"));
        let head = connection.request("HEAD", target, &[], "").await;
        assert_eq!(head.status, 200);
        assert_eq!(head.header("content-length"), got.header("content-length"));
        for answer in [got, head] {
            assert_eq!(answer.header("cache-control"), Some("no-store"));
            assert!(answer.header("x-request-id").is_some());
            assert!(answer.header("retry-after").is_none());
        }
    }
    assert_eq!(
        connection
            .request("HEAD", "/any/logstash/path?x", &[], "")
            .await
            .status,
        200
    );
    assert_eq!(app.book("received").await, 0);
    let samples = app.samples().await;
    let count = samples.value(
        "headgate_requests_total",
        &[("route", "health"), ("status", "200")],
    );
    assert_eq!(count, Some(11.0));
    app.finish().await;
    assert_eq!(broker.requests().len(), 0);
}

#[tokio::test]
async fn a_broker_that_is_down_does_not_make_the_node_unhealthy() {
    let down = DownBroker::new();
    let toml = format!(
        "[broker]\nurls = ['{}']\n[ingest]\ndurability = 'memory'",
        down.url()
    );
    let app = TestApp::start(&toml).await;
    assert_eq!(app.post("/", &[JSON], "{}").await.status, 200);
    crate::support::eventually("the Broker to be seen down", async || {
        (app.status().await["brokers"][0]["up"] == false).then_some(())
    })
    .await;
    for target in ["/health", "/ready", "/live", "/"] {
        assert_eq!(app.get(target).await.status, 200, "{target}");
        if target != "/" {
            assert_eq!(app.admin_page(target).await.status, 200, "{target}");
        }
    }
    let broker = down.up();
    app.finish().await;
    crate::support::in_time("the event", broker.until_requests(1)).await;
}

#[tokio::test]
async fn the_status_tells_addresses_brokers_and_books() {
    let broker = FakeBroker::start();
    let app = TestApp::start_with(&broker, "").await;
    app.post("/", &[JSON], "[{},{}]").await;
    app.until_book("delivered", 2).await;
    let status = app.status().await;
    assert_eq!(status["phase"], "serving");
    assert_eq!(status["version"], env!("CARGO_PKG_VERSION"));
    let addresses: Vec<_> = status["listeners"]
        .as_array()
        .unwrap()
        .iter()
        .map(|listener| listener["address"].as_str().unwrap().to_owned())
        .collect();
    assert_eq!(
        addresses,
        [app.public().to_string(), app.admin().to_string()]
    );
    assert_eq!(status["brokers"][0]["url"], broker.url());
    assert_eq!(status["brokers"][0]["up"], true);
    assert_eq!(status["spool"]["events"], 0);
    assert_eq!(status["books"]["received"], 2);
    assert_eq!(status["books"]["balanced"], true);
    app.finish().await;
}
