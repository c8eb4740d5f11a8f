//! Any bytes as the files of a log: it opens, reads, goes on and opens again, without a panic, an endless loop or a
//! huge allocation, and what it takes then is there afterwards.
//!
//! The input says which files there are and what is in them; checksums are put right in places, since no fuzzer
//! guesses them.

#![no_main]

use std::sync::Arc;

use libfuzzer_sys::fuzz_target;
use seglog::testing::MemoryFolder;
use seglog::{
    Acked, Checkpoint, Checksum, Folder, Found, HEAD_BYTES, HEADER_BYTES, Log, Opened, Options,
    Reader, Record, Walk, set_aside, survey,
};

const OPTIONS: Options = Options {
    segment_bytes: 2000,
    max_bytes: 1 << 20,
    first_position: 1,
};

/// Names that mean something to the log.
const NAMES: [&str; 10] = [
    "00000000000000000001.seg",
    "00000000000000000002.seg",
    "00000000000000000003.seg",
    "09223372036854775807.seg",
    "18446744073709551615.seg",
    "spare",
    "checkpoint-a",
    "checkpoint-b",
    "lock",
    "damaged-00000000000000000009-64",
];

fuzz_target!(|input: &[u8]| {
    let folder = MemoryFolder::default();
    fill(&folder, input);
    let shared: Arc<dyn Folder> = Arc::new(folder.clone());
    look(&shared);
    let Ok(mut opened) = Log::open(&shared, OPTIONS) else {
        return;
    };
    read(&shared, &opened);
    let payload = b"{},\n";
    let record = Record {
        events: 1,
        made_at: 0,
        pieces: &[payload],
        checksum: Checksum::of(&[payload]),
    };
    let placed = opened.log.append(&[record]).expect("nothing fails");
    opened.log.sync().expect("nothing fails");
    let next = opened.log.next();
    let newest = opened
        .log
        .segments()
        .last()
        .map_or(0, |newest| newest.generation);
    // The last numbers that it opens with, which no log reaches.
    if next.max(newest) >= 1 << 62 {
        return;
    }
    folder.kill();
    let mut opened = Log::open(&shared, OPTIONS).expect("it opened before");
    assert_eq!(opened.log.next(), next);
    if let Ok(place) = placed[0] {
        let last = read(&shared, &opened);
        assert!(
            last.is_none_or(|last| last == place.first),
            "{last:?} {place:?}"
        );
    }
    let checkpoint = Checkpoint {
        acked: Acked::below(next),
        settled: next,
        bookmark: 0,
        written_at: 0,
    };
    opened
        .checkpoints
        .write(&checkpoint)
        .expect("nothing fails");
    opened
        .log
        .purge(&Acked::below(next))
        .expect("nothing fails");
    look(&shared);
});

/// Files one after the other: a name, a length, how to mend it, contents.
fn fill(folder: &MemoryFolder, mut input: &[u8]) {
    while let [name, high, low, mending, rest @ ..] = input {
        let length = usize::from(u16::from_be_bytes([*high, *low])).min(rest.len());
        let (contents, rest) = rest.split_at(length);
        let mut contents = contents.to_vec();
        let name = NAMES[usize::from(*name) % NAMES.len()];
        if *mending != 0 {
            mend(name, &mut contents, *mending);
        }
        folder.put(name, contents);
        input = rest;
    }
}

/// Puts magics and checksums right: of the preamble and the header, and of a record every so many bytes.
fn mend(name: &str, contents: &mut [u8], mending: u8) {
    let magic = match name {
        "lock" => b"HGSPOOLK",
        "checkpoint-a" | "checkpoint-b" => b"HGCHECKP",
        _ => b"HGSEGLOG",
    };
    if contents.len() < HEADER_BYTES {
        return;
    }
    contents[..8].copy_from_slice(magic);
    contents[8..12].copy_from_slice(&1_u32.to_le_bytes());
    put_sum(contents, 12, 0, 12);
    if magic == b"HGCHECKP" {
        let count = (contents.len() - 60) / 16;
        contents[48..56].copy_from_slice(&(count as u64).to_le_bytes());
        let end = 56 + count * 16;
        return put_sum(contents, end, 0, end);
    }
    put_sum(contents, 60, 0, 60);
    let mut at = HEADER_BYTES;
    while at + HEAD_BYTES <= contents.len() {
        contents[at..at + 4].copy_from_slice(&[0xFE, b'H', b'G', 0xFF]);
        // Mostly of this segment, mostly short.
        if mending & 1 == 1 {
            contents.copy_within(16..24, at + 8);
            contents[at + 29..at + 32].fill(0);
        }
        let payload = usize::from(contents[at + 28]);
        let end = (at + HEAD_BYTES + payload).min(contents.len());
        put_sum(contents, at + 48, at + HEAD_BYTES, end);
        put_sum(contents, at + 4, at + 8, at + HEAD_BYTES);
        at = end + usize::from(mending >> 5);
    }
}

fn put_sum(contents: &mut [u8], at: usize, from: usize, to: usize) {
    let sum = crc32fast::hash(&contents[from..to]);
    contents[at..at + 4].copy_from_slice(&sum.to_le_bytes());
}

/// Reads all that is open; the position of the last record.
fn read(folder: &Arc<dyn Folder>, opened: &Opened) -> Option<u64> {
    let (segments, end) = (opened.log.segments(), opened.log.synced());
    let mut reader = Reader::from(Arc::clone(folder), &segments, opened.acked.low());
    let mut last = None;
    loop {
        match reader.next(&segments, end).expect("nothing fails") {
            Found::Record(record) => {
                let to = record.payload_bytes.min(Reader::PIECE_BYTES as u64);
                reader.payload(&record, 0..to).expect("it was checked");
                last = Some(record.first);
            }
            Found::Damage(damage) => drop(set_aside(&**folder, &damage)),
            Found::End => return last,
        }
    }
}

fn look(folder: &Arc<dyn Folder>) {
    let Ok(found) = survey(folder) else {
        return;
    };
    for mut walk in [
        Walk::over_all(Arc::clone(folder), &found),
        Walk::over_open(Arc::clone(folder), &found),
    ] {
        while walk.step().expect("nothing fails") != Found::End {}
    }
}
