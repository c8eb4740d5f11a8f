//! The client at the other end of a connection, as its requests see it. Plain data.

use std::net::IpAddr;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use super::activity::Activity;
use super::registry::Standing;

/// An address, and how it is written: it is written into each event, and a connection's is the same for all
/// its requests.
#[derive(Clone)]
pub(super) struct ClientIp {
    pub(super) address: IpAddr,
    pub(super) text: Arc<str>,
}

impl ClientIp {
    pub(super) fn new(address: IpAddr) -> Self {
        Self {
            text: address.to_string().into(),
            address,
        }
    }

    /// The same, unless the client is another one.
    pub(super) fn or(&self, address: IpAddr) -> Self {
        if address == self.address {
            self.clone()
        } else {
            Self::new(address)
        }
    }
}

/// What requests need to know of their client.
pub(super) struct Client {
    /// Its address: that of the peer, or the one that the PROXY header in front of the connection names. The
    /// client of a request may be further away (`TrustedProxies::client_ip`).
    pub(super) ip: ClientIp,
    /// Whether its connection is one of the few that are kept for health checks.
    pub(super) standing: Arc<Standing>,
    /// Its clocks.
    pub(super) activity: Arc<Activity>,
    /// Set when a request was answered with bytes of its body still to come.
    pub(super) leaves_bytes_unread: AtomicBool,
}
