//! The checkpoint: which events are done, made durable. Two files take turns, so that a write that is cut anywhere
//! leaves the one before it.

use std::io::{self, IoSlice};
use std::sync::Arc;

use crate::Position;
use crate::acked::Acked;
use crate::bytes::{Block, u32_at, u64_at};
use crate::folder::{
    File, Folder, Mode, at, is_bad_sector, is_disk_full, is_out_of_room, read_full_at, write_all_at,
};
use crate::layout::{CHECKPOINTS, Kind, NUMBER_LIMIT, put_preamble, version_in};

/// Bytes before the ranges.
const HEAD_BYTES: usize = 64;
/// The same in version 1, which has no bookmark.
const HEAD_BYTES_OF_1: usize = 56;
const RANGE_BYTES: usize = 16;
const CHECKSUM_BYTES: usize = 4;

/// The least length of a file, so that most checkpoints need no more of the disk than they have.
const ROOM_BYTES: usize = 4096;

/// So much of a file is read before its length is believed.
const FIRST_READ_BYTES: u64 = 64 * 1024;

/// How often it is looked for again: beside a log that is being written, one file after the other can be caught in the
/// middle of a write.
const LOOKS: usize = 5;

/// What a checkpoint says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Checkpoint {
    /// The events that are done.
    pub acked: Acked,
    /// Everything below counted: it had been acknowledged.
    pub settled: Position,
    /// A position that the log's user wants to find again; the log makes nothing of it.
    pub bookmark: Position,
    /// When it was written: milliseconds since the Unix epoch.
    pub written_at: u64,
}

/// The two files.
#[derive(Debug)]
pub struct Checkpoints {
    folder: Arc<dyn Folder>,
    /// Of the last one that was written or found; the next one is written to the file that does not hold it.
    sequence: u64,
    next_file: usize,
    files: [Option<Box<dyn File>>; 2],
    /// So long they are made, as far as there is room.
    file_bytes: usize,
}

impl Checkpoints {
    /// The files of a folder, and the newest sound checkpoint in them. Changes nothing.
    ///
    /// # Errors
    /// I/O errors.
    pub fn find(folder: Arc<dyn Folder>) -> io::Result<(Self, Option<Checkpoint>)> {
        let mut newest = newest_in(&*folder)?;
        for _ in 0..LOOKS {
            if newest.is_none() {
                newest = newest_in(&*folder)?;
            }
        }
        let (sequence, next_file) = newest
            .as_ref()
            .map_or((0, 0), |(sequence, index, _)| (*sequence, 1 - index));
        let checkpoints = Self {
            folder,
            sequence,
            next_file,
            files: [None, None],
            file_bytes: 0,
        };
        Ok((checkpoints, newest.map(|(.., checkpoint)| checkpoint)))
    }

    /// Whether both files of a folder were written: then one of them is sound, however a crash has cut the other. Those
    /// that are not there count as written where `were_made` tells that they were.
    ///
    /// # Errors
    /// I/O errors.
    pub(crate) fn were_written(folder: &dyn Folder, were_made: bool) -> io::Result<bool> {
        let mut were_written = true;
        for name in CHECKPOINTS {
            were_written &= was_written(folder, name)?.unwrap_or(were_made);
        }
        Ok(were_written)
    }

    /// Makes both files, with room for a few hundred ranges, and keeps them open: a checkpoint gives space
    /// back, so it must not need any on a disk that is full, nor a file handle when there are none.
    ///
    /// # Errors
    /// I/O errors; a disk that is full already is none.
    pub(crate) fn prepare(&mut self) -> io::Result<()> {
        for (file, name) in self.files.iter_mut().zip(CHECKPOINTS) {
            match self.folder.open(name, Mode::Create) {
                // The next checkpoint makes it.
                Err(error) if is_disk_full(&error) => {}
                made => *file = Some(made?),
            }
        }
        self.lengthen_all(ROOM_BYTES)?;
        self.folder.sync()
    }

    /// Makes the files so long that a checkpoint of so many ranges needs no more of the disk.
    ///
    /// # Errors
    /// I/O errors; a disk that is full already is none.
    pub fn make_room_for(&mut self, ranges: usize) -> io::Result<()> {
        self.lengthen_all(HEAD_BYTES + ranges * RANGE_BYTES + CHECKSUM_BYTES)
    }

    fn lengthen_all(&mut self, bytes: usize) -> io::Result<()> {
        self.file_bytes = bytes;
        let mut files = self.files.iter().flatten();
        files.try_for_each(|file| lengthen(&**file, bytes))
    }

