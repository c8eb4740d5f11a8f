//! Headgate: a Logstash-compatible HTTP ingress for log events.
//!
//! The program is `headgate`; this library is what it is made of, so that tests and benchmarks can reach each
//! room. docs/ARCHITECTURE.md says which room uses which.

#![cfg_attr(test, expect(clippy::too_many_lines, reason = "tables of cases"))]

pub mod accept;
pub mod admin;
pub mod app;
pub mod budget;
pub mod cli;
pub mod config;
pub mod dead_letters;
pub mod event;
pub mod file_watch;
pub mod folders;
pub mod forward;
pub mod ingress;
pub mod lifecycle;
pub mod pipeline;
pub mod replay;
pub mod spool;
pub mod telemetry;
pub mod units;
