//! The configuration: plain data with defaults and checks.
//!
//! [`Config::load`] reads a file and the environment; nothing else in the program does. A section is a file of
//! `config/`, a key is a field of the same name. The defaults are `config/headgate.toml`, embedded.

mod address;
mod admin;
mod allowed;
mod auth;
mod broker;
mod broker_tls;
mod broker_url;
mod checks;
mod contradictions;
mod cors;
mod dead_letters;
mod effective;
mod enrich;
mod environment;
mod headers;
mod ingest;
mod items;
mod known;
mod limits;
mod listeners;
mod load;
mod log;
mod merge;
mod metrics;
mod networks;
mod output;
mod parse;
mod password;
mod pem_file;
mod problem;
mod ranges;
mod reload;
mod schema_file;
mod server;
mod server_tls;
mod shown;
mod spool;
mod static_fields;
mod status;
mod tls_files;
mod unset;
mod validate;
mod warnings;

pub use admin::Admin;
pub use auth::{ApiKey, Auth, KeyHash, KeyHashError, KeyNameError};
pub use broker::{Broker, BrokerFormat, Compression};
pub use broker_tls::BrokerTls;
pub use cors::{AllowedOrigins, Cors};
pub use dead_letters::DeadLetters;
pub use enrich::{EcsCompatibility, EcsField, Enrich, OnConflict};
pub use ingest::{Codec, Durability, Ingest};
pub use limits::Limits;
pub use load::{Loaded, Source};
pub use log::{Log, LogFormat, LogLevel};
pub use metrics::Metrics;
pub use output::{FileOutput, Output, OutputType};
pub use pem_file::PemFile;
pub use problem::{ConfigErrors, Origin, Problem};
pub use reload::Changes;
pub use schema_file::SchemaFile;
pub use server::{ProxyProtocol, Server};
pub use server_tls::{ClientAuth, ServerTls};
pub use spool::{Spool, SpoolSync};
pub use static_fields::{StaticFields, StaticFieldsError};
pub use tls_files::{FormFault, OwnCertificate, TlsFileProblem};
pub use validate::{OnInvalid, Validate};
pub use warnings::Warning;

use serde::{Deserialize, Serialize};
use validator::Validate as _;

/// The commented default file. Its values are the defaults; there are no others.
pub const DEFAULT_FILE: &str = include_str!("../config/headgate.toml");

/// The whole configuration, checked: a value made by [`Config::load`] holds no contradiction.
#[derive(Debug, Clone, PartialEq, Deserialize, Serialize, validator::Validate)]
#[serde(deny_unknown_fields)]
pub struct Config {
    /// `[server]`: the public listener.
    #[validate(nested)]
    pub server: Server,
    /// `[admin]`: the operator's listener.
    #[validate(nested)]
    pub admin: Admin,
    /// `[ingest]`: what is taken from clients.
    #[validate(nested)]
    pub ingest: Ingest,
    /// `[enrich]`: what is added to each event.
    #[validate(nested)]
    pub enrich: Enrich,
    /// `[validate]`: what an event must be.
    #[validate(nested)]
    pub validate: Validate,
    /// `[auth]`: who may send.
    #[validate(nested)]
    pub auth: Auth,
    /// `[limits]`: how much one client may send.
    #[validate(nested)]
    pub limits: Limits,
    /// `[cors]`: which web pages may send.
    #[validate(nested)]
    pub cors: Cors,
    /// `[spool]`: the durable queue.
    #[validate(nested)]
    pub spool: Spool,
    /// `[dead_letters]`: where undeliverable events are kept.
    #[validate(nested)]
    pub dead_letters: DeadLetters,
    /// `[output]`: where events go.
    #[validate(nested)]
    pub output: Output,
    /// `[broker]`: the HTTP delivery targets.
    #[validate(nested)]
    pub broker: Broker,
    /// `[metrics]`: which sources are told apart.
    #[validate(nested)]
    pub metrics: Metrics,
    /// `[log]`: what the program says.
    #[validate(nested)]
    pub log: Log,
}

impl Default for Config {
    fn default() -> Self {
        toml::from_str(DEFAULT_FILE).expect("the embedded default file is decoded by the tests")
    }
}

impl Config {
    /// Where events go: `output.type`, or without it to the Brokers where there are any, else to files.
    pub fn output_type(&self) -> OutputType {
        self.output.kind.unwrap_or(if self.broker.urls.is_empty() {
            OutputType::File
        } else {
            OutputType::Http
        })
    }
}

#[cfg(test)]
mod tests;
