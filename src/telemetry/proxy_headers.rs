//! Connections that were closed for their PROXY header: counted, and told without letting scanners fill the log.

use std::net::IpAddr;
use std::sync::atomic::{AtomicBool, Ordering};

use metrics_exporter_prometheus::PrometheusRecorder;

use super::events::ProxyHeaderRefused;
use super::names;
use super::recorder::Family;

/// Why a connection was closed for its PROXY header.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ProxyHeaderFault {
    /// There must be one, and there is none.
    #[error("it does not begin with a PROXY header, and server.proxy_protocol is \"required\"")]
    Missing,
    /// It breaks the rules of the protocol.
    #[error("its PROXY header breaks the rules of the protocol")]
    Malformed,
    /// Its sender may not say who its client is.
    #[error("its PROXY header comes from an address that is not in server.trusted_proxies")]
    Untrusted,
    /// The connection ended before the header did, or the time for a head was over.
    #[error("its PROXY header did not come whole in time")]
    Incomplete,
    /// It stands where HTTP is expected.
    #[error(
        "its HTTP begins with a PROXY header: where balancers send one, set server.proxy_protocol; a second one behind the first is not read"
    )]
    Unexpected,
}

impl ProxyHeaderFault {
    const ALL: [Self; 5] = [
        Self::Missing,
        Self::Malformed,
        Self::Untrusted,
        Self::Incomplete,
        Self::Unexpected,
    ];

    /// The word in the metric.
    const fn as_str(self) -> &'static str {
        match self {
            Self::Missing => "missing",
            Self::Malformed => "malformed",
            Self::Untrusted => "untrusted",
            Self::Incomplete => "incomplete",
            Self::Unexpected => "unexpected",
        }
    }
}

/// What is told of refused PROXY headers.
pub struct ProxyHeaders {
    refused: Family<ProxyHeaderFault>,
    has_warned: AtomicBool,
}

impl ProxyHeaders {
    pub(super) fn new(recorder: &PrometheusRecorder) -> Self {
        Self {
            refused: Family::new(
                recorder,
                &names::PROXY_HEADERS_REFUSED,
                "reason",
                ProxyHeaderFault::ALL,
                ProxyHeaderFault::as_str,
            ),
            has_warned: AtomicBool::new(false),
        }
    }

    /// A connection was closed for its header, or for the want of one. The first one since the start is a warning.
    pub fn refused(&self, peer: IpAddr, fault: ProxyHeaderFault) {
        self.refused.add(fault, 1);
        let is_first = !self.has_warned.swap(true, Ordering::Relaxed);
        ProxyHeaderRefused {
            peer,
            fault,
            is_first,
        }
        .emit();
    }
}
