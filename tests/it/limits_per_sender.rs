//! How much may be sent: by key and by client address. Buckets are emptied far into debt, so that no pause of
//! the machine that runs these tests refills them.

use std::net::{IpAddr, Ipv4Addr};

use crate::support::client::{Answer, Connection, JSON, TEXT};
use crate::support::fake_broker::FakeBroker;
use crate::support::http2_frames::{
    DATA, END_HEADERS, END_STREAM, FrameClient, HEADERS, POST, RST_STREAM, block, frame,
};
use crate::support::keys;
use crate::support::test_app::TestApp;
use crate::support::{compress, eventually};

const NOISY: (&str, &str) = ("X-Api-Key", "noisy-key");
const QUIET: (&str, &str) = ("X-Api-Key", "quiet-key");

/// A key with limits, and one without.
fn config(limits: &str) -> String {
    keys::entry("noisy", "noisy-key", limits) + &keys::entry("quiet", "quiet-key", "")
}

fn batch(events: usize) -> String {
    format!("[{}]", vec!["{}"; events].join(","))
}

/// The seconds after which a refused request may come again.
fn refused(answer: &Answer, words: &[&str]) -> u64 {
    assert_eq!(answer.status, 429, "{answer:?}");
    assert_eq!(answer.problem_code(), "rate_limited");
    let detail = answer.json()["detail"].as_str().unwrap().to_owned();
    for word in words {
        assert!(detail.contains(word), "no {word} in {detail}");
    }
    answer.header("retry-after").unwrap().parse().unwrap()
}

#[tokio::test]
async fn a_batch_above_the_rate_is_taken_once_and_owed_then() {
    let broker = FakeBroker::start();
    let app = TestApp::start_with(&broker, &config("events_per_second = 10")).await;
    let answer = app.post("/v1/events", &[JSON, NOISY], batch(10_000)).await;
    assert_eq!(answer.status, 200, "{answer:?}");
    for (target, body) in [
        ("/v1/events", "{}".to_owned()),
        ("/v1/events", batch(5_000)),
        ("/", "{}".to_owned()),
        ("/app", "a line".to_owned()),
    ] {
        let answer = app.post(target, &[JSON, NOISY], &body).await;
        let words = ["\"noisy\"", "10 events a second", "events_per_second"];
        let seconds = refused(&answer, &words);
        assert!((900..=1000).contains(&seconds), "{seconds}");
        let answer = app.post(target, &[JSON, QUIET], &body).await;
        assert_eq!(answer.status, 200, "{answer:?}");
    }
    let samples = app.samples().await;
    for (name, labels, expected) in [
        (
            "headgate_requests_rate_limited_total",
            ("limit", "key_events"),
            4.0,
        ),
        (
            "headgate_requests_rate_limited_total",
            ("limit", "client_events"),
            0.0,
        ),
        ("headgate_key_events_total", ("key", "noisy"), 10_000.0),
        ("headgate_key_events_total", ("key", "quiet"), 5_003.0),
        ("headgate_key_requests_refused_total", ("key", "noisy"), 4.0),
        ("headgate_key_requests_refused_total", ("key", "quiet"), 0.0),
    ] {
        assert_eq!(
            samples.value(name, &[labels]),
            Some(expected),
            "{name} {labels:?}"
        );
    }
    app.finish().await;
    assert_eq!(broker.delivered().len(), 15_003);
}

#[tokio::test]
async fn bytes_above_the_rate_are_refused_before_they_are_sent() {
    let broker = FakeBroker::start();
    let app = TestApp::start_with(&broker, &config("bytes_per_second = '1KiB'")).await;
    let text = "x".repeat(1024 * 1024);
    assert_eq!(app.post("/", &[TEXT, NOISY], &text).await.status, 200);
    let mut connection = app.connect().await;
    connection
        .send("POST / HTTP/1.1\r\nHost: test\r\nX-Api-Key: noisy-key\r\nExpect: 100-continue\r\nContent-Length: 5\r\n\r\n")
        .await;
    let words = ["\"noisy\"", "1024 bytes a second", "bytes_per_second"];
    let seconds = refused(&connection.answer().await, &words);
    assert!((900..=1024).contains(&seconds), "{seconds}");
    let mut connection = app.connect().await;
    connection
        .send("POST / HTTP/1.1\r\nHost: test\r\nX-Api-Key: noisy-key\r\nExpect: 100-continue\r\nTransfer-Encoding: chunked\r\n\r\n")
        .await;
    refused(&connection.answer().await, &words);
    assert_eq!(app.post("/", &[TEXT, QUIET], &text).await.status, 200);
    app.finish().await;
    assert_eq!(broker.delivered().len(), 2);
}

#[tokio::test]
async fn a_body_that_is_no_events_costs_none() {
    let broker = FakeBroker::start();
    let app = TestApp::start_with(&broker, &config("events_per_second = 1")).await;
    for (body, status) in [("[{},{},{}", 400), ("[]", 200), ("{}", 200)] {
        let answer = app.post("/v1/events", &[JSON, NOISY], body).await;
        assert_eq!(answer.status, status, "{answer:?}");
    }
    app.finish().await;
    assert_eq!(broker.delivered().len(), 1);
}

