//! HTTP/2 as attackers speak it: malformed requests, which must leave no event; and floods, which must end, cost no
//! memory that is not given back, and disturb nobody else.

mod floods;
mod frames;
mod requests;
mod unfinished;

use crate::support::http2_frames::*;

/// `SETTINGS_INITIAL_WINDOW_SIZE`.
const INITIAL_WINDOW_SIZE: u16 = 4;

fn headers(flags: u8, more: &[(&[u8], &[u8])]) -> Vec<u8> {
    let mut all: Vec<(&[u8], &[u8])> = Vec::new();
    all.extend(POST.map(|(name, value)| (name.as_bytes(), value.as_bytes())));
    all.extend(more);
    frame(HEADERS, flags | END_HEADERS, 1, &block(&all))
}
