//! Any sequence of operations, crashes and full disks against a model that is a simple queue.

use proptest::collection::vec;
use proptest::prelude::*;
use seglog::testing::MemoryFolder;
use seglog::{Acked, Checkpoint, Damage, Found, Opened, Options, Position, Reader, Refused};

use crate::support::{Read, open_with, payload, read_between, shared, taken, try_append};

const OPTIONS: Options = Options {
    segment_bytes: 600,
    max_bytes: 6000,
    first_position: 100,
};

#[derive(Clone, Debug)]
enum Operation {
    /// Events and bytes of each record.
    Append(Vec<(u32, usize)>),
    Sync,
    /// Acks so many events, so far behind the low-water mark.
    Ack {
        skip: u64,
        events: u64,
    },
    Checkpoint,
    Purge,
    Read,
    Kill,
    LosePower {
        seed: u64,
    },
    /// The disk has so many bytes left; and whether, where there are none, nothing but a removal succeeds.
    LimitDisk {
        left: u64,
        strictly: bool,
    },
    FreeDisk,
    FailSyncs {
        after: u64,
    },
}

fn operation() -> impl Strategy<Value = Operation> {
    let bytes = prop_oneof![6 => 0..200_usize, 1 => 500..1500_usize];
    let records = vec((1..4_u32, bytes), 1..6);
    prop_oneof![
        8 => records.prop_map(Operation::Append),
        6 => Just(Operation::Sync),
        4 => (0..4_u64, 1..20_u64).prop_map(|(skip, events)| Operation::Ack { skip, events }),
        3 => Just(Operation::Checkpoint),
        3 => Just(Operation::Purge),
        3 => Just(Operation::Read),
        1 => Just(Operation::Kill),
        2 => any::<u64>().prop_map(|seed| Operation::LosePower { seed }),
        1 => (0..1500_u64, any::<bool>())
            .prop_map(|(left, strictly)| Operation::LimitDisk { left, strictly }),
        1 => Just(Operation::FreeDisk),
        1 => (0..3_u64).prop_map(|after| Operation::FailSyncs { after }),
    ]
}

/// The log and what it should hold.
struct Model {
    folder: MemoryFolder,
    opened: Opened,
    /// All that was appended and is not forgotten, in order.
    queue: Vec<Read>,
    /// What was appended when the log failed, or refused and perhaps not cut off: some of these may be there after a crash.
    doubtful: Vec<(u32, Vec<u8>)>,
    acked: Acked,
    /// What the last checkpoint that was written says.
    durable: Acked,
    /// What those say that could not be written since.
    tried: Vec<Acked>,
    appended: u64,
    has_failed: bool,
    /// Whether what was refused may not have been cut off.
    is_strict: bool,
    /// A reader that keeps up, beside the writer.
    follower: Reader,
}

impl Model {
    fn new() -> Self {
        let folder = MemoryFolder::default();
        let opened = open_with(&folder, OPTIONS);
        Self {
            follower: follower(&folder, &opened),
            opened,
            folder,
            queue: Vec::new(),
            doubtful: Vec::new(),
            acked: Acked::below(OPTIONS.first_position),
            durable: Acked::below(OPTIONS.first_position),
            tried: Vec::new(),
            appended: 0,
            has_failed: false,
            is_strict: false,
        }
    }

    fn apply(&mut self, operation: &Operation) {
        match operation {
            Operation::Append(records) => self.append(records),
            Operation::Sync => self.sync(),
            Operation::Ack { skip, events } => {
                let start = self.acked.low() + skip;
                self.acked
                    .ack(start..(start + events).min(self.opened.log.synced()));
            }
            Operation::Checkpoint => self.checkpoint(),
            Operation::Purge if self.has_failed => {}
            Operation::Purge => self.opened.log.purge(&self.durable).unwrap(),
            Operation::Read => {
                self.read();
                self.follow();
            }
            Operation::Kill => self.crash(None),
            Operation::LosePower { seed } => self.crash(Some(*seed)),
            Operation::LimitDisk { left, strictly } => {
                self.folder.limit_to(Some(self.folder.bytes() + left));
                self.folder.limit_strictly(*strictly);
                self.is_strict |= strictly;
            }
            Operation::FreeDisk => self.folder.limit_to(None),
            Operation::FailSyncs { after } => self.folder.fail_syncs_after(*after),
        }
        let taken = taken(&self.folder);
        assert!(taken <= OPTIONS.max_bytes, "the files take {taken}");
        if !self.has_failed {
            assert_eq!(
                taken + self.opened.log.room(),
                OPTIONS.max_bytes,
                "room is what is left"
            );
        }
    }

