//! A disk that is full refuses, and is never in the way of what makes room again.

use seglog::testing::MemoryFolder;
use seglog::{Acked, Checkpoint, Checkpoints, Folder, HEAD_BYTES, Opened, Options, Refused};

use crate::support::{
    OPTIONS, append, append_group, checkpoint, open, open_with, read_open, shared,
};

/// So long a record that no zeros are written behind it.
const BYTES: usize = 200_000;

/// Segments of such records.
const LARGE: Options = Options {
    segment_bytes: 10 * BYTES as u64,
    max_bytes: 20 * BYTES as u64,
    ..OPTIONS
};

#[test]
fn a_full_disk_refuses_and_goes_on_when_there_is_room() {
    let folder = MemoryFolder::default();
    let mut opened = open(&folder);
    append(&mut opened.log, 1, &[1; 200]).unwrap();
    folder.limit_to(Some(1500));
    let mut taken = 1;
    while append(&mut opened.log, 1, &[2; 200]).is_ok() {
        taken += 1;
    }
    assert!(taken >= 3);
    opened.log.sync().unwrap();
    for limit in [Some(1500), None] {
        folder.limit_to(limit);
        opened.log.probe_disk(0);
        assert_eq!(opened.log.is_disk_full(), limit.is_some());
        assert_eq!(opened.log.has_room_for(200), limit.is_none());
    }
    let files = folder.list().unwrap();
    assert!(files.iter().all(|file| file.name != "probe"), "{files:?}");
    append(&mut opened.log, 1, &[3; 200]).unwrap();
    opened.log.sync().unwrap();
    assert_eq!(read_open(&folder, &opened).0.len(), taken + 1);
}

#[test]
fn a_full_disk_gets_back_all_that_is_done_though_nothing_more_comes() {
    // One segment, and two of which the second is not done.
    for (records, left) in [(3, 0), (12, 1)] {
        let folder = MemoryFolder::default();
        let mut opened = open_with(&folder, LARGE);
        for _ in 0..records {
            append(&mut opened.log, 1, &[1; BYTES]).unwrap();
        }
        folder.limit_to(Some(folder.bytes()));
        append(&mut opened.log, 1, &[2; BYTES]).unwrap_err();
        opened.log.sync().unwrap();
        let low = opened.log.next() - left;
        checkpoint(&mut opened, low);
        opened.log.purge(&Acked::below(low)).unwrap();
        opened.log.probe_disk(BYTES as u64);
        assert!(!opened.log.is_disk_full(), "{records} records");
    }
}

#[test]
fn a_done_segment_makes_room_for_one_that_cannot_be_begun() {
    let folder = MemoryFolder::default();
    let options = Options {
        max_bytes: 10 * LARGE.segment_bytes,
        ..LARGE
    };
    let mut opened = open_with(&folder, options);
    for _ in 0..9 {
        append(&mut opened.log, 1, &[1; BYTES]).unwrap();
    }
    opened.log.sync().unwrap();
    let end = opened.log.next();
    checkpoint(&mut opened, end);
    opened.log.purge(&Acked::below(end)).unwrap();
    folder.limit_to(Some(folder.bytes()));
    append(&mut opened.log, 1, &[2; BYTES]).unwrap_err();
    append(&mut opened.log, 1, &[2; BYTES]).unwrap();
}

#[test]
fn a_disk_is_full_until_there_is_room_for_what_found_none() {
    const KIB: u64 = 1024;
    let folder = MemoryFolder::default();
    let options = Options {
        segment_bytes: 1024 * KIB,
        max_bytes: 4096 * KIB,
        ..OPTIONS
    };
    let mut log = open_with(&folder, options).log;
    append(&mut log, 1, &[1; 200]).unwrap();
    let record = vec![2; 1200 * KIB as usize];
    folder.limit_to(Some(folder.bytes() + 100 * KIB));
    append(&mut log, 1, &record).unwrap_err();
    let taken = folder.bytes();
    for (left, payload, is_full) in [(0, 0, true), (100, 1200, true), (1220, 1200, false)] {
        folder.limit_to(Some(taken + left * KIB));
        log.probe_disk(payload * KIB);
        assert_eq!(log.is_disk_full(), is_full, "{left} KiB for {payload}");
    }
    assert_eq!(folder.bytes(), taken, "probes leave nothing behind");
    append(&mut log, 1, &record).unwrap();
}

