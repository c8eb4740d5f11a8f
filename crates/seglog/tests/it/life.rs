//! One life of a log: what is appended and synced is read again, in order, with its bytes.

use seglog::testing::MemoryFolder;
use seglog::{
    Acked, Checkpoint, Checksum, Folder, Found, Log, OpenError, Opened, Options, Record, Refused,
    VERSION, Walk,
};

use crate::support::{
    OPTIONS, Read, append, append_group, checkpoint, open, open_with, payload, read_between,
    shared, taken,
};

fn try_open(folder: &MemoryFolder) -> Result<Opened, OpenError> {
    Log::open(&shared(folder), OPTIONS)
}

fn read_all(folder: &MemoryFolder, log: &Log, from: u64) -> Vec<(u64, Vec<u8>)> {
    let (records, damages) = read_between(folder, &log.segments(), from, log.synced());
    assert!(damages.is_empty(), "{damages:?}");
    let pair = |record: Read| (record.first, record.payload);
    records.into_iter().map(pair).collect()
}

#[test]
fn records_are_read_as_they_were_appended_over_restarts_and_segments() {
    let folder = MemoryFolder::default();
    let mut expected = Vec::new();
    for round in 0..4_u8 {
        let mut opened = open(&folder);
        for number in 0..10_u8 {
            let payload = vec![round * 10 + number; 200];
            let first = append(&mut opened.log, 3, &payload).unwrap();
            expected.push((first, payload));
        }
        opened.log.sync().unwrap();
        assert_eq!(read_all(&folder, &opened.log, 100), expected);
        folder.kill();
    }
    let positions: Vec<u64> = expected.iter().map(|(first, _)| *first).collect();
    assert_eq!(
        positions,
        (0..40).map(|number| 100 + 3 * number).collect::<Vec<_>>()
    );
}

#[test]
fn a_system_that_moves_a_few_bytes_at_a_time_and_is_interrupted_changes_nothing() {
    let folder = MemoryFolder::default();
    folder.move_at_once(7);
    let mut opened = open(&folder);
    let payloads: Vec<_> = (0..3).map(|number| payload(number, 300)).collect();
    let group: Vec<_> = payloads.iter().map(|payload| (1, &payload[..])).collect();
    append_group(&mut opened.log, &group);
    opened.log.sync().unwrap();
    let read = read_all(&folder, &opened.log, 100);
    let read: Vec<_> = read.into_iter().map(|(_, payload)| payload).collect();
    assert_eq!(read, payloads);
}

#[test]
fn a_record_longer_than_a_segment_gets_one_of_its_own() {
    let folder = MemoryFolder::default();
    let mut opened = open(&folder);
    for bytes in [10, 3000, 20] {
        append(&mut opened.log, 1, &vec![1; bytes]).unwrap();
    }
    opened.log.sync().unwrap();
    assert_eq!(opened.log.segments().len(), 3);
    let lengths: Vec<usize> = read_all(&folder, &opened.log, 100)
        .iter()
        .map(|(_, payload)| payload.len())
        .collect();
    assert_eq!(lengths, [10, 3000, 20]);
    assert_eq!(
        append(&mut opened.log, 1, &vec![1; 20_000]),
        Err(Refused::TooLarge)
    );
}

#[test]
fn a_group_longer_than_a_segment_goes_over_several() {
    let folder = MemoryFolder::default();
    let mut opened = open(&folder);
    append(&mut opened.log, 1, &[0; 500]).unwrap();
    let known = opened.log.segments()[0].generation;
    let group: Vec<(u32, &[u8])> = vec![(1, &[1; 200]); 20];
    assert!(
        append_group(&mut opened.log, &group)
            .iter()
            .all(Result::is_ok)
    );
    opened.log.sync().unwrap();
    assert_eq!(read_all(&folder, &opened.log, 100).len(), 21);
    let segments = opened.log.segments();
    assert!(segments.len() > 3);
    assert!(
        segments
            .iter()
            .all(|segment| segment.used_bytes <= OPTIONS.segment_bytes)
    );
    let later: Vec<_> = opened.log.segments_from(known + 1).cloned().collect();
    assert_eq!(later, segments[1..]);
}

