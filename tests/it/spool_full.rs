//! A spool that is full: clients are told before they send, nothing that was refused is kept, and room comes back by
//! itself.

use std::collections::HashSet;
use std::path::Path;

use serde_json::json;

use crate::support::client::{Answer, JSON, head};
use crate::support::eventually;
use crate::support::fake_broker::{FakeBroker, Reply};
use crate::support::numbered::{numbers, sorted};
use crate::support::program::Program;
use crate::support::site::{Site, files, survey};
use crate::support::test_app::{TestApp, with};

const MAX_BYTES: u64 = 256 * 1024;

const SMALL: &str = "[ingest]\ndurability = 'disk'\n[spool]\nmax_bytes = '256KiB'\nsegment_bytes = '32KiB'\n\
                     [broker]\nmax_batch_events = 4";

/// A server with a small spool, and a Broker that takes nothing.
async fn small() -> (FakeBroker, TestApp) {
    let broker = FakeBroker::start();
    broker.usually(Reply::status(503));
    let app = TestApp::start(&with(&[&broker], SMALL)).await;
    (broker, app)
}

fn event(number: u64, bytes: usize) -> String {
    json!({"n": number, "message": "x".repeat(bytes)}).to_string()
}

/// Posts until it is refused: what was taken, and the refusal.
async fn fill(app: &TestApp, target: &str, first: u64) -> (Vec<u64>, Answer) {
    let mut taken = Vec::new();
    for number in first.. {
        let answer = app.post(target, &[JSON], event(number, 6000)).await;
        expect_within_limit(app.keep_folder().path());
        if answer.status != 200 {
            return (taken, answer);
        }
        taken.push(number);
    }
    unreachable!("numbers do not end")
}

/// The files that records are in, and those kept for them, take no more than is allowed.
fn expect_within_limit(folder: &Path) {
    let sizes = files(&folder.join("spool")).into_iter().map(|path| {
        let name = path.file_name().unwrap().to_str().unwrap();
        let is_counted = name.ends_with(".spare") || name.ends_with(".seg");
        // It may be given back while this looks.
        let bytes = path.metadata().map_or(0, |metadata| metadata.len());
        if is_counted { bytes } else { 0 }
    });
    let bytes: u64 = sizes.sum();
    assert!(bytes <= MAX_BYTES, "{bytes} bytes of segments");
}

fn expect_full(answer: &Answer) -> u64 {
    assert_eq!(answer.status, 503, "{answer:?}");
    assert_eq!(answer.problem_code(), "spool_full");
    let retry_after = answer.header("retry-after").unwrap();
    retry_after.parse().expect("whole seconds")
}

