//! What the spool on disk promises, step by step, on a folder in memory that fails when it is told to.

mod faults;
mod foreign;
mod random;
mod recycled;
mod scattered;
mod taken_away;
mod unreadable;

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use futures_util::future::join_all;
use seglog::Folder;
use seglog::testing::MemoryFolder;
use tokio::time::Instant;

use super::SpoolOptions;
use crate::config::OutputType;
use crate::config::SpoolSync;
use crate::spool::samples::envelope;
use crate::spool::{AppendError, LeaseLimits, Part, Spool};
use crate::telemetry::Telemetry;

const OPTIONS: SpoolOptions = SpoolOptions {
    segment_bytes: 4096,
    max_bytes: 64 * 1024,
    tail_bytes: 16 * 1024,
    sync: SpoolSync::Always,
};

const LONG_RECORDS: SpoolOptions = SpoolOptions {
    segment_bytes: 4 * 1024 * 1024,
    max_bytes: 64 * 1024 * 1024,
    tail_bytes: 1,
    ..OPTIONS
};

const ALL: LeaseLimits = LeaseLimits {
    max_events: 1_000_000,
    max_bytes: 64 * 1024 * 1024,
    linger: Duration::ZERO,
};

/// As much as is read from the disk at a time.
const PIECE: LeaseLimits = LeaseLimits {
    max_bytes: 1024 * 1024,
    ..ALL
};

struct Opened {
    spool: Spool,
    telemetry: Arc<Telemetry>,
}

impl Opened {
    async fn append(&self, live: &[&str], dead: &[&str]) -> Result<(), AppendError> {
        let deadline = Instant::now() + Duration::from_secs(20);
        self.spool.append(envelope(live, dead), deadline).await
    }

    /// The books of this run, with what lies in the spool.
    fn is_balanced(&self) -> bool {
        let books = self.telemetry.books();
        let spooled = self.spool.status().events as u64;
        books.accepted + books.spooled_at_start
            == books.delivered + books.dead_lettered + spooled + books.lost
    }
}

fn open_with(folder: &MemoryFolder, options: SpoolOptions) -> Opened {
    let telemetry = Arc::new(Telemetry::new(vec![], 1, OutputType::Http));
    let folder: Arc<dyn Folder> = Arc::new(folder.clone());
    let (spool, _) = Spool::on_disk(&folder, options, Arc::clone(&telemetry)).unwrap();
    Opened { spool, telemetry }
}

/// With 35 events in one record of 3.5 MB.
async fn open_with_long_record(folder: &MemoryFolder) -> Opened {
    let opened = open_with(folder, LONG_RECORDS);
    let long = "x".repeat(100_000);
    opened.append(&[long.as_str(); 35], &[]).await.unwrap();
    opened
}

fn open(folder: &MemoryFolder) -> Opened {
    open_with(folder, OPTIONS)
}

fn texts(parts: &[Part]) -> Vec<String> {
    let lines = parts.iter().flat_map(|part| part.lines.iter());
    lines
        .map(|line| String::from_utf8(line.to_vec()).unwrap())
        .collect()
}

/// Leases everything that is there.
async fn lease_all(spool: &Spool) -> Vec<Part> {
    let mut all = Vec::new();
    while spool.has_events_to_lease() {
        all.extend(spool.lease(ALL).await);
    }
    all
}

fn numbers(range: std::ops::Range<usize>) -> Vec<String> {
    range.map(|number| number.to_string()).collect()
}

#[tokio::test]
async fn what_is_acknowledged_is_synced_and_comes_out_in_order() {
    let folder = MemoryFolder::default();
    let opened = open(&folder);
    for number in 0..10 {
        let syncs = folder.segment_syncs();
        opened.append(&[&number.to_string()], &[]).await.unwrap();
        assert!(folder.segment_syncs() > syncs, "{number}");
    }
    assert_eq!(opened.spool.status().events, 10);
    assert!(opened.spool.status().bytes > 0);
    let parts = lease_all(&opened.spool).await;
    assert_eq!(texts(&parts), numbers(0..10));
    opened.spool.ack(&parts);
    opened.spool.drained().await;
    assert_eq!(opened.spool.status().bytes, 0);
    opened.spool.close().await;
}

