//! `[admin]`: the operator's listener. Plain data.

use std::net::SocketAddr;

use serde::{Deserialize, Serialize};

use crate::config::{address, unset};

/// The operator's listener: metrics, detailed health, status.
#[derive(Debug, Clone, PartialEq, Deserialize, Serialize, validator::Validate)]
#[serde(deny_unknown_fields)]
pub struct Admin {
    /// The address to listen on; `None` (written `""`) turns the listener off.
    #[serde(
        serialize_with = "unset::serialize",
        deserialize_with = "address::deserialize_unset"
    )]
    pub listen: Option<SocketAddr>,
}