#[test]
fn the_files_never_take_more_than_the_limit_and_purging_makes_room() {
    let folder = MemoryFolder::default();
    let mut opened = open(&folder);
    for round in 0..5 {
        let mut last = 0;
        loop {
            match append(&mut opened.log, 1, &[round; 200]) {
                Ok(first) => last = first,
                Err(refused) => {
                    assert_eq!(refused, Refused::Full);
                    break;
                }
            }
            assert!(taken(&folder) <= OPTIONS.max_bytes);
        }
        assert!(last >= 100 + 59, "only {last} fit");
        opened.log.sync().unwrap();
        opened
            .log
            .purge(&Acked::below(opened.log.synced()))
            .unwrap();
        while opened.log.has_surplus() {
            opened
                .log
                .purge(&Acked::below(opened.log.synced()))
                .unwrap();
        }
        assert!(
            taken(&folder) <= 2 * OPTIONS.segment_bytes,
            "space comes back"
        );
    }
}

#[test]
fn what_is_done_is_given_back_behind_an_event_that_stays_open() {
    let folder = MemoryFolder::default();
    let mut opened = open(&folder);
    let mut acked = Acked::below(OPTIONS.first_position);
    for number in 0..400 {
        let first = append(&mut opened.log, 1, &payload(number, 300));
        let first = first.expect("the rest of the log is used again");
        opened.log.sync().unwrap();
        if number != 4 {
            acked.ack(first..first + 1);
        }
        let checkpoint = Checkpoint {
            acked: acked.clone(),
            settled: opened.log.synced(),
            bookmark: 0,
            written_at: 0,
        };
        opened.checkpoints.write(&checkpoint).unwrap();
        opened.log.purge(&acked).unwrap();
    }
    folder.kill();
    for _ in 0..2 {
        let opened = open(&folder);
        assert_eq!(opened.open_events(), 1);
        let survey = seglog::survey(&shared(&folder)).unwrap();
        let walked = |mut walk: Walk| {
            let mut records = 0;
            loop {
                match walk.step().unwrap() {
                    Found::Record(_) => records += 1,
                    Found::Damage(damage) => panic!("{damage:?}"),
                    Found::End => return records,
                }
            }
        };
        let all = walked(Walk::over_all(shared(&folder), &survey));
        assert!(all < 20, "{all} of 400");
        walked(Walk::over_open(shared(&folder), &survey));
        let (records, _) = read_between(&folder, &opened.log.segments(), 104, 105);
        assert_eq!(records[0].payload, payload(4, 300));
    }
}

#[test]
fn as_many_files_are_kept_as_are_filled_between_two_purges() {
    let folder = MemoryFolder::default();
    let mut opened = open(&folder);
    let spares = || {
        let entries = folder.list().unwrap();
        let spare = |entry: &&seglog::Entry| entry.name.ends_with(".spare");
        entries.iter().filter(spare).count()
    };
    let fill = |opened: &mut Opened| {
        for _ in 0..12 {
            append(&mut opened.log, 1, &[1; 300]).unwrap();
        }
        opened.log.sync().unwrap();
        let next = opened.log.next();
        checkpoint(opened, next);
        opened.log.purge(&Acked::below(next)).unwrap();
    };
    fill(&mut opened);
    fill(&mut opened);
    let kept = spares();
    assert!(kept >= 3, "{kept}");
    let bytes = taken(&folder);
    for _ in 0..5 {
        fill(&mut opened);
        assert_eq!(
            taken(&folder),
            bytes,
            "all are made of files that were kept"
        );
    }
    folder.kill();
    let mut opened = open(&folder);
    while opened.log.has_surplus() {
        let before = spares();
        opened
            .log
            .purge(&Acked::below(opened.log.synced()))
            .unwrap();
        assert!(spares() >= before - 1, "one at a time");
    }
    assert_eq!(spares(), 1, "of no use to one that has just begun");
    fill(&mut opened);
    fill(&mut opened);
    assert_eq!(spares(), kept);
}

#[test]
fn files_that_are_longer_together_than_they_may_be_are_given_up_at_the_start() {
    let folder = MemoryFolder::default();
    let mut opened = open(&folder);
    for _ in 0..12 {
        append(&mut opened.log, 1, &[1; 300]).unwrap();
    }
    opened.log.sync().unwrap();
    let next = opened.log.next();
    checkpoint(&mut opened, next);
    opened.log.purge(&Acked::below(next)).unwrap();
    folder.kill();
    // As after a loss of power that undid a removal: there are more spare files than there is room for.
    let lowered = Options {
        max_bytes: 2 * OPTIONS.segment_bytes,
        ..OPTIONS
    };
    assert!(taken(&folder) > lowered.max_bytes);
    let opened = open_with(&folder, lowered);
    assert!(taken(&folder) <= lowered.max_bytes);
    assert_eq!(taken(&folder) + opened.log.room(), lowered.max_bytes);
}

