//! Bytes that go bad: what they hit is lost and reported, exactly; everything else is read.

use std::ops::Range;

use seglog::testing::MemoryFolder;
use seglog::{Checkpoint, Damage, Folder, HEAD_BYTES, HEADER_BYTES, Opened, Position};

use crate::support::{OPTIONS, Read, append, checkpoint, open, payload, read_open, shared};

/// Bytes of a record whose payload has 100.
const RECORD_BYTES: u64 = HEAD_BYTES as u64 + 100;
/// How many of them fit into a segment.
const EACH: u64 = 6;
const HEADER: u64 = HEADER_BYTES as u64;

/// A log of three segments: records of two events each, the last segment half full. `knows`: the checkpoint knows that
/// all of it was synced.
fn prepare(knows: bool) -> (MemoryFolder, Vec<Read>) {
    let folder = MemoryFolder::default();
    let mut opened = open(&folder);
    for number in 0..2 * EACH + 3 {
        append(&mut opened.log, 2, &payload(number, 100)).unwrap();
        opened.log.sync().unwrap();
    }
    if knows {
        checkpoint(&mut opened, 100);
    }
    folder.kill();
    let opened = open(&folder);
    assert_eq!(opened.log.segments().len(), 3);
    let (records, damages) = read_open(&folder, &opened);
    assert!(damages.is_empty() && records.len() as u64 == 2 * EACH + 3);
    folder.kill();
    (folder, records)
}

fn name(generation: u64) -> String {
    format!("{generation:020}.seg")
}

/// The bytes of a record in its segment.
fn bytes_of(number: u64) -> Range<u64> {
    let start = HEADER + number % EACH * RECORD_BYTES;
    start..start + RECORD_BYTES
}

fn positions(numbers: Range<u64>) -> Range<Position> {
    100 + 2 * numbers.start..100 + 2 * numbers.end
}

/// Opens a damaged log twice, since opening mends; what was read both times.
fn read_twice(folder: &MemoryFolder) -> (Opened, Vec<Read>, Vec<Damage>) {
    let (records, damages) = read_open(folder, &open(folder));
    folder.kill();
    let opened = open(folder);
    assert_eq!(
        read_open(folder, &opened),
        (records.clone(), damages.clone())
    );
    (opened, records, damages)
}

/// Checks that these records are lost, and nothing else; what was reported.
fn expect_lost(
    folder: &MemoryFolder,
    all: &[Read],
    lost: Range<u64>,
    context: &str,
) -> Vec<Damage> {
    let (mut opened, records, damages) = read_twice(folder);
    let mut expected = all.to_vec();
    expected.drain(lost.start as usize..lost.end as usize);
    assert_eq!(records, expected, "{context}");
    let reported: Vec<Position> = damages
        .iter()
        .flat_map(|one| one.positions.clone())
        .collect();
    assert_eq!(
        reported,
        positions(lost).collect::<Vec<_>>(),
        "{damages:?} {context}"
    );
    // The log goes on behind all that was given out.
    let next = append(&mut opened.log, 1, b"more").unwrap();
    assert_eq!(next, 100 + 2 * all.len() as u64, "{context}");
    opened.log.sync().unwrap();
    let (records, _) = read_open(folder, &opened);
    assert_eq!(
        records.last().map(|last| last.first),
        Some(next),
        "{context}"
    );
    damages
}

#[test]
fn a_bad_bit_costs_the_record_that_it_hits_and_is_reported_with_its_place() {
    for generation in [1, 3] {
        let (sound, all) = prepare(true);
        let records = if generation == 1 {
            0..EACH
        } else {
            2 * EACH..2 * EACH + 3
        };
        let end = HEADER + (records.end - records.start) * RECORD_BYTES;
        for at in 0..end {
            let folder = sound.copy();
            folder.damage(&name(generation), |bytes| {
                bytes[at as usize] ^= 1 << (at % 8);
            });
            let context = format!("byte {at} of segment {generation}");
            let Some(number) = at
                .checked_sub(HEADER)
                .map(|at| records.start + at / RECORD_BYTES)
            else {
                assert_eq!(
                    expect_lost(&folder, &all, 0..0, &context),
                    vec![],
                    "{context}"
                );
                continue;
            };
            let damages = expect_lost(&folder, &all, number..number + 1, &context);
            let expected = Damage {
                generation,
                bytes: bytes_of(number),
                positions: positions(number..number + 1),
            };
            // Of the last one in a sealed file nothing tells where it ended.
            let is_open_ended =
                number + 1 == EACH && (at - HEADER) % RECORD_BYTES < HEAD_BYTES as u64;
            if !is_open_ended {
                assert_eq!(damages, [expected], "{context}");
            }
            assert!(damages.len() == 1 && damages[0].bytes.start == bytes_of(number).start);
        }
    }
}

