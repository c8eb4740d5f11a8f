//! The end: not ready but serving, then nothing new, what is in flight finished, and no longer than allowed.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::pin::pin;
use std::time::Duration;

use futures_util::FutureExt;
use serde_json::Value;

use crate::support::client::{JSON, head};
use crate::support::fake_broker::{DownBroker, FakeBroker, Reply};
use crate::support::site::Site;
use crate::support::test_app::{TestApp, with};
use crate::support::{eventually, in_time, until_refused};

#[tokio::test]
async fn a_draining_server_is_not_ready_and_goes_on_serving() {
    let broker = FakeBroker::start();
    let app = TestApp::start_with(&broker, "[server]\ndrain_delay = '1h'").await;
    let mut kept = app.connect().await;
    assert_eq!(kept.request("GET", "/health", &[], "").await.status, 200);
    let serving = async {
        eventually("the drain to begin", async || {
            (app.status().await["phase"] == "draining").then_some(())
        })
        .await;
        for target in ["/health", "/ready", "/"] {
            let answer = app.get(target).await;
            assert_eq!(
                (answer.status, answer.text()),
                (503, "{\"status\":\"draining\"}"),
                "{target}"
            );
            assert!(answer.header("retry-after").is_some());
        }
        assert_eq!(app.get("/live").await.status, 200);
        assert_eq!(app.admin_page("/health").await.status, 503);
        let answer = app.post("/", &[JSON], "{}").await;
        assert_eq!(
            (answer.status, answer.header("connection")),
            (200, Some("close"))
        );
        let answer = kept.request("POST", "/v1/events", &[JSON], "{}").await;
        assert_eq!(
            (answer.status, answer.header("connection")),
            (200, Some("close"))
        );
        kept.expect_closed().await;
    };
    tokio::select! {
        () = app.app.drain() => panic!("the delay is an hour"),
        () = serving => {}
    }
    app.stop().await;
    assert_eq!(broker.delivered().len(), 2);
}

#[tokio::test]
async fn what_is_in_flight_is_finished_and_what_idles_is_closed() {
    let broker = FakeBroker::start();
    broker.hold();
    let app = TestApp::start_with(&broker, "").await;
    let address = app.public();
    let mut silent = app.connect().await;
    let mut idle = app.connect().await;
    assert_eq!(idle.request("GET", "/health", &[], "").await.status, 200);
    let mut waiting = app.connect().await;
    waiting.send(head("POST", "/", &[JSON], 2) + "{}").await;
    broker.until_requests(1).await;
    let mut in_body = app.connect().await;
    in_body.send(head("POST", "/", &[JSON], 2) + "{").await;
    app.until_held(3).await;
    let ((), ()) = tokio::join!(app.drain(), async {
        silent.expect_closed().await;
        idle.expect_closed().await;
        until_refused(address).await;
        in_body.send("}").await;
        broker.release();
        for connection in [&mut waiting, &mut in_body] {
            let answer = connection.answer().await;
            assert_eq!((answer.status, answer.text()), (200, "ok"));
            connection.expect_closed().await;
        }
    });
    assert_eq!(broker.delivered().len(), 2);
}

#[tokio::test]
async fn a_head_that_has_begun_on_a_kept_connection_is_served() {
    let broker = FakeBroker::start();
    broker.hold();
    let app = TestApp::start_with(&broker, "").await;
    let address = app.public();
    let mut waiting = app.connect().await;
    waiting.send(head("POST", "/", &[JSON], 2) + "{}").await;
    broker.until_requests(1).await;
    let mut kept = app.connect().await;
    assert_eq!(kept.request("GET", "/health", &[], "").await.status, 200);
    let request = head("POST", "/", &[JSON], 2) + "{}";
    let (begin, rest) = request.split_at(20);
    kept.send(begin).await;
    assert_eq!(
        app.get("/health").await.status,
        200,
        "all that came is read"
    );
    let ((), ()) = tokio::join!(app.drain(), async {
        until_refused(address).await;
        kept.send(rest).await;
        broker.release();
        for connection in [&mut kept, &mut waiting] {
            let answer = connection.answer().await;
            assert_eq!((answer.status, answer.text()), (200, "ok"));
            connection.expect_closed().await;
        }
    });
    assert_eq!(broker.delivered().len(), 2);
}

#[tokio::test]
async fn who_has_connected_before_the_server_closes_and_is_not_accepted_yet_is_served() {
    let app = TestApp::start("[server]\ndrain_delay = '1ms'").await;
    let address = app.public();
    let mut drain = pin!(app.drain());
    assert_eq!(drain.as_mut().now_or_never(), None);
    // The delay is over, and on the only thread nobody has looked for connections when the drain goes on.
    tokio::time::sleep(Duration::from_millis(10)).await;
    let mut connection = TcpStream::connect(address).unwrap();
    let request = head("POST", "/", &[JSON], 2) + "{}";
    connection.write_all(request.as_bytes()).unwrap();
    drain.await;
    let mut answer = String::new();
    connection.read_to_string(&mut answer).unwrap();
    assert!(answer.starts_with("HTTP/1.1 200 "), "{answer}");
}

