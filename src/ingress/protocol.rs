//! Which HTTP a client speaks: as was agreed upon within TLS, or by the first bytes.

use std::io;

use bytes::BytesMut;
use tokio::io::{AsyncRead, AsyncReadExt};

/// What every HTTP/2 connection begins with (RFC 9113, 3.4).
const HTTP2_PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

/// Which HTTP a client speaks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Protocol {
    Http1,
    Http2,
}

impl Protocol {
    /// Their names within TLS (RFC 7301, 6), the preferred one first.
    pub(super) const ALPN: [&[u8]; 2] = [b"h2", b"http/1.1"];

    /// The one of this name.
    pub(super) fn of_alpn(name: &[u8]) -> Option<Self> {
        match name {
            b"h2" => Some(Self::Http2),
            b"http/1.1" => Some(Self::Http1),
            _ => None,
        }
    }
}

/// Reads on from the first bytes until it is clear which protocol the client speaks. None at the end of the stream.
pub(super) async fn sniff(
    stream: &mut (impl AsyncRead + Unpin),
    read: &mut BytesMut,
) -> io::Result<Option<Protocol>> {
    loop {
        if read.starts_with(HTTP2_PREFACE) {
            return Ok(Some(Protocol::Http2));
        }
        if !HTTP2_PREFACE.starts_with(read) {
            return Ok(Some(Protocol::Http1));
        }
        if stream.read_buf(read).await? == 0 {
            return Ok(None);
        }
    }
}