#[tokio::test]
async fn whoever_waits_for_events_or_letters_is_woken_by_any_envelope_of_a_group() {
    let folder = MemoryFolder::default();
    let opened = open(&folder);
    folder.hold_syncs(true);
    let leases = async { tokio::join!(opened.spool.lease(ALL), opened.spool.lease_letters(ALL)) };
    let appends = async {
        tokio::join!(
            opened.append(&[], &["a"]),
            opened.append(&["0"], &[]),
            opened.append(&[], &["b"]),
        )
    };
    let syncs = async { folder.hold_syncs(false) };
    let all = async { tokio::join!(leases, appends, syncs) };
    let woken = tokio::time::timeout(Duration::from_secs(20), all).await;
    let ((events, letters), ..) = woken.expect("both were woken");
    assert_eq!(texts(&events), ["0"]);
    assert_eq!(texts(&letters)[0], "a");
    opened.spool.close().await;
}

#[tokio::test]
async fn only_what_was_not_acked_comes_again_after_a_restart() {
    let folder = MemoryFolder::default();
    let opened = open(&folder);
    opened.append(&["0", "1", "2"], &["a", "b"]).await.unwrap();
    opened.append(&["3"], &[]).await.unwrap();
    opened.append(&["4", "5"], &[]).await.unwrap();
    let one = LeaseLimits {
        max_events: 1,
        ..ALL
    };
    let mut leased = Vec::new();
    for _ in 0..6 {
        leased.extend(opened.spool.lease(one).await);
    }
    for number in [1, 2, 4] {
        opened.spool.ack(&leased[number..=number]);
    }
    let letters = opened.spool.lease_letters(one).await;
    opened.spool.ack(&letters);
    opened.spool.close().await;

    let opened = open(&folder);
    assert_eq!(opened.spool.status().events, 4);
    let parts = lease_all(&opened.spool).await;
    assert_eq!(texts(&parts), ["0", "3", "5"]);
    let letters = opened.spool.lease_letters(ALL).await;
    assert_eq!(texts(&letters), ["b"]);
    assert_eq!(letters[0].first, leased[0].first + 4, "positions are kept");
    opened.spool.ack(&parts);
    opened.spool.ack(&letters);
    opened.spool.close().await;
    assert_eq!(open(&folder).telemetry.books().spooled_at_start, 0);
}

#[tokio::test]
async fn what_is_open_is_open_since_it_came_however_often_the_spool_is_opened() {
    let folder = MemoryFolder::default();
    let open_again = || {
        let telemetry = Arc::new(Telemetry::new(vec![], 1, OutputType::Http));
        let folder: Arc<dyn Folder> = Arc::new(folder.clone());
        Spool::on_disk(&folder, OPTIONS, telemetry).unwrap()
    };
    let long = "x".repeat(3000);
    let mut begun = Vec::new();
    for event in [&long, &long] {
        let opened = open(&folder);
        opened.append(&[event], &[]).await.unwrap();
        begun.push(SystemTime::now());
        tokio::time::sleep(Duration::from_millis(5)).await;
        opened.spool.close().await;
    }
    for _ in 0..2 {
        let (spool, opened) = open_again();
        assert!(opened.open_since <= begun[0]);
        spool.close().await;
    }
    let opened = open(&folder);
    let first = opened.spool.lease(ALL).await;
    opened.spool.ack(&first[..1]);
    opened.spool.close().await;
    let (spool, opened) = open_again();
    assert!((begun[0]..=begun[1]).contains(&opened.open_since));
    spool.close().await;
}

#[tokio::test]
async fn a_feed_that_lags_reads_the_disk_in_order_and_catches_up() {
    let folder = MemoryFolder::default();
    let options = SpoolOptions {
        tail_bytes: 100,
        max_bytes: 1024 * 1024,
        ..OPTIONS
    };
    let opened = open_with(&folder, options);
    for number in 0..500 {
        opened.append(&[&number.to_string()], &[]).await.unwrap();
    }
    let few = LeaseLimits {
        max_events: 7,
        ..ALL
    };
    let mut seen = Vec::new();
    for number in 500..700 {
        let parts = opened.spool.lease(few).await;
        assert!(parts.iter().map(|part| part.lines.count).sum::<usize>() <= 7);
        seen.extend(texts(&parts));
        opened.spool.ack(&parts);
        opened.append(&[&number.to_string()], &[]).await.unwrap();
    }
    seen.extend(texts(&lease_all(&opened.spool).await));
    assert_eq!(seen, numbers(0..700));
    opened.spool.close().await;
}

