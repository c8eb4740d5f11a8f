//! Places on the disk that cannot be read, and payloads that look like records.

use std::io::ErrorKind;

use seglog::testing::MemoryFolder;
use seglog::{
    Acked, Checksum, HEAD_BYTES, HEADER_BYTES, OpenError, Opened, Options, Position, Record,
};

use crate::support::{
    OPTIONS, Read, append, checkpoint, open, open_with, payload, read_open, shared,
};

/// What the system reads whole or not at all.
const PAGE: usize = 4096;
const RECORD_BYTES: usize = HEAD_BYTES + 1500;
const NAME: &str = "00000000000000000001.seg";

const LONG: Options = Options {
    segment_bytes: 40_000,
    max_bytes: 1_000_000,
    ..OPTIONS
};

fn prepare() -> (MemoryFolder, Vec<Read>) {
    let folder = MemoryFolder::default();
    let mut opened = open_with(&folder, LONG);
    for number in 0..40 {
        append(&mut opened.log, 1, &payload(number, 1500)).unwrap();
        opened.log.sync().unwrap();
    }
    checkpoint(&mut opened, 100);
    let (records, damages) = read_open(&folder, &opened);
    assert!(damages.is_empty() && records.len() == 40);
    folder.kill();
    (folder, records)
}

#[test]
fn a_page_that_cannot_be_read_costs_the_records_on_it() {
    let (sound, all) = prepare();
    let end = HEADER_BYTES + 25 * RECORD_BYTES;
    for page in (0..end).step_by(PAGE) {
        let folder = sound.copy();
        // A single bad byte takes its page along.
        folder.fail_reads_of(NAME, page + 100..page + 101);
        let opened = open_with(&folder, LONG);
        let (records, damages) = read_open(&folder, &opened);
        let is_hit = |number: usize| {
            let start = HEADER_BYTES + number * RECORD_BYTES;
            number < 25 && start < page + PAGE && page < start + RECORD_BYTES
        };
        let expected = all
            .iter()
            .enumerate()
            .filter(|(number, _)| !is_hit(*number));
        assert!(
            expected.map(|(_, record)| record).eq(&records),
            "page at {page}"
        );
        let lost: Vec<Position> = damages
            .iter()
            .flat_map(|one| one.positions.clone())
            .collect();
        let hit = (0..40)
            .filter(|number| is_hit(*number))
            .map(|number| 100 + number as u64);
        assert_eq!(lost, hit.collect::<Vec<_>>(), "page at {page}");
        // What can be read of it is kept.
        for damage in &damages {
            if let Some(name) = seglog::set_aside(&folder, damage).unwrap() {
                let bytes = damage.bytes.end - damage.bytes.start;
                assert_eq!(folder.contents(&name).len() as u64, bytes);
            }
        }
    }
}

#[test]
fn a_file_of_which_nothing_can_be_read_is_set_aside_or_is_no_checkpoint() {
    let (folder, all) = prepare();
    folder.fail_reads_of(NAME, 0..40_000);
    for name in ["checkpoint-a", "lock"] {
        folder.fail_reads_of(name, 0..100);
    }
    let opened = open_with(&folder, LONG);
    assert_eq!(opened.unreadable, ["damaged-00000000000000000001-0"]);
    assert_eq!(
        opened.acked.low(),
        125,
        "without a checkpoint the oldest segment is the beginning"
    );
    assert_eq!(read_open(&folder, &opened), (all[25..].to_vec(), vec![]));
}

#[test]
fn an_error_that_is_no_bad_place_is_an_error() {
    let (folder, _) = prepare();
    folder.cut_off_after(0);
    let opened = seglog::Log::open(&shared(&folder), LONG);
    assert!(matches!(opened, Err(OpenError::Io { .. })), "{opened:?}");
}

#[test]
fn a_file_that_tells_of_numbers_that_no_log_reaches_is_refused() {
    let folder = MemoryFolder::default();
    folder.put(&format!("{:020}.seg", 1_u64 << 62), vec![]);
    let opened = seglog::Log::open(&shared(&folder), LONG);
    assert!(
        matches!(&opened, Err(OpenError::Io { source, .. }) if source.kind() == ErrorKind::InvalidData),
        "{opened:?}"
    );
}

