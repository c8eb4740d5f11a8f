//! Segments that cannot be read: for a moment, for long, or any more.

use super::*;

#[tokio::test]
async fn a_segment_that_cannot_be_read_for_long_is_given_up_and_the_next_one_read() {
    let folder = MemoryFolder::default();
    let (opened, second) = open_with_three_segments(&folder).await;
    folder.fail_reads_of(&second, 0..usize::MAX);
    tokio::time::pause();
    assert_eq!(texts(&lease_all(&opened.spool).await).len(), 4);
    assert_eq!(opened.telemetry.books().lost, 2);
    assert!(opened.is_balanced());
    opened.spool.close().await;
}

#[tokio::test]
async fn a_segment_that_cannot_be_read_is_given_up_also_for_leases_that_do_not_wait() {
    let folder = MemoryFolder::default();
    let (opened, second) = open_with_three_segments(&folder).await;
    folder.fail_reads_of(&second, 0..usize::MAX);
    tokio::time::pause();
    let mut seen = 0;
    for _ in 0..200 {
        let lease = opened.spool.lease(ALL);
        let leased = tokio::time::timeout(Duration::from_millis(700), lease).await;
        seen += leased.map_or(0, |parts| texts(&parts).len());
    }
    assert_eq!((seen, opened.telemetry.books().lost), (4, 2));
    opened.spool.close().await;
}

#[tokio::test]
async fn a_disk_that_is_away_for_a_moment_and_again_later_costs_no_event() {
    let folder = MemoryFolder::default();
    let (opened, second) = open_with_three_segments(&folder).await;
    let third = "00000000000000000003.seg";
    // The system has the beginning of the file in memory, and the rest of it not.
    let rest = seglog::HEADER_BYTES..usize::MAX;
    folder.fail_reads_of(&second, rest.clone());
    tokio::time::pause();
    let moment = Duration::from_secs(40);
    let mut seen = Vec::new();
    let leasing = async {
        while seen.len() < 6 {
            seen.extend(texts(&opened.spool.lease(ALL).await));
        }
    };
    let back = async {
        tokio::time::sleep(moment).await;
        folder.fail_reads_of(third, rest);
        folder.fail_reads_of(&second, 0..0);
        tokio::time::sleep(moment).await;
        folder.fail_reads_of(third, 0..0);
    };
    tokio::join!(leasing, back);
    assert_eq!(seen.len(), 6);
    assert_eq!(opened.telemetry.books().lost, 0);
    opened.spool.close().await;
}

#[tokio::test]
async fn what_was_read_before_does_not_wait_for_what_cannot_be_read() {
    let folder = MemoryFolder::default();
    let (opened, second) = open_with_three_segments(&folder).await;
    folder.fail_reads_of(&second, seglog::HEADER_BYTES..usize::MAX);
    tokio::time::pause();
    let moment = Duration::from_secs(5);
    let leased = tokio::time::timeout(moment, opened.spool.lease(ALL)).await;
    assert_eq!(texts(&leased.unwrap()).len(), 2);
    opened.spool.close().await;
}

#[tokio::test]
async fn a_bad_sector_costs_what_was_on_its_page_and_nothing_else() {
    let folder = MemoryFolder::default();
    let options = SpoolOptions {
        segment_bytes: OPTIONS.max_bytes / 2,
        ..OPTIONS
    };
    let opened = open_with(&folder, options);
    let event = "x".repeat(1500);
    for _ in 0..20 {
        opened.append(&[&event], &[]).await.unwrap();
    }
    opened.spool.close().await;
    let opened = open_with(&folder, options);
    folder.fail_reads_of("00000000000000000001.seg", 10_000..10_001);
    tokio::time::pause();
    let read = texts(&lease_all(&opened.spool).await).len();
    assert!(
        (16..20).contains(&read),
        "a page holds parts of four: {read}"
    );
    assert_eq!(opened.telemetry.books().lost, 20 - read as u64);
    opened.spool.close().await;
}

#[tokio::test]
async fn a_disk_that_is_away_within_a_long_record_costs_no_event_of_it() {
    let folder = MemoryFolder::default();
    let opened = open_with_long_record(&folder).await;
    let mut seen = texts(&opened.spool.lease(PIECE).await).len();
    tokio::time::pause();
    folder.fail_reads_after(Some(0));
    let moment = Duration::from_secs(30);
    while let Ok(parts) = tokio::time::timeout(moment, opened.spool.lease(PIECE)).await {
        seen += texts(&parts).len();
    }
    assert!(seen < 35);
    folder.fail_reads_after(None);
    seen += texts(&lease_all(&opened.spool).await).len();
    assert_eq!((seen, opened.telemetry.books().lost), (35, 0));
    opened.spool.close().await;
}

