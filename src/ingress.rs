//! HTTP in: the public listener, from the accepted connection to the answer. Hands envelopes to the spool and
//! never sees an output.

mod activity;
mod alarm;
mod answers;
mod api_key;
mod auth;
mod body;
mod buckets;
mod client;
mod client_buckets;
mod connection;
mod cores;
mod cors;
mod decoding;
#[doc(hidden)]
pub mod fuzzing;
mod gate;
mod gathered;
mod handshake;
mod head;
mod health;
mod held_body;
mod ingest;
mod limits;
mod policy;
mod prefixed;
mod protocol;
mod proxied;
mod proxy_protocol;
mod query_key;
mod refusal;
mod registry;
mod request_id;
mod server;
mod stream;
mod stream_tasks;
mod supervision;
mod tls;
mod token_bucket;
mod transport;
mod trusted_proxies;
mod turns;
mod waiting;

use std::convert::Infallible;
use std::sync::Arc;

use tokio::net::TcpListener;

use crate::budget::ByteBudget;
use crate::config::{Config, TlsFileProblem};
use crate::lifecycle::Lifecycle;
use crate::spool::Spool;
use crate::telemetry::Telemetry;
use gate::Gate;
pub use refusal::ProblemType;
use registry::Registry;
use server::Server;
use tls::Tls;

/// The public side of the server, before it listens.
pub struct Ingress {
    gate: Arc<Gate>,
    connections: Arc<Registry>,
    tls: Option<Arc<Tls>>,
    budget: ByteBudget,
    lifecycle: Lifecycle,
}

/// Every kind of refusal that there is.
pub fn problem_types() -> impl Iterator<Item = ProblemType> {
    refusal::Code::ALL.iter().map(|code| code.describe())
}

impl Ingress {
    /// Makes ready all that requests need.
    ///
    /// # Errors
    /// A file of `[server.tls]` has changed since the configuration was checked.
    pub fn new(
        config: &Config,
        spool: Spool,
        telemetry: Arc<Telemetry>,
        lifecycle: Lifecycle,
    ) -> Result<Self, TlsFileProblem> {
        let budget = ByteBudget::new(config.ingest.max_in_flight_bytes.as_usize());
        let tls = Tls::open(&config.server.tls, &telemetry)?;
        let gate = Gate::new(config, spool, telemetry, lifecycle.clone(), budget.clone());
        Ok(Self {
            gate: Arc::new(gate),
            connections: Arc::new(Registry::default()),
            tls: tls.map(Arc::new),
            budget,
            lifecycle,
        })
    }

    /// Takes all further requests by what is configured now, as far as that needs no restart; `Config::change_to` knows
    /// which keys do. Open connections keep the address that their PROXY header named.
    pub fn reload(&self, config: &Config) {
        self.gate.reload(config);
    }

    /// Open connections at this moment.
    pub fn connections(&self) -> usize {
        self.connections.len()
    }

    /// Bytes that requests hold of the budget.
    pub fn in_flight_bytes(&self) -> usize {
        self.budget.used()
    }

    /// Large bodies that wait for their turn.
    pub fn bodies_waiting(&self) -> usize {
        self.gate.body_limits.turns.waiting()
    }

    async fn follow_files(&self) -> Infallible {
        match &self.tls {
            Some(tls) => tls.follow_files(&self.gate.telemetry).await,
            None => std::future::pending().await,
        }
    }

    /// Accepts and serves connections until the life closes; then waits until the last one has ended, or the
    /// life has.
    pub async fn serve(&self, listener: TcpListener, config: &Config) {
        let tasks = self.lifecycle.task_group();
        let server = Server::new(
            Arc::clone(&self.gate),
            Arc::clone(&self.connections),
            self.tls.clone(),
            tasks.clone(),
            config,
        );
        tokio::select! {
            () = server.accept(listener) => {}
            never = self.follow_files() => match never {}
        }
        self.connections.wake_all();
        if self.lifecycle.unless_stopped(tasks.ended()).await.is_none() {
            self.connections.wake_all();
            tasks.ended().await;
        }
    }
}
