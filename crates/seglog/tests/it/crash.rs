//! A process that is cut off at any byte that it writes, and a machine that loses its power: all that was acknowledged
//! is there, and nothing is taken for damage.

use seglog::testing::MemoryFolder;
use seglog::{Acked, Checkpoint, Folder, Found, Options, Position, Walk};

use crate::support::{
    OPTIONS, Read, append, append_group, checkpoint, open, open_with, payload, read_between,
    read_open, shared, try_append,
};

const SMALL: Options = Options {
    segment_bytes: 400,
    ..OPTIONS
};

/// What a log holds before the write that is cut off: two segments, and a spare file full of old records if so wanted.
/// The records that are not done.
fn prepare(recycled: bool) -> (MemoryFolder, Vec<Read>) {
    let folder = MemoryFolder::default();
    let mut opened = open_with(&folder, SMALL);
    for number in 0..8 {
        append(&mut opened.log, 2, &payload(number, 120)).unwrap();
        opened.log.sync().unwrap();
    }
    let mut low = 100;
    if recycled {
        low = 108;
        checkpoint(&mut opened, low);
        opened.log.purge(&Acked::below(low)).unwrap();
    }
    let (segments, end) = (opened.log.segments(), opened.log.synced());
    let (records, damages) = read_between(&folder, &segments, low, end);
    assert!(damages.is_empty() && records[0].first == low);
    assert!(
        folder
            .list()
            .unwrap()
            .iter()
            .any(|entry| entry.name.ends_with(".spare"))
            == recycled
    );
    folder.kill();
    (folder, records)
}

/// Checks that everything acknowledged is there, followed by a beginning of what was under way, and that writing goes
/// on.
fn check(folder: &MemoryFolder, acknowledged: &[Read], under_way: &[Read], context: &str) {
    let mut opened = open_with(folder, SMALL);
    assert!(opened.unreadable.is_empty(), "{context}");
    let (records, damages) = read_open(folder, &opened);
    assert!(damages.is_empty(), "{damages:?} {context}");
    assert!(records.starts_with(acknowledged), "{context}");
    let more = &records[acknowledged.len()..];
    assert!(under_way.starts_with(more), "{more:?} {context}");
    // What goes on does not bring anything to life that was cut.
    let next = opened.log.next();
    for number in 0..3 {
        append(&mut opened.log, 1, &payload(900 + number, 120)).unwrap();
    }
    opened.log.sync().unwrap();
    let (now, damages) = read_open(folder, &opened);
    assert!(damages.is_empty(), "{damages:?} {context}");
    assert_eq!(now[..records.len()], records, "{context}");
    let added: Vec<Position> = now[records.len()..].iter().map(|one| one.first).collect();
    assert_eq!(added, [next, next + 1, next + 2], "{context}");
    folder.kill();
    checkpoint(&mut open_with(folder, SMALL), next + 3);
    folder.kill();
    let opened = open_with(folder, SMALL);
    assert_eq!(read_open(folder, &opened), (vec![], vec![]), "{context}");
}

fn group(first: Position) -> Vec<Read> {
    let mut next = first;
    let mut record = |number: u64, bytes: usize| {
        let events = 1 + number as u32;
        let first = next;
        next += Position::from(events);
        let payload = payload(50 + number, bytes);
        Read {
            first,
            events,
            payload,
        }
    };
    // The third goes to a new segment, the fourth is longer than one.
    [(0, 60), (1, 0), (2, 250), (3, 450), (4, 30)]
        .map(|(number, bytes)| record(number, bytes))
        .to_vec()
}

/// Appends a group and syncs it, with the process cut off after so many bytes; whether it was.
fn write_group_cut_off_after(folder: &MemoryFolder, bytes: u64) -> bool {
    let mut opened = open_with(folder, SMALL);
    // A segment is begun, so that the cut is in records and not only in a header.
    let group = group(opened.log.next());
    let records: Vec<(u32, &[u8])> = group
        .iter()
        .map(|one| (one.events, one.payload.as_slice()))
        .collect();
    folder.cut_off_after(bytes);
    let outcome = try_append(&mut opened.log, &records).and_then(|placed| {
        assert!(placed.iter().all(Result::is_ok));
        opened.log.sync()
    });
    assert_eq!(outcome.is_err(), folder.is_cut_off());
    folder.is_cut_off()
}

fn cut_at_every_byte(recycled: bool, loses_power: bool) {
    let (prepared, acknowledged) = prepare(recycled);
    for bytes in (0..).step_by(if loses_power { 3 } else { 1 }) {
        let folder = prepared.copy();
        let next = acknowledged.last().map(|last| last.first + 2).unwrap();
        let was_cut = write_group_cut_off_after(&folder, bytes);
        if loses_power {
            folder.lose_power(bytes * 2 + 1);
        } else {
            folder.kill();
        }
        let mut acknowledged = acknowledged.clone();
        let mut under_way = group(next);
        if !was_cut {
            acknowledged.append(&mut under_way);
        }
        check(
            &folder,
            &acknowledged,
            &under_way,
            &format!("cut after {bytes} bytes"),
        );
        if !was_cut {
            assert!(bytes > 1000);
            return;
        }
    }
}

