//! Looking at a log while its writer goes on between any two operations of the one who looks: every such place is
//! tried, one after the other.

use std::io::{self, IoSlice};
use std::path::Path;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use crate::support::{append_group, checkpoint, open, payload};
use seglog::testing::MemoryFolder;
use seglog::{Acked, Entry, File, FileId, Folder, Found, Mode, Opened, Walk, survey};

const RECORD_BYTES: usize = 150;

/// Appends and syncs records; checkpoints and purges all but the last `backlog`.
fn go_on(opened: &mut Opened, records: u64, backlog: u64) {
    for _ in 0..records / 2 {
        let next = opened.log.next();
        let pair = [payload(next, RECORD_BYTES), payload(next + 1, RECORD_BYTES)];
        let placed = append_group(&mut opened.log, &[(1, &pair[0]), (1, &pair[1])]);
        assert!(placed.iter().all(Result::is_ok));
        opened.log.sync().unwrap();
    }
    let low = opened.log.next() - backlog;
    checkpoint(opened, low);
    opened.log.purge(&Acked::below(low)).unwrap();
}

/// A folder of which the looker's operations are counted; at some of them the writer goes on first.
#[derive(Debug)]
struct Watched {
    folder: MemoryFolder,
    turn: Arc<Turn>,
}

struct Turn {
    operations: AtomicUsize,
    /// The writer's turns: at every operation from the first, every so many.
    first: usize,
    every: usize,
    writer: Mutex<Option<Box<dyn FnMut() + Send>>>,
}

impl std::fmt::Debug for Turn {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str("Turn")
    }
}

impl Turn {
    fn take(&self) {
        let operation = self.operations.fetch_add(1, Ordering::Relaxed);
        let is_writers =
            operation >= self.first && (operation - self.first).is_multiple_of(self.every);
        if let (true, Some(writer)) = (is_writers, &mut *self.writer.lock().unwrap()) {
            writer();
        }
    }
}

#[derive(Debug)]
struct WatchedFile {
    file: Box<dyn File>,
    turn: Arc<Turn>,
}

impl Folder for Watched {
    fn path(&self) -> &Path {
        self.folder.path()
    }
    fn make(&self) -> io::Result<()> {
        unreachable!("nothing is changed")
    }
    fn list(&self) -> io::Result<Vec<Entry>> {
        self.turn.take();
        self.folder.list()
    }
    fn open(&self, name: &str, mode: Mode) -> io::Result<Box<dyn File>> {
        assert_eq!(mode, Mode::Read);
        self.turn.take();
        let (file, turn) = (self.folder.open(name, mode)?, Arc::clone(&self.turn));
        Ok(Box::new(WatchedFile { file, turn }))
    }
    fn rename(&self, _: &str, _: &str) -> io::Result<()> {
        unreachable!("nothing is changed")
    }
    fn remove(&self, _: &str) -> io::Result<()> {
        unreachable!("nothing is changed")
    }
    fn id_of(&self, _: &str) -> io::Result<FileId> {
        unreachable!("nothing is written")
    }
    fn sync(&self) -> io::Result<()> {
        unreachable!("nothing is changed")
    }
}

impl File for WatchedFile {
    fn id(&self) -> io::Result<FileId> {
        unreachable!("nothing is written")
    }
    fn has_name(&self) -> io::Result<bool> {
        unreachable!("nothing is written")
    }
    fn bytes(&self) -> io::Result<u64> {
        self.turn.take();
        self.file.bytes()
    }
    fn read_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<usize> {
        self.turn.take();
        self.file.read_at(buffer, offset)
    }
    fn write_at(&self, _: &[IoSlice<'_>], _: u64) -> io::Result<usize> {
        unreachable!("nothing is changed")
    }
    fn set_bytes(&self, _: u64) -> io::Result<()> {
        unreachable!("nothing is changed")
    }
    fn sync(&self) -> io::Result<()> {
        unreachable!("nothing is changed")
    }
    fn lock(&self) -> io::Result<()> {
        unreachable!("nothing is changed")
    }
}

/// One look while the writer takes its turns; how many operations it took.
fn look(first: usize, every: usize, burst: u64, all: bool) -> usize {
    let folder = MemoryFolder::default();
    let mut opened = open(&folder);
    go_on(&mut opened, 40, 20);
    let low = opened.acked.low().max(opened.log.next() - 20);
    let synced = opened.log.synced();
    let turn = Arc::new(Turn {
        operations: AtomicUsize::new(0),
        first,
        every,
        writer: Mutex::new(Some(Box::new(move || go_on(&mut opened, burst, 14)))),
    });
    let watched: Arc<dyn Folder> = Arc::new(Watched {
        folder,
        turn: Arc::clone(&turn),
    });
    let found = survey(&watched).unwrap();
    assert!(
        found.end.unwrap() >= synced,
        "what was synced before is seen"
    );
    let start = if all { Walk::over_all } else { Walk::over_open };
    let mut walk = start(watched, &found);
    let mut seen = Vec::new();
    loop {
        let context =
            format!("turns at {first} and every {every}, {burst} records each: {found:?}");
        match walk.step().unwrap() {
            Found::Record(record) => {
                let piece = walk.payload(&record, 0..record.payload_bytes).unwrap();
                assert_eq!(
                    piece.unwrap(),
                    payload(record.first, RECORD_BYTES),
                    "{context}"
                );
                seen.push(record.first);
            }
            Found::Damage(damage) => panic!("{damage:?} {context}"),
            Found::End => break,
        }
    }
    if first == usize::MAX {
        assert!((low..synced).all(|position| seen.contains(&position)));
    }
    // The writer holds the folder's lock, and the turns hold the writer.
    *turn.writer.lock().unwrap() = None;
    turn.operations.load(Ordering::Relaxed)
}

#[test]
fn a_writer_that_goes_on_between_any_two_operations_makes_no_damage() {
    for all in [true, false] {
        let operations = look(usize::MAX, 1, 0, all);
        assert!(operations > 50, "{operations}");
        for first in 0..operations {
            for burst in [2, 40] {
                look(first, usize::MAX, burst, all);
            }
        }
        for first in 0..20 {
            look(first, 1 + first % 5, 4, all);
        }
    }
}
