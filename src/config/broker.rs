//! `[broker]`: the HTTP delivery targets and how they are sent to. Plain data.

use std::time::Duration;

use http::HeaderMap;
use serde::{Deserialize, Serialize};
use url::Url;

use crate::config::{BrokerTls, broker_url, checks, headers, password, status};
use crate::units::{self, ByteSize, Secret};

/// The Brokers and how they are sent to.
#[derive(Debug, Clone, PartialEq, Deserialize, Serialize, validator::Validate)]
#[serde(deny_unknown_fields)]
pub struct Broker {
    /// One or several; `http` or `https`, a host, no user information, no fragment.
    #[serde(deserialize_with = "broker_url::list")]
    pub urls: Vec<Url>,
    /// How a batch is written.
    pub format: BrokerFormat,
    /// How a batch is compressed.
    pub compression: Compression,
    /// Headers of every request.
    #[serde(
        serialize_with = "headers::serialize",
        deserialize_with = "headers::of_requests"
    )]
    pub headers: HeaderMap,
    /// The user name for HTTP Basic; empty: none.
    pub user: String,
    /// The password for HTTP Basic.
    #[serde(deserialize_with = "password::deserialize")]
    pub password: Secret,
    /// Events in one batch.
    #[validate(range(min = 1, max = 1_000_000))]
    pub max_batch_events: usize,
    /// Bytes of one batch as sent.
    #[validate(custom(function = checks::size_limit))]
    pub max_batch_bytes: ByteSize,
    /// The longest wait for a fuller batch.
    #[serde(with = "units::duration")]
    #[validate(custom(function = checks::delay))]
    pub linger: Duration,
    /// Requests under way at once, for each Broker.
    #[validate(range(min = 1, max = 1_000))]
    pub max_in_flight: usize,
    /// The longest time for opening a connection.
    #[serde(with = "units::duration")]
    #[validate(custom(function = checks::time_limit))]
    pub connect_timeout: Duration,
    /// The longest time from sending a request to the head of its answer, which decides.
    #[serde(with = "units::duration")]
    #[validate(custom(function = checks::time_limit))]
    pub request_timeout: Duration,
    /// How long a connection may idle before it is closed.
    #[serde(with = "units::duration")]
    #[validate(custom(function = checks::time_limit))]
    pub pool_idle_timeout: Duration,
    /// How long a connection is used before it is renewed, and its Broker's name looked up again.
    #[serde(with = "units::duration")]
    #[validate(custom(function = checks::time_limit))]
    pub connection_max_age: Duration,
    /// Answers that speak of the events and not of the Broker; none of them 2xx.
    #[serde(deserialize_with = "status::rejected_codes")]
    pub rejected_codes: Vec<u16>,
    /// The longest first wait before a second try.
    #[serde(with = "units::duration")]
    #[validate(custom(function = checks::time_limit))]
    pub retry_initial: Duration,
    /// The longest wait before any further try.
    #[serde(with = "units::duration")]
    #[validate(custom(function = checks::time_limit))]
    pub retry_max: Duration,
    /// `[broker.tls]`.
    pub tls: BrokerTls,
}

/// The content coding of a batch.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Compression {
    /// As it is.
    None,
    /// RFC 1952.
    Gzip,
    /// RFC 8878.
    Zstd,
}

/// How a batch is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum BrokerFormat {
    /// One JSON array.
    JsonBatch,
    /// One event a line.
    JsonLines,
    /// One event a request.
    Json,
}
