//! Somebody moves the folder away under a spool that is open, and back.

use super::*;

/// Gives every file of the folder that a spool finds by its name another one, or its own again.
fn move_all(folder: &MemoryFolder, from: &str, to: &str) {
    for name in folder.list().unwrap().into_iter().map(|entry| entry.name) {
        if let Some(rest) = name.strip_prefix(from) {
            folder.rename(&name, &format!("{to}{rest}")).unwrap();
        }
    }
}

#[tokio::test]
async fn what_is_not_found_where_the_folder_was_moved_away_is_not_done() {
    let folder = MemoryFolder::default();
    let options = SpoolOptions {
        tail_bytes: 1024,
        ..OPTIONS
    };
    let opened = open_with(&folder, options);
    for _ in 0..200 {
        opened.append(&[&"x".repeat(100)], &[]).await.unwrap();
    }
    move_all(&folder, "", "away-");
    let leases = async {
        loop {
            opened.spool.lease(ALL).await;
        }
    };
    tokio::select! {
        () = leases => {}
        () = opened.spool.failed() => {}
    }
    opened.spool.close().await;
    move_all(&folder, "away-", "");
    folder.kill();

    let opened = open_with(&folder, options);
    assert_eq!(opened.telemetry.books().spooled_at_start, 200);
    opened.spool.close().await;
}
