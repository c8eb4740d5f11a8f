//! What is logged of the spool on disk.

use std::fmt::Display;
use std::ops::Range;
use std::path::Path;

use tracing::{error, info, warn};

/// The spool on disk was opened.
pub struct SpoolOpened<'a> {
    /// Its folder.
    pub folder: &'a Path,
    /// Events that wait in it for delivery.
    pub events: u64,
    /// Bytes of records that were being written when the program or the machine ended, and were never acknowledged.
    pub torn_bytes: u64,
    /// Whether there is a spool and no checkpoint that can be read.
    pub is_without_checkpoint: bool,
}

impl SpoolOpened<'_> {
    /// Writes the line.
    pub fn emit(&self) {
        let folder = self.folder.display();
        info!(folder = %folder, events = self.events, torn_bytes = self.torn_bytes, "spool opened");
        if self.is_without_checkpoint {
            warn!(
                folder = %folder,
                "no checkpoint can be read: everything that is in the spool is delivered again"
            );
        }
    }
}

/// A stretch of the spool cannot be read. Reading goes on behind it.
pub struct SpoolDamaged<'a> {
    /// The segment's generation, which is the number in its file's name.
    pub segment: u64,
    /// The bytes in it.
    pub bytes: Range<u64>,
    /// The positions that were in it.
    pub positions: Range<u64>,
    /// Events among them that were not delivered yet.
    pub lost: u64,
    /// What became of the bytes: the file that they were copied to, or why there is none.
    pub set_aside: &'a str,
}

impl SpoolDamaged<'_> {
    /// Writes the line.
    pub fn emit(&self) {
        error!(
            segment = self.segment,
            bytes = ?self.bytes,
            positions = ?self.positions,
            events_lost = self.lost,
            set_aside = self.set_aside,
            "the spool is damaged here; reading goes on behind it"
        );
    }
}

/// A segment of the spool holds nothing that can be read, and was set aside whole.
pub struct SpoolSegmentSetAside<'a> {
    /// The file that it is now.
    pub file: &'a str,
}

impl SpoolSegmentSetAside<'_> {
    /// Writes the line.
    pub fn emit(&self) {
        error!(
            file = self.file,
            "a segment of the spool cannot be read; it was set aside"
        );
    }
}

/// The spool is full, or nearly. Logged once, until it has room again.
pub struct SpoolFull {
    /// Bytes in it.
    pub bytes: usize,
    /// Events in it.
    pub events: usize,
    /// What bounds it.
    pub reason: &'static str,
}

impl SpoolFull {
    /// Writes the line.
    pub fn emit(&self) {
        warn!(
            bytes = self.bytes,
            events = self.events,
            reason = self.reason,
            "the spool is full: requests are refused until there is room"
        );
    }
}

/// The spool takes events again.
pub struct SpoolHasRoom;

impl SpoolHasRoom {
    /// Writes the line.
    pub fn emit(&self) {
        info!("the spool has room again");
    }
}

/// A write or a sync of the spool failed: it takes nothing more.
pub struct SpoolFailed<'a> {
    /// The I/O error, with the path.
    pub reason: &'a dyn Display,
}

impl SpoolFailed<'_> {
    /// Writes the line.
    pub fn emit(&self) {
        error!(
            reason = %self.reason,
            "the spool has failed: nothing more is acknowledged; what was synced before is delivered, then the program ends"
        );
    }
}

/// The program ends because its spool has failed.
pub struct EndsForSpool {
    /// Events that stay in the spool for the next start.
    pub events_left: usize,
}

impl EndsForSpool {
    /// Writes the line.
    pub fn emit(&self) {
        error!(
            events_left = self.events_left,
            "stopped because the spool has failed; events that were acknowledged and not delivered are in the spool, and are delivered after the next start"
        );
    }
}

/// The process ends before the disk has taken the spool's last checkpoint.
pub struct CheckpointUnfinished;

impl CheckpointUnfinished {
    /// Writes the line.
    pub fn emit(&self) {
        warn!(
            "the disk did not take the spool's last checkpoint in time: what was delivered last may be delivered again after the next start"
        );
    }
}

/// The checkpoint cannot be written, or space cannot be given back. Logged once, until it can be again.
pub struct CheckpointFailed<'a> {
    /// The I/O error.
    pub reason: &'a dyn Display,
}

impl CheckpointFailed<'_> {
    /// Writes the line.
    pub fn emit(&self) {
        error!(
            reason = %self.reason,
            "the spool's checkpoint cannot be written, or space not be given back; it is tried again. Until then the spool can fill up, and after a crash events since the last checkpoint come twice"
        );
    }
}

/// The spool cannot be read for delivery. Logged once, until it can be again.
pub struct SpoolUnreadable<'a> {
    /// The I/O error.
    pub reason: &'a dyn Display,
}

impl SpoolUnreadable<'_> {
    /// Writes the line.
    pub fn emit(&self) {
        error!(reason = %self.reason, "the spool cannot be read; events wait and reading is tried again");
    }
}

/// Events lie in the spool on disk, and the configured durability does not use it.
pub struct SpoolUnused<'a> {
    /// Its folder.
    pub folder: &'a Path,
    /// How many.
    pub events: u64,
}

impl SpoolUnused<'_> {
    /// Writes the line.
    pub fn emit(&self) {
        warn!(
            folder = %self.folder.display(),
            events = self.events,
            "events from an earlier run lie in the spool on disk and are not delivered, because ingest.durability is not \"disk\""
        );
    }
}
