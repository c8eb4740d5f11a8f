//! `[server]`: the public listener, its time limits and the drain. Plain data.

use std::net::SocketAddr;
use std::time::Duration;

use ipnet::IpNet;
use serde::{Deserialize, Serialize};

use crate::config::{ServerTls, address, checks, networks};
use crate::units;

/// The public listener, its time limits and the drain.
#[derive(Debug, Clone, PartialEq, Deserialize, Serialize, validator::Validate)]
#[serde(deny_unknown_fields)]
pub struct Server {
    /// The address to listen on; port 0 lets the system choose one.
    #[serde(deserialize_with = "address::deserialize")]
    pub listen: SocketAddr,
    /// How long a connection may idle between requests.
    #[serde(with = "units::duration")]
    #[validate(custom(function = checks::time_limit))]
    pub keep_alive_timeout: Duration,
    /// From the first byte of a request head to its end.
    #[serde(with = "units::duration")]
    #[validate(custom(function = checks::time_limit))]
    pub header_read_timeout: Duration,
    /// The longest silence inside a body.
    #[serde(with = "units::duration")]
    #[validate(custom(function = checks::time_limit))]
    pub body_read_timeout: Duration,
    /// The longest time for a whole body.
    #[serde(with = "units::duration")]
    #[validate(custom(function = checks::time_limit))]
    pub body_timeout: Duration,
    /// From the last byte of a body to the answer.
    #[serde(with = "units::duration")]
    #[validate(custom(function = checks::time_limit))]
    pub request_timeout: Duration,
    /// Connections served at once.
    #[validate(range(min = 1, max = 1_000_000))]
    pub max_connections: usize,
    /// On drain: how long to go on serving while no longer ready.
    #[serde(with = "units::duration")]
    #[validate(custom(function = checks::delay))]
    pub drain_delay: Duration,
    /// On drain, after `drain_delay`: how long what is in flight may take to finish.
    #[serde(with = "units::duration")]
    #[validate(custom(function = checks::delay))]
    pub drain_timeout: Duration,
    /// Proxies and load balancers that are believed when they say who their client is.
    #[serde(deserialize_with = "networks::deserialize")]
    pub trusted_proxies: Vec<IpNet>,
    /// Whether connections begin with a header of the PROXY protocol.
    pub proxy_protocol: ProxyProtocol,
    /// `[server.tls]`: TLS on it.
    pub tls: ServerTls,
}

/// Whether connections begin with a header of the PROXY protocol.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum ProxyProtocol {
    /// No; what they begin with is HTTP.
    Off,
    /// Some do.
    Optional,
    /// All do; what does not is closed.
    Required,
}

impl ProxyProtocol {
    /// The word of the configuration.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Off => "off",
            Self::Optional => "optional",
            Self::Required => "required",
        }
    }
}
