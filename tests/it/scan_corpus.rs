//! Documents that JSON allows and forbids, each named by what it is about.
//!
//! All are UTF-8, as the scanner is promised. They stand for the corners of RFC 8259 and for what
//! people and programs send in the belief that it is JSON.

mod bad;
mod good;

pub(crate) use bad::{BAD, GOOD_WITH_MORE_BEHIND};
pub(crate) use good::{GOOD, GOOD_BUT_NOT_FOR_EVERYONE};