#[test]
fn a_group_that_a_full_disk_cuts_is_refused_whole_and_leaves_no_record_behind() {
    let folder = MemoryFolder::default();
    let mut opened = open_with(&folder, LARGE);
    let payload = vec![1; BYTES];
    append(&mut opened.log, 1, &payload).unwrap();
    let room_for_three = 3 * (HEAD_BYTES + BYTES) + 50;
    folder.limit_to(Some(folder.bytes() + room_for_three as u64));
    assert_eq!(
        append_group(&mut opened.log, &[(1, &payload[..]); 4]),
        [Err(Refused::Full); 4]
    );
    assert!(opened.log.is_disk_full());
    append(&mut opened.log, 1, &payload).unwrap();
    opened.log.sync().unwrap();
    folder.kill();
    let opened = open_with(&folder, LARGE);
    assert_eq!(read_open(&folder, &opened).0.len(), 2);
}

#[test]
fn a_log_without_its_lock_or_its_checkpoint_is_opened_on_a_full_disk() {
    for name in ["lock", "checkpoint-a"] {
        let folder = MemoryFolder::default();
        let mut opened = open(&folder);
        append(&mut opened.log, 1, &[1; 200]).unwrap();
        opened.log.sync().unwrap();
        folder.kill();
        folder.remove(name).unwrap();
        folder.limit_to(Some(folder.bytes()));
        let opened = open(&folder);
        assert_eq!(read_open(&folder, &opened).0.len(), 1, "{name}");
    }
}

#[test]
fn a_checkpoint_of_many_ranges_needs_neither_room_nor_a_file_handle_and_is_read_whole() {
    const RANGES: u32 = 5000;
    let folder = MemoryFolder::default();
    let mut opened = open(&folder);
    let make_room = opened.checkpoints.make_room_for(RANGES as usize);
    make_room.unwrap();
    let first = append(&mut opened.log, 2 * RANGES + 1, &[1; 200]).unwrap();
    opened.log.sync().unwrap();
    folder.limit_to(Some(folder.bytes()));
    folder.run_out_of_handles(true);
    let mut acked = Acked::below(first);
    for position in (first + 1..opened.log.next()).step_by(2) {
        acked.ack(position..position + 1);
    }
    // To either file.
    for written_at in [1, 2] {
        let checkpoint = Checkpoint {
            acked: acked.clone(),
            settled: opened.log.synced(),
            bookmark: first,
            written_at,
        };
        opened.checkpoints.write(&checkpoint).unwrap();
        folder.run_out_of_handles(false);
        let (_, found) = Checkpoints::find(shared(&folder)).unwrap();
        assert_eq!(found, Some(checkpoint));
        folder.run_out_of_handles(true);
    }
    assert!(
        Checkpoints::find(shared(&folder)).is_err(),
        "what cannot be looked at may be there"
    );
}

/// A log of some segments all of whose events are done, on a disk that has not even room to write something over.
fn full_to_the_last_byte() -> (MemoryFolder, Opened) {
    let folder = MemoryFolder::default();
    let mut opened = open(&folder);
    for number in 0..20 {
        append(&mut opened.log, 1, &[number; 200]).unwrap();
    }
    opened.log.sync().unwrap();
    folder.limit_strictly(true);
    folder.limit_to(Some(folder.bytes()));
    append(&mut opened.log, 1, &[20; 200]).unwrap_err();
    (folder, opened)
}

