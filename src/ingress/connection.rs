//! One client connection: finds out the protocol, serves it with hyper, and keeps its time limits.

use std::future::{Future, poll_fn};
use std::io;
use std::net::IpAddr;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::BytesMut;
use hyper::server::conn::{http1, http2};
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::{Instant, Sleep, sleep_until};

use super::activity::{Activity, Doing, TimeLimits};
use super::client::{Client, ClientIp};
use super::gate::Gate;
use super::handshake::secure;
use super::proxied;
use super::registry::Registration;
use super::stream::{ClientStream, Protocol, close_lingering, end_our_side, sniff};
use super::stream_tasks::StreamTasks;
use super::tls::Tls;
use super::transport::Transport;
use crate::config::ProxyProtocol;
use crate::lifecycle::{Lifecycle, Phase};

/// How long a connection that was told to end may idle, so that a request that is on its way still gets its answer.
const GOODBYE: Duration = Duration::from_secs(1);

/// Longest such wait, for a client that goes on talking without a request.
const LONGEST_GOODBYE: Duration = Duration::from_secs(30);

/// A timer far enough away to mean never.
const FAR: Duration = Duration::from_secs(24 * 3600);

const REQUEST_TIMEOUT: &[u8] =
    b"HTTP/1.1 408 Request Timeout\r\nconnection: close\r\ncontent-length: 0\r\n\r\n";

/// How connections are served; shared by all.
pub(super) struct Protocols {
    pub(super) http1: http1::Builder,
    pub(super) http2: http2::Builder<StreamTasks>,
    /// None: plain HTTP.
    pub(super) tls: Option<Arc<Tls>>,
    pub(super) limits: TimeLimits,
    pub(super) reserve_limits: TimeLimits,
    pub(super) proxy_protocol: ProxyProtocol,
    pub(super) lifecycle: Lifecycle,
}

/// An accepted connection.
pub(super) struct Accepted {
    pub(super) stream: TcpStream,
    pub(super) peer: IpAddr,
    pub(super) is_reserve: bool,
    pub(super) registration: Registration,
}

/// What bounds the wait for the first bytes of a connection.
#[derive(Clone, Copy)]
pub(super) struct Waiting<'a> {
    pub(super) limits: TimeLimits,
    pub(super) lifecycle: &'a Lifecycle,
    registration: &'a Registration,
}

/// Serves a connection to its end.
pub(super) async fn serve(accepted: Accepted, protocols: Arc<Protocols>, gate: Arc<Gate>) {
    let Accepted {
        stream,
        peer,
        is_reserve,
        registration,
    } = accepted;
    let limits = if is_reserve {
        protocols.reserve_limits
    } else {
        protocols.limits
    };
    let waiting = Waiting {
        limits,
        lifecycle: &protocols.lifecycle,
        registration: &registration,
    };
    let mode = protocols.proxy_protocol;
    let identified = Box::pin(proxied::identify(stream, peer, mode, &gate, waiting)).await;
    let Some((stream, address)) = identified else {
        return;
    };
    let mut stream = match &protocols.tls {
        None => Transport::Tcp(stream),
        Some(tls) => {
            // In a box, for a plain connection must not carry the room for a handshake.
            let metrics = &gate.telemetry.tls;
            match Box::pin(secure(stream, address, tls, metrics, waiting)).await {
                Some(stream) => stream,
                None => return,
            }
        }
    };
    let mut sniffed = BytesMut::new();
    let Some(protocol) = protocol_of(&mut stream, &mut sniffed, waiting).await else {
        let end = end_our_side(&mut stream);
        protocols.lifecycle.unless_stopped(end).await;
        return;
    };
    let first = match protocol {
        Protocol::Http1 if !sniffed.is_empty() => Doing::Head,
        Protocol::Http1 | Protocol::Http2 => Doing::Idle,
    };
    let activity = Arc::new(Activity::new(first, protocol == Protocol::Http2));
    let io = ClientStream::new(stream, sniffed.freeze(), Arc::clone(&activity));
    let client = Arc::new(Client {
        ip: ClientIp::new(address),
        is_reserve,
        limits,
        activity,
        leaves_bytes_unread: AtomicBool::new(false),
    });
    match protocol {
        Protocol::Http1 => serve_http1(io, client, &protocols, &registration, gate).await,
        // In a box, like all that most connections have no use for.
        Protocol::Http2 => {
            Box::pin(serve_http2(io, client, &protocols, &registration, gate)).await;
        }
    }
}

