//! One client connection: finds out the protocol, serves it with hyper, and keeps its time limits.

use std::future::{Future, poll_fn};
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
use super::gate::Gate;
use super::registry::Registration;
use super::stream::{ClientStream, Protocol, close_lingering, sniff};
use crate::lifecycle::{Lifecycle, Phase, TaskGroup};

/// How long a connection that was told to end may take to send what is under way.
const GOODBYE: Duration = Duration::from_secs(5);

/// A timer far enough away to mean never.
const FAR: Duration = Duration::from_secs(24 * 3600);

const REQUEST_TIMEOUT: &[u8] =
    b"HTTP/1.1 408 Request Timeout\r\nconnection: close\r\ncontent-length: 0\r\n\r\n";

/// What requests need to know of their connection.
pub(super) struct Connection {
    /// The client's address.
    pub(super) client_ip: IpAddr,
    /// Whether it is one of the few beyond `server.max_connections`, kept for health checks.
    pub(super) is_reserve: bool,
    /// Its clocks.
    pub(super) activity: Arc<Activity>,
    /// Set when a request was answered with bytes of its body still to come.
    pub(super) leaves_bytes_unread: AtomicBool,
}

/// How connections are served; shared by all.
pub(super) struct Protocols {
    pub(super) http1: http1::Builder,
    pub(super) http2: http2::Builder<TaskGroup>,
    pub(super) limits: TimeLimits,
    pub(super) lifecycle: Lifecycle,
}

/// An accepted connection.
pub(super) struct Accepted {
    pub(super) stream: TcpStream,
    pub(super) client_ip: IpAddr,
    pub(super) is_reserve: bool,
    pub(super) registration: Registration,
}

/// Serves a connection to its end.
pub(super) async fn serve(accepted: Accepted, protocols: Arc<Protocols>, gate: Arc<Gate>) {
    let Accepted {
        mut stream,
        client_ip,
        is_reserve,
        registration,
    } = accepted;
    let mut sniffed = BytesMut::with_capacity(1024);
    let Some(protocol) = protocol_of(&mut stream, &mut sniffed, &protocols, &registration).await
    else {
        return;
    };
    let first = match protocol {
        Protocol::Http1 => Doing::Head,
        Protocol::Http2 => Doing::Idle,
    };
    let activity = Arc::new(Activity::new(first, protocol == Protocol::Http2));
    let io = ClientStream::new(stream, sniffed.freeze(), Arc::clone(&activity));
    let connection = Arc::new(Connection {
        client_ip,
        is_reserve,
        activity,
        leaves_bytes_unread: AtomicBool::new(false),
    });
    match protocol {
        Protocol::Http1 => serve_http1(io, connection, &protocols, &registration, gate).await,
        Protocol::Http2 => serve_http2(io, connection, &protocols, &registration, gate).await,
    }
}

/// Waits for the first bytes as long as for those of any next request, and for the preface as long as for a
/// head.
async fn protocol_of(
    stream: &mut TcpStream,
    sniffed: &mut BytesMut,
    protocols: &Protocols,
    registration: &Registration,
) -> Option<Protocol> {
    let limits = protocols.limits;
    if !first_bytes_come(stream, sniffed, protocols, registration).await {
        return None;
    }
    match tokio::time::timeout(limits.head(), sniff(stream, sniffed)).await {
        Ok(Ok(protocol)) => protocol,
        Ok(Err(_)) | Err(_) => None,
    }
}

/// False when nothing comes in time, or the server closes meanwhile.
async fn first_bytes_come(
    stream: &mut TcpStream,
    sniffed: &mut BytesMut,
    protocols: &Protocols,
    registration: &Registration,
) -> bool {
    let reading = stream.read_buf(sniffed);
    let mut reading = pin!(tokio::time::timeout(protocols.limits.idle(), reading));
    poll_fn(|cx| {
        registration.wake_with(cx.waker());
        match reading.as_mut().poll(cx) {
            Poll::Ready(outcome) => Poll::Ready(matches!(outcome, Ok(Ok(1..)))),
            Poll::Pending if protocols.lifecycle.phase() >= Phase::Closing => Poll::Ready(false),
            Poll::Pending => Poll::Pending,
        }
    })
    .await
}

