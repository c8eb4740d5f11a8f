//! The id of a request: the client's own when it is fit to be one, else a new one.

use std::hash::{BuildHasher, RandomState};
use std::sync::atomic::{AtomicU64, Ordering};

use data_encoding::HEXLOWER;
use http::{HeaderMap, HeaderName, HeaderValue};

/// Carries the id in requests and answers.
pub(super) const X_REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");

const MAX_LENGTH: usize = 128;

/// Makes ids: a random prefix of the process, and a number.
pub(super) struct RequestIds {
    prefix: u64,
    next: AtomicU64,
}

impl RequestIds {
    pub(super) fn new() -> Self {
        Self {
            // The standard library's own randomness; ids are to be unique, not secret.
            prefix: RandomState::new().hash_one(std::process::id()),
            next: AtomicU64::new(0),
        }
    }

    /// The id of a request with these headers.
    pub(super) fn of(&self, headers: &HeaderMap) -> HeaderValue {
        // Of several the last one counts, as in the headers of an event.
        match headers.get_all(X_REQUEST_ID).iter().next_back() {
            Some(own) if is_fit(own.as_bytes()) => own.clone(),
            _ => self.make(),
        }
    }

    fn make(&self) -> HeaderValue {
        let number = self.next.fetch_add(1, Ordering::Relaxed);
        let mut text = [b'-'; 33];
        HEXLOWER.encode_mut(&self.prefix.to_be_bytes(), &mut text[..16]);
        HEXLOWER.encode_mut(&number.to_be_bytes(), &mut text[17..]);
        HeaderValue::from_bytes(&text).expect("hexadecimal digits are visible ASCII")
    }
}

/// 1 to 128 visible ASCII characters.
fn is_fit(id: &[u8]) -> bool {
    (1..=MAX_LENGTH).contains(&id.len()) && id.iter().all(u8::is_ascii_graphic)
}

/// Whether an id may be written to the log, into which clients write nothing of their own: one of hexadecimal
/// digits and dashes, as ours and UUIDs are.
pub(super) fn is_loggable(id: &str) -> bool {
    id.bytes()
        .all(|byte| byte.is_ascii_hexdigit() || byte == b'-')
}

#[cfg(test)]
mod tests {
    use super::*;

    fn id_for(own: &[u8]) -> HeaderValue {
        let mut headers = HeaderMap::new();
        headers.insert(X_REQUEST_ID, HeaderValue::from_bytes(own).unwrap());
        RequestIds::new().of(&headers)
    }

    #[test]
    fn a_fit_id_is_kept_and_any_other_replaced() {
        assert_eq!(id_for(b"abc-123_!~"), "abc-123_!~");
        assert_eq!(id_for(&[b'q'; 128]).len(), 128);
        for unfit in [&[b'q'; 129][..], b"two words", "n\u{f6}".as_bytes(), b""] {
            let id = id_for(unfit);
            assert_ne!(id.as_bytes(), unfit);
            assert!(is_fit(id.as_bytes()));
        }
    }

    #[test]
    fn made_ids_differ() {
        let ids = RequestIds::new();
        assert_ne!(ids.make(), ids.make());
        assert_ne!(RequestIds::new().make(), RequestIds::new().make());
    }
}
