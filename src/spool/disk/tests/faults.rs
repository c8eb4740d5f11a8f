//! Failing syncs, full spools and disks, losses of power, damage.

use std::pin::pin;

use futures_util::poll;
use seglog::Mode;

use super::*;
use crate::event::Origin;
use crate::spool::{InspectError, Inspection};

#[tokio::test]
async fn a_sync_that_fails_acknowledges_nothing_and_what_was_synced_goes_out() {
    let folder = MemoryFolder::default();
    let opened = open(&folder);
    opened.append(&["0"], &[]).await.unwrap();
    folder.fail_syncs_after(0);
    assert_eq!(opened.append(&["1"], &[]).await, Err(AppendError::Failed));
    opened.spool.failed().await;
    folder.fail_syncs_after(1000);
    assert_eq!(opened.append(&["2"], &[]).await, Err(AppendError::Failed));
    assert_eq!(opened.spool.refuses(0), Some(AppendError::Failed));
    assert!(opened.spool.status().failed);
    assert_eq!(texts(&lease_all(&opened.spool).await), ["0"]);
    opened.spool.close().await;
    folder.kill();

    let opened = open(&folder);
    let texts = texts(&lease_all(&opened.spool).await);
    assert_eq!(texts[0], "0");
    assert!(!texts.contains(&"2".to_owned()));
    opened.spool.close().await;
}

#[tokio::test]
async fn a_sync_that_hangs_promises_nothing_and_its_events_come_once() {
    let folder = MemoryFolder::default();
    let opened = open(&folder);
    folder.hold_syncs(true);
    let bytes = folder.bytes();
    let mut append = pin!(opened.append(&["0"], &[]));
    while folder.bytes() == bytes {
        assert!(poll!(append.as_mut()).is_pending());
        tokio::task::yield_now().await;
    }
    // The deadline comes at once now that nothing but the clock can go on.
    tokio::time::pause();
    assert_eq!(append.await, Err(AppendError::NotSynced));
    tokio::time::resume();
    assert!(!opened.spool.has_events_to_lease());
    folder.hold_syncs(false);
    let parts = opened.spool.lease(ALL).await;
    assert_eq!(texts(&parts), ["0"]);
    opened.spool.ack(&parts);
    opened.telemetry.delivered(1);
    opened.spool.drained().await;
    assert!(!opened.spool.has_events_to_lease());
    opened.spool.close().await;
    assert_eq!(opened.telemetry.books().accepted, 1);
    assert!(opened.is_balanced());
    assert_eq!(open(&folder).telemetry.books().spooled_at_start, 0);
}

#[tokio::test]
async fn whoever_closes_waits_for_the_last_checkpoint() {
    let folder = MemoryFolder::default();
    let opened = open(&folder);
    opened.append(&["0"], &[]).await.unwrap();
    folder.hold_syncs(true);
    opened.spool.ack(&lease_all(&opened.spool).await);
    let mut closings = [0, 1].map(|_| Box::pin(opened.spool.close()));
    for closing in &mut closings {
        assert!(poll!(closing).is_pending());
    }
    folder.hold_syncs(false);
    join_all(closings).await;
    assert_eq!(open(&folder).telemetry.books().spooled_at_start, 0);
}

#[tokio::test]
async fn a_full_spool_refuses_until_space_is_given_back() {
    let folder = MemoryFolder::default();
    let opened = open(&folder);
    let event = "x".repeat(1000);
    let mut taken = 0;
    let refused = loop {
        match opened.append(&[&event], &[]).await {
            Ok(()) => taken += 1,
            Err(refused) => break refused,
        }
    };
    assert!(matches!(refused, AppendError::Full { .. }), "{refused}");
    assert!(taken >= 40, "{taken}");
    assert!(opened.spool.status().full);
    assert!(opened.spool.refuses(1_000_000).is_some());
    assert_eq!(opened.telemetry.books().accepted, taken);
    let parts = lease_all(&opened.spool).await;
    opened.spool.ack(&parts);
    opened.telemetry.delivered(texts(&parts).len() as u64);
    opened.append(&[&event], &[]).await.unwrap();
    assert!(!opened.spool.status().full);
    let too_large = "x".repeat(OPTIONS.max_bytes as usize);
    let refused = opened.append(&[&too_large], &[]).await;
    assert!(matches!(
        refused,
        Err(AppendError::TooLarge {
            key: "spool.max_bytes",
            ..
        })
    ));
    opened.spool.close().await;
    assert_eq!(opened.telemetry.books().delivered, taken);
    assert!(opened.is_balanced());
}

#[tokio::test]
async fn an_event_that_nobody_takes_does_not_fill_the_spool() {
    let folder = MemoryFolder::default();
    let opened = open(&folder);
    opened.append(&["stays"], &["a letter"]).await.unwrap();
    let mut stays = opened.spool.lease(ALL).await;
    let event = "x".repeat(1000);
    for _ in 0..300 {
        opened.append(&[&event], &[]).await.unwrap();
        let parts = opened.spool.lease(ALL).await;
        opened.spool.ack(&parts);
        opened.telemetry.delivered(1);
    }
    assert!(opened.is_balanced());
    opened.spool.close().await;
    let opened = open(&folder);
    stays.extend(opened.spool.lease_letters(ALL).await);
    stays.extend(lease_all(&opened.spool).await);
    assert_eq!(texts(&stays), ["stays", "a letter", "stays"]);
    assert_eq!(opened.telemetry.books().lost, 0);
    assert!(
        look(&folder)
            .verify(&mut |_, _| {})
            .unwrap()
            .damages
            .is_empty()
    );
    opened.spool.close().await;
}