#[tokio::test]
async fn what_is_sent_behind_the_last_request_does_not_take_its_answer_away() {
    let broker = FakeBroker::start();
    broker.hold();
    let app = TestApp::start_with(&broker, "").await;
    let address = app.public();
    let mut connection = app.connect().await;
    let behind = head("POST", "/", &[JSON], 200_000) + &" ".repeat(200_000);
    let last = head("POST", "/", &[JSON], 2) + "{}";
    connection.send(last + &behind).await;
    broker.until_requests(1).await;
    let ((), ()) = tokio::join!(app.drain(), async {
        until_refused(address).await;
        broker.release();
        let answer = connection.answer().await;
        assert_eq!((answer.status, answer.text()), (200, "ok"));
        assert_eq!(answer.header("connection"), Some("close"));
        connection.expect_closed().await;
        assert!(connection.try_send("more").await, "it was reset");
    });
    assert_eq!(broker.delivered().len(), 1);
}

#[tokio::test]
async fn what_is_sent_after_the_last_answer_does_not_reset_the_connection() {
    let app = TestApp::start("[server]\ndrain_delay = '1h'").await;
    let mut connection = app.connect().await;
    let sending_on = async {
        eventually("the drain to begin", async || {
            (app.status().await["phase"] == "draining").then_some(())
        })
        .await;
        let answer = connection.request("POST", "/", &[JSON], "{}").await;
        assert_eq!(answer.header("connection"), Some("close"));
        connection.expect_closed().await;
        for piece in ["a request that was under way", "and its end"] {
            assert!(connection.try_send(piece).await, "it was reset");
        }
    };
    tokio::select! {
        () = app.app.drain() => panic!("the delay is an hour"),
        () = sending_on => {}
    }
    app.stop().await;
}

#[tokio::test]
async fn a_request_behind_a_proxy_header_that_comes_as_the_server_closes_is_answered() {
    // It has a second: on a machine that is busy it may come too late.
    eventually("a request in time", async || {
        let app = TestApp::start("[server]\nproxy_protocol = 'required'").await;
        let address = app.public();
        let mut connection = app.connect().await;
        app.until_connections(1).await;
        let ((), answer) = tokio::join!(app.drain(), async {
            until_refused(address).await;
            let header = "PROXY TCP4 203.0.113.5 127.0.0.1 4000 80\r\n";
            let request = head("GET", "/health", &[], 0);
            connection.try_send(header.to_owned() + &request).await;
            connection.rest_or_reset().await
        });
        answer.starts_with(b"HTTP/1.1 503 ").then_some(())
    })
    .await;
}

#[tokio::test]
async fn what_was_queued_is_delivered_before_the_end() {
    let broker = FakeBroker::start();
    broker.hold();
    let toml = "[ingest]\ndurability = 'memory'\n[broker]\nmax_batch_events = 1\nmax_in_flight = 2";
    let app = TestApp::start_with(&broker, toml).await;
    assert_eq!(app.post("/", &[JSON], "{}".repeat(100)).await.status, 200);
    broker.until_requests(2).await;
    broker.release();
    app.drain().await;
    assert_eq!(broker.delivered().len(), 100);
}

#[tokio::test]
async fn a_drain_waits_for_no_fuller_batch() {
    let broker = FakeBroker::start();
    let toml = "[ingest]\ndurability = 'memory'\n[broker]\nlinger = '1h'";
    let app = TestApp::start_with(&broker, toml).await;
    assert_eq!(app.post("/", &[JSON], "{}").await.status, 200);
    in_time("the drain", app.drain()).await;
    assert_eq!(broker.delivered().len(), 1);
}

#[tokio::test]
async fn a_drain_waits_for_no_pause_and_no_rest() {
    let toml = "[ingest]\ndurability = 'memory'\n\
                [broker]\nretry_initial = '8000h'\nretry_max = '8000h'\nmax_batch_events = 1";
    for (failures, is_up) in [(1, true), (5, false)] {
        let broker = FakeBroker::start();
        broker.script(std::iter::repeat_with(|| Reply::status(500)).take(failures));
        let app = TestApp::start_with(&broker, toml).await;
        for _ in 0..failures {
            assert_eq!(app.post("/", &[JSON], "{}").await.status, 200);
        }
        broker.until_requests(failures).await;
        eventually("the failures to be noted", async || {
            let broker = &app.status().await["brokers"][0];
            (broker["in_flight"] == 0 && broker["up"] == is_up).then_some(())
        })
        .await;
        in_time("the drain", app.drain()).await;
        assert_eq!(broker.delivered().len(), failures);
    }
}