/// Unless it is agreed upon already, waits for the first bytes as long as for those of any next request, and for the
/// preface as long as for a head.
async fn protocol_of(
    stream: &mut Transport,
    sniffed: &mut BytesMut,
    waiting: Waiting<'_>,
) -> Option<Protocol> {
    let agreed = stream.agreed_protocol();
    if agreed.is_some() {
        return agreed;
    }
    sniffed.reserve(1024);
    if !first_bytes_come(stream.read_buf(sniffed), waiting).await {
        return None;
    }
    let sniffing = tokio::time::timeout(waiting.limits.head(), sniff(stream, sniffed));
    match waiting.lifecycle.unless_closing(sniffing).await {
        Some(Ok(Ok(protocol))) => protocol,
        _ => None,
    }
}

/// Whether `reading` gives any; false when nothing comes in time, or the server closes meanwhile.
pub(super) async fn first_bytes_come(
    reading: impl Future<Output = io::Result<usize>>,
    waiting: Waiting<'_>,
) -> bool {
    let mut reading = pin!(tokio::time::timeout(waiting.limits.idle(), reading));
    poll_fn(|cx| {
        waiting.registration.wake_with(cx.waker());
        match reading.as_mut().poll(cx) {
            Poll::Ready(outcome) => Poll::Ready(matches!(outcome, Ok(Ok(1..)))),
            Poll::Pending if waiting.lifecycle.phase() >= Phase::Closing => Poll::Ready(false),
            Poll::Pending => Poll::Pending,
        }
    })
    .await
}

async fn serve_http1(
    io: ClientStream,
    client: Arc<Client>,
    protocols: &Protocols,
    registration: &Registration,
    gate: Arc<Gate>,
) {
    let service = service_fn(|request| {
        let (gate, client) = (Arc::clone(&gate), Arc::clone(&client));
        async move { Ok::<_, std::convert::Infallible>(gate.answer(&client, request).await) }
    });
    let mut conn = protocols.http1.serve_connection(TokioIo::new(io), service);
    let limits = client.limits;
    let activity = &client.activity;
    let end = supervise(
        &mut conn,
        activity,
        limits,
        &protocols.lifecycle,
        registration,
    )
    .await;
    let stream = conn.into_parts().io.into_inner().into_inner();
    let leaves_bytes = client.leaves_bytes_unread.load(Ordering::Relaxed);
    let close = Box::pin(close(stream, end, leaves_bytes));
    protocols.lifecycle.unless_stopped(close).await;
}

/// Closes an HTTP/1 connection in the way that its end asks for.
async fn close(mut stream: Transport, end: End, leaves_bytes: bool) {
    match end {
        End::Served if !leaves_bytes => drop(end_our_side(&mut stream).await),
        // hyper does not end a connection that has not had a request.
        End::TooLong(Doing::Idle) => drop(end_our_side(&mut stream).await),
        End::Served | End::Faulty => close_lingering(stream).await,
        End::TooLong(Doing::Head) => {
            let answer = stream.write_all(REQUEST_TIMEOUT);
            if matches!(tokio::time::timeout(GOODBYE, answer).await, Ok(Ok(()))) {
                close_lingering(stream).await;
            }
        }
        End::TooLong(_) | End::Stopped => {}
    }
}

async fn serve_http2(
    io: ClientStream,
    client: Arc<Client>,
    protocols: &Protocols,
    registration: &Registration,
    gate: Arc<Gate>,
) {
    let activity = Arc::clone(&client.activity);
    let limits = client.limits;
    let service = service_fn(move |request| {
        let (gate, client) = (Arc::clone(&gate), Arc::clone(&client));
        async move { Ok::<_, std::convert::Infallible>(gate.answer(&client, request).await) }
    });
    let mut conn = protocols.http2.serve_connection(TokioIo::new(io), service);
    let _no_word_can_be_said_after_http2 = supervise(
        &mut conn,
        &activity,
        limits,
        &protocols.lifecycle,
        registration,
    )
    .await;
}