#[tokio::test]
async fn events_that_are_rejected_cost_as_much_as_any() {
    let broker = FakeBroker::start();
    for (events, status) in [("{}", 207), ("1", 422)] {
        let app = TestApp::start_with(&broker, &config("events_per_second = 1")).await;
        let batch = format!("[{events}{}]", ",1".repeat(999));
        let answer = app.post("/v1/events", &[JSON, NOISY], &batch).await;
        assert_eq!(answer.status, status, "{answer:?}");
        let answer = app.post("/v1/events", &[JSON, NOISY], "{}").await;
        let seconds = refused(&answer, &["\"noisy\"", "1 events a second"]);
        assert!((900..=1000).contains(&seconds), "{seconds}");
        app.finish().await;
    }
    assert_eq!(broker.delivered().len(), 1);
}

#[tokio::test]
async fn nonsense_is_charged_by_its_bytes() {
    let broker = FakeBroker::start();
    let unfinished = "[{},{},{}".to_owned() + &" ".repeat(1_000);
    let numbers = format!("[1{}]", ",1".repeat(500));
    for (nonsense, status) in [(unfinished, 400), (numbers, 422)] {
        let app = TestApp::start_with(&broker, &config("bytes_per_second = 1")).await;
        for status in [status, 429] {
            let answer = app.post("/v1/events", &[JSON, NOISY], &nonsense).await;
            assert_eq!(answer.status, status, "{answer:?}");
        }
        app.finish().await;
    }
    assert!(broker.delivered().is_empty());
}

#[tokio::test]
async fn a_body_that_is_cut_short_is_charged_by_what_came() {
    let broker = FakeBroker::start();
    let app = TestApp::start_with(&broker, &config("bytes_per_second = 1")).await;
    let mut cut = app.connect().await;
    let head =
        "POST / HTTP/1.1\r\nHost: x\r\nX-Api-Key: noisy-key\r\nTransfer-Encoding: chunked\r\n\r\n";
    let chunk = "x".repeat(1_000);
    cut.send(format!("{head}3e8\r\n{chunk}\r\nnonsense\r\n"))
        .await;
    let answer = String::from_utf8(cut.rest_or_reset().await).unwrap();
    assert!(answer.starts_with("HTTP/1.1 400 "), "{answer}");
    let answer = app.post("/", &[NOISY], "x").await;
    assert_eq!(answer.status, 429, "{answer:?}");
    app.finish().await;
    assert!(broker.delivered().is_empty());
}

#[tokio::test]
async fn events_that_the_spool_refuses_are_given_back() {
    let broker = FakeBroker::start();
    let small = "[ingest]\ndurability = 'memory'\n[spool]\nmemory_bytes = '8KiB'\n";
    let toml = small.to_owned() + &config("events_per_second = 1");
    let app = TestApp::start_with(&broker, &toml).await;
    let answer = app.post("/", &[JSON, NOISY], batch(1_000)).await;
    assert_eq!(answer.status, 413, "{answer:?}");
    let answer = app.post("/", &[JSON, NOISY], "{}").await;
    assert_eq!(answer.status, 200, "{answer:?}");
    app.finish().await;
    assert_eq!(broker.delivered().len(), 1);
}

#[tokio::test]
async fn what_the_spool_can_never_hold_is_charged_by_its_bytes() {
    let broker = FakeBroker::start();
    let small = "[ingest]\ndurability = 'memory'\n[spool]\nmemory_bytes = '8KiB'\n";
    let toml = small.to_owned() + &config("bytes_per_second = 1");
    let app = TestApp::start_with(&broker, &toml).await;
    for status in [413, 429] {
        let answer = app.post("/", &[JSON, NOISY], batch(1_000)).await;
        assert_eq!(answer.status, status, "{answer:?}");
    }
    app.finish().await;
    assert!(broker.delivered().is_empty());
}

#[tokio::test]
async fn what_finds_no_room_in_memory_is_given_back() {
    let broker = FakeBroker::start();
    let small = "[ingest]\nmax_content_length = '256KiB'\nmax_envelope_bytes = '256KiB'\nmax_in_flight_bytes = '256KiB'\n";
    let toml = small.to_owned() + &config("bytes_per_second = 1");
    let app = TestApp::start_with(&broker, &toml).await;
    let mut other = app.connect().await;
    let held = "x".repeat(150_000);
    let head =
        "POST / HTTP/1.1\r\nHost: x\r\nX-Api-Key: quiet-key\r\nContent-Length: 160000\r\n\r\n";
    other.send(format!("{head}{held}")).await;
    eventually("the other body to be held", async || {
        let in_flight = app.samples().await.value("headgate_in_flight_bytes", &[]);
        (in_flight > Some(150_000.0)).then_some(())
    })
    .await;
    let long = "v".repeat(2_000);
    let headers = [JSON, NOISY, ("X-Long", long.as_str())];
    let answer = app.post("/", &headers, batch(100)).await;
    assert_eq!(
        (answer.status, answer.problem_code().as_str()),
        (503, "overloaded")
    );
    drop(other);
    app.until_connections(0).await;
    assert_eq!(app.post("/", &headers, batch(100)).await.status, 200);
    app.finish().await;
    assert_eq!(broker.delivered().len(), 100);
}

