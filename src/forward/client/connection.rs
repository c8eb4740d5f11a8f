//! One kept connection to a Broker, and the place where it waits between two requests.

use std::io;
use std::pin::pin;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::Duration;

use bytes::Bytes;
use http::{HeaderValue, Request, Response, header};
use http_body_util::BodyExt;
use hyper::body::Incoming;
use hyper::client::conn::http1::{self, SendRequest};
use hyper_util::rt::TokioIo;
use thiserror::Error;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::time::{Instant, timeout, timeout_at};
use tokio_util::io::InspectWriter;
use tokio_util::sync::{CancellationToken, DropGuard};

use super::tls;
use crate::forward::encode::Pieces;

/// Bytes of an answer that are kept.
const EXCERPT: usize = 200;
/// An answer longer than this is not read to its end; its connection is closed then. Some Brokers answer with
/// a result for each event.
const MAX_ANSWER: usize = 4 * 1024 * 1024;
/// An answer with more header lines than this is none to hyper.
const MAX_ANSWER_HEADERS: usize = 1000;
/// An answer's body that takes longer than this after its head is left.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(2);
/// A connection whose last answer has been read is ready in a moment; one that is not still writes the last request,
/// whose answer came early, and may do so for ever.
const READY_TIMEOUT: Duration = Duration::from_secs(1);

/// A stream whose written bytes are counted.
type Counted<S> = InspectWriter<S, Box<dyn FnMut(&[u8]) + Send>>;

/// A connection that its slot has dropped has this long to end in order; then it is cut.
const CLOSE_TIMEOUT: Duration = Duration::from_secs(1);

/// An open connection. Dropping it closes it.
pub(super) struct Connection {
    sender: SendRequest<Pieces>,
    /// Bytes that were written to it; with TLS, before they are enciphered. hyper tells of an answer also
    /// when it came before the request was sent.
    written: Arc<AtomicU64>,
    /// From then on it is old.
    expires: Instant,
    unused_since: Instant,
    /// hyper goes on writing a request whose answer came early, for as long as the Broker does not read it.
    _ends_work: DropGuard,
}

/// An answer, as far as it matters.
pub(super) struct Answered {
    pub(super) status: u16,
    pub(super) retry_after: Option<HeaderValue>,
    /// Of the body.
    pub(super) beginning: Vec<u8>,
    /// Whether it was read to its end, so that the connection can be used again.
    is_whole: bool,
}

/// Why there is no answer. How sure it is that the Broker knows nothing of the request decides what may follow.
#[derive(Debug, Error)]
pub(super) enum NoAnswer {
    /// hyper gives a request back as long as it has not begun to write it: the Broker knows nothing of it.
    #[error("the connection ended before the request was sent: {}", tls::explain(.0))]
    NotSent(hyper::Error),
    /// The connection ended while the request was written or its answer awaited: the Broker may have taken it.
    #[error("the request failed: {}", tls::explain(.0))]
    Closed(hyper::Error),
    /// Something else than an answer came, or TLS failed.
    #[error("the request failed: {}{}", tls::explain(.0), advice(.0))]
    Broken(hyper::Error),
    /// It may yet be taken.
    #[error("it did not answer in time (broker.request_timeout)")]
    TimedOut,
    /// It cannot have the events, whatever it says: an array's end was not sent.
    #[error("it answered {0} and did not read the request to its end")]
    Unread(u16),
}

impl Connection {
    /// Begins to speak HTTP; the second half is the connection's own work, which somebody must run.
    pub(super) async fn begin<S>(stream: S, max_age: Duration) -> hyper::Result<(Self, Work<S>)>
    where
        S: AsyncRead + AsyncWrite + Send + Unpin + 'static,
    {
        let opened = Instant::now();
        let written = Arc::new(AtomicU64::new(0));
        let counter = Arc::clone(&written);
        let count = move |bytes: &[u8]| {
            counter.fetch_add(bytes.len() as u64, Ordering::Relaxed);
        };
        let stream = Counted::new(stream, Box::new(count));
        let dropped = CancellationToken::new();
        let (sender, work) = lenient().handshake(TokioIo::new(stream)).await?;
        let connection = Self {
            sender,
            written,
            expires: opened + max_age,
            unused_since: opened,
            _ends_work: dropped.clone().drop_guard(),
        };
        Ok((connection, Work { work, dropped }))
    }

