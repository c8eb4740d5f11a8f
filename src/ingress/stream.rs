//! A client's byte stream: tells the connection's clocks what passes, replays what was read while nobody
//! served it, and closes lingeringly.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::Bytes;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, ReadBuf};

use super::activity::Activity;
use super::prefixed::read_again;
use super::transport::Transport;

/// A client that still sends after a refusal gets this long to read it.
pub(super) const LINGER: Duration = Duration::from_secs(3);
/// One that has fallen silent, this long.
pub(super) const LINGER_SILENCE: Duration = Duration::from_secs(1);

/// How many bytes of empty lines are passed over before a request. Who sends more is taken at his word: it is
/// a slow head.
pub(super) const MAX_EMPTY_LINES_BYTES: usize = 4;

/// How many bytes of empty lines, of those that are passed over, a text begins with. Some clients send one
/// behind a body; it is no part of the next request (RFC 9112, 2.2).
pub(super) fn empty_lines(text: &[u8]) -> usize {
    let passed_over = text.iter().take(MAX_EMPTY_LINES_BYTES);
    let is_line_end = |byte: &&u8| matches!(byte, b'\r' | b'\n');
    passed_over.take_while(is_line_end).count()
}

/// Refusals can be read only if the connection is not reset, and it is reset when it is closed with bytes
/// unread. So: end our side, then read on for a while and throw away, with TLS without deciphering it.
pub(super) async fn close_lingering(mut stream: Transport) {
    if !end_our_side(&mut stream).await {
        return;
    }
    let mut stream = stream.into_tcp();
    let throw_away = async {
        let mut scratch = vec![0; 16 * 1024];
        loop {
            let read = tokio::time::timeout(LINGER_SILENCE, stream.read(&mut scratch)).await;
            if !matches!(read, Ok(Ok(1..))) {
                return;
            }
        }
    };
    let _the_rest_is_the_clients_loss = tokio::time::timeout(LINGER, throw_away).await;
}

/// Tells the client that nothing more comes; false when it cannot be told. With TLS that is a message, which a client
/// that reads nothing would hold up for ever.
pub(super) async fn end_our_side(stream: &mut Transport) -> bool {
    let told = tokio::time::timeout(LINGER_SILENCE, stream.shutdown()).await;
    matches!(told, Ok(Ok(())))
}

/// The stream as hyper reads and writes it.
pub(super) struct ClientStream {
    stream: Transport,
    /// What was read before, and is read again first.
    read: Bytes,
    activity: Arc<Activity>,
}

impl ClientStream {
    pub(super) fn new(stream: Transport, read: Bytes, activity: Arc<Activity>) -> Self {
        Self {
            stream,
            read,
            activity,
        }
    }

    pub(super) fn into_inner(self) -> Transport {
        self.stream
    }
}

impl AsyncRead for ClientStream {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        if read_again(&mut this.read, buf) {
            return Poll::Ready(Ok(()));
        }
        let filled = buf.filled().len();
        let limit = this.activity.read_limit();
        ready!(this.stream.poll_read_limited(cx, buf, limit))?;
        let came = &buf.filled()[filled..];
        if came.len() > empty_lines(came) {
            this.activity.bytes_came();
        }
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for ClientStream {
    fn poll_write(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        let this = self.get_mut();
        this.activity.bytes_went();
        Pin::new(&mut this.stream).poll_write(cx, buf)
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let this = self.get_mut();
        this.activity.bytes_went();
        Pin::new(&mut this.stream).poll_write_vectored(cx, bufs)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        ready!(Pin::new(&mut this.stream).poll_flush(cx))?;
        this.activity.flushed();
        Poll::Ready(Ok(()))
    }

    /// Does nothing with HTTP/1: the connection's task closes the stream itself, when hyper has let go of it. That of
    /// HTTP/2 never lets go.
    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        if this.activity.is_multiplexed() {
            return Pin::new(&mut this.stream).poll_shutdown(cx);
        }
        Poll::Ready(Ok(()))
    }
}
