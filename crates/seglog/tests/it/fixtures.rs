//! Golden files of each version of the format: today's program reads them, and the same operations give the same bytes,
//! so that the format cannot change unnoticed.
//!
//! `SEGLOG_WRITE_FIXTURES=1 cargo test -p seglog fixtures` writes those of the present version anew. Those that were
//! released are never changed.

use std::fs;
use std::path::PathBuf;

use seglog::testing::MemoryFolder;
use seglog::{
    Acked, Checkpoint, Checksum, Folder, Log, Options, Position, Record, VERSION, Walk, survey,
};

use crate::support::{Read, payload, read_open, shared};

/// Milliseconds since the Unix epoch.
const BEGUN_AT: u64 = 1_700_000_000_000;

const OPTIONS: Options = Options {
    segment_bytes: 500,
    max_bytes: 10_000,
    first_position: 1_000_000,
};

fn path(version: u32) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join(format!("tests/fixtures/v{version}"))
}

fn fixture(version: u32) -> MemoryFolder {
    let folder = MemoryFolder::default();
    for entry in fs::read_dir(path(version)).unwrap() {
        let entry = entry.unwrap();
        let name = entry.file_name().into_string().unwrap();
        folder.put(&name, fs::read(entry.path()).unwrap());
    }
    folder
}

/// The record of a number: 1 to 3 events, a payload in two pieces.
fn expected(number: u64, first: Position) -> Read {
    Read {
        first,
        events: 1 + (number % 3) as u32,
        payload: payload(number, 20 + number as usize % 7 * 20),
    }
}

fn append(log: &mut Log, numbers: std::ops::Range<u64>) -> Vec<Read> {
    let mut written = Vec::new();
    for number in numbers {
        let read = expected(number, log.next());
        let (one, other) = read.payload.split_at(number as usize % 20);
        let record = Record {
            events: read.events,
            made_at: BEGUN_AT + number,
            pieces: &[one, other],
            checksum: Checksum::of(&[&read.payload]),
        };
        log.append(&[record]).unwrap()[0].unwrap();
        log.sync().unwrap();
        written.push(read);
    }
    written
}

/// The operations that the fixture is made by; what is not done at the end.
fn make(folder: &MemoryFolder) -> (Vec<Read>, Acked) {
    let mut opened = Log::open(&shared(folder), OPTIONS).unwrap();
    let mut records = append(&mut opened.log, 0..12);
    // Three checkpoints, so that the newest has something of a longer one behind it.
    let done = records[5].first;
    let mut acked = Acked::below(done);
    for (number, ranges) in [
        (0, vec![2..3, 5..9, 11..12]),
        (1, vec![]),
        (2, vec![3..4, 6..8]),
    ] {
        acked = Acked::below(done);
        for range in ranges {
            acked.ack(done + range.start..done + range.end);
        }
        let checkpoint = Checkpoint {
            acked: acked.clone(),
            settled: opened.log.synced(),
            bookmark: acked.high(),
            written_at: BEGUN_AT + number,
        };
        opened.checkpoints.write(&checkpoint).unwrap();
    }
    // One segment becomes another one, with old records behind its own; the next is kept.
    opened.log.purge(&Acked::below(records[3].first)).unwrap();
    records.extend(append(&mut opened.log, 12..17));
    opened.log.purge(&Acked::below(done)).unwrap();
    records.drain(..5);
    (records, acked)
}

fn files(folder: &MemoryFolder) -> Vec<(String, Vec<u8>)> {
    let names = folder.list().unwrap().into_iter().map(|entry| entry.name);
    names
        .map(|name| (name.clone(), folder.contents(&name)))
        .collect()
}

#[test]
fn the_same_operations_give_the_same_bytes() {
    let folder = MemoryFolder::default();
    make(&folder);
    let made = files(&folder);
    if std::env::var_os("SEGLOG_WRITE_FIXTURES").is_some() {
        let path = path(VERSION);
        fs::create_dir_all(&path).unwrap();
        for entry in fs::read_dir(&path).unwrap() {
            fs::remove_file(entry.unwrap().path()).unwrap();
        }
        for (name, contents) in &made {
            fs::write(path.join(name), contents).unwrap();
        }
    }
    let golden = files(&fixture(VERSION));
    let names = |files: &[(String, Vec<u8>)]| -> Vec<String> {
        files.iter().map(|(name, _)| name.clone()).collect()
    };
    assert_eq!(names(&made), names(&golden));
    for ((name, made), (_, golden)) in made.iter().zip(&golden) {
        let at = made
            .iter()
            .zip(golden)
            .position(|(one, other)| one != other);
        assert!(
            at.is_none() && made.len() == golden.len(),
            "{name} differs at {at:?}"
        );
    }
}

