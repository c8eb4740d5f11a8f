//! Acks that are scattered over the spool, so that a checkpoint has much to tell.

use super::*;

#[tokio::test]
async fn on_a_full_disk_a_checkpoint_tells_each_of_many_scattered_events() {
    const EVENTS: u64 = 3_000;
    let folder = MemoryFolder::default();
    let options = SpoolOptions {
        max_bytes: 4 * 1024 * 1024,
        ..OPTIONS
    };
    let opened = open_with(&folder, options);
    let appends = (0..EVENTS).map(|_| opened.append(&["event"], &["letter"]));
    for outcome in join_all(appends).await {
        outcome.unwrap();
    }
    folder.limit_to(Some(folder.bytes()));
    // The letters, between them, find no room where they are filed.
    opened.spool.ack(&lease_all(&opened.spool).await);
    opened.spool.close().await;
    folder.kill();

    let opened = open_with(&folder, options);
    assert_eq!(opened.telemetry.books().spooled_at_start, EVENTS);
    opened.spool.close().await;
}