/// A connection that hyper serves.
trait Serve {
    /// Serves on; ready at the end.
    fn poll_serve(&mut self, cx: &mut Context<'_>) -> Poll<hyper::Result<()>>;
    /// Takes no further request.
    fn close(&mut self);
}

impl<S> Serve for http1::Connection<TokioIo<ClientStream>, S>
where
    S: hyper::service::HttpService<hyper::body::Incoming, ResBody = axum::body::Body> + Unpin,
    S::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
{
    fn poll_serve(&mut self, cx: &mut Context<'_>) -> Poll<hyper::Result<()>> {
        Pin::new(self).poll(cx)
    }

    fn close(&mut self) {
        Pin::new(self).graceful_shutdown();
    }
}

impl<S> Serve for http2::Connection<TokioIo<ClientStream>, S, StreamTasks>
where
    S: hyper::service::HttpService<hyper::body::Incoming, ResBody = axum::body::Body> + Unpin,
    S::Future: Send + 'static,
    S::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
    StreamTasks: hyper::rt::bounds::Http2ServerConnExec<S::Future, axum::body::Body>,
{
    fn poll_serve(&mut self, cx: &mut Context<'_>) -> Poll<hyper::Result<()>> {
        Pin::new(self).poll(cx)
    }

    fn close(&mut self) {
        Pin::new(self).graceful_shutdown();
    }
}

/// How a connection came to its end.
enum End {
    /// In order, from one side or the other.
    Served,
    /// What came was no HTTP, or the stream broke; hyper has answered what can be answered.
    Faulty,
    /// It took too long over this.
    TooLong(Doing),
    /// The server has stopped.
    Stopped,
}

/// Serves a connection and keeps its time limits. The timer is only moved when a deadline comes nearer, which is
/// rare: a request that is served in one turn never touches it.
async fn supervise(
    conn: &mut impl Serve,
    activity: &Activity,
    limits: TimeLimits,
    lifecycle: &Lifecycle,
    registration: &Registration,
) -> End {
    let mut timer = pin!(sleep_until(Instant::now() + FAR));
    let mut closing_since: Option<Instant> = None;
    let mut is_registered = false;
    poll_fn(|cx| {
        if !is_registered {
            registration.wake_with(cx.waker());
            is_registered = true;
        }
        let phase = lifecycle.phase();
        if phase >= Phase::Stopped {
            return Poll::Ready(End::Stopped);
        }
        if phase >= Phase::Closing && closing_since.is_none() {
            conn.close();
            closing_since = Some(Instant::now());
        }
        loop {
            match conn.poll_serve(cx) {
                Poll::Ready(Ok(())) => return Poll::Ready(End::Served),
                Poll::Ready(Err(_)) => return Poll::Ready(End::Faulty),
                Poll::Pending => {}
            }
            let doing = activity.doing();
            let deadline = match (doing, closing_since) {
                (Doing::Idle, Some(since)) => {
                    let goodbye = since.max(activity.last_sign()) + GOODBYE;
                    Some(goodbye.min(since + LONGEST_GOODBYE))
                }
                _ => activity.deadline(&limits),
            };
            match (is_overdue(timer.as_mut(), deadline, cx), closing_since) {
                (false, _) => return Poll::Pending,
                (true, None) if doing == Doing::Idle && !activity.is_answer_overdue(&limits) => {
                    conn.close();
                    closing_since = Some(Instant::now());
                }
                (true, _) => return Poll::Ready(End::TooLong(doing)),
            }
        }
    })
    .await
}

/// Whether a deadline has passed; if not, the timer wakes the task in time.
fn is_overdue(mut timer: Pin<&mut Sleep>, deadline: Option<Instant>, cx: &mut Context<'_>) -> bool {
    let Some(deadline) = deadline else {
        // Should the timer wake the task meanwhile, there is nothing to do.
        return false;
    };
    if deadline < timer.deadline() {
        timer.as_mut().reset(deadline);
    }
    while timer.as_mut().poll(cx).is_ready() {
        if deadline <= Instant::now() {
            return true;
        }
        timer.as_mut().reset(deadline);
    }
    false
}