#[test]
fn the_fixtures_of_all_versions_are_read_as_they_were_written() {
    let (expected, acked) = make(&MemoryFolder::default());
    let bookmarks = [acked.low(), acked.high()];
    assert_eq!(bookmarks.len() as u32, VERSION);
    for (version, bookmark) in (1..).zip(bookmarks) {
        is_read_as_it_was_written(&fixture(version), &expected, &acked, version, bookmark);
    }
}

fn is_read_as_it_was_written(
    folder: &MemoryFolder,
    expected: &[Read],
    acked: &Acked,
    version: u32,
    bookmark: Position,
) {
    let found = survey(&shared(folder)).unwrap();
    assert_eq!(found.version, version);
    assert!(
        !found.spares.is_empty() && found.segments.len() >= 3,
        "{found:?}"
    );
    let mut walk = Walk::over_all(shared(folder), &found);
    let mut walked = 0;
    while let seglog::Found::Record(_) = walk.step().unwrap() {
        walked += 1;
    }
    assert!(walked >= expected.len());
    let opened = Log::open(&shared(folder), OPTIONS).unwrap();
    assert_eq!((&opened.acked, opened.bookmark), (acked, bookmark));
    assert_eq!(opened.checkpoint_written_at, Some(BEGUN_AT + 2));
    assert_eq!((opened.torn_bytes, opened.unreadable.len()), (0, 0));
    assert_eq!(read_open(folder, &opened), (expected.to_vec(), vec![]));
}

/// The format as a stranger reads it from its description: a record's head and a checkpoint, by their offsets.
#[test]
fn the_bytes_are_where_the_description_says() {
    let folder = fixture(VERSION);
    let (expected, acked) = make(&MemoryFolder::default());
    let number =
        |bytes: &[u8], at: usize| u64::from_le_bytes(bytes[at..at + 8].try_into().unwrap());
    let half = |bytes: &[u8], at: usize| u32::from_le_bytes(bytes[at..at + 4].try_into().unwrap());
    let (name, segment) = files(&folder)
        .into_iter()
        .rev()
        .find(|(name, _)| name.ends_with(".seg"))
        .unwrap();
    assert_eq!((&segment[..8], half(&segment, 8)), (&b"HGSEGLOG"[..], 2));
    assert_eq!(half(&segment, 12), crc32fast::hash(&segment[..12]));
    assert_eq!(name, format!("{:020}.seg", number(&segment, 16)));
    assert_eq!(half(&segment, 60), crc32fast::hash(&segment[..60]));
    let first = number(&segment, 24);
    let read = expected
        .iter()
        .find(|record| record.first == first)
        .unwrap();
    let record = &segment[64..];
    assert_eq!(record[..4], [0xFE, 0x48, 0x47, 0xFF]);
    assert_eq!(half(record, 4), crc32fast::hash(&record[8..56]));
    assert_eq!(
        (number(record, 8), number(record, 16)),
        (number(&segment, 16), first)
    );
    assert_eq!(
        (half(record, 24), half(record, 28) as usize),
        (read.events, read.payload.len())
    );
    assert_eq!(number(record, 32), first);
    assert_eq!(record[56..56 + read.payload.len()], read.payload);
    assert_eq!(half(record, 48), crc32fast::hash(&read.payload));
    let checkpoint = ["checkpoint-a", "checkpoint-b"].map(|name| folder.contents(name));
    let newest = checkpoint
        .iter()
        .max_by_key(|bytes| number(bytes, 16))
        .unwrap();
    assert_eq!((&newest[..8], half(newest, 8)), (&b"HGCHECKP"[..], 2));
    assert_eq!((number(newest, 40), number(newest, 48)), (acked.low(), 2));
    assert_eq!(number(newest, 56), acked.high());
    let ranges: Vec<_> = (0..2)
        .map(|at| number(newest, 64 + 16 * at)..number(newest, 72 + 16 * at))
        .collect();
    assert_eq!(ranges, acked.ranges().collect::<Vec<_>>());
    assert_eq!(half(newest, 96), crc32fast::hash(&newest[..96]));
    assert_eq!(folder.contents("lock").len(), 16);
}