    /// Writes a checkpoint and makes it durable.
    ///
    /// # Errors
    /// I/O errors, naming the file. The one before it still holds then.
    pub fn write(&mut self, checkpoint: &Checkpoint) -> io::Result<()> {
        let bytes = encode(checkpoint, self.sequence + 1);
        self.write_encoded(&bytes)
            .map_err(|error| at(&*self.folder, CHECKPOINTS[self.next_file], &error))?;
        self.sequence += 1;
        self.next_file = 1 - self.next_file;
        Ok(())
    }

    fn write_encoded(&mut self, bytes: &[u8]) -> io::Result<()> {
        match self.write_to_next_file(bytes) {
            // Some file systems copy on write: there writing over takes room too. Of this file's own there is enough.
            Err(error) if is_disk_full(&error) => {
                self.remove_next_file()?;
                self.write_to_next_file(bytes)
            }
            outcome => outcome,
        }
    }

    fn write_to_next_file(&mut self, bytes: &[u8]) -> io::Result<()> {
        if let Some(file) = &self.files[self.next_file] {
            return self.write_to(&**file, bytes);
        }
        let name = CHECKPOINTS[self.next_file];
        let file = self.folder.open(name, Mode::Create)?;
        self.write_to(&*file, bytes)?;
        self.folder.sync()?;
        // Not before its name is durable: after a failure it counts as new again.
        self.files[self.next_file] = Some(file);
        Ok(())
    }

    fn write_to(&self, file: &dyn File, bytes: &[u8]) -> io::Result<()> {
        write_all_at(file, &mut [IoSlice::new(bytes)], 0)?;
        // One that was removed for want of room takes all of it back, for the next time.
        lengthen(file, self.file_bytes)?;
        file.sync()
    }

    /// The other one holds the newest checkpoint.
    fn remove_next_file(&mut self) -> io::Result<()> {
        self.files[self.next_file] = None;
        match self.folder.remove(CHECKPOINTS[self.next_file]) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
            outcome => outcome,
        }
    }
}

/// Writes zeros behind what a file holds, up to so many bytes, or as many as there is room for.
fn lengthen(file: &dyn File, bytes: usize) -> io::Result<()> {
    let there = file.bytes()?;
    let missing = (bytes as u64).saturating_sub(there);
    if missing == 0 {
        return Ok(());
    }
    let zeros = vec![0; missing as usize];
    let written = write_all_at(file, &mut [IoSlice::new(&zeros)], there);
    match written.and_then(|()| file.sync()) {
        Err(error) if is_out_of_room(&error) => Ok(()),
        outcome => outcome,
    }
}

/// The newest sound checkpoint, with its sequence and the file that holds it.
fn newest_in(folder: &dyn Folder) -> io::Result<Option<(u64, usize, Checkpoint)>> {
    let mut newest: Option<(u64, usize, Checkpoint)> = None;
    for (index, name) in CHECKPOINTS.into_iter().enumerate() {
        if let Some((sequence, checkpoint)) = read(folder, name)?
            && newest.as_ref().is_none_or(|(best, ..)| sequence > *best)
        {
            newest = Some((sequence, index, checkpoint));
        }
    }
    Ok(newest)
}

fn encode(checkpoint: &Checkpoint, sequence: u64) -> Vec<u8> {
    let ranges = checkpoint.acked.ranges();
    let count = ranges.len();
    let mut head = Block::<HEAD_BYTES>::zeroed();
    put_preamble(&mut head, Kind::Checkpoint);
    head.put(16, &sequence.to_le_bytes());
    head.put(24, &checkpoint.written_at.to_le_bytes());
    head.put(32, &checkpoint.settled.to_le_bytes());
    head.put(40, &checkpoint.acked.low().to_le_bytes());
    head.put(48, &(count as u64).to_le_bytes());
    head.put(56, &checkpoint.bookmark.to_le_bytes());
    let mut bytes = Vec::with_capacity(HEAD_BYTES + count * RANGE_BYTES + CHECKSUM_BYTES);
    bytes.extend_from_slice(&head.into_bytes());
    for range in ranges {
        bytes.extend_from_slice(&range.start.to_le_bytes());
        bytes.extend_from_slice(&range.end.to_le_bytes());
    }
    bytes.extend_from_slice(&crc32fast::hash(&bytes).to_le_bytes());
    bytes
}

/// The checkpoint in a file, with its sequence; none where the file is not there or holds no whole and sound one.
fn read(folder: &dyn Folder, name: &str) -> io::Result<Option<(u64, Checkpoint)>> {
    let file = match folder.open(name, Mode::Read) {
        Ok(file) => file,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(error),
    };
    match read_whole(&*file) {
        Ok(bytes) => Ok(bytes.as_deref().and_then(decode)),
        Err(error) if is_bad_sector(&error) => Ok(None),
        Err(error) => Err(error),
    }
}

