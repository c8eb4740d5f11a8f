//! The program as a process that is killed, at any moment and again and again, or told to end while its Broker is down.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use serde_json::{Value, json};
use tokio::task::JoinSet;

use crate::support::client::JSON;
use crate::support::eventually;
use crate::support::fake_broker::{FakeBroker, Reply};
use crate::support::numbered::{Ledger, array, numbers, sorted};
use crate::support::program::Program;
use crate::support::site::{Site, files};
use crate::support::test_app::with;

const KILLS: usize = 20;
const IN_FLIGHT: usize = 4;
const BATCH_EVENTS: usize = 50;

/// What was so when the program was killed.
struct Kill {
    /// Requests that the Broker had got by then.
    requests: usize,
    /// When the checkpoint was written that the next start goes by.
    checkpoint_at: SystemTime,
    /// Events that the next start found to be delivered.
    came_again: u64,
}

/// Posts from several connections until so many requests more are acknowledged and something else is so, and kills
/// the program.
async fn kill_under_load(
    server: Program,
    ledger: &Arc<Ledger>,
    acknowledgements: usize,
    is_so: impl Fn() -> bool,
) {
    let wanted = ledger.acknowledged() + acknowledgements;
    let mut clients = JoinSet::new();
    for most in [1, 1, 7, 60] {
        clients.spawn(Arc::clone(ledger).post_until_refused(server.public, most));
    }
    eventually("acknowledgements", async || {
        (ledger.acknowledged() >= wanted && is_so()).then_some(())
    })
    .await;
    server.kill();
    for refusal in clients.join_all().await {
        assert_eq!(refusal, None);
    }
}

fn checkpoint_at(site: &Site) -> SystemTime {
    let checkpoint = site.survey().checkpoint;
    let millis = checkpoint.map_or(0, |checkpoint| checkpoint.written_at);
    UNIX_EPOCH + Duration::from_millis(millis)
}

