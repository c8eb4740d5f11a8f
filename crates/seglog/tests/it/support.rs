//! What the tests of the log share: short ways to open, append, read.

use std::fmt;
use std::sync::Arc;

use seglog::testing::MemoryFolder;
use seglog::{
    Acked, Checkpoint, Checksum, Damage, Failed, Folder, Found, Log, Opened, Options, Position,
    Reader, Record, Refused, Segment,
};

/// Small segments, so that a few records fill one.
pub(crate) const OPTIONS: Options = Options {
    segment_bytes: 1000,
    max_bytes: 20_000,
    first_position: 100,
};

pub(crate) fn shared(folder: &MemoryFolder) -> Arc<dyn Folder> {
    Arc::new(folder.clone())
}

pub(crate) fn open_with(folder: &MemoryFolder, options: Options) -> Opened {
    Log::open(&shared(folder), options).unwrap()
}

pub(crate) fn open(folder: &MemoryFolder) -> Opened {
    open_with(folder, OPTIONS)
}

/// Appends one record; its position.
pub(crate) fn append(log: &mut Log, events: u32, payload: &[u8]) -> Result<Position, Refused> {
    append_group(log, &[(events, payload)])[0]
}

/// Appends records in one go.
pub(crate) fn append_group(
    log: &mut Log,
    records: &[(u32, &[u8])],
) -> Vec<Result<Position, Refused>> {
    try_append(log, records).unwrap()
}

/// Appends records in one go, to a log that may fail.
pub(crate) fn try_append(
    log: &mut Log,
    records: &[(u32, &[u8])],
) -> Result<Vec<Result<Position, Refused>>, Failed> {
    let pieces: Vec<[&[u8]; 1]> = records.iter().map(|(_, payload)| [*payload]).collect();
    let made = |(at, (events, payload)): (usize, &(u32, &[u8]))| Record {
        events: *events,
        made_at: 7,
        pieces: &pieces[at],
        checksum: Checksum::of(&[payload]),
    };
    let records: Vec<Record<'_>> = records.iter().enumerate().map(made).collect();
    let placed = log.append(&records)?;
    let positions = placed.iter().map(|placed| placed.map(|place| place.first));
    Ok(positions.collect())
}

/// A payload that tells where it belongs and where each of its bytes is.
pub(crate) fn payload(number: u64, bytes: usize) -> Vec<u8> {
    let byte = |at: usize| (number as usize).wrapping_mul(31).wrapping_add(at * 7) as u8;
    (0..bytes).map(byte).collect()
}

/// A record as it was read.
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct Read {
    pub(crate) first: Position,
    pub(crate) events: u32,
    pub(crate) payload: Vec<u8>,
}

impl fmt::Debug for Read {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (end, bytes) = (self.first + Position::from(self.events), &self.payload);
        write!(
            formatter,
            "{}..{end}: {} bytes {:?}",
            self.first,
            bytes.len(),
            bytes.first()
        )
    }
}

/// Everything from a position up to an end: records, and damage.
pub(crate) fn read_between(
    folder: &MemoryFolder,
    segments: &[Segment],
    from: Position,
    end: Position,
) -> (Vec<Read>, Vec<Damage>) {
    let mut reader = Reader::from(shared(folder), segments, from);
    let (mut records, mut damages) = (Vec::new(), Vec::new());
    loop {
        match reader.next(segments, end).unwrap() {
            Found::Record(record) => {
                let mut payload = Vec::new();
                while (payload.len() as u64) < record.payload_bytes {
                    let at = payload.len() as u64;
                    let to = record.payload_bytes.min(at + Reader::PIECE_BYTES as u64);
                    payload.extend_from_slice(reader.payload(&record, at..to).unwrap());
                }
                records.push(Read {
                    first: record.first,
                    events: record.events,
                    payload,
                });
            }
            Found::Damage(damage) => damages.push(damage),
            Found::End => return (records, damages),
        }
    }
}

/// Everything that an opened log holds and that is not done.
pub(crate) fn read_open(folder: &MemoryFolder, opened: &Opened) -> (Vec<Read>, Vec<Damage>) {
    let log = &opened.log;
    read_between(folder, &log.segments(), opened.acked.low(), log.synced())
}

/// Makes durable that everything below `low` is done, and that everything up to now was synced.
pub(crate) fn checkpoint(opened: &mut Opened, low: Position) {
    let checkpoint = Checkpoint {
        acked: Acked::below(low),
        settled: opened.log.synced(),
        bookmark: 0,
        written_at: 0,
    };
    opened.checkpoints.write(&checkpoint).unwrap();
}

/// Bytes of the files that count against the limit.
pub(crate) fn taken(folder: &MemoryFolder) -> u64 {
    let entries = folder.list().unwrap();
    let counted = entries
        .iter()
        .filter(|entry| entry.name.ends_with(".seg") || entry.name.ends_with(".spare"));
    counted.map(|entry| entry.bytes).sum()
}
