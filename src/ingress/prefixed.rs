//! A TCP stream of which some bytes were read already; they are read again first.

use std::io::{self, IoSlice};
use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::{Buf, Bytes};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;

/// The stream behind those bytes.
pub(super) struct Prefixed {
    read: Bytes,
    stream: TcpStream,
}

impl Prefixed {
    /// `read`: what was read of the stream and is still to be looked at.
    pub(super) fn new(read: Bytes, stream: TcpStream) -> Self {
        Self { read, stream }
    }

    /// Waits for the next bytes and leaves them where they are; how many were looked at, 0 at the end of the stream.
    pub(super) async fn peek(&self, buffer: &mut [u8]) -> io::Result<usize> {
        if self.read.is_empty() {
            return self.stream.peek(buffer).await;
        }
        let length = self.read.len().min(buffer.len());
        buffer[..length].copy_from_slice(&self.read[..length]);
        Ok(length)
    }

    /// The bare stream, for what need not read everything.
    pub(super) fn into_tcp(self) -> TcpStream {
        self.stream
    }
}

/// Reads from what was read already; false when nothing of it is left.
pub(super) fn read_again(read: &mut Bytes, buf: &mut ReadBuf<'_>) -> bool {
    if read.is_empty() {
        return false;
    }
    let length = read.len().min(buf.remaining());
    buf.put_slice(&read[..length]);
    read.advance(length);
    if read.is_empty() {
        // An empty piece would keep the memory of the whole as long as the connection lives.
        *read = Bytes::new();
    }
    true
}

impl AsyncRead for Prefixed {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        if read_again(&mut this.read, buf) {
            return Poll::Ready(Ok(()));
        }
        Pin::new(&mut this.stream).poll_read(cx, buf)
    }
}

impl AsyncWrite for Prefixed {
    fn poll_write(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.get_mut().stream).poll_write(cx, buf)
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.get_mut().stream).poll_write_vectored(cx, bufs)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().stream).poll_flush(cx)
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().stream).poll_shutdown(cx)
    }
}
