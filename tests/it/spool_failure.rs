//! A spool that cannot be written any more: it says so, acknowledges nothing, delivers what it has, and the server
//! ends so that it is started anew. Nothing that was acknowledged is lost on the way.

use std::collections::HashSet;
use std::fs;
use std::sync::Arc;

use seglog::testing::MemoryFolder;
use tempfile::TempDir;
use tokio::task::JoinSet;

use crate::support::client::{Answer, JSON, head};
use crate::support::fake_broker::{FakeBroker, Reply};
use crate::support::numbered::{Ledger, array, numbers, sorted};
use crate::support::site::Site;
use crate::support::test_app::{TestApp, with};
use crate::support::{eventually, in_time, until_refused};

const SHORT: &str = "[ingest]\ndurability = 'disk'\n[server]\ndrain_timeout = '200ms'\n";

fn folder() -> Arc<TempDir> {
    Arc::new(tempfile::tempdir().unwrap())
}

fn expect_failed(answer: &Answer) {
    assert_eq!(answer.status, 503, "{answer:?}");
    assert_eq!(answer.problem_code(), "spool_failed");
    let retry_after = answer.header("retry-after").unwrap();
    assert!(retry_after.parse::<u64>().is_ok(), "{retry_after}");
}

async fn expect_unhealthy(app: &TestApp) {
    for target in ["/health", "/ready", "/"] {
        let answer = app.get(target).await;
        assert_eq!(
            (answer.status, answer.text()),
            (503, r#"{"status":"spool_failed"}"#),
            "{target}"
        );
    }
    for target in ["/health", "/ready"] {
        assert_eq!(app.admin_page(target).await.status, 503, "{target}");
    }
    assert_eq!(app.get("/live").await.status, 200);
    assert_eq!(app.admin_page("/live").await.status, 200);
    assert_eq!(app.status().await["spool"]["failed"], true);
}

#[tokio::test]
async fn after_a_sync_that_hangs_the_client_knows_nothing_and_the_event_goes_out_once() {
    let broker = FakeBroker::start();
    let spool = MemoryFolder::default();
    let toml = "[ingest]\ndurability = 'disk'\n[server]\nrequest_timeout = '200ms'";
    let app = TestApp::start_in(&spool, &folder(), &with(&[&broker], toml)).await;
    let on_disk: Arc<dyn seglog::Folder> = Arc::new(spool.clone());
    eventually("the first checkpoint", async || {
        seglog::survey(&on_disk).unwrap().checkpoint
    })
    .await;
    spool.hold_syncs(true);
    let answer = app.post("/", &[JSON], "{}").await;
    assert_eq!(
        (answer.status, answer.problem_code().as_str()),
        (503, "timeout")
    );
    assert!(answer.header("retry-after").is_some(), "{answer:?}");
    assert!(broker.delivered().is_empty());
    spool.hold_syncs(false);
    app.until_book("delivered", 1).await;
    app.finish().await;
    assert_eq!(broker.delivered().len(), 1);
}

#[tokio::test]
async fn what_a_failed_spool_has_waits_for_no_fuller_batch() {
    let broker = FakeBroker::start();
    let spool = MemoryFolder::default();
    let toml = "[ingest]\ndurability = 'disk'\n[broker]\nlinger = '8000h'";
    let app = TestApp::start_in(&spool, &folder(), &with(&[&broker], toml)).await;
    assert_eq!(app.post("/", &[JSON], "{}").await.status, 200);
    spool.fail_syncs_after(0);
    expect_failed(&app.post("/", &[JSON], "{}").await);
    app.until_book("delivered", 1).await;
    app.stop().await;
}

#[tokio::test]
async fn after_a_failed_sync_nothing_is_acknowledged_and_what_was_is_delivered() {
    let broker = FakeBroker::start();
    broker.usually(Reply::status(503));
    let spool = MemoryFolder::default();
    let toml = with(&[&broker], "[ingest]\ndurability = 'disk'");
    let app = TestApp::start_in(&spool, &folder(), &toml).await;
    let ledger = Ledger::default();
    for _ in 0..5 {
        let numbers = ledger.begin(3);
        let answer = app.post("/", &[JSON], array(numbers.clone())).await;
        assert_eq!(answer.status, 200);
        ledger.acknowledge(numbers);
    }
    spool.fail_syncs_after(0);
    for target in ["/", "/v1/events", "/"] {
        let body = array(ledger.begin(2));
        expect_failed(&app.post(target, &[JSON], body).await);
    }
    in_time("the failure to be told", app.app.failed()).await;
    expect_unhealthy(&app).await;
    // Nor is a body asked for that would be refused.
    let mut client = app.connect().await;
    let expecting = [JSON, ("Expect", "100-continue")];
    client.send(head("POST", "/", &expecting, 1000)).await;
    expect_failed(&client.answer().await);
    drop(client);

    broker.usually(Reply::status(200));
    let ((), ()) = tokio::join!(
        in_time("the end", app.app.end_failed()),
        eventually("what was synced to be delivered", async || {
            (broker.delivered().len() == 15).then_some(())
        })
    );
    assert_eq!(
        sorted(&broker.delivered()),
        (0..15).collect::<Vec<_>>(),
        "only what was acknowledged"
    );
    app.stop().await;
}

#[tokio::test]
async fn nothing_acknowledged_is_lost_when_the_machine_goes_down_with_the_failed_spool() {
    for seed in 1..=6 {
        let broker = FakeBroker::start();
        broker.usually(Reply::status(503));
        let (spool, folder) = (MemoryFolder::default(), folder());
        let toml = with(&[&broker], SHORT);
        let app = TestApp::start_in(&spool, &folder, &toml).await;
        let ledger = Arc::new(Ledger::default());
        spool.fail_syncs_after(10 + seed);
        let mut clients = JoinSet::new();
        for _ in 0..4 {
            clients.spawn(Arc::clone(&ledger).post_until_refused(app.public(), 2));
        }
        for refusal in in_time("every client to be refused", clients.join_all()).await {
            expect_failed(&refusal.unwrap());
        }
        in_time("the failure to be told", app.app.failed()).await;
        in_time("the end", app.app.end_failed()).await;
        app.stop().await;
        spool.lose_power(seed);

        broker.usually(Reply::status(200));
        let app = TestApp::start_in(&spool, &folder, &toml).await;
        assert_eq!(app.get("/health").await.status, 200);
        app.until_spooled(0).await;
        app.finish().await;
        let arrived: HashSet<u64> = numbers(&broker.delivered()).into_iter().collect();
        assert!(ledger.acknowledged() > 0, "seed {seed}");
        ledger.check(&arrived);
    }
}

#[tokio::test]
async fn pulling_the_plug_under_load_loses_nothing_acknowledged() {
    let (spool, folder) = (MemoryFolder::default(), folder());
    let broker = FakeBroker::start();
    let toml = with(
        &[&broker],
        &format!("{SHORT}[spool]\nsegment_bytes = '16KiB'\ntail_bytes = '4KiB'"),
    );
    let ledger = Arc::new(Ledger::default());
    let mut random = fastrand::Rng::with_seed(5);
    for seed in 1..=15 {
        broker.usually(Reply::status(if seed % 3 == 0 { 503 } else { 200 }));
        let app = TestApp::start_in(&spool, &folder, &toml).await;
        let wanted = ledger.acknowledged() + random.usize(1..60);
        let mut clients = JoinSet::new();
        for most in [1, 3, 40] {
            clients.spawn(Arc::clone(&ledger).post_until_refused(app.public(), most));
        }
        eventually("acknowledgements", async || {
            (ledger.acknowledged() >= wanted).then_some(())
        })
        .await;
        // In the middle of a write, of a record or a checkpoint.
        spool.cut_off_after(random.u64(..20_000));
        for refusal in in_time("every client to be refused", clients.join_all()).await {
            expect_failed(&refusal.unwrap());
        }
        app.stop().await;
        spool.lose_power(seed);
    }
    broker.usually(Reply::status(200));
    let app = TestApp::start_in(&spool, &folder, &toml).await;
    app.until_spooled(0).await;
    app.finish().await;
    ledger.check(&numbers(&broker.delivered()).into_iter().collect());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_folder_that_is_removed_or_given_to_another_ends_the_server() {
    for name in ["spool", "spool/lock"] {
        let broker = FakeBroker::start();
        broker.usually(Reply::status(503));
        let site = Site::new(&with(&[&broker], "[server]\ndrain_timeout = '200ms'"));
        let server = site.serve();
        assert_eq!(server.post(array(0..10)).await.status, 200);
        let gone = site.path(name);
        if gone.is_dir() {
            fs::remove_dir_all(gone).unwrap();
        } else {
            fs::remove_file(gone).unwrap();
        }
        let (status, _, log) = server.end();
        assert_eq!(status, Some(1), "{name}: {log:#?}");
        let words = "removed, moved or mounted over while it was in use";
        let is_told = log.iter().any(|line| line.contains(words));
        assert!(is_told, "{name}: {log:#?}");
    }
}

#[tokio::test]
async fn a_disk_that_is_full_is_no_failure() {
    let broker = FakeBroker::start();
    broker.usually(Reply::status(503));
    let spool = MemoryFolder::default();
    let toml = with(
        &[&broker],
        "[ingest]\ndurability = 'disk'\n[spool]\nsegment_bytes = '64KiB'",
    );
    let app = TestApp::start_in(&spool, &folder(), &toml).await;
    assert_eq!(app.post("/", &[JSON], array(0..10)).await.status, 200);
    spool.limit_to(Some(200_000));
    let mut taken: Vec<u64> = (0..10).collect();
    let refusal = loop {
        let numbers = taken.len() as u64..taken.len() as u64 + 100;
        let answer = app.post("/", &[JSON], array(numbers.clone())).await;
        if answer.status != 200 {
            break answer;
        }
        taken.extend(numbers);
    };
    assert_eq!(refusal.problem_code(), "spool_full");
    assert_eq!(app.get("/health").await.status, 200);
    assert_eq!(app.get("/ready").await.status, 503);
    spool.limit_to(None);
    eventually(
        "the server to be ready again, without a request",
        async || (app.get("/ready").await.status == 200).then_some(()),
    )
    .await;
    let next = taken.len() as u64;
    assert_eq!(
        app.post("/", &[JSON], array(next..next + 1)).await.status,
        200
    );
    taken.push(next);
    broker.usually(Reply::status(200));
    app.until_spooled(0).await;
    app.finish().await;
    assert_eq!(sorted(&broker.delivered()), taken);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_program_ends_with_1_and_the_next_one_delivers() {
    let broker = FakeBroker::start();
    broker.usually(Reply::status(503));
    let site = Site::new(&with(
        &[&broker],
        &format!("{SHORT}[spool]\nsegment_bytes = '4KiB'"),
    ));
    let server = site.serve();
    assert_eq!(server.post(array(0..3)).await.status, 200);
    // The next segment cannot be made where there is no folder.
    let (spool, elsewhere) = (site.path("spool"), site.path("elsewhere"));
    fs::rename(&spool, &elsewhere).unwrap();
    expect_failed(&server.post(array(3..100)).await);
    let (status, _, log) = server.end();
    let log = log.join("\n");
    assert_eq!(status, Some(1), "{log}");
    assert!(log.contains("the spool has failed"), "{log}");
    assert!(log.contains("\"events_left\":3"), "{log}");

    fs::rename(&elsewhere, &spool).unwrap();
    broker.usually(Reply::status(200));
    let server = site.serve();
    server.operator().until_all_done().await;
    server.signal("TERM");
    assert_eq!(server.end().0, Some(0));
    assert_eq!(sorted(&broker.delivered()), [0, 1, 2]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn requests_under_way_are_told_of_the_failure_also_when_nothing_is_left_to_deliver() {
    let broker = FakeBroker::start();
    let site = Site::new(&with(&[&broker], ""));
    let server = site.serve();
    // Also one whose head has come in part only.
    let mut late = server.connect().await;
    let request = head("POST", "/", &[JSON], 2) + "{}";
    let (begin, rest) = request.split_at(20);
    late.send(begin).await;
    let mut under_way = Vec::new();
    for _ in 0..5 {
        let mut client = server.connect().await;
        client.send(head("POST", "/", &[JSON], 2) + "{").await;
        under_way.push(client);
    }
    eventually("bodies to have begun", async || {
        let held = server.operator().metric("headgate_in_flight_bytes").await;
        (held >= 5.0).then_some(())
    })
    .await;
    fs::rename(site.path("spool"), site.path("elsewhere")).unwrap();
    until_refused(server.public).await;
    late.send(rest).await;
    expect_failed(&late.answer().await);
    for mut client in under_way {
        client.send("}").await;
        expect_failed(&client.answer().await);
    }
    assert_eq!(server.end().0, Some(1));
    assert_eq!(broker.requests().len(), 0);
}

#[tokio::test]
async fn who_still_sends_when_a_failed_spool_ends_the_server_is_told_so() {
    for broker_status in [200, 503] {
        let broker = FakeBroker::start();
        broker.usually(Reply::status(broker_status));
        let spool = MemoryFolder::default();
        let app = TestApp::start_in(&spool, &folder(), &with(&[&broker], SHORT)).await;
        assert_eq!(app.post("/", &[JSON], "{}").await.status, 200);
        let mut slow = app.connect().await;
        slow.send(head("POST", "/", &[JSON], 2) + "{").await;
        app.until_held(1).await;
        spool.fail_syncs_after(0);
        expect_failed(&app.post("/", &[JSON], "{}").await);
        in_time("the failure to be told", app.app.failed()).await;
        let ((), ()) = tokio::join!(in_time("the end", app.app.end_failed()), async {
            expect_failed(&slow.answer().await);
            slow.expect_closed().await;
        });
        app.stop().await;
    }
}
