//! Units of measure and small value types that every other room may use: sizes, durations, secrets and
//! field references. Pure values: no I/O, no clock, nothing of the rest of the program.

pub mod byte_size;
pub mod duration;
pub mod field_reference;
pub mod secret;
pub mod text;
pub mod timestamp;

pub use byte_size::ByteSize;
pub use field_reference::FieldReference;
pub use secret::Secret;