#[tokio::test]
async fn whenever_a_disk_goes_away_again_what_is_not_read_is_lost_and_nothing_else() {
    let long: Vec<String> = (0..20).map(|_| "x".repeat(100_000)).collect();
    let long: Vec<&str> = long.iter().map(String::as_str).collect();
    let options = SpoolOptions {
        segment_bytes: 4 * 1024 * 1024,
        max_bytes: 64 * 1024 * 1024,
        tail_bytes: 1,
        ..OPTIONS
    };
    for reads in 1..16 {
        let folder = MemoryFolder::default();
        let opened = open_with(&folder, options);
        for events in [&["small"; 5][..], &long, &["last"]] {
            opened.append(events, &[]).await.unwrap();
        }
        folder.fail_reads_after(Some(0));
        tokio::time::pause();
        let patience = Duration::from_millis(59_500);
        let nothing = tokio::time::timeout(patience, opened.spool.lease(PIECE)).await;
        assert!(nothing.is_err());
        folder.fail_reads_after(Some(reads));
        for seconds in 0..10 {
            if seconds == 5 {
                folder.fail_reads_after(None);
            }
            let moment = Duration::from_secs(1);
            let leased = tokio::time::timeout(moment, opened.spool.lease(PIECE)).await;
            let parts = leased.unwrap_or_default();
            opened.spool.ack(&parts);
            opened.telemetry.delivered(texts(&parts).len() as u64);
        }
        tokio::time::resume();
        assert_eq!(opened.spool.status().events, 0, "{reads}");
        assert!(opened.is_balanced(), "{reads}");
        opened.spool.close().await;
    }
}

#[tokio::test]
async fn what_is_in_the_way_of_reading_and_goes_again_costs_no_event() {
    let folder = MemoryFolder::default();
    let (opened, _) = open_with_three_segments(&folder).await;
    folder.run_out_of_handles(true);
    tokio::time::pause();
    let long = Duration::from_secs(600);
    let nothing = tokio::time::timeout(long, opened.spool.lease(ALL)).await;
    assert!(nothing.is_err());
    folder.run_out_of_handles(false);
    assert_eq!(texts(&lease_all(&opened.spool).await).len(), 6);
    assert_eq!(opened.telemetry.books().lost, 0);
    opened.spool.close().await;
}

#[tokio::test]
async fn a_segment_that_was_removed_is_told_and_the_rest_delivered() {
    let folder = MemoryFolder::default();
    let (opened, second) = open_with_three_segments(&folder).await;
    folder.remove(&second).unwrap();
    assert_eq!(texts(&lease_all(&opened.spool).await).len(), 4);
    assert_eq!(opened.telemetry.books().lost, 2);
    opened.spool.close().await;
}

#[tokio::test]
async fn after_a_start_letters_are_looked_for_only_where_there_can_be_some() {
    let folder = MemoryFolder::default();
    let (opened, second) = open_with_three_segments(&folder).await;
    folder.remove(&second).unwrap();
    opened.append(&["live"], &["a letter"]).await.unwrap();
    opened.spool.close().await;
    for _ in 0..2 {
        let opened = open(&folder);
        let letters = opened.spool.lease_letters(ALL).await;
        assert_eq!(texts(&letters), ["a letter"]);
        assert_eq!(opened.telemetry.books().lost, 0, "nobody read before it");
        opened.spool.close().await;
    }
    let opened = open(&folder);
    opened.spool.ack(&opened.spool.lease_letters(ALL).await);
    assert_eq!(texts(&lease_all(&opened.spool).await).len(), 5);
    assert_eq!(opened.telemetry.books().lost, 2);
    opened.spool.close().await;
}

/// A spool with two events in each of three segments, opened again; and the name of the second segment.
async fn open_with_three_segments(folder: &MemoryFolder) -> (Opened, String) {
    let opened = open(folder);
    let event = "x".repeat(1500);
    for _ in 0..6 {
        opened.append(&[&event], &[]).await.unwrap();
    }
    opened.spool.close().await;
    let opened = open(folder);
    let entries = folder.list().unwrap();
    let mut segments = entries
        .into_iter()
        .filter(|entry| entry.name.ends_with(".seg"));
    let second = segments.nth(1).unwrap().name;
    (opened, second)
}