    /// Whether it can take another request: not closed, as far as can be known.
    pub(super) async fn is_ready(&mut self) -> bool {
        let ready = timeout(READY_TIMEOUT, self.sender.ready()).await;
        matches!(ready, Ok(Ok(())))
    }

    /// Whether a new one is to take its place.
    pub(super) fn is_old(&self) -> bool {
        Instant::now() >= self.expires
    }

    /// It is used for so long again.
    pub(super) fn renew(&mut self, max_age: Duration) {
        self.expires = Instant::now() + max_age;
    }

    /// Sends a request and waits for the answer for at most `limit`.
    pub(super) async fn exchange(
        &mut self,
        request: Request<Pieces>,
        limit: Duration,
    ) -> Result<Answered, NoAnswer> {
        let deadline = Instant::now() + limit;
        let sent_at = self.written.load(Ordering::Relaxed) + least_bytes_of(&request);
        match timeout_at(deadline, self.sender.try_send_request(request)).await {
            Ok(Ok(response)) => {
                let answered = Answered::read(response).await;
                self.see_whether_sent(&answered, sent_at, deadline).await?;
                Ok(answered)
            }
            Ok(Err(error)) if error.message().is_some() => {
                Err(NoAnswer::NotSent(error.into_error()))
            }
            Ok(Err(error)) => Err(NoAnswer::from(error.into_error())),
            Err(_) => Err(NoAnswer::TimedOut),
        }
    }

    /// A success that comes before the request was written counts when all of it has been, for which the
    /// Broker has the rest of its time. `sent_at`: bytes written by then. What lies in the buffers of the
    /// system counts as written.
    async fn see_whether_sent(
        &mut self,
        answered: &Answered,
        sent_at: u64,
        deadline: Instant,
    ) -> Result<(), NoAnswer> {
        let is_sent = || self.written.load(Ordering::Relaxed) >= sent_at;
        if !(200..300).contains(&answered.status) || is_sent() {
            return Ok(());
        }
        let _written_ended_or_late = timeout_at(deadline, self.sender.ready()).await;
        if is_sent() {
            Ok(())
        } else {
            Err(NoAnswer::Unread(answered.status))
        }
    }
}

/// Takes answers with header lines that HTTP forbids, or with very many, as a proxy on the way may add them: what was taken
/// counts by its status, and would else be sent again for ever.
fn lenient() -> http1::Builder {
    let mut builder = http1::Builder::new();
    builder
        .allow_obsolete_multiline_headers_in_responses(true)
        .allow_spaces_after_header_name_in_responses(true)
        .ignore_invalid_headers_in_responses(true)
        .max_headers(MAX_ANSWER_HEADERS);
    builder
}

/// Bytes that a request takes on the wire, but for the line with its length, which hyper adds (RFC 9112, 2.1).
fn least_bytes_of(request: &Request<Pieces>) -> u64 {
    let target = request.uri().path_and_query();
    let target = target.map_or(1, |target| target.as_str().len());
    let request_line = request.method().as_str().len() + " ".len() + target + " HTTP/1.1\r\n".len();
    let field_lines = request.headers().iter();
    let field_lines =
        field_lines.map(|(name, value)| name.as_str().len() + value.len() + ": \r\n".len());
    let head = request_line + field_lines.sum::<usize>() + "\r\n".len();
    head as u64 + request.body().bytes()
}

impl Answered {
    async fn read(response: Response<Incoming>) -> Self {
        let (head, mut body) = response.into_parts();
        let mut beginning = Vec::new();
        let reading = read_to_end(&mut body, &mut beginning);
        let is_whole = timeout(ANSWER_TIMEOUT, reading).await.unwrap_or(false);
        Self {
            status: head.status.as_u16(),
            retry_after: head.headers.get(header::RETRY_AFTER).cloned(),
            beginning,
            is_whole,
        }
    }
}

