//! A segmented log on disk: the durable part of a queue. Synchronous; knows nothing of what its records hold.
//!
//! A [`Log`] appends *records*, each of which carries one or more *events*; every event has a [`Position`],
//! and positions only grow. What has been dealt with is kept as [`Acked`]: a low-water mark and the ranges
//! above it, which a [`Checkpoint`] makes durable. Segments all of whose events are done are purged, and some of
//! their files are kept to be written again, so that a sync moves no metadata. A [`Reader`] reads records in
//! order, beside the log that is being written; a [`Walk`] does so for another process, which the log knows
//! nothing of.
//!
//! The format is described in docs/SPOOL_FORMAT.md. What a crash or a bad disk can do to a log, and what becomes of
//! it, is decided in [`survey`] (which changes nothing) and [`Log::open`] (which mends):
//!
//! - *A torn tail*, records that were never acknowledged, is cut.
//! - *Damage*, records that were acknowledged and cannot be read, is stepped over and reported, never in silence.
//!
//! All access to files goes through [`Folder`], so that tests can lose, tear and fail every write.

mod acked;
mod bytes;
mod checkpoint;
mod error;
mod folder;
mod layout;
mod log;
mod reader;
mod record;
mod room;
mod segment;
mod segment_reader;
mod survey;
#[cfg(feature = "testing")]
pub mod testing;
mod walk;
mod window;

pub use acked::Acked;
pub use checkpoint::{Checkpoint, Checkpoints};
pub use error::{Failed, OpenError};
pub use folder::{DiskFolder, Entry, File, FileId, Folder, Mode, is_bad_sector, is_out_of_handles};
pub use layout::VERSION;
pub use log::{Log, Opened, Options, Place, Refused};
pub use reader::{Cursor, Reader, set_aside};
pub use record::{Checksum, HEAD_BYTES, Record, StoredRecord};
pub use segment::{HEADER_BYTES, Segment};
pub use segment_reader::{Damage, Found};
pub use survey::{Survey, survey};
pub use walk::Walk;

/// Sequence number of one event. Positions only grow; a gap between two is a loss that was reported.
pub type Position = u64;
