//! Looking at a log beside the process that writes it: nothing is reported that is not there.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread;
use std::time::Duration;

use seglog::{
    Acked, Checkpoint, Checksum, DiskFolder, Folder, Found, Log, Options, Reader, Record, Walk,
    survey,
};

const OPTIONS: Options = Options {
    segment_bytes: 4000,
    max_bytes: 10_000_000,
    first_position: 0,
};
/// How many events are not done at the most, so that segments are purged all the time.
const BACKLOG: u64 = 60;

/// So often each looker looks, and so many events are done by then: segments were purged and written anew.
const LOOKS: u64 = 300;
const DONE: u64 = 2_000;

/// The payload of the event at a position.
fn payload(position: u64) -> Vec<u8> {
    let bytes = 20 + (position * 37 % 300) as usize;
    // Now and then a record that is longer than a segment, and one that is longer than what is in memory at once.
    let bytes = match position % 997 {
        500 => 9000,
        700 => Reader::PIECE_BYTES + 500_000,
        _ => bytes,
    };
    position
        .to_le_bytes()
        .into_iter()
        .cycle()
        .take(bytes)
        .collect()
}

/// Appends, syncs, checkpoints and purges as fast as it can.
fn write(folder: &Arc<dyn Folder>, done: &AtomicU64, is_over: &AtomicBool) {
    let mut opened = Log::open(folder, OPTIONS).unwrap();
    while !is_over.load(Ordering::Relaxed) {
        let first = opened.log.next();
        let payloads: Vec<Vec<u8>> = (first..first + 1 + first % 4).map(payload).collect();
        let pieces: Vec<[&[u8]; 1]> = payloads.iter().map(|one| [one.as_slice()]).collect();
        let record = |pieces: &'_ [&'_ [u8]; 1]| Checksum::of(pieces);
        let records: Vec<Record<'_>> = pieces
            .iter()
            .map(|pieces| Record {
                events: 1,
                made_at: 0,
                pieces,
                checksum: record(pieces),
            })
            .collect();
        let placed = opened.log.append(&records).unwrap();
        assert!(placed.iter().all(Result::is_ok), "{placed:?}");
        opened.log.sync().unwrap();
        let low = opened.log.next().saturating_sub(BACKLOG);
        let checkpoint = Checkpoint {
            acked: Acked::below(low),
            settled: opened.log.synced(),
            bookmark: 0,
            written_at: 0,
        };
        opened.checkpoints.write(&checkpoint).unwrap();
        opened.log.purge(&Acked::below(low)).unwrap();
        done.store(low, Ordering::Release);
    }
}

/// One look at everything, as a person takes it; how many records there were.
fn look(folder: &Arc<dyn Folder>, all: bool, done: &AtomicU64) -> u64 {
    let found = survey(folder).unwrap();
    let start = if all { Walk::over_all } else { Walk::over_open };
    let mut walk = start(Arc::clone(folder), &found);
    let mut records = 0;
    let mut expected = None;
    loop {
        match walk.step().unwrap() {
            Found::Record(record) => {
                let whole = payload(record.first);
                assert_eq!(record.payload_bytes, whole.len() as u64);
                let mut at = 0;
                while at < record.payload_bytes {
                    let to = record.payload_bytes.min(at + Reader::PIECE_BYTES as u64);
                    match walk.payload(&record, at..to).unwrap() {
                        Some(piece) => assert_eq!(piece, &whole[at as usize..to as usize]),
                        None => break,
                    }
                    at = to;
                }
                // What is skipped is done.
                let skipped = expected.is_some_and(|expected| record.first > expected);
                assert!(!skipped || record.first <= done.load(Ordering::Acquire) + BACKLOG);
                expected = Some(record.end());
                records += 1;
                let (walked, total) = walk.progress();
                assert!(walked <= total);
            }
            Found::Damage(damage) => panic!("{damage:?} in {found:?}"),
            Found::End => return records,
        }
    }
}

#[test]
fn a_look_beside_the_writer_never_reports_damage_that_is_not_there() {
    let temporary = tempfile::tempdir().unwrap();
    let folder: Arc<dyn Folder> = Arc::new(DiskFolder::new(temporary.path()));
    let (done, is_over) = (AtomicU64::new(0), AtomicBool::new(false));
    let looks = [AtomicU64::new(0), AtomicU64::new(0)];
    thread::scope(|threads| {
        let writer = threads.spawn(|| write(&folder, &done, &is_over));
        let lookers = [(true, &looks[0]), (false, &looks[1])].map(|(all, looks)| {
            let (folder, done, is_over) = (&folder, &done, &is_over);
            threads.spawn(move || {
                let mut records = 0;
                while !is_over.load(Ordering::Relaxed) {
                    records += look(folder, all, done);
                    looks.fetch_add(1, Ordering::Relaxed);
                }
                records
            })
        });
        let goes_on = || {
            let has_looked = looks
                .iter()
                .all(|looks| looks.load(Ordering::Relaxed) >= LOOKS);
            !has_looked || done.load(Ordering::Relaxed) < DONE
        };
        let has_ended =
            || writer.is_finished() || lookers.iter().any(thread::ScopedJoinHandle::is_finished);
        while goes_on() && !has_ended() {
            thread::sleep(Duration::from_millis(10));
        }
        is_over.store(true, Ordering::Relaxed);
        for looker in lookers {
            assert!(looker.join().unwrap() > 0);
        }
        writer.join().unwrap();
    });
}
