//! Log events of TLS, mostly on the public listener.

use std::fmt::Display;
use std::net::IpAddr;

use jiff::Timestamp;
use tracing::{debug, info, warn};

use crate::telemetry::HandshakeFailure;
use crate::units::timestamp;

/// A handshake failed. Not a line for every log: any scanner could fill it.
pub struct HandshakeFailed<'a> {
    /// The client of the connection.
    pub client_ip: IpAddr,
    /// The kind of failure, as it is counted.
    pub failure: HandshakeFailure,
    /// All that is known of it.
    pub reason: &'a dyn Display,
}

impl HandshakeFailed<'_> {
    /// Writes the line.
    pub fn emit(&self) {
        debug!(
            client_ip = %self.client_ip,
            failure = self.failure.as_str(),
            reason = %self.reason,
            "a TLS handshake failed"
        );
    }
}

/// The files of `[server.tls]` have changed and were read.
pub struct TlsReloaded;

impl TlsReloaded {
    /// Writes the line.
    pub fn emit(&self) {
        info!("the files of server.tls have changed: new connections use the new ones");
    }
}

/// The files of `[server.tls]` have changed and cannot be used.
pub struct TlsReloadRefused<'a> {
    /// Which setting, and what must be true of it and is not.
    pub problem: &'a dyn Display,
    /// Whether it is no fault of the files: no further one can be open now.
    pub is_out_of_handles: bool,
}

impl TlsReloadRefused<'_> {
    /// Writes the line.
    pub fn emit(&self) {
        if self.is_out_of_handles {
            warn!(
                reason = %self.problem,
                "the files of server.tls have changed and cannot be read, for too many files are open: nothing has changed for connections; they are read again as soon as there is room"
            );
        } else {
            warn!(
                reason = %self.problem,
                "the files of server.tls have changed and cannot be used: nothing has changed for connections; mend the files, they are read again then"
            );
        }
    }
}

/// A certificate that is shown to others has expired already when it is taken into use.
pub struct CertificateExpired {
    /// The setting that names its file.
    pub setting: &'static str,
    /// When the first of its chain expired.
    pub at: Timestamp,
}

impl CertificateExpired {
    /// Writes the line.
    pub fn emit(&self) {
        warn!(
            expired_at = timestamp::to_text(self.at),
            "the certificate of {}, or one of its chain, has expired: whoever checks it refuses the connection; renew it, or set the clock here if that is wrong",
            self.setting
        );
    }
}
