//! The integration tests: one binary, so that they link once. A file a capability, each seen from the outside:
//! bytes on a socket in, requests at a Broker or files out.

#![expect(clippy::too_many_lines, reason = "tables of cases")]
#![expect(clippy::unwrap_used, reason = "a test that cannot go on fails")]

mod support;

mod application_api;
mod auth;
mod bombs;
mod broker_connections;
mod broker_tls;
mod brokers;
mod chaos;
mod command_line;
mod compression;
mod configuration;
mod connection_floods;
mod cors;
mod crash;
mod culprits;
mod dead_letters;
mod delivery;
mod disk_spool;
mod drain;
mod enrichment;
mod health;
mod http2;
mod http2_attacks;
mod limits;
mod limits_per_sender;
mod listener;
mod log_injection;
mod logstash_paths;
mod metrics;
mod open_files;
mod openapi;
mod outputs;
mod overload_log;
mod parked;
mod proxies;
mod refusals;
mod reload;
mod scan;
mod scan_corpus;
mod slow_clients;
mod smuggling;
mod spool_failure;
mod spool_folder;
mod spool_full;
mod spool_lag;
mod status_page;
mod time_limits;
mod tls;
mod tls_files;
mod unread_log;
mod validation;
mod withdrawal;