#[tokio::test]
async fn who_waits_is_let_in_again() {
    let broker = FakeBroker::start();
    let app = TestApp::start_with(&broker, &config("events_per_second = 1000")).await;
    let answer = app.post("/v1/events", &[JSON, NOISY], batch(2_000)).await;
    assert_eq!(answer.status, 200);
    eventually("the debt to be made good", async || {
        let answer = app.post("/v1/events", &[JSON, NOISY], batch(1)).await;
        (answer.status == 200).then_some(())
    })
    .await;
    app.finish().await;
    assert_eq!(broker.delivered().len(), 2_001);
}

#[tokio::test]
async fn each_client_address_has_its_own_limit() {
    let broker = FakeBroker::start();
    let limits = "[limits]\nevents_per_second_per_client = 1\nbytes_per_second_per_client = '1MiB'";
    let app = TestApp::start_with(&broker, limits).await;
    let [noisy, quiet] = [2, 3].map(|last| IpAddr::V4(Ipv4Addr::new(127, 0, 0, last)));
    let mut noisy = Connection::open_from(noisy, app.public()).await;
    let mut quiet = Connection::open_from(quiet, app.public()).await;
    let answer = noisy
        .request("POST", "/v1/events", &[JSON], batch(5_000))
        .await;
    assert_eq!(answer.status, 200);
    let answer = noisy.request("POST", "/", &[JSON], "{}").await;
    let words = [
        "127.0.0.2",
        "1 events",
        "limits.events_per_second_per_client",
    ];
    refused(&answer, &words);
    let answer = quiet.request("POST", "/", &[JSON], batch(100)).await;
    assert_eq!(answer.status, 200);
    // Health is no matter of how much was sent.
    assert_eq!(noisy.request("GET", "/health", &[], "").await.status, 200);
    let samples = app.samples().await;
    let limited =
        |limit| samples.value("headgate_requests_rate_limited_total", &[("limit", limit)]);
    assert_eq!(
        (limited("client_events"), limited("client_bytes")),
        (Some(1.0), Some(0.0))
    );
    app.finish().await;
    assert_eq!(broker.delivered().len(), 5_100);
}

#[tokio::test]
async fn a_noisy_neighbour_costs_the_quiet_one_nothing() {
    let broker = FakeBroker::start();
    let app = TestApp::start_with(&broker, &config("events_per_second = 1")).await;
    let answer = app.post("/v1/events", &[JSON, NOISY], batch(10_000)).await;
    assert_eq!(answer.status, 200);
    let noise = async {
        for _ in 0..100 {
            let answer = app.post("/v1/events", &[JSON, NOISY], batch(1_000)).await;
            assert_eq!(answer.status, 429);
        }
    };
    let quiet = async {
        let mut connection = app.connect().await;
        for _ in 0..50 {
            let answer = connection.request("POST", "/", &[JSON, QUIET], "{}").await;
            assert_eq!(answer.status, 200);
        }
    };
    tokio::join!(noise, quiet);
    app.finish().await;
    assert_eq!(broker.delivered().len(), 10_050);
}

#[tokio::test]
async fn who_goes_away_while_its_body_is_decoded_has_paid_for_the_bytes() {
    let broker = FakeBroker::start();
    broker.hold();
    let toml = "[limits]\nbytes_per_second_per_client = 1";
    let app = TestApp::start_with(&broker, toml).await;
    let mut client = FrameClient::open(app.public(), &[]).await;
    // It takes a while to read what this is inside.
    let event = format!("{{\"message\":\"{}\"}}", "0".repeat(5_000));
    let packed = compress::gzip(format!("[{}]", vec![event; 1_000].join(",")).as_bytes());
    let head = [&POST[..], &[("content-encoding", "gzip")]].concat();
    client
        .send(frame(HEADERS, END_HEADERS, 1, &block(&head)))
        .await;
    client.send(frame(DATA, END_STREAM, 1, &packed)).await;
    app.until_held(1_000_000).await;
    client
        .send(frame(RST_STREAM, 0, 1, &8_u32.to_be_bytes()))
        .await;
    eventually("the request to be given up", async || {
        let labels = [("route", "logstash"), ("status", "499")];
        let samples = app.samples().await;
        (samples.value("headgate_requests_total", &labels) == Some(1.0)).then_some(())
    })
    .await;
    let answer = app.post("/", &[JSON], "{}").await;
    refused(&answer, &["1 bytes a second"]);
    broker.release();
    app.finish().await;
}