    fn append(&mut self, sizes: &[(u32, usize)]) {
        let mut made = Vec::new();
        for (events, bytes) in sizes {
            self.appended += 1;
            made.push((*events, payload(self.appended * 7919, *bytes)));
        }
        let records: Vec<(u32, &[u8])> = made
            .iter()
            .map(|(events, payload)| (*events, payload.as_slice()))
            .collect();
        let mut next = self.opened.log.next();
        let Ok(placed) = try_append(&mut self.opened.log, &records) else {
            if !self.has_failed {
                self.doubtful.extend(made);
            }
            self.has_failed = true;
            return;
        };
        for (placed, (events, payload)) in placed.into_iter().zip(made) {
            match placed {
                Ok(first) => {
                    assert_eq!(first, next, "positions follow each other");
                    next += Position::from(events);
                    self.queue.push(Read {
                        first,
                        events,
                        payload,
                    });
                }
                Err(refused) => {
                    assert_eq!(refused, Refused::Full);
                    if self.is_strict {
                        self.doubtful.push((events, payload));
                    }
                }
            }
        }
        assert_eq!(self.opened.log.next(), next);
    }

    fn sync(&mut self) {
        self.has_failed |= self.opened.log.sync().is_err();
        assert!(self.has_failed || self.opened.log.synced() == self.opened.log.next());
    }

    fn checkpoint(&mut self) {
        let checkpoint = Checkpoint {
            acked: self.acked.clone(),
            settled: self.opened.log.synced(),
            bookmark: 0,
            written_at: 0,
        };
        if self.opened.checkpoints.write(&checkpoint).is_ok() {
            self.durable = self.acked.clone();
            self.tried.clear();
        } else {
            self.tried.push(self.acked.clone());
        }
    }

    /// What is synced and not below a position.
    fn held_from(&self, low: Position) -> Vec<Read> {
        let synced = self.opened.log.synced();
        let held = self
            .queue
            .iter()
            .filter(|one| end_of(one) > low && end_of(one) <= synced);
        held.cloned().collect()
    }

    /// Those with an event that is not done: others may have been given back.
    fn open_of(&self, mut records: Vec<Read>) -> Vec<Read> {
        records.retain(|one| {
            let mut open = self.durable.open_in(one.first..end_of(one));
            open.next().is_some()
        });
        records
    }

    /// What is missing was done and given back.
    fn expect_done(&self, damages: &[Damage]) {
        for damage in damages {
            let open = self.durable.open_in(damage.positions.clone()).next();
            assert_eq!(open, None, "{damage:?}");
        }
    }

    fn read(&self) {
        let (low, log) = (self.durable.low(), &self.opened.log);
        let (records, damages) = read_between(&self.folder, &log.segments(), low, log.synced());
        self.expect_done(&damages);
        let (records, held) = (self.open_of(records), self.open_of(self.held_from(low)));
        assert!(records.starts_with(&held), "{records:?} {held:?}");
        // What was written when the log failed may have been synced before it did.
        assert!(
            self.has_failed || records.len() == held.len(),
            "{records:?} {held:?}"
        );
    }

    /// Reads on where the follower stands. What it missed was done and purged before it came.
    fn follow(&mut self) {
        let (segments, end) = (self.opened.log.segments(), self.opened.log.synced());
        loop {
            let from = self.follower.cursor().position;
            match self.follower.next(&segments, end).unwrap() {
                Found::Record(record) if !self.has_failed => {
                    let next = self.held_from(from).into_iter().next().unwrap();
                    assert_eq!((record.first, record.events), (next.first, next.events));
                    let all = 0..record.payload_bytes;
                    assert_eq!(self.follower.payload(&record, all).unwrap(), next.payload);
                }
                Found::Record(_) => {}
                Found::Damage(damage) => self.expect_done(&[damage]),
                Found::End => break,
            }
        }
        assert!(self.follower.cursor().position >= end);
    }