/// Whether something else than the zeros is in a file that it is made with; none where there is no such file.
fn was_written(folder: &dyn Folder, name: &str) -> io::Result<Option<bool>> {
    let mut beginning = [0; HEAD_BYTES];
    let outcome = folder
        .open(name, Mode::Read)
        .and_then(|file| read_full_at(&*file, &mut beginning, 0));
    match outcome {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) if is_bad_sector(&error) => Ok(Some(true)),
        outcome => outcome.map(|_| Some(beginning.iter().any(|byte| *byte != 0))),
    }
}

/// As much of the file as its head says that there is; none where that is more than the file has. A short one is read
/// in one go: it may be being written.
fn read_whole(file: &dyn File) -> io::Result<Option<Vec<u8>>> {
    let there = file.bytes()?;
    let mut bytes = vec![0; there.min(FIRST_READ_BYTES) as usize];
    let read = read_full_at(file, &mut bytes, 0)?;
    let Some(whole) = whole_bytes(&bytes[..read]).filter(|whole| *whole as u64 <= there) else {
        return Ok(None);
    };
    if read < whole {
        bytes.resize(whole, 0);
        read_full_at(file, &mut bytes[read..], read as u64)?;
    }
    Ok(Some(bytes))
}

/// Bytes before the ranges of a checkpoint that begins like this; none where that is no whole head.
fn head_bytes(beginning: &[u8]) -> Option<usize> {
    let head_bytes = match version_in(beginning, Kind::Checkpoint)? {
        1 => HEAD_BYTES_OF_1,
        _ => HEAD_BYTES,
    };
    (beginning.len() >= head_bytes).then_some(head_bytes)
}

/// Bytes of a checkpoint that begins like this. What is longer in the file is left over from an earlier one.
fn whole_bytes(beginning: &[u8]) -> Option<usize> {
    let head_bytes = head_bytes(beginning)?;
    let count = usize::try_from(u64_at(beginning, 48)).ok()?;
    let ranges = count.checked_mul(RANGE_BYTES)?;
    ranges.checked_add(head_bytes + CHECKSUM_BYTES)
}

fn decode(bytes: &[u8]) -> Option<(u64, Checkpoint)> {
    let whole = bytes.get(..whole_bytes(bytes)?)?;
    let (checked, sum) = whole.split_at(whole.len() - CHECKSUM_BYTES);
    if u32_at(sum, 0) != crc32fast::hash(checked) {
        return None;
    }
    let (head, ranges) = checked.split_at(head_bytes(bytes)?);
    let low = u64_at(head, 40);
    let mut acked = Acked::below(low);
    for range in ranges.chunks_exact(RANGE_BYTES) {
        acked.ack(u64_at(range, 0)..u64_at(range, 8));
    }
    let (sequence, settled) = (u64_at(head, 16), u64_at(head, 32));
    let has_bookmark = head.len() > HEAD_BYTES_OF_1;
    let bookmark = if has_bookmark { u64_at(head, 56) } else { low };
    if sequence.max(settled).max(bookmark).max(acked.high()) >= NUMBER_LIMIT {
        return None;
    }
    let checkpoint = Checkpoint {
        acked,
        settled,
        bookmark,
        written_at: u64_at(head, 24),
    };
    Some((sequence, checkpoint))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn checkpoint() -> Checkpoint {
        let mut acked = Acked::below(10);
        acked.ack(12..15);
        acked.ack(20..21);
        Checkpoint {
            acked,
            settled: 30,
            bookmark: 25,
            written_at: 1_700_000_000_000,
        }
    }

    #[test]
    fn a_checkpoint_is_read_as_it_was_written_whatever_follows_it() {
        let mut bytes = encode(&checkpoint(), 7);
        assert_eq!(decode(&bytes), Some((7, checkpoint())));
        bytes.extend_from_slice(b"of an earlier and longer one");
        assert_eq!(decode(&bytes), Some((7, checkpoint())));
    }

    #[test]
    fn every_cut_and_every_damaged_byte_is_noticed() {
        let sound = encode(&checkpoint(), 7);
        for cut in 0..sound.len() {
            assert_eq!(decode(&sound[..cut]), None, "cut at {cut}");
        }
        for at in 0..sound.len() {
            let mut bad = sound.clone();
            bad[at] ^= 0x40;
            assert_eq!(decode(&bad), None, "byte {at}");
        }
    }
}
