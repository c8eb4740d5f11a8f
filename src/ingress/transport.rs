//! What carries a client's bytes: TCP as it is, or TLS over it.

use std::io::{self, IoSlice};
use std::pin::Pin;
use std::task::{Context, Poll};

use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tokio_rustls::server::TlsStream;

use super::prefixed::Prefixed;
use super::protocol::Protocol;

/// A body up to this size, in bytes, is read in one piece, and need not be copied together.
const SHORT_BODY_BYTES: usize = 64 * 1024;
/// A longer one comes in pieces of this size.
const PIECE_BYTES: usize = 16 * 1024;

/// The most that is read at once from a client that sends bodies of this length, if it is declared. hyper
/// doubles its buffer when a read has filled it, and a busy connection keeps it: this fills none.
/// docs/PERFORMANCE.md says what that saves.
pub(super) fn read_limit(body_length: Option<u64>, has_large_buffers: bool) -> usize {
    if has_large_buffers && body_length.is_some_and(|length| length <= SHORT_BODY_BYTES as u64) {
        SHORT_BODY_BYTES - 1
    } else {
        PIECE_BYTES - 1
    }
}

/// TCP, or TLS over it.
pub(super) enum Transport {
    Tcp(Prefixed),
    /// In a box: a plain connection must not carry the room for a kilobyte of TLS state.
    Tls(Box<TlsStream<Prefixed>>),
}

impl Transport {
    /// What client and server have agreed upon, where they did (ALPN).
    pub(super) fn agreed_protocol(&self) -> Option<Protocol> {
        match self {
            Self::Tcp(_) => None,
            Self::Tls(stream) => Protocol::of_alpn(stream.get_ref().1.alpn_protocol()?),
        }
    }

    /// Reads so many bytes at most. TLS gives its records whole, which have up to 16 KiB (RFC 8446, 5.1).
    pub(super) fn poll_read_limited(
        &mut self,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
        limit: usize,
    ) -> Poll<io::Result<()>> {
        match self {
            Self::Tcp(stream) => Pin::new(&mut stream.take(limit as u64)).poll_read(cx, buf),
            Self::Tls(stream) => Pin::new(stream).poll_read(cx, buf),
        }
    }

    /// The bare stream, for what needs no understanding any more.
    pub(super) fn into_tcp(self) -> TcpStream {
        match self {
            Self::Tcp(stream) => stream.into_tcp(),
            Self::Tls(stream) => stream.into_inner().0.into_tcp(),
        }
    }
}

impl AsyncRead for Transport {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        self.get_mut().poll_read_limited(cx, buf, usize::MAX)
    }
}

impl AsyncWrite for Transport {
    fn poll_write(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        match self.get_mut() {
            Self::Tcp(stream) => Pin::new(stream).poll_write(cx, buf),
            Self::Tls(stream) => Pin::new(stream).poll_write(cx, buf),
        }
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        match self.get_mut() {
            Self::Tcp(stream) => Pin::new(stream).poll_write_vectored(cx, bufs),
            Self::Tls(stream) => Pin::new(stream).poll_write_vectored(cx, bufs),
        }
    }

    fn is_write_vectored(&self) -> bool {
        match self {
            Self::Tcp(stream) => stream.is_write_vectored(),
            Self::Tls(stream) => stream.is_write_vectored(),
        }
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Tcp(stream) => Pin::new(stream).poll_flush(cx),
            Self::Tls(stream) => Pin::new(stream).poll_flush(cx),
        }
    }

    /// With TLS, says first that nothing more comes (close_notify), so that the client knows a whole answer from a cut
    /// one.
    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Tcp(stream) => Pin::new(stream).poll_shutdown(cx),
            Self::Tls(stream) => Pin::new(stream).poll_shutdown(cx),
        }
    }
}
