//! What `/status` shows. Plain data.

use jiff::Timestamp;
use serde::Serialize;

use crate::lifecycle::Phase;
use crate::spool::SpoolStatus;
use crate::telemetry;
use crate::units::timestamp;

/// The whole page.
#[derive(Debug, Serialize)]
pub struct Status {
    /// Of the program.
    pub version: &'static str,
    /// Where it stands.
    pub phase: Phase,
    /// Since the start.
    pub uptime_seconds: u64,
    /// What the server goes by.
    pub config: ConfigSummary,
    /// With the addresses really bound.
    pub listeners: Vec<ListenerStatus>,
    /// What waits for delivery.
    pub spool: SpoolSummary,
    /// Whether dead letters cannot be written: they wait in the spool, and where many do all delivery waits.
    pub dead_letters_failing: bool,
    /// Dead letters that were removed since the start because `dead_letters.max_bytes` was reached.
    pub dead_letters_dropped: u64,
    /// Whether the file output, or standard output, cannot be written: events wait in the spool.
    pub output_failing: bool,
    /// Those that this server shows to clients and Brokers; none without TLS.
    pub certificates: Vec<CertificateSummary>,
    /// The delivery targets; none with a local output.
    pub brokers: Vec<BrokerSummary>,
    /// Counts since the start.
    pub books: Books,
}

/// The configuration in force.
#[derive(Debug, Serialize)]
pub struct ConfigSummary {
    /// When it was read.
    pub loaded_at: String,
    /// Whether one that was read since is wrong, so that this one stays.
    pub refused: bool,
    /// Whether the files of `[server.tls]` have changed and cannot be used, so that the old ones are.
    pub certificate_refused: bool,
}

/// One listener.
#[derive(Debug, Serialize)]
pub struct ListenerStatus {
    /// `public` or `admin`.
    pub name: &'static str,
    /// The address really bound.
    pub address: String,
}

/// One certificate that this server shows.
#[derive(Debug, Serialize)]
pub struct CertificateSummary {
    /// The setting that names its file.
    pub setting: &'static str,
    /// When the first of its chain expires; null where that cannot be read.
    pub expires_at: Option<String>,
    /// Whether that time is over.
    pub expired: bool,
}

impl CertificateSummary {
    /// As it is at this moment.
    pub fn new(setting: &'static str, expires_at: Option<Timestamp>) -> Self {
        Self {
            setting,
            expires_at: expires_at.map(timestamp::to_text),
            expired: expires_at.is_some_and(|at| at <= Timestamp::now()),
        }
    }
}

/// One Broker.
#[derive(Debug, Serialize)]
pub struct BrokerSummary {
    /// Its URL, without its query.
    pub url: String,
    /// Whether it takes what it is sent.
    pub up: bool,
    /// Requests under way.
    pub in_flight: usize,
}

/// What waits for delivery.
#[derive(Debug, Serialize)]
pub struct SpoolSummary {
    /// Bytes of events.
    pub bytes: usize,
    /// Events.
    pub events: usize,
    /// Age of the oldest.
    pub oldest_event_age_seconds: f64,
    /// Whether appends are refused for lack of room.
    pub full: bool,
    /// Whether that is for want of room on the disk, or of a file handle, and not within `spool.max_bytes`.
    pub disk_full: bool,
    /// Whether a write or a sync failed, so that nothing is taken any more.
    pub failed: bool,
    /// Whether its checkpoint cannot be written, or space not be given back.
    pub checkpoint_failing: bool,
}

impl From<SpoolStatus> for SpoolSummary {
    fn from(status: SpoolStatus) -> Self {
        Self {
            bytes: status.bytes,
            events: status.events,
            oldest_event_age_seconds: status.oldest_age.as_secs_f64(),
            full: status.full,
            disk_full: status.disk_full,
            failed: status.failed,
            checkpoint_failing: status.checkpoint_failing,
        }
    }
}

/// Counts since the start, and what they are to come to.
#[derive(Debug, Serialize)]
pub struct Books {
    /// The counts.
    #[serde(flatten)]
    pub counts: telemetry::Books,
    /// Events in the spool.
    pub spooled: u64,
    /// Whether the counts add up. While events are under way it may be false for a moment.
    pub balanced: bool,
}

impl Books {
    /// The books with what lies in the spool.
    pub fn new(counts: telemetry::Books, spooled: usize) -> Self {
        let spooled = spooled as u64;
        let is_balanced = counts.received == counts.accepted + counts.rejected
            && counts.accepted + counts.spooled_at_start
                == counts.delivered + counts.dead_lettered + spooled + counts.lost;
        Self {
            counts,
            spooled,
            balanced: is_balanced,
        }
    }
}
