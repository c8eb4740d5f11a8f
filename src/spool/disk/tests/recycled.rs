//! Segments that are given back, and written again, under a reader.

use super::*;
use crate::telemetry::Gauges;

#[tokio::test]
async fn a_segment_that_is_written_again_is_not_read_as_the_rest_of_a_long_record() {
    let folder = MemoryFolder::default();
    let opened = open_with_long_record(&folder).await;
    let one = LeaseLimits {
        max_events: 1,
        ..PIECE
    };
    let _stays = opened.spool.lease(one).await;
    opened.spool.ack(&lease_all(&opened.spool).await);
    opened.spool.close().await;

    let opened = open_with(&folder, LONG_RECORDS);
    assert_eq!(opened.telemetry.books().spooled_at_start, 1);
    // What is read for this lease ends within the record.
    opened.spool.ack(&opened.spool.lease(one).await);
    while !has_spare(&folder) {
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    let filler = "y".repeat(1000);
    let new: Vec<String> = (0..3_500).map(|n| format!("{n} {filler}")).collect();
    for events in new.chunks(100) {
        let events: Vec<&str> = events.iter().map(String::as_str).collect();
        opened.append(&events, &[]).await.unwrap();
    }
    assert!(!has_spare(&folder));
    let mut seen = Vec::new();
    while opened.spool.has_events_to_lease() {
        seen.extend(texts(&opened.spool.lease(PIECE).await));
    }
    assert!(seen == new, "{} of {}", seen.len(), new.len());
    assert_eq!(opened.telemetry.books().lost, 0);
    opened.spool.close().await;
}

#[tokio::test]
async fn while_space_cannot_be_given_back_the_checkpoint_counts_as_failing() {
    let folder = MemoryFolder::default();
    let opened = open(&folder);
    let filler = "y".repeat(1000);
    for _ in 0..40 {
        opened.append(&[filler.as_str()], &[]).await.unwrap();
    }
    folder.refuse_removals(true);
    opened.spool.ack(&lease_all(&opened.spool).await);
    for failing in [true, false] {
        folder.refuse_removals(failing);
        while opened.spool.status().checkpoint_failing != failing {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
        let text = opened.telemetry.render(Gauges::default());
        let sample = format!(
            "\nheadgate_spool_checkpoint_failing {}\n",
            u8::from(failing)
        );
        assert!(text.contains(&sample), "{text}");
    }
    opened.spool.close().await;
}

fn has_spare(folder: &MemoryFolder) -> bool {
    let entries = folder.list().unwrap();
    entries.iter().any(|entry| entry.name.ends_with(".spare"))
}
