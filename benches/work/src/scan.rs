//! The scanner alone.

use headgate::pipeline::scan::value;

/// Checks one JSON value and looks at its members; what was seen, so that nothing is left out as useless.
pub fn scan(text: &[u8]) -> (Option<usize>, usize) {
    let mut key_bytes = 0;
    let scanned = value(text, 0, |member| key_bytes += member.key.len());
    (scanned.ok().map(|scanned| scanned.span.end), key_bytes)
}