#[test]
fn a_purged_segment_is_written_again_and_its_old_records_are_dead() {
    let folder = MemoryFolder::default();
    let mut opened = open(&folder);
    for _ in 0..4 {
        append(&mut opened.log, 1, &[1; 300]).unwrap();
    }
    opened.log.sync().unwrap();
    opened.log.purge(&Acked::below(103)).unwrap();
    assert!(
        folder
            .list()
            .unwrap()
            .iter()
            .any(|entry| entry.name.ends_with(".spare"))
    );
    for _ in 0..3 {
        append(&mut opened.log, 1, &[2; 300]).unwrap();
    }
    opened.log.sync().unwrap();
    assert!(
        !folder
            .list()
            .unwrap()
            .iter()
            .any(|entry| entry.name.ends_with(".spare"))
    );
    let held = read_all(&folder, &opened.log, 103);
    assert_eq!(held.len(), 4);
    opened
        .checkpoints
        .write(&Checkpoint {
            acked: Acked::below(103),
            settled: 107,
            bookmark: 0,
            written_at: 0,
        })
        .unwrap();
    folder.kill();
    let opened = open(&folder);
    assert_eq!(read_all(&folder, &opened.log, 103), held);
    assert_eq!(opened.log.next(), 107);
}

#[test]
fn running_out_of_open_files_refuses_and_goes_on_when_there_are_some() {
    let folder = MemoryFolder::default();
    let mut opened = open(&folder);
    let mut taken = 0;
    folder.run_out_of_handles(true);
    assert_eq!(append(&mut opened.log, 1, &[1; 200]), Err(Refused::Full));
    for _ in 0..3 {
        folder.run_out_of_handles(false);
        append(&mut opened.log, 1, &[1; 200]).unwrap();
        taken += 1;
        folder.run_out_of_handles(true);
        while append(&mut opened.log, 1, &[1; 200]).is_ok() {
            taken += 1;
        }
        // What is synced can be acknowledged all the same.
        opened.log.sync().unwrap();
    }
    assert_eq!(opened.log.synced(), 100 + taken);
    folder.run_out_of_handles(false);
    assert_eq!(read_all(&folder, &opened.log, 100).len() as u64, taken);
}

#[test]
fn a_second_process_is_kept_out_and_a_newer_format_untouched() {
    let folder = MemoryFolder::default();
    let mut opened = open(&folder);
    append(&mut opened.log, 1, &[1; 200]).unwrap();
    opened.log.sync().unwrap();
    let again = try_open(&folder);
    assert!(matches!(again, Err(OpenError::Locked { .. })), "{again:?}");
    drop(again);
    folder.kill();
    for name in [opened.log.segments()[0].name(), "lock".to_owned()] {
        let folder = folder.copy();
        folder.damage(&name, |bytes| {
            bytes[8..12].copy_from_slice(&(VERSION + 1).to_le_bytes());
            let checksum = crc32fast::hash(&bytes[..12]);
            bytes[12..16].copy_from_slice(&checksum.to_le_bytes());
        });
        let (names, before) = (folder.list().unwrap(), folder.contents(&name));
        let newer = try_open(&folder);
        assert!(
            matches!(newer, Err(OpenError::Newer { version, .. }) if version == VERSION + 1),
            "{newer:?}"
        );
        assert_eq!(
            (folder.list().unwrap(), folder.contents(&name)),
            (names, before)
        );
    }
}

#[test]
fn nothing_is_taken_after_a_sync_that_failed() {
    let folder = MemoryFolder::default();
    let mut opened = open(&folder);
    append(&mut opened.log, 1, &[1; 20]).unwrap();
    opened.log.sync().unwrap();
    append(&mut opened.log, 1, &[2; 20]).unwrap();
    folder.fail_syncs_after(0);
    opened.log.sync().unwrap_err();
    folder.fail_syncs_after(100);
    opened.log.sync().unwrap_err();
    assert_eq!(opened.log.synced(), 101);
    let payload = [3; 20];
    let record = Record {
        events: 1,
        made_at: 0,
        pieces: &[&payload],
        checksum: Checksum::of(&[&payload]),
    };
    opened.log.append(&[record]).unwrap_err();
}

#[test]
fn what_a_failed_sync_left_behind_is_durable_once_it_is_found() {
    for seed in 0..20 {
        let folder = MemoryFolder::default();
        let mut opened = open(&folder);
        append(&mut opened.log, 1, &[1; 700]).unwrap();
        opened.log.sync().unwrap();
        append(&mut opened.log, 1, &[2; 700]).unwrap();
        folder.fail_syncs_after(0);
        opened.log.sync().unwrap_err();
        folder.kill();
        let found = open(&folder).open_events();
        folder.lose_power(seed);
        assert_eq!(open(&folder).open_events(), found, "seed {seed}");
    }
}
