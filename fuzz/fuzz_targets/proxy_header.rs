//! Any bytes at the beginning of a connection, as they come: no panic; an answer once given stays, however
//! many bytes follow; and a header never ends before the bytes that it was recognised by, nor names an
//! address that is not canonical.

#![no_main]

use headgate::ingress::fuzzing::{Found, find_proxy_header};
use libfuzzer_sys::fuzz_target;

/// The longest header: version 2 with all that its length can say.
const MAX_BYTES: usize = 16 + 65535;

fuzz_target!(|bytes: &[u8]| {
    let mut answer = None;
    for end in 0..=bytes.len() {
        let found = find_proxy_header(&bytes[..end]);
        match answer {
            Some(answer) => assert_eq!(found, answer),
            None if found == Found::NeedMore => {}
            None => answer = Some(found),
        }
        // Nothing else is waited for without an end.
        assert!(found != Found::NeedMore || end < 107);
    }
    if let Some(Found::Header { source, length }) = answer {
        assert!((15..=MAX_BYTES).contains(&length));
        assert!(bytes.starts_with(b"PROXY ") || bytes.starts_with(b"\r\n\r\n\0\r\nQUIT\n"));
        assert!(source.is_none_or(|source| source == source.to_canonical()));
        if bytes.starts_with(b"PROXY ") {
            assert!(length <= 107 && bytes[..length].ends_with(b"\r\n"));
        }
    }
});