#[tokio::test]
async fn a_full_spool_refuses_on_both_apis_and_delivers_exactly_what_it_took() {
    for target in ["/", "/v1/events"] {
        let (broker, app) = small().await;
        let (mut taken, refusal) = fill(&app, target, 0).await;
        assert!(taken.len() >= 30, "only {} fitted", taken.len());
        assert_eq!(expect_full(&refusal), 30, "nothing drains, so nobody knows");
        for other in ["/", "/v1/events"] {
            expect_full(&app.post(other, &[JSON], event(900_000, 6000)).await);
        }
        assert_eq!(app.get("/health").await.status, 200);
        assert_eq!(app.admin_page("/health").await.status, 200);
        let ready = app.get("/ready").await;
        assert_eq!(
            (ready.status, ready.text()),
            (503, r#"{"status":"spool_full"}"#)
        );
        assert_eq!(app.admin_page("/ready").await.status, 503);
        assert_eq!(app.status().await["spool"]["full"], true);

        broker.usually(Reply::status(200));
        eventually("the server to be ready again", async || {
            expect_within_limit(app.keep_folder().path());
            (app.get("/ready").await.status == 200).then_some(())
        })
        .await;
        assert_eq!(
            app.post(target, &[JSON], event(910_000, 6000)).await.status,
            200
        );
        taken.push(910_000);
        app.until_spooled(0).await;
        app.finish().await;
        assert_eq!(sorted(&broker.delivered()), taken);
    }
}

#[tokio::test]
async fn a_full_spool_refuses_before_the_body_is_asked_for() {
    let (_broker, app) = small().await;
    fill(&app, "/", 0).await;
    for target in ["/", "/v1/events"] {
        let mut client = app.connect().await;
        let expecting = [JSON, ("Expect", "100-continue")];
        client.send(head("POST", target, &expecting, 200_000)).await;
        expect_full(&client.answer().await);
    }
    app.until_at_rest().await;
    app.stop().await;
}

#[tokio::test]
async fn a_spool_that_is_full_stays_so_over_a_restart() {
    let (broker, app) = small().await;
    let (taken, _) = fill(&app, "/", 0).await;
    let app = app.restart(&with(&[&broker], SMALL)).await;
    let (more, refusal) = fill(&app, "/", 1000).await;
    expect_full(&refusal);
    assert!(more.len() <= 7, "at most what a segment holds: {more:?}");
    broker.usually(Reply::status(200));
    app.until_spooled(0).await;
    app.finish().await;
    assert_eq!(sorted(&broker.delivered()), [taken, more].concat());
}

#[tokio::test]
async fn a_request_larger_than_the_spool_is_refused_for_good() {
    let (_broker, app) = small().await;
    for target in ["/", "/v1/events"] {
        let answer = app.post(target, &[JSON], event(0, 300_000)).await;
        assert_eq!(answer.status, 413, "{answer:?}");
        assert_eq!(answer.problem_code(), "body_too_large");
        let detail = answer.json()["detail"].as_str().unwrap().to_owned();
        assert!(detail.contains("at least 300"), "{detail}");
        assert!(detail.contains("spool.max_bytes"), "{detail}");
    }
    assert_eq!(app.get("/ready").await.status, 200);
    assert_eq!(app.book("received").await, 0);
    app.finish().await;
}

#[tokio::test]
async fn several_times_its_size_flows_through_a_small_spool() {
    let broker = FakeBroker::start();
    let app = TestApp::start(&with(&[&broker], SMALL)).await;
    let mut client = app.connect().await;
    for number in 0..150 {
        let taken = async || {
            let answer = client
                .request("POST", "/", &[JSON], event(number, 6000))
                .await;
            expect_within_limit(app.keep_folder().path());
            if answer.status != 200 {
                expect_full(&answer);
            }
            (answer.status == 200).then_some(())
        };
        eventually("an event to be taken", taken).await;
    }
    drop(client);
    app.until_spooled(0).await;
    app.finish().await;
    let arrived: HashSet<u64> = numbers(&broker.delivered()).into_iter().collect();
    assert_eq!(arrived.len(), 150);
    assert_eq!(
        broker.delivered().len(),
        150,
        "what was refused is not kept"
    );
}

#[tokio::test]
async fn retry_after_follows_the_rate_at_which_the_spool_empties() {
    let (broker, app) = small().await;
    let (_, refusal) = fill(&app, "/", 0).await;
    assert_eq!(expect_full(&refusal), 30);
    let mut told = Vec::new();
    // Where no rate is known it is 30, but a rate can come to that too, once.
    while told.len() < 2 || (told.ends_with(&[30]) && told.len() < 6) {
        let round = told.len() as u64 + 1;
        // A batch goes out, and the checkpoint tells so; what room that makes is filled again.
        let done = app.book("delivered").await;
        broker.script([Reply::status(200)]);
        eventually("a batch to be done", async || {
            let books = app.status().await["books"].clone();
            let checkpoint = survey(&app.keep_folder().path().join("spool")).checkpoint?;
            let left = books["accepted"].as_u64()? - books["delivered"].as_u64()?;
            let open = checkpoint.acked.open_in(0..checkpoint.settled);
            let open: u64 = open.map(|open| open.end - open.start).sum();
            (books["delivered"].as_u64()? > done && open == left).then_some(())
        })
        .await;
        let (_, refusal) = fill(&app, "/", 1000 * round).await;
        let seconds = expect_full(&refusal);
        // However slow this machine is.
        assert!((1..=300).contains(&seconds), "{seconds}");
        told.push(seconds);
    }
    assert!(!told.ends_with(&[30]), "some batches went out: {told:?}");
    app.until_at_rest().await;
    app.stop().await;
}

#[tokio::test]
async fn a_spool_that_was_made_smaller_gives_out_what_it_has_before_it_takes_more() {
    let (broker, app) = small().await;
    let (mut taken, _) = fill(&app, "/", 0).await;
    let smaller = SMALL.replace("'256KiB'", "'64KiB'");
    let app = app.restart(&with(&[&broker], &smaller)).await;
    assert_eq!(app.get("/ready").await.status, 503);
    expect_full(&app.post("/", &[JSON], event(900_000, 6000)).await);
    broker.usually(Reply::status(200));
    eventually("the server to be ready again", async || {
        (app.get("/ready").await.status == 200).then_some(())
    })
    .await;
    assert_eq!(
        app.post("/", &[JSON], event(910_000, 6000)).await.status,
        200
    );
    taken.push(910_000);
    app.until_spooled(0).await;
    app.finish().await;
    assert_eq!(sorted(&broker.delivered()), taken);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_log_says_what_bounds_a_full_spool() {
    let broker = FakeBroker::start();
    broker.usually(Reply::status(503));
    let large = "[spool]\nmax_bytes = '1GiB'";
    for (toml, file_limit, reason) in [
        (SMALL, None, "spool.max_bytes is used up"),
        (large, Some(30_000), "the disk has no room for it"),
    ] {
        let site = Site::new(&with(&[&broker], toml));
        let mut server = Program::serve(&site.path("headgate.toml"), &site.path(""));
        server.limit_files(file_limit);
        let full = eventually("the spool to be full", async || {
            let answer = server.post(event(0, 6000)).await;
            (answer.status != 200).then_some(answer)
        });
        expect_full(&full.await);
        server.until_logged("the spool is full");
        server.until_logged(reason);
        assert_eq!(
            server.operator().status().await["spool"]["disk_full"],
            file_limit.is_some()
        );
        server.signal("KILL");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_log_says_that_the_spool_was_full_for_a_moment() {
    let broker = FakeBroker::start();
    broker.hold();
    let toml = "[ingest]\ndurability = 'memory'\n[spool]\nmemory_bytes = '8KiB'";
    let site = Site::new(&with(&[&broker], toml));
    let mut server = Program::serve(&site.path("headgate.toml"), &site.path(""));
    assert_eq!(server.post(event(0, 6000)).await.status, 200);
    expect_full(&server.post(event(1, 6000)).await);
    broker.release();
    eventually("room for another event", async || {
        let answer = server.post(event(2, 6000)).await;
        (answer.status == 200).then_some(())
    })
    .await;
    let told = server.until_next("the spool is full");
    assert!(!told.contains("\"events\":0"), "{told}");
    server.signal("KILL");
}
