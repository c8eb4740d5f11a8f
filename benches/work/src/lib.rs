//! Pieces of Headgate's work, each on input that never changes: what `cargo bench` times and `scripts/instructions`
//! counts, so that both speak of the same work.

mod append;
mod corpus;
mod decode;
mod join;
mod request;
mod scan;

pub use append::Append;
pub use corpus::{array, nasty_event, ndjson, nested_document, typical_event};
pub use decode::{Decode, config};
pub use join::Join;
pub use request::Requests;
pub use scan::scan;
