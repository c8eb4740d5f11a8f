//! One client connection, from its first bytes to its end: finds out the protocol, has hyper serve it, and
//! parks it while it is silent.

use std::convert::Infallible;
use std::net::IpAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use bytes::{Buf, BytesMut};
use hyper::server::conn::{http1, http2};
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::Instant;

use super::activity::{Activity, Doing, TimeLimits};
use super::client::{Client, ClientIp};
use super::gate::Gate;
use super::handshake::secure;
use super::protocol::{Protocol, sniff};
use super::proxied;
use super::proxy_protocol::is_misplaced;
use super::registry::{Registration, Standing};
use super::stream::{
    ClientStream, MAX_EMPTY_LINES_BYTES, close_lingering, empty_lines, end_our_side,
};
use super::stream_tasks::StreamTasks;
use super::supervision::{End, Outcome, supervise};
use super::tls::Tls;
use super::transport::Transport;
use super::waiting::{GOODBYE, WaitLimits, bytes_come};
use crate::config::ProxyProtocol;
use crate::lifecycle::{Lifecycle, Phase, TaskGroup};
use crate::telemetry::ProxyHeaderFault;

/// A connection that idles for so long is parked. Those that are busy never get there, and pay nothing for it.
const PARK_AFTER: Duration = Duration::from_secs(1);

/// Room for the beginning of a request while it is waited for.
const FIRST_READ_BYTES: usize = 1024;

const REQUEST_TIMEOUT: &[u8] =
    b"HTTP/1.1 408 Request Timeout\r\nconnection: close\r\ncontent-length: 0\r\n\r\n";

/// How connections are served; shared by all.
pub(super) struct Protocols {
    pub(super) http1: http1::Builder,
    pub(super) http2: http2::Builder<StreamTasks>,
    /// Run connections and streams.
    pub(super) tasks: TaskGroup,
    /// None: plain HTTP.
    pub(super) tls: Option<Arc<Tls>>,
    pub(super) limits: TimeLimits,
    pub(super) reserve_limits: TimeLimits,
    pub(super) proxy_protocol: ProxyProtocol,
}

/// An accepted connection.
pub(super) struct Accepted {
    pub(super) stream: TcpStream,
    pub(super) peer: IpAddr,
    pub(super) standing: Arc<Standing>,
    pub(super) registration: Registration,
}

/// Serves a connection to its end.
pub(super) async fn serve(accepted: Accepted, protocols: Arc<Protocols>, gate: Arc<Gate>) {
    let Accepted {
        stream,
        peer,
        standing,
        registration,
    } = accepted;
    let waiting = WaitLimits {
        usual_limits: &protocols.limits,
        reserve_limits: &protocols.reserve_limits,
        standing: &standing,
        lifecycle: protocols.tasks.lifecycle(),
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
    let mut read = BytesMut::new();
    let Some(protocol) = protocol_of(&mut stream, &mut read, waiting).await else {
        return end_idle(stream, waiting.lifecycle).await;
    };
    if is_misplaced(&read) {
        // It is no HTTP, and answered like that; only here it is known what it is.
        let fault = ProxyHeaderFault::Unexpected;
        gate.telemetry.proxy_headers.refused(peer, fault);
    }
    let serving = Serving {
        ip: ClientIp::new(address),
        protocols: &protocols,
        waiting,
        gate: &gate,
    };
    match protocol {
        Protocol::Http1 => serving.http1(stream, read).await,
        // In a box, like all that most connections have no use for.
        Protocol::Http2 => Box::pin(serving.http2(stream, read)).await,
    }
}

/// Unless it is agreed upon already, waits for the first bytes as long as for those of any next request, and for the
/// preface as long as for a head.
async fn protocol_of(
    stream: &mut Transport,
    read: &mut BytesMut,
    waiting: WaitLimits<'_>,
) -> Option<Protocol> {
    let agreed = stream.agreed_protocol();
    if agreed.is_some() {
        return agreed;
    }
    if !next_request_begins(stream, read, Instant::now(), waiting).await {
        return None;
    }
    let sniffing = tokio::time::timeout(waiting.limits().head, sniff(stream, read));
    // Not cut off by the closing either: a request has begun.
    match waiting.lifecycle.unless_stopped(sniffing).await {
        Some(Ok(Ok(protocol))) => protocol,
        _ => None,
    }
}

/// Waits for the first bytes of a request; false when none come in the time for silence, which began at
/// `since`, or the server closes meanwhile. What waits here has little memory: most connections do so most of
/// the time.
async fn next_request_begins(
    stream: &mut Transport,
    read: &mut BytesMut,
    since: Instant,
    waiting: WaitLimits<'_>,
) -> bool {
    let reading = async {
        let mut passed_over = 0;
        loop {
            read.reserve(FIRST_READ_BYTES);
            let bytes = stream.read_buf(read).await?;
            let empty_lines = empty_lines(read).min(MAX_EMPTY_LINES_BYTES - passed_over);
            read.advance(empty_lines);
            passed_over += empty_lines;
            if bytes == 0 || !read.is_empty() {
                return Ok(bytes);
            }
        }
    };
    bytes_come(reading, since, waiting).await
}

/// What serving a connection takes, whatever its protocol.
struct Serving<'a> {
    ip: ClientIp,
    protocols: &'a Protocols,
    waiting: WaitLimits<'a>,
    gate: &'a Arc<Gate>,
}