#[test]
fn a_bad_last_record_that_nobody_knows_to_be_synced_is_a_torn_tail() {
    let (folder, all) = prepare(false);
    let last = all.len() as u64 - 1;
    folder.damage(&name(3), |bytes| {
        bytes[bytes_of(last).start as usize + 70] ^= 1;
    });
    let opened = open(&folder);
    assert_eq!(opened.torn_bytes, RECORD_BYTES);
    let (records, damages) = read_open(&folder, &opened);
    assert!(damages.is_empty());
    assert_eq!(records, all[..all.len() - 1]);
}

#[test]
fn a_bad_record_that_was_settled_is_damage_though_it_was_never_synced() {
    let folder = MemoryFolder::default();
    let mut opened = open(&folder);
    append(&mut opened.log, 2, &payload(0, 100)).unwrap();
    opened.log.settle();
    assert_eq!(opened.log.settled(), 102);
    append(&mut opened.log, 2, &payload(1, 100)).unwrap();
    folder.kill();
    folder.damage(&name(1), |bytes| bytes[HEADER_BYTES] ^= 1);
    let (_, records, damages) = read_twice(&folder);
    assert_eq!(records.len(), 1);
    assert_eq!(damages.len(), 1);
    assert_eq!(damages[0].positions, 100..102);
}

#[test]
fn damage_before_the_last_record_is_known_by_the_records_after_it() {
    let (sound, all) = prepare(false);
    for number in 2 * EACH..2 * EACH + 2 {
        let folder = sound.copy();
        folder.damage(&name(3), |bytes| {
            bytes[bytes_of(number).start as usize] ^= 1;
        });
        expect_lost(&folder, &all, number..number + 1, "first or second");
    }
}

#[test]
fn a_segment_that_is_zeroed_or_truncated_or_gone_costs_its_own_records() {
    for generation in 1..=3 {
        let first = (generation - 1) * EACH;
        for keep in 0..=EACH {
            for ruin in ["zero", "cut"] {
                let (folder, all) = prepare(true);
                let records = first..all.len().min((first + EACH) as usize) as u64;
                let kept = (records.start + keep).min(records.end);
                let from = (HEADER + keep * RECORD_BYTES) as usize;
                folder.damage(&name(generation), |bytes| match ruin {
                    "zero" => {
                        let from = from.min(bytes.len());
                        bytes[from..].fill(0);
                    }
                    _ => bytes.truncate(from + 30),
                });
                let context = format!("{ruin} segment {generation} behind {keep} records");
                expect_lost(&folder, &all, kept..records.end, &context);
            }
        }
        for ruin in ["zero", "cut", "remove"] {
            let (folder, all) = prepare(true);
            match ruin {
                "zero" => folder.damage(&name(generation), |bytes| bytes.fill(0)),
                "cut" => folder.damage(&name(generation), Vec::clear),
                _ => folder.remove(&name(generation)).unwrap(),
            }
            let records = first..all.len().min((first + EACH) as usize) as u64;
            let context = format!("{ruin} segment {generation}");
            let damages = expect_lost(&folder, &all, records, &context);
            assert_eq!(damages.len(), 1, "{context}");
        }
    }
}

#[test]
fn a_stretch_of_zeros_costs_the_records_that_it_touches() {
    let (sound, all) = prepare(true);
    for (from, to, lost) in [
        (80, 90, 0..1),
        (200, 600, 0..4),
        (250, 500, 1..3),
        (0, 230, 0..2),
    ] {
        let folder = sound.copy();
        folder.damage(&name(2), |bytes| bytes[from..to].fill(0));
        let lost = lost.start + EACH..lost.end + EACH;
        let damages = expect_lost(&folder, &all, lost.clone(), &format!("{from}..{to}"));
        let held: Vec<u64> = damages.iter().flat_map(|one| one.bytes.clone()).collect();
        let expected = bytes_of(lost.start).start..bytes_of(lost.end - 1).end;
        assert_eq!(held, expected.collect::<Vec<_>>(), "{from}..{to}");
    }
}

#[test]
fn garbage_behind_the_end_is_cut_and_an_empty_newest_file_is_removed() {
    for knows in [false, true] {
        let (folder, all) = prepare(knows);
        folder.damage(&name(3), |bytes| {
            bytes.extend_from_slice(&[0xFE, b'H', b'G', 0xFF].repeat(200));
        });
        folder.damage(&name(2), |bytes| bytes.extend_from_slice(&[7; 5000]));
        folder.put(&name(4), vec![]);
        expect_lost(&folder, &all, 0..0, "garbage");
    }
}

