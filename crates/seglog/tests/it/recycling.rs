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
fn a_spare_file_of_the_older_name_is_used_too() {
    let folder = MemoryFolder::default();
    let mut opened = open(&folder);
    for _ in 0..4 {
        append(&mut opened.log, 1, &[1; 300]).unwrap();
    }
    opened.log.sync().unwrap();
    checkpoint(&mut opened, 103);
    opened.log.purge(&Acked::below(103)).unwrap();
    folder.kill();
    let entries = folder.list().unwrap();
    let spare = entries.iter().find(|entry| entry.name.ends_with(".spare"));
    folder.rename(&spare.unwrap().name, "spare").unwrap();
    let mut opened = open(&folder);
    append(&mut opened.log, 1, &[2; 300]).unwrap();
    let entries = folder.list().unwrap();
    assert!(entries.iter().all(|entry| entry.name != "spare"));
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
fn spare_files_of_another_length_than_segments_have_now_are_given_up_at_the_start() {
    let folder = MemoryFolder::default();
    let mut opened = open(&folder);
    fill(&mut opened.log);
    finish(&mut opened);
    assert!(taken(&folder) > 0);
    folder.kill();
    let options = Options {
        segment_bytes: OPTIONS.segment_bytes / 4,
        ..OPTIONS
    };
    let opened = open_with(&folder, options);
    assert_eq!(taken(&folder), 0);
    assert_eq!(opened.log.room(), OPTIONS.max_bytes);
}

#[test]
fn a_segment_that_cannot_be_given_back_keeps_no_other_and_goes_later() {
    let folder = MemoryFolder::default();
    let mut opened = open(&folder);
    // Longer than segments are, so that their files are of no use.
    let outsize = vec![1; 2 * OPTIONS.segment_bytes as usize];
    for payload in [&outsize[..], &[1; 200], &outsize, &[1; 200]] {
        append(&mut opened.log, 1, payload).unwrap();
    }
    opened.log.sync().unwrap();
    let next = opened.log.next();
    checkpoint(&mut opened, next);
    folder.refuse_removals(true);
    let error = opened.log.purge(&Acked::below(next)).unwrap_err();
    assert!(
        error.to_string().contains("00000000000000000001.seg"),
        "{error}"
    );
    let left = opened.log.segments();
    assert_eq!(
        left.iter().map(|segment| segment.first).collect::<Vec<_>>(),
        [100, 102, 103]
    );
    folder.refuse_removals(false);
    opened.log.purge(&Acked::below(next)).unwrap();
    assert_eq!(opened.log.segments().len(), 1);
}

#[test]
fn what_a_log_says_of_its_room_is_what_it_takes() {
    let folder = MemoryFolder::default();
    let mut opened = open(&folder);
    assert_eq!(opened.log.max_payload_bytes(), MOST as u64);
    for round in 0..3 {
        for step in 0..200 {
            let bytes = 1 + (step * 337 + round * 91) % 2500;
            let is_told = opened.log.has_room_for(bytes as u64);
            let before = opened.log.available_bytes();
            let is_taken = append(&mut opened.log, 1, &vec![1; bytes]).is_ok();
            assert_eq!(is_taken, is_told, "{round} {step}");
            assert!(!is_taken || bytes as u64 <= before, "{round} {step}");
        }
        finish(&mut opened);
    }
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
fn space_of_what_is_done_is_there_at_once_for_a_record_that_needs_all_of_it() {
    let folder = MemoryFolder::default();
    let mut opened = open(&folder);
    for _ in 0..3 {
        append(&mut opened.log, 1, &[1; 200]).unwrap();
        finish(&mut opened);
        append(&mut opened.log, 1, &vec![1; MOST]).unwrap();
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