/// Ends a server that has nothing left to deliver.
async fn finish(server: Program) {
    server.operator().until_all_done().await;
    server.signal("TERM");
    let (status, _, log) = server.end();
    assert_eq!(status, Some(0), "{log:#?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn twenty_kills_under_load_lose_nothing_acknowledged_and_repeat_little() {
    let broker = FakeBroker::start();
    let site = Site::new(&with(
        &[&broker],
        &format!(
            "[enrich]\nheaders = false\n[spool]\nsegment_bytes = '64KiB'\ntail_bytes = '16KiB'\n\
             [broker]\nmax_in_flight = {IN_FLIGHT}\nmax_batch_events = {BATCH_EVENTS}"
        ),
    ));
    let ledger = Arc::new(Ledger::default());
    let mut random = fastrand::Rng::with_seed(20);
    let mut kills: Vec<Kill> = Vec::new();
    for round in 0..KILLS {
        // In every third life the Broker takes nothing, so that the next one finds a backlog.
        broker.usually(Reply::status(if round % 3 == 2 { 503 } else { 200 }));
        let server = site.serve();
        if let Some(last) = kills.last_mut() {
            last.came_again = server.operator().book("spooled_at_start").await;
        }
        // Every other life is long enough for a checkpoint.
        let before = checkpoint_at(&site);
        let is_old_enough = || round % 2 == 0 || checkpoint_at(&site) > before;
        kill_under_load(server, &ledger, random.usize(1..150), is_old_enough).await;
        broker.until_unconnected().await;
        kills.push(Kill {
            requests: broker.requests().len(),
            checkpoint_at: checkpoint_at(&site),
            came_again: 0,
        });
    }
    broker.usually(Reply::status(200));
    let server = site.serve();
    kills[KILLS - 1].came_again = server.operator().book("spooled_at_start").await;
    finish(server).await;

    ledger.check(&expect_few_repeats(&broker, &kills));
}

/// What came again after a kill was still in the spool by the checkpoint: it was delivered after that was written, or
/// was under way. The numbers of all that arrived.
fn expect_few_repeats(broker: &FakeBroker, kills: &[Kill]) -> HashSet<u64> {
    let mut last: HashMap<u64, (usize, SystemTime)> = HashMap::new();
    let mut repeats = vec![0; kills.len()];
    let mut early = vec![0; kills.len()];
    for (index, request) in broker.requests().iter().enumerate() {
        if request.status != Some(200) {
            continue;
        }
        let life = kills.partition_point(|kill| kill.requests <= index);
        for number in numbers(&request.events()) {
            if let Some((before, at)) = last.insert(number, (life, request.at)) {
                assert!(before < life, "{number} came twice without a kill");
                repeats[before] += 1;
                early[before] += u64::from(at < kills[before].checkpoint_at);
            }
        }
    }
    for (kill, (repeats, early)) in kills.iter().zip(repeats.iter().zip(&early)) {
        let under_way = (IN_FLIGHT * BATCH_EVENTS) as u64;
        assert!(
            *repeats <= kill.came_again && *early <= under_way,
            "{repeats} came again, {early} of them delivered before the checkpoint; {} were open",
            kill.came_again
        );
    }
    last.into_keys().collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_the_checkpoint_tells_is_not_repeated_after_a_kill() {
    let broker = FakeBroker::start();
    let site = Site::new(&with(&[&broker], ""));
    let server = site.serve();
    assert_eq!(server.post(array(0..100)).await.status, 200);
    server.operator().until_all_done().await;
    // It is written without any other event coming.
    eventually("a checkpoint that tells all", async || {
        let survey = site.survey();
        let low = survey.checkpoint?.acked.low();
        // A server that has begun has written one already, which tells nothing.
        let tells_all = !survey.segments.is_empty() && Some(low) == survey.end;
        tells_all.then_some(())
    })
    .await;
    server.kill();
    let server = site.serve();
    assert_eq!(server.operator().book("spooled_at_start").await, 0);
    finish(server).await;
    assert_eq!(sorted(&broker.delivered()), (0..100).collect::<Vec<_>>());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_kill_repeats_no_dead_letter_and_loses_none() {
    let broker = FakeBroker::start();
    broker.usually(Reply::status(503));
    let site = Site::new(&with(&[&broker], "[validate]\nrequired = ['n']"));
    let mut sent = 0;
    for _ in 0..4 {
        let server = site.serve();
        let mut client = server.connect().await;
        for _ in 0..10 {
            let body = json!([{"n": sent}, {"bad": sent}]).to_string();
            let answer = client.request("POST", "/", &[JSON], body).await;
            assert_eq!(answer.status, 200);
            sent += 1;
        }
        server.kill();
    }
    broker.usually(Reply::status(200));
    finish(site.serve()).await;
    assert_eq!(sorted(&broker.delivered()), (0..sent).collect::<Vec<_>>());
    let mut bad = Vec::new();
    headgate::dead_letters::read(&site.path("dead-letters"), |letter| {
        let letter: Value = serde_json::from_str(&letter.text).unwrap();
        bad.push(letter["event"]["bad"].as_u64().unwrap());
        true
    })
    .unwrap();
    bad.sort_unstable();
    assert_eq!(bad, (0..sent).collect::<Vec<_>>());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn weaker_syncs_survive_kills_all_the_same() {
    for sync in ["50ms", "never"] {
        let broker = FakeBroker::start();
        let site = Site::new(&with(&[&broker], &format!("[spool]\nsync = '{sync}'")));
        let ledger = Arc::new(Ledger::default());
        for round in 0..3 {
            broker.usually(Reply::status(if round == 1 { 503 } else { 200 }));
            kill_under_load(site.serve(), &ledger, 50, || true).await;
        }
        broker.usually(Reply::status(200));
        finish(site.serve()).await;
        ledger.check(&numbers(&broker.delivered()).into_iter().collect());
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn kills_lose_nothing_acknowledged_with_the_file_output_either() {
    let site = Site::new("");
    let ledger = Arc::new(Ledger::default());
    for acknowledgements in [3, 40, 80] {
        kill_under_load(site.serve(), &ledger, acknowledgements, || true).await;
    }
    finish(site.serve()).await;
    let text: String = files(&site.path("events"))
        .iter()
        .map(|path| std::fs::read_to_string(path).unwrap())
        .collect();
    let events = text.lines().map(|line| serde_json::from_str(line).unwrap());
    let events: Vec<Value> = events.collect();
    ledger.check(&numbers(&events).into_iter().collect());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_drain_with_the_broker_down_is_clean_and_the_rest_goes_out_at_the_next_start() {
    let broker = FakeBroker::start();
    broker.usually(Reply::status(503));
    let site = Site::new(&with(&[&broker], "[server]\ndrain_timeout = '100ms'"));
    let server = site.serve();
    assert_eq!(server.post(array(0..50)).await.status, 200);
    server.signal("TERM");
    let (status, _, log) = server.end();
    assert_eq!(status, Some(0), "{log:#?}");
    let log = log.join("\n");
    assert!(log.contains("\"events_left\":50"), "{log}");

    broker.usually(Reply::status(200));
    finish(site.serve()).await;
    assert_eq!(sorted(&broker.delivered()), (0..50).collect::<Vec<_>>());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_drain_delivers_what_the_broker_takes_in_time() {
    let broker = FakeBroker::start();
    broker.hold();
    let site = Site::new(&with(&[&broker], "[broker]\nmax_batch_events = 5"));
    let server = site.serve();
    assert_eq!(server.post(array(0..50)).await.status, 200);
    server.signal("TERM");
    eventually("the port to be closed", async || {
        tokio::net::TcpStream::connect(server.public).await.err()
    })
    .await;
    broker.release();
    let (status, _, log) = server.end();
    assert_eq!(status, Some(0), "{log:#?}");
    assert_eq!(sorted(&broker.delivered()), (0..50).collect::<Vec<_>>());
    let told = log.last().unwrap();
    assert!(
        told.contains("everything was answered and delivered"),
        "{log:#?}"
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_second_signal_stops_at_once_and_loses_nothing() {
    for timing in ["drain_delay = '1h'", "drain_timeout = '1h'"] {
        let broker = FakeBroker::start();
        broker.usually(Reply::status(503));
        let site = Site::new(&with(&[&broker], &format!("[server]\n{timing}")));
        let server = site.serve();
        let ledger = Arc::new(Ledger::default());
        for _ in 0..20 {
            let numbers = ledger.begin(3);
            assert_eq!(server.post(array(numbers.clone())).await.status, 200);
            ledger.acknowledge(numbers);
        }
        server.signal("TERM");
        eventually("the drain to begin", async || {
            let phase = server.operator().status().await["phase"].clone();
            (phase != "serving").then_some(())
        })
        .await;
        server.signal("TERM");
        let (status, _, log) = server.end();
        assert_eq!(status, Some(0), "{log:#?}");
        broker.usually(Reply::status(200));
        site.configure(&with(&[&broker], ""));
        finish(site.serve()).await;
        assert_eq!(sorted(&broker.delivered()), ledger.acknowledged_numbers());
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn requests_that_wait_are_answered_before_a_drain_ends() {
    let broker = FakeBroker::start();
    let site = Site::new(&with(&[&broker], ""));
    let server = site.serve();
    let ledger = Arc::new(Ledger::default());
    let mut clients = JoinSet::new();
    for _ in 0..4 {
        clients.spawn(Arc::clone(&ledger).post_until_refused(server.public, 1));
    }
    eventually("acknowledgements", async || {
        (ledger.acknowledged() >= 40).then_some(())
    })
    .await;
    server.signal("TERM");
    let (status, _, log) = server.end();
    assert_eq!(status, Some(0), "{log:#?}");
    for refusal in clients.join_all().await {
        assert_eq!(refusal, None, "each was taken, or its connection closed");
    }
    let delivered = broker.delivered();
    ledger.check(&numbers(&delivered).into_iter().collect());
    assert_eq!(delivered.len(), ledger.acknowledged(), "and nothing else");
}