/// A record as it lies in a segment: made by a log of its own.
fn forged(generation: u64, first: Position) -> Vec<u8> {
    let folder = MemoryFolder::default();
    let mut opened = open_with(
        &folder,
        Options {
            first_position: first,
            ..OPTIONS
        },
    );
    append(&mut opened.log, 1, b"forged").unwrap();
    opened.log.sync().unwrap();
    let mut record = folder.contents(NAME)[HEADER_BYTES..HEADER_BYTES + HEAD_BYTES + 6].to_vec();
    record[8..16].copy_from_slice(&generation.to_le_bytes());
    let sum = crc32fast::hash(&record[8..HEAD_BYTES]);
    record[4..8].copy_from_slice(&sum.to_le_bytes());
    record
}

/// A log whose second record holds a forged one; all is synced.
fn with_forged(generation: u64, first: Position) -> (MemoryFolder, Opened) {
    let folder = MemoryFolder::default();
    let mut opened = open(&folder);
    let forged = [
        b"before".to_vec(),
        forged(generation, first),
        b"after".to_vec(),
    ]
    .concat();
    for payload in [&payload(1, 50), &forged, &payload(2, 50)] {
        append(&mut opened.log, 2, payload).unwrap();
        opened.log.sync().unwrap();
    }
    (folder, opened)
}

#[test]
fn a_forged_record_in_a_payload_is_never_read_while_its_own_record_is_sound() {
    let (folder, opened) = with_forged(1, 102);
    assert_eq!(read_open(&folder, &opened).0.len(), 3);
    folder.damage(NAME, |bytes| bytes[HEADER_BYTES] ^= 1);
    let (records, damages) = read_open(&folder, &opened);
    assert_eq!(records.len(), 2, "damage of a neighbour does not expose it");
    assert_eq!((damages.len(), damages[0].positions.clone()), (1, 100..102));
    // The bad payload of its own record does not either: the head tells where that one ends.
    folder.damage(NAME, |bytes| {
        bytes[HEADER_BYTES + HEAD_BYTES + 50 + HEAD_BYTES] ^= 1;
    });
    assert_eq!(read_open(&folder, &opened).0.len(), 1);
}

#[test]
fn a_forged_record_is_exposed_by_its_own_bad_head_at_most_and_must_guess_generation_and_position() {
    let second = HEADER_BYTES + HEAD_BYTES + 50;
    for (generation, first, is_read) in [
        (1, 102, true),
        (1, 103, true),
        // Of another segment, done already, or beyond what is there.
        (2, 102, false),
        (0, 102, false),
        (1, 101, false),
        (1, 106, false),
    ] {
        let (folder, opened) = with_forged(generation, first);
        folder.damage(NAME, |bytes| bytes[second] ^= 1);
        let (records, damages) = read_open(&folder, &opened);
        let is_there = records.iter().any(|one| one.payload == b"forged");
        assert_eq!(is_there, is_read, "{generation} {first}");
        assert_eq!(
            records.last().unwrap().first,
            104,
            "what follows is read all the same"
        );
        let lost: u64 = damages
            .iter()
            .map(|one| one.positions.end - one.positions.start)
            .sum();
        assert_eq!(lost, if is_read { 1 } else { 2 });
    }
}

#[test]
fn a_segment_full_of_magics_and_old_records_is_searched_in_one_pass() {
    let folder = MemoryFolder::default();
    let options = Options {
        segment_bytes: 4 << 20,
        max_bytes: 64 << 20,
        ..OPTIONS
    };
    let mut opened = open_with(&folder, options);
    // Empty records are the most heads that a segment can hold; they become old ones.
    let record = Record {
        events: 1,
        made_at: 0,
        pieces: &[],
        checksum: Checksum::of(&[]),
    };
    let records = vec![record; (4 << 20) / HEAD_BYTES];
    opened.log.append(&records).unwrap();
    opened.log.sync().unwrap();
    let next = opened.log.next();
    checkpoint(&mut opened, next - 1);
    opened.log.purge(&Acked::below(next - 1)).unwrap();
    append(&mut opened.log, 1, &[0; 4 << 20]).unwrap_or_else(|refused| panic!("{refused:?}"));
    let newest = opened.log.segments().last().unwrap().name();
    folder.kill();
    for rubbish in [&[0xFE, b'H', b'G', 0xFF][..], &forged(1, 5)[..HEAD_BYTES]] {
        folder.damage(&newest, |bytes| {
            let repeated = rubbish.repeat(bytes.len() / rubbish.len());
            bytes[HEADER_BYTES..HEADER_BYTES + repeated.len() - HEADER_BYTES]
                .copy_from_slice(&repeated[HEADER_BYTES..]);
        });
        // Quadratic, this would take hours.
        let found = seglog::survey(&shared(&folder)).unwrap();
        assert_eq!(found.end, Some(next));
    }
}