#[test]
fn one_bad_checkpoint_falls_back_to_the_other_and_two_to_the_oldest_segment() {
    let (folder, all) = prepare(true);
    let mut opened = open(&folder);
    for low in [104, 108] {
        checkpoint(&mut opened, low);
    }
    folder.kill();
    // The one that was found is written again at each opening, into the other file.
    let sequence = |name: &str| folder.contents(name)[16];
    let mut names = ["checkpoint-a", "checkpoint-b"];
    names.sort_by_key(|name| sequence(name));
    let [older, newest] = names;
    folder.damage(newest, |bytes| bytes[41] ^= 1);
    let is_lost = || has_lost_checkpoint(&folder);
    assert!(!is_lost(), "one may be what a crash has torn");
    let opened = open(&folder);
    assert_eq!(opened.acked.low(), 104);
    assert_eq!(read_open(&folder, &opened).0, all[2..]);
    folder.kill();
    folder.damage(older, |bytes| bytes.truncate(59));
    folder.damage(newest, |bytes| bytes[57] ^= 1);
    assert!(is_lost());
    let mut opened = open(&folder);
    assert_eq!(
        (opened.acked.low(), opened.checkpoint_written_at),
        (100, None)
    );
    assert_eq!(read_open(&folder, &opened), (all, vec![]));
    checkpoint(&mut opened, 112);
    folder.kill();
    assert_eq!(open(&folder).acked.low(), 112);
}

fn has_lost_checkpoint(folder: &MemoryFolder) -> bool {
    let survey = seglog::survey(&shared(folder));
    survey.unwrap().has_lost_checkpoint
}

#[test]
fn a_checkpoint_that_is_gone_is_lost_and_one_that_was_never_written_is_not() {
    let folder = MemoryFolder::default();
    let mut opened = open(&folder);
    assert!(!has_lost_checkpoint(&folder));
    append(&mut opened.log, 1, &[1; 200]).unwrap();
    opened.log.sync().unwrap();
    folder.kill();
    assert!(!has_lost_checkpoint(&folder));
    folder.remove("checkpoint-b").unwrap();
    assert!(!has_lost_checkpoint(&folder), "the first one goes into -a");
    folder.remove("checkpoint-a").unwrap();
    assert!(has_lost_checkpoint(&folder));
    assert_eq!(read_open(&folder, &open(&folder)).0.len(), 1);
    assert!(!has_lost_checkpoint(&MemoryFolder::default()));
}

#[test]
fn damage_is_set_aside_byte_for_byte() {
    let (folder, _) = prepare(true);
    let bytes = bytes_of(EACH + 2);
    folder.damage(&name(2), |contents| contents[bytes.start as usize + 5] ^= 8);
    let (_opened, _, damages) = read_twice(&folder);
    let aside = seglog::set_aside(&folder, &damages[0]).unwrap().unwrap();
    assert_eq!(aside, format!("damaged-{:020}-{}", 2, bytes.start));
    let contents = folder.contents(&name(2));
    assert_eq!(
        folder.contents(&aside),
        contents[bytes.start as usize..bytes.end as usize]
    );
    assert_eq!(
        seglog::survey(&shared(&folder)).unwrap().set_aside[0].name,
        aside
    );
}

#[test]
fn what_was_set_aside_outlasts_a_loss_of_power() {
    for seed in 120..140 {
        let (folder, _) = prepare(true);
        let byte = bytes_of(EACH + 2).start as usize + 5;
        folder.damage(&name(2), |contents| contents[byte] ^= 8);
        let (_opened, _, damages) = read_twice(&folder);
        let aside = seglog::set_aside(&folder, &damages[0]).unwrap().unwrap();
        folder.lose_power(seed);
        let entries = folder.list().unwrap();
        assert!(entries.iter().any(|entry| entry.name == aside), "{seed}");
    }
}

#[test]
fn a_reader_goes_on_behind_a_damaged_record_at_the_end_of_the_segment_being_written() {
    let folder = MemoryFolder::default();
    let mut opened = open(&folder);
    append(&mut opened.log, 2, &payload(0, 100)).unwrap();
    opened.log.sync().unwrap();
    folder.damage(&name(1), |bytes| bytes[HEADER_BYTES] ^= 1);
    let mut reader = seglog::Reader::from(shared(&folder), &opened.log.segments(), 100);
    let found = reader.next(&opened.log.segments(), 102).unwrap();
    assert!(
        matches!(found, seglog::Found::Damage(ref damage) if damage.bytes == bytes_of(0)),
        "{found:?}"
    );
    for number in 1..3 {
        append(&mut opened.log, 2, &payload(number, 100)).unwrap();
        opened.log.sync().unwrap();
        let found = reader
            .next(&opened.log.segments(), opened.log.synced())
            .unwrap();
        assert!(
            matches!(found, seglog::Found::Record(record) if record.first == 100 + 2 * number),
            "{found:?}"
        );
    }
}

#[test]
fn a_checkpoint_that_knows_more_than_there_is_makes_damage_of_the_end() {
    let (folder, all) = prepare(true);
    let mut opened = open(&folder);
    let synced = opened.log.synced() + 7;
    let checkpoint = Checkpoint {
        acked: seglog::Acked::below(100),
        settled: synced,
        bookmark: 0,
        written_at: 0,
    };
    opened.checkpoints.write(&checkpoint).unwrap();
    folder.kill();
    let (opened, records, damages) = read_twice(&folder);
    assert_eq!(records, all);
    assert_eq!(damages.len(), 1);
    assert_eq!(damages[0].positions, synced - 7..synced);
    assert_eq!(opened.log.next(), synced);
    assert_eq!(OPTIONS.first_position, 100);
}
