//! The accept loop: takes connections as far as there is room for them, and keeps a reserve for health checks.

use std::net::IpAddr;
use std::sync::Arc;

use futures_util::FutureExt;
use hyper::server::conn::{http1, http2};
use hyper_util::rt::TokioTimer;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use super::activity::TimeLimits;
use super::connection::{Accepted, Protocols, serve};
use super::gate::Gate;
use super::registry::{Registry, Standing};
use super::stream_tasks::StreamTasks;
use super::tls::Tls;
use crate::accept::Acceptor;
use crate::config::Config;
use crate::lifecycle::TaskGroup;
use crate::telemetry::Spell;
use crate::telemetry::events::TooManyConnections;

/// Connections beyond `server.max_connections`, so that health checks are answered.
const RESERVE: usize = 64;

/// A balancer's heads are at most 64 KiB; a longer one than this is refused with 431.
const MAX_HEAD_BYTES: usize = 96 * 1024;

/// What a client may send ahead on one HTTP/2 connection before a handler has asked for it: memory that no budget
/// counts.
const HTTP2_WINDOW: u32 = 256 * 1024;

/// Requests that may be under way on one HTTP/2 connection.
const MAX_STREAMS: u32 = 250;

/// The loop and what it gives to each connection.
pub(super) struct Server {
    gate: Arc<Gate>,
    connections: Arc<Registry>,
    protocols: Arc<Protocols>,
    room: Arc<Semaphore>,
    max_connections: usize,
    crowding: Spell,
}

impl Server {
    pub(super) fn new(
        gate: Arc<Gate>,
        connections: Arc<Registry>,
        tls: Option<Arc<Tls>>,
        tasks: TaskGroup,
        config: &Config,
    ) -> Self {
        let max_connections = config.server.max_connections;
        let limits = TimeLimits::new(&config.server);
        Self {
            gate,
            connections,
            protocols: Arc::new(Protocols {
                http1: http1_builder(),
                http2: http2_builder(StreamTasks(tasks.clone())),
                tasks,
                tls,
                limits,
                reserve_limits: limits.of_reserve(),
                proxy_protocol: config.server.proxy_protocol,
            }),
            room: Arc::new(Semaphore::new(max_connections + RESERVE)),
            max_connections,
            crowding: Spell::default(),
        }
    }

    /// Accepts until the life closes, and then who has connected before.
    pub(super) async fn accept(&self, listener: TcpListener) {
        let mut acceptor = Acceptor::new(listener);
        let accepting = self.accept_all(&mut acceptor);
        let lifecycle = self.protocols.tasks.lifecycle();
        lifecycle.unless_closing(accepting).await;
        let mut rest = acceptor.rest();
        while let Ok(permit) = Arc::clone(&self.room).try_acquire_owned()
            && let Some((stream, peer)) = rest.next()
        {
            self.connected(stream, peer.ip().to_canonical(), permit);
        }
    }

    async fn accept_all(&self, acceptor: &mut Acceptor) {
        loop {
            let permit = Arc::clone(&self.room).acquire_owned().await;
            let permit = permit.expect("nobody closes the semaphore");
            let (stream, peer) = acceptor.next().await;
            self.connected(stream, peer.ip().to_canonical(), permit);
        }
    }

    fn connected(&self, stream: TcpStream, peer: IpAddr, permit: OwnedSemaphorePermit) {
        // Answers are small and whole; waiting to fill a segment would only delay them.
        let _without = stream.set_nodelay(true);
        let (registration, open) = self.connections.enter();
        if open > self.max_connections && self.crowding.begins() {
            let limit = self.max_connections;
            TooManyConnections { limit }.emit();
        }
        let accepted = Accepted {
            stream,
            peer,
            standing: Arc::new(Standing::new(&self.connections, open, self.max_connections)),
            registration,
        };
        let serving = serve(
            accepted,
            Arc::clone(&self.protocols),
            Arc::clone(&self.gate),
        );
        // An async block would keep the future that is moved into it a second time in its own state.
        let serving = serving.map(|()| drop(permit));
        self.protocols.tasks.spawn(serving);
    }
}

fn http1_builder() -> http1::Builder {
    let mut builder = http1::Builder::new();
    builder
        // The time limits are kept by the connection's task: this one would run while a connection idles.
        .header_read_timeout(None)
        .timer(TokioTimer::new())
        // A client that ends its side after a whole request still gets its answer.
        .half_close(true)
        .max_header_size(MAX_HEAD_BYTES)
        .max_buf_size(MAX_HEAD_BYTES);
    builder
}

fn http2_builder(tasks: StreamTasks) -> http2::Builder<StreamTasks> {
    let mut builder = http2::Builder::new(tasks);
    builder
        .timer(TokioTimer::new())
        .max_header_list_size(MAX_HEAD_BYTES as u32)
        .initial_stream_window_size(HTTP2_WINDOW)
        .initial_connection_window_size(HTTP2_WINDOW)
        .max_concurrent_streams(MAX_STREAMS)
        // All clients of a proxy share a connection to it: one that goes away with all that it has asked for
        // is no attack.
        .max_pending_accept_reset_streams(MAX_STREAMS as usize);
    builder
}