#[test]
fn acknowledged_events_survive_a_kill_at_any_byte() {
    cut_at_every_byte(false, false);
}

#[test]
fn acknowledged_events_survive_a_kill_at_any_byte_of_a_recycled_segment() {
    cut_at_every_byte(true, false);
}

#[test]
fn acknowledged_events_survive_a_power_loss_at_any_byte() {
    cut_at_every_byte(false, true);
    cut_at_every_byte(true, true);
}

#[test]
fn a_power_loss_before_the_sync_keeps_the_acknowledged_and_a_beginning_of_the_rest() {
    for recycled in [false, true] {
        let (prepared, acknowledged) = prepare(recycled);
        for seed in 0..300 {
            let folder = prepared.copy();
            let mut opened = open(&folder);
            // Long enough that a power loss tears it in many ways.
            let group: Vec<Read> = (0..4)
                .map(|number| Read {
                    first: opened.log.next() + number,
                    events: 1,
                    payload: payload(50 + number, 130 + 900 * (number % 2) as usize),
                })
                .collect();
            let records: Vec<(u32, &[u8])> = group
                .iter()
                .map(|one| (one.events, one.payload.as_slice()))
                .collect();
            append_group(&mut opened.log, &records[..2]);
            append_group(&mut opened.log, &records[2..]);
            folder.lose_power(seed * 2 + 1);
            check(
                &folder,
                &acknowledged,
                &group,
                &format!("seed {seed}, recycled: {recycled}"),
            );
        }
    }
}

#[test]
fn a_checkpoint_that_is_cut_at_any_byte_leaves_the_one_before_it() {
    let wide = |low: Position, count: u64| {
        let mut acked = Acked::below(low);
        for range in 0..count {
            acked.ack(low + 2 + 3 * range..low + 3 + 3 * range);
        }
        Checkpoint {
            acked,
            settled: 200,
            bookmark: low,
            written_at: low,
        }
    };
    for loses_power in [false, true] {
        for bytes in 0_u64.. {
            let folder = MemoryFolder::default();
            let mut opened = open(&folder);
            // Longer ones before, so that what is cut has something of theirs behind it.
            for (low, count) in [(100, 20), (101, 20), (102, 3)] {
                opened.checkpoints.write(&wide(low, count)).unwrap();
            }
            folder.cut_off_after(bytes);
            let outcome = opened.checkpoints.write(&wide(103, 5));
            if loses_power {
                folder.lose_power(bytes * 2 + 1);
            } else {
                folder.kill();
            }
            let found = seglog::Checkpoints::find(shared(&folder))
                .unwrap()
                .1
                .unwrap();
            let low = found.acked.low();
            assert!(
                low == 103 || (low == 102 && outcome.is_err()),
                "{low} after {bytes}"
            );
            assert_eq!(found, wide(low, if low == 102 { 3 } else { 5 }));
            if outcome.is_ok() {
                break;
            }
        }
    }
}

#[test]
fn a_crash_in_the_middle_of_opening_changes_nothing_that_counts() {
    let (prepared, acknowledged) = prepare(true);
    write_group_cut_off_after(&prepared, 150);
    prepared.kill();
    for bytes in 0..20 {
        for seed in [None, Some(1), Some(77), Some(12_345)] {
            let folder = prepared.copy();
            folder.cut_off_after(bytes);
            let opened = seglog::Log::open(&shared(&folder), SMALL);
            drop(opened);
            match seed {
                Some(seed) => folder.lose_power(seed),
                None => folder.kill(),
            }
            let next = acknowledged.last().unwrap().first + 2;
            check(
                &folder,
                &acknowledged,
                &group(next),
                &format!("cut after {bytes} bytes, seed {seed:?}"),
            );
        }
    }
}

#[test]
fn a_first_start_that_is_cut_off_at_any_byte_leaves_no_damage_to_be_found() {
    for bytes in 0.. {
        let folder = MemoryFolder::default();
        let was_cut = write_group_cut_off_after(&folder, bytes);
        folder.kill();
        let found = seglog::survey(&shared(&folder)).unwrap();
        for start in [Walk::over_all, Walk::over_open] {
            let mut walk = start(shared(&folder), &found);
            loop {
                match walk.step().unwrap() {
                    Found::Record(_) => {}
                    Found::Damage(damage) => panic!("cut after {bytes} bytes: {damage:?}"),
                    Found::End => break,
                }
            }
        }
        if !was_cut {
            return;
        }
    }
}
