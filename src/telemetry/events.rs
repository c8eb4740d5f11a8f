//! Every log event: a struct whose `emit` writes the line. Bodies and secrets are never part of one.

mod config;
mod dead_letters;
mod proxy_headers;
mod requests;
mod spool;
mod tls;

use std::fmt::Display;
use std::net::SocketAddr;
use std::path::Path;
use std::time::Duration;

use tracing::{error, info, warn};

use crate::units::duration;

pub use config::{ConfigApplied, ConfigProblem, ConfigRefused, ConfigWarning};
pub use dead_letters::{
    DeadLettersDropped, DeadLettersFailed, DeadLettersNotDropped, DeadLettersWrittenAgain,
    LettersNotRecalled, LettersRequested, LettersUnread, PurgeEnded, ReplayEnded, RequestStays,
    RequestUnreadable, RequestWaits, RequestsUnseen,
};
pub use proxy_headers::ProxyHeaderRefused;
pub use requests::{EventDeadLettered, RequestRefused, RequestsShed, TooManyConnections};
pub use spool::{
    CheckpointFailed, CheckpointUnfinished, EndsForSpool, SpoolDamaged, SpoolFailed, SpoolFull,
    SpoolHasRoom, SpoolOpened, SpoolSegmentSetAside, SpoolUnreadable, SpoolUnused,
};
pub use tls::{CertificateExpired, HandshakeFailed, TlsReloadRefused, TlsReloaded};

/// The program starts.
pub struct Starts<'a> {
    /// The folder that it is started in, which relative paths begin at.
    pub folder: &'a dyn Display,
    /// Where its configuration comes from.
    pub config: &'a dyn Display,
    /// `ingest.durability`.
    pub durability: &'static str,
    /// Where events go.
    pub output: &'static str,
}

impl Starts<'_> {
    /// Writes the line.
    pub fn emit(&self) {
        info!(
            version = env!("CARGO_PKG_VERSION"),
            folder = %self.folder,
            config = %self.config,
            durability = self.durability,
            output = self.output,
            "headgate starts"
        );
    }
}

/// A listener is bound; the address is the one really bound.
pub struct Listening {
    /// `public` or `admin`.
    pub listener: &'static str,
    /// With the port that the system chose, where it was asked to.
    pub address: SocketAddr,
}

impl Listening {
    /// Writes the line.
    pub fn emit(&self) {
        info!(listener = self.listener, address = %self.address, "listening");
    }
}

/// The server could not start.
pub struct StartFailed<'a> {
    /// What failed and why.
    pub reason: &'a str,
}

impl StartFailed<'_> {
    /// Writes the line.
    pub fn emit(&self) {
        error!("cannot start: {}", self.reason);
    }
}

/// The soft limit of open files does not allow for all connections.
pub struct OpenFilesLow {
    /// Files that this process may open.
    pub limit: u64,
    /// What `server.max_connections` and the rest need.
    pub needed: u64,
}

impl OpenFilesLow {
    /// Writes the line.
    pub fn emit(&self) {
        warn!(
            limit = self.limit,
            needed = self.needed,
            "the limit of open files is below what server.max_connections needs: raise it (ulimit -n, LimitNOFILE) or lower max_connections"
        );
    }
}

/// A connection could not be accepted; accepting pauses.
pub struct AcceptFailed<'a> {
    /// The I/O error.
    pub reason: &'a dyn Display,
}

impl AcceptFailed<'_> {
    /// Writes the line.
    pub fn emit(&self) {
        error!(reason = %self.reason, "a connection could not be accepted; trying again in a moment");
    }
}

/// A stop was asked for.
pub struct DrainBegins {
    /// How long the server goes on serving.
    pub delay: Duration,
    /// How long it then finishes what is in flight.
    pub timeout: Duration,
}

impl DrainBegins {
    /// Writes the line.
    pub fn emit(&self) {
        let [delay, timeout] = [self.delay, self.timeout].map(duration::format);
        info!(
            delay,
            timeout, "draining: not ready any more, still serving"
        );
    }
}

/// The drain is over.
pub struct DrainEnded {
    /// Connections that were cut.
    pub connections: usize,
    /// Events that were not delivered.
    pub events_left: usize,
    /// What becomes of them.
    pub fate: Fate,
}

/// What becomes of events that are not delivered when the process ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fate {
    /// They lie on disk.
    Kept,
    /// They were acknowledged, and were in memory only.
    Lost,
    /// Nobody was told that they were taken.
    GivenUp,
}

