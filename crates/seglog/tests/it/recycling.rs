//! Files that are written again: their space comes back, and their old records stay dead.

use seglog::testing::MemoryFolder;
use seglog::{Folder, Options, Refused};

use crate::support::{
    OPTIONS, append, checkpoint, open, open_with, payload, read_open, taken, try_append,
};

#[test]
fn space_comes_back_when_one_segment_is_all_that_there_may_be() {
    // As long as the limit, and longer.
    for segment_bytes in [2000, 50_000] {
        let folder = MemoryFolder::default();
        let options = Options {
            segment_bytes,
            max_bytes: 2000,
            ..OPTIONS
        };
        let mut opened = open_with(&folder, options);
        for _ in 0..5 {
            let mut fitted = 0;
            while append(&mut opened.log, 1, &[1; 200]) != Err(Refused::Full) {
                fitted += 1;
            }
            opened.log.sync().unwrap();
            assert!(fitted >= 7, "{fitted}");
            let next = opened.log.next();
            checkpoint(&mut opened, next);
            opened.log.purge(next).unwrap();
            assert!(taken(&folder) <= options.max_bytes);
        }
    }
}

#[test]
fn space_comes_back_for_a_record_that_needs_all_of_it() {
    let folder = MemoryFolder::default();
    let mut opened = open(&folder);
    let most = OPTIONS.max_bytes as usize - seglog::HEADER_BYTES - seglog::HEAD_BYTES;
    for _ in 0..3 {
        append(&mut opened.log, 1, &[1; 200]).unwrap();
        assert_eq!(
            append(&mut opened.log, 1, &vec![1; most]),
            Err(Refused::Full)
        );
        assert_eq!(
            append(&mut opened.log, 1, &vec![1; most + 1]),
            Err(Refused::TooLarge)
        );
        opened.log.sync().unwrap();
        let next = opened.log.next();
        checkpoint(&mut opened, next);
        opened.log.purge(next).unwrap();
        append(&mut opened.log, 1, &vec![1; most]).unwrap();
        assert_eq!(append(&mut opened.log, 1, &[]), Err(Refused::Full));
        opened.log.sync().unwrap();
        checkpoint(&mut opened, next + 1);
        opened.log.purge(next + 1).unwrap();
    }
}

#[test]
fn old_records_stay_dead_even_when_nothing_tells_their_generation_any_more() {
    for cut in 0..64 {
        let folder = MemoryFolder::default();
        let mut opened = open(&folder);
        for number in 0..8 {
            append(&mut opened.log, 1, &payload(number, 100)).unwrap();
        }
        opened.log.sync().unwrap();
        // Generation 1 becomes the spare file; 2 is done and gone at the next start.
        opened.log.purge(106).unwrap();
        checkpoint(&mut opened, 108);
        folder.kill();
        let mut opened = open(&folder);
        assert_eq!(opened.log.segments(), []);
        // Its header is torn, and the checkpoints are lost.
        folder.cut_off_after(cut);
        try_append(&mut opened.log, &[(1, &payload(9, 100))]).unwrap_err();
        folder.kill();
        for name in ["checkpoint-a", "checkpoint-b"] {
            folder.remove(name).unwrap();
        }
        // The same generations and positions are given again.
        let mut opened = open(&folder);
        append(&mut opened.log, 1, &payload(10, 100)).unwrap();
        opened.log.sync().unwrap();
        folder.kill();
        let opened = open(&folder);
        let (records, damages) = read_open(&folder, &opened);
        assert!(
            damages.is_empty() && records.len() == 1,
            "{records:?} cut after {cut}"
        );
        assert_eq!(records[0].payload, payload(10, 100));
    }
}