#[tokio::test]
async fn the_drain_takes_no_longer_than_allowed() {
    let down = DownBroker::new();
    let toml = format!(
        "[server]\ndrain_timeout = '100ms'\n[broker]\nurls = ['{}']",
        down.url()
    );
    let app = TestApp::start(&toml).await;
    let mut waiting = app.connect().await;
    waiting.send(head("POST", "/", &[JSON], 2) + "{}").await;
    app.until_spooled(1).await;
    let mut slow = app.connect().await;
    slow.send(head("POST", "/", &[JSON], 2) + "{").await;
    app.until_held(1).await;
    in_time("the drain", app.drain()).await;
    for connection in [&mut waiting, &mut slow] {
        let rest = String::from_utf8(connection.rest().await).unwrap();
        assert!(!rest.starts_with("HTTP/1.1 2"), "{rest}");
    }
}

#[tokio::test]
async fn who_still_sends_when_the_time_is_up_is_told_that_nothing_was_kept() {
    let broker = FakeBroker::start();
    let toml = "[server]\ndrain_timeout = '100ms'";
    let app = TestApp::start_with(&broker, toml).await;
    let mut slow = app.connect().await;
    slow.send(head("POST", "/", &[JSON], 2) + "{").await;
    app.until_held(1).await;
    let ((), ()) = tokio::join!(app.drain(), async {
        let answer = slow.answer().await;
        assert_eq!(
            (answer.status, answer.problem_code().as_str()),
            (503, "draining")
        );
        slow.expect_closed().await;
    });
    assert!(broker.delivered().is_empty());
}

#[tokio::test]
async fn who_waits_for_the_brokers_at_the_end_is_told_that_none_took_the_events() {
    let broker = FakeBroker::start();
    broker.usually(Reply::Hang);
    let toml = "[server]\ndrain_timeout = '100ms'\n[broker]\nmax_in_flight = 1";
    let app = TestApp::start_with(&broker, toml).await;
    let mut waiting = [app.connect().await, app.connect().await];
    for connection in &mut waiting {
        let request = head("POST", "/", &[JSON], 2) + "{}";
        connection.send(request).await;
        broker.until_requests(1).await;
    }
    app.until_spooled(2).await;
    let ((), ()) = tokio::join!(app.drain(), async {
        for connection in &mut waiting {
            let answer = connection.answer().await;
            assert_eq!(
                (answer.status, answer.problem_code().as_str()),
                (503, "broker_unavailable")
            );
            connection.expect_closed().await;
        }
    });
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_log_tells_what_is_started_and_what_becomes_of_what_is_left() {
    for (durability, words) in [
        ("disk", "are delivered after the next start"),
        ("memory", "are lost"),
        ("broker", "nobody was told that these events were taken"),
    ] {
        let broker = FakeBroker::start();
        broker.usually(Reply::status(503));
        let toml =
            format!("[ingest]\ndurability = '{durability}'\n[server]\ndrain_timeout = '100ms'");
        let site = Site::new(&with(&[&broker], &toml));
        let server = site.serve();
        let mut connection = server.connect().await;
        connection.send(head("POST", "/", &[JSON], 2) + "{}").await;
        broker.until_requests(1).await;
        server.signal("TERM");
        let (status, _, log) = server.end();
        assert_eq!(status, Some(0), "{log:#?}");
        let first: Value = serde_json::from_str(&log[0]).unwrap();
        let config = first["config"].as_str().unwrap();
        assert!(config.ends_with("headgate.toml"), "{first}");
        assert_eq!(first["version"], env!("CARGO_PKG_VERSION"));
        let folder = std::fs::canonicalize(first["folder"].as_str().unwrap()).unwrap();
        assert_eq!(folder, std::fs::canonicalize(site.path("")).unwrap());
        assert_eq!(first["durability"], durability);
        assert_eq!(first["output"], "http");
        let last = log.last().unwrap();
        assert!(last.contains(words), "{last}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_second_signal_ends_at_once_and_tells_what_is_lost() {
    let broker = FakeBroker::start();
    broker.usually(Reply::status(503));
    let toml = "[ingest]\ndurability = 'memory'\n[server]\ndrain_delay = '1h'";
    let site = Site::new(&with(&[&broker], toml));
    let mut server = site.serve();
    assert_eq!(server.post("{}").await.status, 200);
    server.signal("TERM");
    server.until_logged("draining");
    server.signal("TERM");
    let (status, _, log) = server.end();
    assert_eq!(status, Some(0), "{log:#?}");
    let last: Value = serde_json::from_str(log.last().unwrap()).unwrap();
    assert_eq!(last["events_lost"], 1, "{last}");
}