/// A connection that may be parked.
struct Quiet {
    stream: Transport,
    /// The beginning of a request that came behind the last one, if there is any.
    read: BytesMut,
    since: Instant,
}

impl Serving<'_> {
    fn client(&self, activity: Activity) -> Arc<Client> {
        Arc::new(Client {
            ip: self.ip.clone(),
            standing: Arc::clone(self.waiting.standing),
            activity: Arc::new(activity),
            leaves_bytes_unread: AtomicBool::new(false),
        })
    }

    /// Serves HTTP/1 until the connection ends. A connection that falls silent is parked: hyper lets go of it, and with
    /// it of tens of kilobytes of buffers, until the next request begins.
    async fn http1(&self, mut stream: Transport, mut read: BytesMut) {
        let waiting = self.waiting;
        let mut since = Instant::now();
        loop {
            if read.is_empty() && !next_request_begins(&mut stream, &mut read, since, waiting).await
            {
                return end_idle(stream, waiting.lifecycle).await;
            }
            // In a box, for a parked connection must not carry the room for it.
            let Some(quiet) = Box::pin(self.http1_until_quiet(stream, read)).await else {
                return;
            };
            (stream, read, since) = (quiet.stream, quiet.read, quiet.since);
        }
    }

    /// Serves requests, of which the first one has begun, until there are none for a while; none at the end of the
    /// connection.
    async fn http1_until_quiet(&self, stream: Transport, read: BytesMut) -> Option<Quiet> {
        let client = self.client(Activity::new(Doing::Head, Protocol::Http1));
        let service = service_fn(|request| {
            let (gate, client) = (Arc::clone(self.gate), Arc::clone(&client));
            async move { Ok::<_, Infallible>(gate.answer(&client, request).await.response) }
        });
        let io = ClientStream::new(stream, read.freeze(), Arc::clone(&client.activity));
        let http1 = &self.protocols.http1;
        let mut conn = http1.serve_connection(TokioIo::new(io), service);
        let supervised = supervise(&mut conn, &client.activity, Some(PARK_AFTER), self.waiting);
        let outcome = supervised.await;
        let parts = conn.into_parts();
        let stream = parts.io.into_inner().into_inner();
        let end = match outcome {
            Outcome::Ended(end) => end,
            Outcome::Quiet => {
                let read = parts.read_buf;
                return Some(Quiet {
                    stream,
                    // A copy, for what hyper has read with is large.
                    read: BytesMut::from(&read[empty_lines(&read)..]),
                    since: client.activity.last_sign(),
                });
            }
        };
        // What hyper holds are the requests of a client that did not wait for this close, and behind one that is the
        // drain's they may still be on their way.
        let leaves_bytes = client.leaves_bytes_unread.load(Ordering::Relaxed)
            || !parts.read_buf.is_empty()
            || self.waiting.lifecycle.phase() >= Phase::Draining;
        let close = Box::pin(close(stream, end, leaves_bytes));
        self.waiting.lifecycle.unless_stopped(close).await;
        None
    }

    async fn http2(&self, stream: Transport, read: BytesMut) {
        let client = self.client(Activity::new(Doing::Idle, Protocol::Http2));
        let activity = Arc::clone(&client.activity);
        let io = ClientStream::new(stream, read.freeze(), Arc::clone(&activity));
        let service = service_fn(move |request| {
            let (gate, client) = (Arc::clone(self.gate), Arc::clone(&client));
            let tasks = self.protocols.tasks.clone();
            async move {
                let answered = gate.answer(&client, request).await;
                if let Some(rest) = answered.rest {
                    tasks.spawn_until_stopped(rest.throw_away());
                }
                Ok::<_, Infallible>(answered.response)
            }
        });
        let http2 = &self.protocols.http2;
        let mut conn = http2.serve_connection(TokioIo::new(io), service);
        let _no_word_can_be_said_after_http2 =
            supervise(&mut conn, &activity, None, self.waiting).await;
    }
}

/// Ends a connection on which nothing is under way.
async fn end_idle(mut stream: Transport, lifecycle: &Lifecycle) {
    lifecycle.unless_stopped(end_our_side(&mut stream)).await;
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