impl DrainEnded {
    /// Writes the line.
    pub fn emit(&self) {
        let (connections_cut, events) = (self.connections, self.events_left);
        if events > 0 {
            match self.fate {
                Fate::Lost => error!(
                    connections_cut,
                    events_lost = events,
                    "stopped before everything was delivered; these events were only in memory and are lost"
                ),
                Fate::GivenUp => warn!(
                    connections_cut,
                    events_given_up = events,
                    "stopped before everything was delivered; nobody was told that these events were taken"
                ),
                Fate::Kept => info!(
                    connections_cut,
                    events_left = events,
                    "stopped; these events are in the spool on disk and are delivered after the next start"
                ),
            }
        } else if connections_cut > 0 {
            warn!(
                connections_cut,
                "stopped; connections that had not ended were cut"
            );
        } else {
            info!("stopped: everything was answered and delivered");
        }
    }
}

/// A stop before the server served: nothing was taken.
pub struct StoppedAtStart;

impl StoppedAtStart {
    /// Writes the line.
    pub fn emit(&self) {
        info!("stopped while starting: nothing was taken");
    }
}

/// A second signal: no more waiting.
pub struct StoppedAtOnce;

impl StoppedAtOnce {
    /// Writes the line.
    pub fn emit(&self) {
        warn!("second signal: stopping at once");
    }
}

/// A Broker does not take what it is sent, and not for a moment only. Logged once, until it is up again; of one that comes
/// and goes now and then.
pub struct BrokerDown<'a> {
    /// Which one.
    pub broker: &'a str,
    /// Why, in words that say what to mend.
    pub reason: &'a str,
    /// How often it was down and up again since the last time, and that was not logged.
    pub untold: u64,
}

impl BrokerDown<'_> {
    /// Writes the line.
    pub fn emit(&self) {
        warn!(
            broker = self.broker,
            reason = self.reason,
            times_meanwhile = (self.untold > 0).then_some(self.untold),
            "Broker down; its events wait and are tried again"
        );
    }
}

/// A Broker takes events again.
pub struct BrokerUp<'a> {
    /// Which one.
    pub broker: &'a str,
}

impl BrokerUp<'_> {
    /// Writes the line.
    pub fn emit(&self) {
        info!(broker = self.broker, "Broker up");
    }
}

/// An output on this machine cannot be written. Logged once, until it can be again.
pub struct OutputFailed<'a> {
    /// The file or stream.
    pub target: &'a str,
    /// The I/O error.
    pub reason: &'a dyn Display,
}

impl OutputFailed<'_> {
    /// Writes the line.
    pub fn emit(&self) {
        error!(target_name = self.target, reason = %self.reason, "the output cannot be written; events wait and are tried again");
    }
}

/// Whether a file of the file output ends within a line, as a crash leaves it, is not known, or it cannot be cut.
pub struct OutputNotMended<'a> {
    /// The folder.
    pub folder: &'a str,
    /// The I/O error.
    pub reason: &'a dyn Display,
}

impl OutputNotMended<'_> {
    /// Writes the line.
    pub fn emit(&self) {
        warn!(folder = self.folder, reason = %self.reason, "a file of events may end within a line: it cannot be looked at, or not be cut");
    }
}

/// The output can be written again.
pub struct OutputRecovered<'a> {
    /// The file or stream.
    pub target: &'a str,
}

impl OutputRecovered<'_> {
    /// Writes the line.
    pub fn emit(&self) {
        info!(target_name = self.target, "the output is written again");
    }
}

/// The oldest file of the file output made room for new events.
pub struct OutputFileRemoved<'a> {
    /// The file.
    pub path: &'a Path,
    /// Events in it.
    pub events: u64,
    /// Its length.
    pub bytes: u64,
}

impl OutputFileRemoved<'_> {
    /// Writes the line.
    pub fn emit(&self) {
        warn!(
            path = %self.path.display(),
            events = self.events,
            bytes = self.bytes,
            "an old events file was removed: output.file.max_bytes was reached"
        );
    }
}

/// A file was removed that could not be read to its end first: it holds up nothing, but what was in it is not
/// all counted.
pub struct RemovedUncounted<'a> {
    /// The file.
    pub path: &'a Path,
    /// Why it could not be read.
    pub reason: &'a dyn Display,
}

impl RemovedUncounted<'_> {
    /// Writes the line.
    pub fn emit(&self) {
        warn!(path = %self.path.display(), reason = %self.reason, "a file was removed that could not be read: what was in it is not all counted");
    }
}

/// An unfinished last line was cut off an events file; its event was never counted as delivered.
pub struct TornLineCut<'a> {
    /// The file.
    pub path: &'a Path,
    /// Bytes cut.
    pub bytes: u64,
}

impl TornLineCut<'_> {
    /// Writes the line.
    pub fn emit(&self) {
        warn!(path = %self.path.display(), bytes = self.bytes, "an unfinished last line was cut off");
    }
}
