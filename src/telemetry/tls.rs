//! The metrics of TLS on the public listener: handshakes that failed, by why, and how its files were read again.

use metrics_exporter_prometheus::PrometheusRecorder;

use super::names;
use super::recorder::{Family, Flag};

/// Why a handshake on the public listener failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum HandshakeFailure {
    /// The client went away in the middle of it.
    Closed,
    /// It took longer than `server.header_read_timeout`.
    Timeout,
    /// What came was no TLS, plain HTTP for instance.
    NotTls,
    /// There is no version, cipher or protocol that both sides know.
    Incompatible,
    /// The client's certificate is missing or not to be believed.
    ClientCertificate,
    /// The client refused; mostly it does not believe our certificate.
    Refused,
    /// The client broke the rules of TLS, or something on the way did.
    Faulty,
}

impl HandshakeFailure {
    const ALL: [Self; 7] = [
        Self::Closed,
        Self::Timeout,
        Self::NotTls,
        Self::Incompatible,
        Self::ClientCertificate,
        Self::Refused,
        Self::Faulty,
    ];

    /// The word in metrics.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Closed => "closed",
            Self::Timeout => "timeout",
            Self::NotTls => "not_tls",
            Self::Incompatible => "incompatible",
            Self::ClientCertificate => "client_certificate",
            Self::Refused => "refused",
            Self::Faulty => "faulty",
        }
    }
}

/// The handles of TLS on the public listener.
pub struct TlsMetrics {
    failures: Family<HandshakeFailure>,
    last_reload_successful: Flag,
}

impl TlsMetrics {
    pub(super) fn new(recorder: &PrometheusRecorder) -> Self {
        Self {
            failures: Family::new(
                recorder,
                &names::TLS_HANDSHAKE_FAILURES,
                "reason",
                HandshakeFailure::ALL,
                HandshakeFailure::as_str,
            ),
            last_reload_successful: Flag::new(recorder, &names::TLS_LAST_RELOAD_SUCCESSFUL, true),
        }
    }

    /// The changed files were read again, and taken or refused.
    pub fn reloaded(&self, is_taken: bool) {
        self.last_reload_successful.set(is_taken);
    }

    /// Whether they were refused, and nothing has been taken since.
    pub fn is_refused(&self) -> bool {
        !self.last_reload_successful.is_set()
    }

    /// A handshake failed.
    pub fn handshake_failed(&self, failure: HandshakeFailure) {
        self.failures.add(failure, 1);
    }
}