#[tokio::test]
async fn a_full_disk_is_a_full_spool() {
    let folder = MemoryFolder::default();
    let opened = open(&folder);
    opened.append(&["0"], &[]).await.unwrap();
    folder.limit_to(Some(5000));
    let event = "x".repeat(3000);
    let mut outcomes = Vec::new();
    for _ in 0..3 {
        outcomes.push(opened.append(&[&event], &[]).await);
    }
    assert!(
        matches!(outcomes[2], Err(AppendError::Full { .. })),
        "{outcomes:?}"
    );
    assert!(!opened.spool.status().failed);
    folder.limit_to(None);
    opened.append(&["1"], &[]).await.unwrap();
    opened.spool.close().await;
}

#[tokio::test]
async fn damage_costs_one_request_is_counted_and_set_aside() {
    let folder = MemoryFolder::default();
    let opened = open(&folder);
    for request in ["0", "damaged", "2"] {
        opened
            .append(&[request, "and another"], &["a letter"])
            .await
            .unwrap();
    }
    opened.spool.close().await;
    let entries = folder.list().unwrap();
    let segment = entries
        .iter()
        .find(|entry| entry.name.ends_with(".seg"))
        .unwrap();
    folder.damage(&segment.name, |bytes| {
        let at = memchr::memmem::find(bytes, b"damaged").unwrap();
        bytes[at] ^= 1;
    });

    let verdict = look(&folder).verify(&mut |_, _| {}).unwrap();
    assert_eq!((verdict.records, verdict.events), (2, 6));
    assert_eq!(verdict.damages.len(), 1);
    assert_eq!(verdict.damages[0].events, 3);

    let opened = open(&folder);
    let parts = lease_all(&opened.spool).await;
    assert_eq!(texts(&parts), ["0", "and another", "2", "and another"]);
    let letters = opened.spool.lease_letters(ALL).await;
    assert_eq!(texts(&letters), ["a letter", "a letter"]);
    let books = opened.telemetry.books();
    assert_eq!((books.spooled_at_start, books.lost), (9, 3));
    assert!(opened.is_balanced());
    let entries = folder.list().unwrap();
    assert!(
        entries
            .iter()
            .any(|entry| entry.name.starts_with("damaged-"))
    );
    opened.spool.ack(&parts);
    opened.spool.ack(&letters);
    opened.spool.drained().await;
    opened.spool.close().await;
    assert_eq!(open(&folder).telemetry.books().spooled_at_start, 0);
}

#[tokio::test]
async fn a_power_loss_takes_nothing_that_was_acknowledged() {
    for seed in 1..40 {
        let folder = MemoryFolder::default();
        let opened = open(&folder);
        for number in 0..60 {
            let text = format!("{number}");
            opened.append(&[&text], &[]).await.unwrap();
        }
        folder.lose_power(seed);
        opened.spool.close().await;
        let opened = open(&folder);
        assert_eq!(
            texts(&lease_all(&opened.spool).await),
            numbers(0..60),
            "{seed}"
        );
        assert_eq!(opened.telemetry.books().spooled_at_start, 60);
        opened.spool.close().await;
    }
}

#[tokio::test]
async fn with_weaker_syncs_too_a_bad_byte_costs_one_request() {
    for sync in [SpoolSync::Never, SpoolSync::Every(Duration::from_secs(60))] {
        let folder = MemoryFolder::default();
        let options = SpoolOptions { sync, ..OPTIONS };
        let opened = open_with(&folder, options);
        for request in ["0", "damaged", "2", "3"] {
            opened.append(&[request], &[]).await.unwrap();
        }
        folder.kill();
        opened.spool.close().await;
        damage(&folder, b"damaged");
        let opened = open_with(&folder, options);
        assert_eq!(texts(&lease_all(&opened.spool).await), ["0", "2", "3"]);
        assert_eq!(opened.telemetry.books().lost, 1);
        opened.spool.close().await;
    }
}

#[tokio::test]
async fn what_the_last_checkpoint_knows_and_cannot_be_read_is_lost_and_counted() {
    let folder = MemoryFolder::default();
    let opened = open(&folder);
    for request in ["0", "last"] {
        opened.append(&[request], &[]).await.unwrap();
    }
    opened.spool.close().await;
    damage(&folder, b"last");
    let opened = open(&folder);
    assert_eq!(texts(&lease_all(&opened.spool).await), ["0"]);
    assert_eq!(opened.telemetry.books().lost, 1);
    opened.spool.close().await;
}

