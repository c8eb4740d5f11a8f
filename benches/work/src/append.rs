//! Records to the log, without a sync.

use std::sync::Arc;

use anyhow::{Result, anyhow};
use seglog::{Acked, Checksum, Folder, Log, Opened, Options, Record};

const OPTIONS: Options = Options {
    segment_bytes: 64 * 1024 * 1024,
    max_bytes: 1024 * 1024 * 1024,
    first_position: 0,
};

/// A log, and records that are appended to it as one group.
pub struct Append {
    opened: Opened,
    payload: Vec<u8>,
    records: usize,
}

impl Append {
    /// A new log in a folder, and a group of `records`, each with this payload.
    ///
    /// # Errors
    /// The folder cannot be written.
    pub fn new(folder: &Arc<dyn Folder>, records: usize, payload: Vec<u8>) -> Result<Self> {
        Ok(Self {
            opened: Log::open(folder, OPTIONS)?,
            payload,
            records,
        })
    }

    /// Bytes of the payloads of one group.
    pub fn group_bytes(&self) -> usize {
        self.records * self.payload.len()
    }

    /// Makes the records, with their checksums, and appends them. What is appended counts as done at once, so the log
    /// does not grow.
    ///
    /// # Errors
    /// The folder cannot be written, or is full.
    pub fn group(&mut self) -> Result<()> {
        let pieces = [self.payload.as_slice()];
        let record = || Record {
            events: 1,
            made_at: 0,
            pieces: &pieces,
            checksum: Checksum::of(&pieces),
        };
        let records: Vec<Record<'_>> = std::iter::repeat_with(record).take(self.records).collect();
        let log = &mut self.opened.log;
        for placed in log.append(&records)? {
            placed.map_err(|refused| anyhow!("{refused:?}"))?;
        }
        if log.segments().len() > 2 {
            log.purge(&Acked::below(log.next()))?;
        }
        Ok(())
    }
}
