//! Records that no spool has written, though their checksums hold.

use seglog::{Checksum, Log, Options, Record};

use super::*;
use crate::spool::Inspection;

/// A record's payload: the head of an envelope with these numbers, and a text.
fn payload(version: u8, (live, live_bytes, dead): (u32, u64, u32), text: &str) -> Vec<u8> {
    let mut payload = vec![version, 0, 0, 0];
    payload.extend(live.to_le_bytes());
    payload.extend(live_bytes.to_le_bytes());
    payload.extend(dead.to_le_bytes());
    payload.extend([0; 4]);
    payload.extend(text.as_bytes());
    payload
}

/// A folder with a record of three events between two that are sound.
fn folder_with(strange: &[u8]) -> MemoryFolder {
    let folder = MemoryFolder::default();
    let shared: Arc<dyn Folder> = Arc::new(folder.clone());
    let options = Options {
        segment_bytes: OPTIONS.segment_bytes,
        max_bytes: OPTIONS.max_bytes,
        first_position: 100,
    };
    let mut log = Log::open(&shared, options).unwrap().log;
    let sound = payload(1, (1, 7, 0), "sound,\n");
    for (events, payload) in [(1, &sound[..]), (3, strange), (1, &sound)] {
        let record = Record {
            events,
            made_at: 0,
            pieces: &[payload],
            checksum: Checksum::of(&[payload]),
        };
        assert!(log.append(&[record]).unwrap()[0].is_ok());
    }
    log.sync().unwrap();
    drop(log);
    folder.kill();
    folder
}

#[tokio::test]
async fn a_record_that_no_spool_has_written_is_lost_and_holds_nothing_up() {
    let text = "a,\nb,\nc,\n";
    for (strange, lost) in [
        (payload(1, (3, 9, 0), text), 0),
        (payload(2, (3, 9, 0), text), 3),
        (payload(1, (3, u64::MAX, 0), text), 3),
        (payload(1, (3, 10, 0), text), 3),
        (payload(1, (4, 9, 0), text), 3),
        (payload(1, (3, 8, 0), text), 1),
        (payload(1, (3, 6, 0), text), 3),
        (payload(1, (3, 0, 0), ""), 3),
        (payload(1, (2, 9, 1), text), 3),
        (payload(1, (2, 6, 1), text), 0),
        (payload(1, (1, 6, 2), text), 3),
        (vec![1; 10], 3),
    ] {
        let folder = folder_with(&strange);
        let look = Inspection::at(Arc::new(folder.clone())).unwrap();
        let exported = look.export(&mut Vec::new(), &mut |_, _| {}).unwrap();
        let opened = open(&folder);
        let events = lease_all(&opened.spool).await;
        opened.spool.ack(&events);
        tokio::time::pause();
        let moment = Duration::from_secs(5);
        let letters = tokio::time::timeout(moment, opened.spool.lease_letters(ALL)).await;
        opened.spool.ack(&letters.unwrap_or_default());
        tokio::time::resume();
        let delivered = texts(&events);
        assert_eq!(delivered.first().unwrap(), "sound", "{strange:?}");
        assert_eq!(delivered.last().unwrap(), "sound", "{strange:?}");
        assert_eq!(exported.events, delivered.len() as u64, "{strange:?}");
        assert_eq!(opened.telemetry.books().lost, lost, "{strange:?}");
        assert_eq!(opened.spool.status().events, 0, "{strange:?}");
        opened.spool.close().await;
    }
}
