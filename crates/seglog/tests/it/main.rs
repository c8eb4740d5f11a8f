//! The log as its users see it, on a folder that crashes, fills up and goes bad.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod bad_places;
mod beside;
mod crash;
mod damage;
mod fixtures;
mod full_disk;
mod interleaved;
mod life;
mod model;
mod recycling;
mod support;
mod taken_away;