/// Changes a bit in the head of the record in the first segment with this text, so that it is not even told how long the
/// record is.
fn damage(folder: &MemoryFolder, text: &[u8]) {
    folder.damage("00000000000000000001.seg", |bytes| {
        let at = memchr::memmem::find(bytes, text).unwrap();
        bytes[at - 40] ^= 1;
    });
}

#[tokio::test]
async fn with_an_interval_what_was_acknowledged_is_synced_once_it_is_over() {
    let folder = MemoryFolder::default();
    let options = SpoolOptions {
        sync: SpoolSync::Every(Duration::from_millis(1)),
        ..OPTIONS
    };
    let opened = open_with(&folder, options);
    // The first sync is that of the segment's header.
    for syncs in [2, 3] {
        opened.append(&["0"], &[]).await.unwrap();
        let synced = async {
            while folder.segment_syncs() < syncs {
                tokio::time::sleep(Duration::from_millis(1)).await;
            }
        };
        let synced = tokio::time::timeout(Duration::from_secs(20), synced).await;
        synced.expect("a sync");
    }
    opened.spool.close().await;
}

#[tokio::test]
async fn with_weaker_syncs_too_a_replay_is_synced_before_its_letter_may_go() {
    for sync in [SpoolSync::Never, SpoolSync::Every(Duration::from_secs(60))] {
        let folder = MemoryFolder::default();
        let opened = open_with(&folder, SpoolOptions { sync, ..OPTIONS });
        opened.append(&["0"], &[]).await.unwrap();
        let syncs = folder.segment_syncs();
        let mut replay = envelope(&["1"], &[]);
        replay.origin = Origin::Replay;
        let deadline = Instant::now() + Duration::from_secs(20);
        opened.spool.append(replay, deadline).await.unwrap();
        assert_eq!(folder.segment_syncs(), syncs + 1);
        opened.append(&["2"], &[]).await.unwrap();
        assert_eq!(folder.segment_syncs(), syncs + 1);
        opened.spool.close().await;
    }
}

#[tokio::test]
async fn a_write_that_fails_acknowledges_nothing_and_is_told() {
    let folder = MemoryFolder::default();
    let opened = open(&folder);
    opened.append(&["0"], &[]).await.unwrap();
    folder.cut_off_after(10);
    assert_eq!(opened.append(&["1"], &[]).await, Err(AppendError::Failed));
    assert!(opened.spool.status().failed);
    assert_eq!(texts(&lease_all(&opened.spool).await), ["0"]);
    opened.spool.close().await;
}

#[tokio::test]
async fn looking_tells_and_exports_what_is_not_done_and_changes_nothing() {
    let folder = MemoryFolder::default();
    let opened = open(&folder);
    opened.append(&["0", "1", "2"], &["letter"]).await.unwrap();
    opened.append(&["3"], &[]).await.unwrap();
    let leased = lease_all(&opened.spool).await;
    opened.spool.ack(&leased[1..]);
    opened.spool.close().await;
    let before = folder.list().unwrap();

    let look = look(&folder);
    let overview = look.overview().unwrap();
    assert_eq!(overview.events, 4);
    assert_eq!(overview.positions.end - overview.positions.start, 5);
    assert!(overview.oldest.is_some() && overview.checkpoint_at.is_some());
    let mut out = Vec::new();
    let mut progress = Vec::new();
    let exported = look
        .export(&mut out, &mut |done, of| progress.push((done, of)))
        .unwrap();
    assert_eq!(String::from_utf8(out).unwrap(), "0\n1\n2\n");
    assert_eq!(
        (exported.events, exported.letters, exported.lost),
        (3, 1, 0)
    );
    let (done, of) = progress[progress.len() - 1];
    assert_eq!(done, of);
    assert!(look.verify(&mut |_, _| {}).unwrap().damages.is_empty());
    assert_eq!(folder.list().unwrap(), before);
}

#[test]
fn a_folder_that_is_no_spool_is_told() {
    let folder = MemoryFolder::default();
    folder.open("notes.txt", Mode::Create).unwrap();
    let looked = Inspection::at(Arc::new(folder));
    assert!(matches!(looked, Err(InspectError::NoSpool { .. })));
}

#[tokio::test]
async fn a_spool_from_which_all_was_taken_has_room_for_what_it_had_room_for() {
    let folder = MemoryFolder::default();
    let options = SpoolOptions {
        segment_bytes: OPTIONS.max_bytes,
        ..OPTIONS
    };
    for (options, bytes) in [(OPTIONS, 40_000), (options, 20_000)] {
        let opened = open_with(&folder, options);
        let event = "x".repeat(bytes);
        while opened.append(&[&event], &[]).await.is_ok() {}
        // What is smaller may find room where that found none.
        opened.append(&["small"], &[]).await.unwrap();
        let parts = lease_all(&opened.spool).await;
        opened.spool.ack(&parts);
        // Without a request: nobody sends to a server that is not ready.
        while opened.spool.status().full {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
        opened.append(&[&event], &[]).await.unwrap();
        let parts = lease_all(&opened.spool).await;
        opened.spool.ack(&parts);
        opened.spool.close().await;
    }
}

fn look(folder: &MemoryFolder) -> Inspection {
    Inspection::at(Arc::new(folder.clone())).unwrap()
}