#[test]
fn a_checkpoint_finds_room_where_writing_over_takes_some() {
    let (folder, mut opened) = full_to_the_last_byte();
    let end = opened.log.next();
    let full = folder.bytes();
    // To either file, and as often as it takes until there is something to give back.
    for low in end - 6..=end {
        checkpoint(&mut opened, low);
        let (_, found) = Checkpoints::find(shared(&folder)).unwrap();
        assert_eq!(found.unwrap().acked, Acked::below(low));
        append(&mut opened.log, 1, &[20; 200]).unwrap_err();
        assert_eq!(folder.bytes(), full);
    }
    opened.log.purge(&Acked::below(end)).unwrap();
    append(&mut opened.log, 1, &[20; 200]).unwrap();
}

#[test]
fn a_log_is_opened_where_nothing_can_be_cut_or_made() {
    let (folder, opened) = full_to_the_last_byte();
    let held = read_open(&folder, &opened).0.len();
    for gone in [None, Some("checkpoint-b")] {
        folder.kill();
        if let Some(name) = gone {
            folder.remove(name).unwrap();
        }
        folder.limit_strictly(true);
        folder.limit_to(Some(folder.bytes()));
        let opened = open(&folder);
        assert_eq!(read_open(&folder, &opened).0.len(), held);
    }
}

#[test]
fn what_was_refused_and_cannot_be_cut_off_keeps_others_out_until_it_can_be() {
    let folder = MemoryFolder::default();
    let mut opened = open_with(&folder, LARGE);
    append(&mut opened.log, 1, &[1; BYTES]).unwrap();
    folder.limit_strictly(true);
    folder.limit_to(Some(folder.bytes() + 2 * BYTES as u64 + 500));
    let refused: [(u32, &[u8]); 3] = [(1, &[2; BYTES]), (1, &[3; BYTES]), (1, &[4; BYTES])];
    assert_eq!(
        append_group(&mut opened.log, &refused),
        [Err(Refused::Full); 3]
    );
    append(&mut opened.log, 1, &[]).unwrap_err();
    folder.limit_to(None);
    append(&mut opened.log, 1, &[5; BYTES]).unwrap();
    opened.log.sync().unwrap();
    folder.kill();
    let opened = open_with(&folder, LARGE);
    let (read, _) = read_open(&folder, &opened);
    let first_bytes: Vec<u8> = read.iter().map(|record| record.payload[0]).collect();
    assert_eq!(first_bytes, [1, 5]);
}

#[test]
fn a_spare_file_that_cannot_be_written_over_makes_room() {
    let (folder, mut opened) = full_to_the_last_byte();
    let end = opened.log.next();
    folder.limit_to(None);
    opened.log.probe_disk(0);
    checkpoint(&mut opened, end);
    opened.log.purge(&Acked::below(end)).unwrap();
    let spares = |folder: &MemoryFolder| {
        let files = folder.list().unwrap();
        files
            .iter()
            .filter(|file| file.name.ends_with(".spare"))
            .count()
    };
    assert!(spares(&folder) > 0);
    folder.limit_to(Some(folder.bytes()));
    // So long that it needs a new segment.
    append(&mut opened.log, 1, &[30; 900]).unwrap_err();
    append(&mut opened.log, 1, &[30; 900]).unwrap();
}

#[test]
fn a_checkpoint_in_a_file_that_was_made_anew_outlasts_a_loss_of_power() {
    for seed in 0..20 {
        let (folder, mut opened) = full_to_the_last_byte();
        let low = opened.log.next() - 1;
        checkpoint(&mut opened, low - 1);
        // Somebody else takes what is free once the file is removed, but for a few bytes.
        folder.limit_to(Some(folder.bytes() - 4096 + 10));
        let next = Checkpoint {
            acked: Acked::below(low),
            settled: opened.log.synced(),
            bookmark: 0,
            written_at: 0,
        };
        opened.checkpoints.write(&next).unwrap_err();
        folder.limit_to(None);
        opened.checkpoints.write(&next).unwrap();
        folder.lose_power(seed);
        let (_, found) = Checkpoints::find(shared(&folder)).unwrap();
        assert_eq!(found, Some(next));
    }
}