    fn crash(&mut self, seed: Option<u64>) {
        let acknowledged = self.held_from(self.durable.low());
        let synced = self.opened.log.synced();
        let next = self.opened.log.next();
        match seed {
            Some(seed) => self.folder.lose_power(seed),
            None => self.folder.kill(),
        }
        self.opened = open_with(&self.folder, OPTIONS);
        let (opened, log) = (&self.opened, &self.opened.log);
        assert!(opened.unreadable.is_empty(), "a crash is no damage");
        if opened.acked != self.durable {
            // No sync reported that this checkpoint is durable, but it is whole.
            assert!(
                self.tried.contains(&opened.acked),
                "what was acked stays acked"
            );
            self.durable = opened.acked.clone();
        }
        self.tried.clear();
        assert!(log.next() >= synced, "positions never go back");
        let low = self.durable.low();
        let (records, damages) = read_between(&self.folder, &log.segments(), low, log.synced());
        self.expect_done(&damages);
        let acknowledged = self.open_of(acknowledged);
        assert!(
            self.open_of(records.clone()).starts_with(&acknowledged),
            "what was acknowledged is there: {records:?} {acknowledged:?}"
        );
        if seed.is_none() {
            assert!(log.next() >= next, "a kill keeps all that was written");
            assert!(opened.torn_bytes == 0 || self.is_strict);
        }
        self.follower = follower(&self.folder, &self.opened);
        self.expect_from_queue(&self.open_of(records.clone()));
        self.queue = records;
        self.acked = self.durable.clone();
        self.doubtful.clear();
        self.has_failed = false;
        self.is_strict = false;
    }

    /// Nothing is read that was not appended, or that was refused.
    fn expect_from_queue(&self, records: &[Read]) {
        let known = self.open_of(self.queue.clone());
        let count = known.len().min(records.len());
        let (queued, more) = records.split_at(count);
        assert!(queued == &known[..count], "{queued:?} {known:?}");
        let mut doubtful = self.doubtful.iter();
        for record in more {
            let found = doubtful
                .any(|(events, payload)| (*events, payload) == (record.events, &record.payload));
            assert!(found, "{record:?} was never appended");
        }
    }

    /// After everything is done all the space can be used again.
    fn finish(&mut self) {
        self.crash(None);
        self.acked = Acked::below(self.opened.log.next());
        self.checkpoint();
        self.opened.log.purge(&self.acked).unwrap();
        let most = OPTIONS.max_bytes as usize - seglog::HEADER_BYTES - seglog::HEAD_BYTES;
        self.append(&[(1, most)]);
        assert_eq!(
            self.queue.last().unwrap().payload.len(),
            most,
            "space comes back"
        );
        self.sync();
        self.read();
        self.crash(None);
    }
}

fn follower(folder: &MemoryFolder, opened: &Opened) -> Reader {
    let segments = opened.log.segments();
    Reader::from(shared(folder), &segments, opened.acked.low())
}

fn end_of(record: &Read) -> Position {
    record.first + Position::from(record.events)
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn a_log_is_a_queue_that_survives_everything(operations in vec(operation(), 1..60)) {
        let mut model = Model::new();
        for operation in &operations {
            model.apply(operation);
        }
        model.finish();
    }
}

/// A segment that was purged became a spare file, and that was removed to make room: all of it is undone.
#[test]
fn what_a_loss_of_power_brings_back_does_not_exceed_the_limit() {
    let mut model = Model::new();
    for operation in [
        Operation::Append(vec![(1, 0), (1, 129), (1, 23), (2, 6)]),
        Operation::Append(vec![(2, 1)]),
        Operation::Append(vec![(3, 42), (1, 1173), (1, 1061), (1, 1154)]),
        Operation::Append(vec![(1, 42), (1, 141), (1, 186)]),
        Operation::Ack { skip: 0, events: 7 },
        Operation::Checkpoint,
        Operation::FailSyncs { after: 2 },
        Operation::Purge,
        Operation::Sync,
        Operation::Append(vec![(1, 123), (1, 60)]),
        Operation::LosePower {
            seed: 5_642_949_641_017_873_610,
        },
    ] {
        model.apply(&operation);
    }
    model.finish();
}
