//! Files that are written again: their space comes back, and their old records stay dead.

use seglog::testing::MemoryFolder;
use seglog::{Acked, Folder, Log, Opened, Options, Refused};

use crate::support::{
    OPTIONS, append, checkpoint, open, open_with, payload, read_open, taken, try_append,
};

/// The longest payload that a log can take, which then needs all of its room.
const MOST: usize = OPTIONS.max_bytes as usize - seglog::HEADER_BYTES - seglog::HEAD_BYTES;

/// Appends until there is no room; how many there were.
fn fill(log: &mut Log) -> usize {
    let mut fitted = 0;
    while append(log, 1, &[1; 200]) != Err(Refused::Full) {
        fitted += 1;
    }
    fitted
}

/// All that was appended is done.
fn finish(opened: &mut Opened) {
    opened.log.sync().unwrap();
    let next = opened.log.next();
    checkpoint(opened, next);
    opened.log.purge(&Acked::below(next)).unwrap();
}

fn remove_all(folder: &MemoryFolder, end: &str) {
    for entry in folder.list().unwrap() {
        if entry.name.ends_with(end) {
            folder.remove(&entry.name).unwrap();
        }
    }
}

#[test]
fn segments_that_were_removed_by_hand_give_back_their_space() {
    let folder = MemoryFolder::default();
    let mut opened = open(&folder);
    let fitted = fill(&mut opened.log);
    remove_all(&folder, ".seg");
    finish(&mut opened);
    assert_eq!(opened.log.room(), OPTIONS.max_bytes);
    assert_eq!(fill(&mut opened.log), fitted);
    assert!(taken(&folder) <= OPTIONS.max_bytes);
}

#[test]
fn spare_files_that_were_removed_by_hand_give_back_their_space() {
    let folder = MemoryFolder::default();
    let mut opened = open(&folder);
    for _ in 0..3 {
        fill(&mut opened.log);
        finish(&mut opened);
        remove_all(&folder, ".spare");
        append(&mut opened.log, 1, &vec![1; MOST]).unwrap();
        assert_eq!(append(&mut opened.log, 1, &[]), Err(Refused::Full));
        finish(&mut opened);
    }
}

#[test]
fn spare_files_that_cannot_be_removed_are_room_that_is_not_there() {
    let folder = MemoryFolder::default();
    let mut opened = open(&folder);
    let fitted = fill(&mut opened.log);
    finish(&mut opened);
    folder.refuse_removals(true);
    assert_eq!(
        append(&mut opened.log, 1, &vec![1; MOST]),
        Err(Refused::Full)
    );
    assert!(fill(&mut opened.log) >= fitted / 2);
    folder.refuse_removals(false);
    finish(&mut opened);
    append(&mut opened.log, 1, &vec![1; MOST]).unwrap();
}

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
            opened.log.purge(&Acked::below(next)).unwrap();
            assert!(taken(&folder) <= options.max_bytes);
        }
    }
}

#[test]
fn space_comes_back_for_a_record_that_needs_all_of_it() {
    let folder = MemoryFolder::default();
    let mut opened = open(&folder);
    for _ in 0..3 {
        append(&mut opened.log, 1, &[1; 200]).unwrap();
        assert_eq!(
            append(&mut opened.log, 1, &vec![1; MOST]),
            Err(Refused::Full)
        );
        assert_eq!(
            append(&mut opened.log, 1, &vec![1; MOST + 1]),
            Err(Refused::TooLarge)
        );
        finish(&mut opened);
        append(&mut opened.log, 1, &vec![1; MOST]).unwrap();
        assert_eq!(append(&mut opened.log, 1, &[]), Err(Refused::Full));
        finish(&mut opened);
    }
}

#[test]
fn space_comes_back_for_what_was_refused_whatever_smaller_was_taken_since() {
    let folder = MemoryFolder::default();
    let mut opened = open(&folder);
    for _ in 0..2 {
        append(&mut opened.log, 1, &[1; 200]).unwrap();
        assert_eq!(
            append(&mut opened.log, 1, &vec![1; MOST]),
            Err(Refused::Full)
        );
        append(&mut opened.log, 1, &[1; 200]).unwrap();
        finish(&mut opened);
        assert!(opened.log.has_room_for(MOST as u64));
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
        opened.log.purge(&Acked::below(106)).unwrap();
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