#[tokio::test]
async fn a_feed_that_lags_reads_groups_that_go_over_several_segments() {
    let folder = MemoryFolder::default();
    let options = SpoolOptions {
        tail_bytes: 1,
        max_bytes: 64 * 1024 * 1024,
        ..OPTIONS
    };
    let opened = open_with(&folder, options);
    let filler = "x".repeat(1000);
    let events: Vec<String> = (0..200)
        .map(|number| format!("{number} {filler}"))
        .collect();
    let mut seen = Vec::new();
    for round in events.chunks(50) {
        let live: Vec<[&str; 1]> = round.iter().map(|event| [event.as_str()]).collect();
        let appends = live.iter().map(|live| opened.append(live, &[]));
        // The writer finds most of them when it has committed the first.
        folder.hold_syncs(true);
        let go_on = async { folder.hold_syncs(false) };
        let (appended, ()) = tokio::join!(biased; join_all(appends), go_on);
        for appended in appended {
            appended.unwrap();
        }
        seen.extend(texts(&lease_all(&opened.spool).await));
    }
    assert_eq!(opened.telemetry.books().lost, 0);
    assert_eq!(seen, events);
    opened.spool.close().await;
}

#[tokio::test]
async fn a_record_of_many_megabytes_comes_out_whole_also_from_its_middle() {
    let folder = MemoryFolder::default();
    let options = SpoolOptions {
        max_bytes: 64 * 1024 * 1024,
        ..OPTIONS
    };
    let opened = open_with(&folder, options);
    let filler = "x".repeat(100);
    let events: Vec<String> = (0..50_000)
        .map(|number| format!("{number} {filler}"))
        .collect();
    let events: Vec<&str> = events.iter().map(String::as_str).collect();
    opened.append(&events, &[]).await.unwrap();
    opened.spool.close().await;

    let opened = open_with(&folder, options);
    let some = LeaseLimits {
        max_events: 20_000,
        ..ALL
    };
    let parts = opened.spool.lease(some).await;
    assert_eq!(texts(&parts), events[..20_000]);
    opened.spool.ack(&parts);
    opened.spool.close().await;

    let opened = open_with(&folder, options);
    assert_eq!(opened.telemetry.books().spooled_at_start, 30_000);
    assert_eq!(texts(&lease_all(&opened.spool).await), events[20_000..]);
    opened.spool.close().await;
}

#[tokio::test]
async fn scattered_acks_hold_leasing_back_until_the_oldest_is_acked() {
    let folder = MemoryFolder::default();
    let options = SpoolOptions {
        max_bytes: 64 * 1024 * 1024,
        tail_bytes: 64 * 1024 * 1024,
        ..OPTIONS
    };
    let opened = open_with(&folder, options);
    let events = numbers(0..30_000);
    let events: Vec<&str> = events.iter().map(String::as_str).collect();
    opened.append(&events, &[]).await.unwrap();
    let one = LeaseLimits {
        max_events: 1,
        ..ALL
    };
    let mut leased = Vec::new();
    let mut kept = Vec::new();
    while opened.spool.has_events_to_lease() {
        let parts = opened.spool.lease(one).await;
        leased.extend(texts(&parts));
        if leased.len() % 2 == 0 {
            opened.spool.ack(&parts);
        } else {
            kept.extend(parts);
        }
    }
    assert!((20_000..20_100).contains(&leased.len()), "{}", leased.len());
    opened.spool.ack(&kept);
    leased.extend(texts(&opened.spool.lease(ALL).await));
    assert_eq!(leased, events);
    opened.spool.close().await;
}

#[tokio::test]
async fn with_an_interval_answers_do_not_wait_and_the_end_syncs() {
    let folder = MemoryFolder::default();
    let options = SpoolOptions {
        sync: SpoolSync::Every(Duration::from_secs(60)),
        ..OPTIONS
    };
    let opened = open_with(&folder, options);
    opened.append(&["0"], &[]).await.unwrap();
    let syncs = folder.segment_syncs();
    opened.append(&["1"], &[]).await.unwrap();
    assert_eq!(folder.segment_syncs(), syncs);
    opened.spool.close().await;
    folder.lose_power(7);
    let opened = open(&folder);
    assert_eq!(texts(&lease_all(&opened.spool).await), ["0", "1"]);
    opened.spool.close().await;
}

#[tokio::test]
async fn an_empty_spool_of_a_single_segment_is_not_full() {
    let folder = MemoryFolder::default();
    let options = SpoolOptions {
        segment_bytes: OPTIONS.max_bytes,
        ..OPTIONS
    };
    let opened = open_with(&folder, options);
    let text = "x".repeat(300);
    while !opened.spool.status().full {
        opened.append(&[&text], &[]).await.unwrap();
    }
    let parts = lease_all(&opened.spool).await;
    opened.spool.ack(&parts);
    let empty = async {
        while opened.spool.status().full {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    };
    let emptied = tokio::time::timeout(Duration::from_secs(20), empty).await;
    emptied.expect("a spool with room");
    assert!(opened.spool.refuses(2000).is_none());
    opened.append(&[&"x".repeat(2000)], &[]).await.unwrap();
    opened.spool.close().await;
}