/// Reads an answer's body and keeps its beginning; whether it came to its end. An endless one is left.
async fn read_to_end(body: &mut Incoming, beginning: &mut Vec<u8>) -> bool {
    let mut bytes = 0;
    while let Some(frame) = body.frame().await {
        let Ok(frame) = frame else {
            return false;
        };
        let chunk = frame.into_data().unwrap_or_else(|_trailers| Bytes::new());
        bytes += chunk.len();
        let wanted = EXCERPT - beginning.len();
        beginning.extend_from_slice(&chunk[..chunk.len().min(wanted)]);
        if bytes > MAX_ANSWER {
            return false;
        }
    }
    true
}

impl From<hyper::Error> for NoAnswer {
    fn from(error: hyper::Error) -> Self {
        if error.is_incomplete_message() || is_end_of_connection(&error) {
            Self::Closed(error)
        } else {
            Self::Broken(error)
        }
    }
}

/// What to mend, where no HTTP was spoken: by TLS that was asked in plain text, mostly.
fn advice(error: &hyper::Error) -> &'static str {
    if error.is_parse() {
        "; what answers does not speak HTTP as it should: check scheme and port in broker.urls"
    } else {
        ""
    }
}

fn is_end_of_connection(error: &hyper::Error) -> bool {
    use io::ErrorKind::{
        BrokenPipe, ConnectionAborted, ConnectionReset, NotConnected, UnexpectedEof,
    };
    let source = std::error::Error::source(error).and_then(|source| source.downcast_ref());
    source.is_some_and(|error: &io::Error| {
        matches!(
            error.kind(),
            BrokenPipe | ConnectionAborted | ConnectionReset | NotConnected | UnexpectedEof
        )
    })
}

/// The place where a slot's connection waits between two requests.
#[derive(Default)]
pub(super) struct IdleConnection(Mutex<Option<Connection>>);

impl IdleConnection {
    pub(super) fn take(&self) -> Option<Connection> {
        self.lock().take()
    }

    fn lock(&self) -> MutexGuard<'_, Option<Connection>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn is_taken(&self) -> bool {
        self.lock().is_some()
    }

    /// Keeps a connection for the next request, unless its last answer still lies in it.
    pub(super) fn keep(&self, mut connection: Connection, answered: &Answered) {
        if answered.is_whole {
            connection.unused_since = Instant::now();
            *self.lock() = Some(connection);
        }
    }

    /// Closes the connection if it has not been used for so long; when to look again.
    fn close_if_unused_for(&self, limit: Duration) -> Instant {
        let now = Instant::now();
        let mut place = self.lock();
        match place.as_ref().map(|kept| kept.unused_since + limit) {
            Some(due) if due > now => due,
            _ => {
                place.take();
                now + limit
            }
        }
    }
}

/// What a connection does by itself: reading, writing, noticing that the other side closes it.
pub(super) struct Work<S: AsyncRead + AsyncWrite + Unpin> {
    work: http1::Connection<TokioIo<Counted<S>>, Pieces>,
    /// Told when its slot has dropped the connection.
    dropped: CancellationToken,
}

impl<S: AsyncRead + AsyncWrite + Send + Unpin + 'static> Work<S> {
    /// Runs until the connection is closed: by the Broker, because its slot dropped it, or because it lay unused at its
    /// place for `unused_limit`. What goes wrong is told to whoever waits for an answer.
    pub(super) async fn run(self, place: Weak<IdleConnection>, unused_limit: Duration) {
        let Self { work, dropped } = self;
        let mut work = pin!(work);
        let watched = async {
            let mut look_at = Instant::now() + unused_limit;
            while timeout_at(look_at, work.as_mut()).await.is_err() {
                look_at = match place.upgrade() {
                    Some(place) => place.close_if_unused_for(unused_limit),
                    None => Instant::now() + unused_limit,
                };
            }
        };
        if dropped.run_until_cancelled(watched).await.is_none() {
            let _in_order_or_cut = timeout(CLOSE_TIMEOUT, work).await;
        }
    }
}

#[cfg(test)]
mod tests;