async fn serve_http1(
    io: ClientStream,
    connection: Arc<Connection>,
    protocols: &Protocols,
    registration: &Registration,
    gate: Arc<Gate>,
) {
    let service = service_fn(|request| {
        let (gate, connection) = (Arc::clone(&gate), Arc::clone(&connection));
        async move { Ok::<_, std::convert::Infallible>(gate.answer(&connection, request).await) }
    });
    let mut conn = protocols.http1.serve_connection(TokioIo::new(io), service);
    let end = supervise(&mut conn, &connection.activity, protocols, registration).await;
    let mut stream = conn.into_parts().io.into_inner().into_inner();
    match end {
        End::Served if connection.leaves_bytes_unread.load(Ordering::Relaxed) => {
            close_lingering(stream).await;
        }
        End::Served => drop(stream.shutdown().await),
        End::Faulty => close_lingering(stream).await,
        End::TooLong(Doing::Head) => {
            if stream.write_all(REQUEST_TIMEOUT).await.is_ok() {
                close_lingering(stream).await;
            }
        }
        End::TooLong(_) | End::Stopped => {}
    }
}

async fn serve_http2(
    io: ClientStream,
    connection: Arc<Connection>,
    protocols: &Protocols,
    registration: &Registration,
    gate: Arc<Gate>,
) {
    let activity = Arc::clone(&connection.activity);
    let service = service_fn(move |request| {
        let (gate, connection) = (Arc::clone(&gate), Arc::clone(&connection));
        async move { Ok::<_, std::convert::Infallible>(gate.answer(&connection, request).await) }
    });
    let mut conn = protocols.http2.serve_connection(TokioIo::new(io), service);
    let _no_word_can_be_said_after_http2 =
        supervise(&mut conn, &activity, protocols, registration).await;
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

impl<S> Serve for http2::Connection<TokioIo<ClientStream>, S, TaskGroup>
where
    S: hyper::service::HttpService<hyper::body::Incoming, ResBody = axum::body::Body> + Unpin,
    S::Future: Send + 'static,
    S::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
    TaskGroup: hyper::rt::bounds::Http2ServerConnExec<S::Future, axum::body::Body>,
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
    protocols: &Protocols,
    registration: &Registration,
) -> End {
    let mut timer = pin!(sleep_until(Instant::now() + FAR));
    let mut goodbye: Option<Instant> = None;
    let mut is_registered = false;
    poll_fn(|cx| {
        if !is_registered {
            registration.wake_with(cx.waker());
            is_registered = true;
        }
        let phase = protocols.lifecycle.phase();
        if phase >= Phase::Stopped {
            return Poll::Ready(End::Stopped);
        }
        if phase >= Phase::Closing && goodbye.is_none() {
            conn.close();
            // What is in flight may take as long as the drain gives it; the end of that is `Stopped`.
            goodbye = Some(Instant::now() + FAR);
        }
        loop {
            match conn.poll_serve(cx) {
                Poll::Ready(Ok(())) => return Poll::Ready(End::Served),
                Poll::Ready(Err(_)) => return Poll::Ready(End::Faulty),
                Poll::Pending => {}
            }
            match overdue(timer.as_mut(), activity, &protocols.limits, goodbye, cx) {
                None => return Poll::Pending,
                Some(Doing::Idle) if goodbye.is_none() => {
                    conn.close();
                    goodbye = Some(Instant::now() + GOODBYE);
                }
                Some(doing) => return Poll::Ready(End::TooLong(doing)),
            }
        }
    })
    .await
}

/// What the connection has been at for too long, if it has.
fn overdue(
    mut timer: Pin<&mut Sleep>,
    activity: &Activity,
    limits: &TimeLimits,
    goodbye: Option<Instant>,
    cx: &mut Context<'_>,
) -> Option<Doing> {
    let own = match activity.doing() {
        Doing::Idle if goodbye.is_some() => None,
        _ => activity.deadline(limits),
    };
    let deadline = match (own, goodbye) {
        (Some(own), Some(goodbye)) => Some(own.min(goodbye)),
        (own, goodbye) => own.or(goodbye),
    };
    let deadline = deadline.unwrap_or_else(|| Instant::now() + FAR);
    if deadline < timer.deadline() {
        timer.as_mut().reset(deadline);
    }
    while timer.as_mut().poll(cx).is_ready() {
        if deadline <= Instant::now() {
            return Some(activity.doing());
        }
        timer.as_mut().reset(deadline);
    }
    None
}
