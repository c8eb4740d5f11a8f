//! The one room that knows all rooms: a configuration goes in, a running server with its addresses comes out. Owns
//! every task and the order of the end.

mod reload;
mod rooms;

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use seglog::{DiskFolder, Folder};
use tokio::time::Instant;

use crate::admin::{
    self, Books, BrokerSummary, CertificateSummary, ListenerStatus, Operated, Status,
};
use crate::config::Config;
use crate::dead_letters::DeadLetters;
use crate::forward::{Forward, Resolve, SystemResolver};
use crate::ingress::Ingress;
use crate::lifecycle::{Lifecycle, Phase, TaskGroup, blocking};
use crate::replay::Replays;
use crate::spool::Spool;
use crate::telemetry::events::{
    CheckpointUnfinished, DrainBegins, DrainEnded, EndsForSpool, Listening,
};
use crate::telemetry::{Gauges, Telemetry};
use reload::InForce;
use rooms::Listeners;

/// Histograms are tidied this often, and dead letters measured.
const UPKEEP: Duration = Duration::from_secs(5);

/// Longest wait for tasks that were told to end. The spool has as long after that, at least, for its last checkpoint.
const PATIENCE: Duration = Duration::from_secs(3);

/// The same when the end is to be at once: a write to a pipe that nobody reads takes for ever.
const AT_ONCE: Duration = Duration::from_millis(300);

/// Longest wait for the answers to those who are told at the end of the drain that their events were not taken.
const LAST_ANSWERS: Duration = Duration::from_secs(1);

/// A running server.
pub struct App {
    server: Arc<Server>,
    /// Of the public listener; ends when every connection has.
    serving: TaskGroup,
    /// All else; ends when the life has stopped.
    background: TaskGroup,
    drain_delay: Duration,
    drain_timeout: Duration,
}

/// What the tasks share.
struct Server {
    lifecycle: Lifecycle,
    telemetry: Arc<Telemetry>,
    spool: Spool,
    dead_letters: DeadLetters,
    ingress: Ingress,
    forward: Forward,
    public_address: SocketAddr,
    admin_address: Option<SocketAddr>,
    replays: Replays,
    in_force: InForce,
    started: Instant,
}

/// What a server needs of the world around it.
pub struct Surroundings {
    /// Where the spool on disk lies, if the server has one.
    pub spool_folder: Arc<dyn Folder>,
    /// Looks the Brokers' names up.
    pub resolver: Arc<dyn Resolve>,
}

impl Surroundings {
    /// The disk, and the system's resolver.
    pub fn of(config: &Config) -> Self {
        Self {
            spool_folder: Arc::new(DiskFolder::new(&config.spool.dir)),
            resolver: Arc::new(SystemResolver),
        }
    }
}

impl App {
    /// Starts a server. It serves when this returns.
    ///
    /// # Errors
    /// An address that cannot be bound, a folder that cannot be written.
    pub async fn start(config: Config) -> anyhow::Result<Self> {
        let surroundings = Surroundings::of(&config);
        Self::start_with(config, surroundings).await
    }

    /// Starts a server that has what it needs of the world around it from elsewhere.
    ///
    /// # Errors
    /// See [`Self::start`].
    pub async fn start_with(config: Config, surroundings: Surroundings) -> anyhow::Result<Self> {
        let Surroundings {
            spool_folder,
            resolver,
        } = surroundings;
        let lifecycle = Lifecycle::new();
        let background = lifecycle.task_group();
        let telemetry = Arc::new(rooms::telemetry(&config));
        let (dead_letters, spool) = rooms::stores(&config, spool_folder, &telemetry).await?;
        let listeners = Listeners::bind(&config)?;
        let forward = Forward::start(
            &config,
            spool.clone(),
            dead_letters.clone(),
            Arc::clone(&telemetry),
            &resolver,
            &background,
        )?;
        let replays = Replays::start(
            &config,
            spool.clone(),
            dead_letters.clone(),
            Arc::clone(&telemetry),
            &background,
        );
        let serving = lifecycle.task_group();
        let server = Arc::new(Server {
            ingress: Ingress::new(
                &config,
                spool.clone(),
                Arc::clone(&telemetry),
                lifecycle.clone(),
            )?,
            public_address: listeners.public.local_addr()?,
            admin_address: listeners.admin_address()?,
            in_force: InForce::at_start(config.clone(), &telemetry),
            started: Instant::now(),
            lifecycle,
            telemetry,
            spool,
            dead_letters,
            forward,
            replays,
        });
        let app = Self {
            serving,
            background,
            drain_delay: config.server.drain_delay,
            drain_timeout: config.server.drain_timeout,
            server,
        };
        app.listen(listeners, config);
        Ok(app)
    }

    fn listen(&self, listeners: Listeners, config: Config) {
        let Listeners { public, admin } = listeners;
        // The listeners take connections from the moment that they are bound.
        self.server.lifecycle.enter(Phase::Serving);
        self.server.announce();
        let server = Arc::clone(&self.server);
        self.serving
            .spawn(async move { server.ingress.serve(public, &config).await });
        if let Some(listener) = admin {
            let (server, tasks) = (Arc::clone(&self.server), self.background.clone());
            self.background.spawn_until_stopped(async move {
                admin::serve(listener, server, &tasks).await;
            });
        }
        let server = Arc::clone(&self.server);
        self.background.spawn_until_stopped(async move {
            futures_util::future::join3(
                server.upkeep(),
                server.measure_letters(),
                server.spool.tell_when_full(),
            )
            .await
        });
    }

    /// The public listener's address, as bound.
    pub fn public_address(&self) -> SocketAddr {
        self.server.public_address
    }

    /// The admin listener's address, as bound.
    pub fn admin_address(&self) -> Option<SocketAddr> {
        self.server.admin_address
    }

    /// The end, in order: not ready any more but serving, for `drain_delay`; then no new connections, and what is in
    /// flight is finished and what is in the spool delivered, for at most `drain_timeout` together.
    pub async fn drain(&self) {
        let server = &self.server;
        DrainBegins {
            delay: self.drain_delay,
            timeout: self.drain_timeout,
        }
        .emit();
        server.lifecycle.enter(Phase::Draining);
        tokio::time::sleep(self.drain_delay).await;
        server.lifecycle.enter(Phase::Closing);
        let deadline = Instant::now() + self.drain_timeout;
        let _done_or_out_of_time = tokio::time::timeout_at(deadline, async {
            self.serving.ended().await;
            server.spool.drained().await;
        })
        .await;
        self.end_waits().await;
        let connections = server.ingress.connections();
        let left = deadline.saturating_duration_since(Instant::now());
        self.stop_within(PATIENCE, left.max(PATIENCE)).await;
        self.tell_end(connections);
    }

    /// Has whoever is still served answered. A connection that is cut would leave in doubt what became of its events.
    async fn end_waits(&self) {
        let server = &self.server;
        server.lifecycle.enter(Phase::Closing);
        server.lifecycle.end_waits();
        server.spool.end_waits();
        let _ended_or_not_read = tokio::time::timeout(LAST_ANSWERS, self.serving.ended()).await;
    }

    /// The end for somebody who asks twice.
    pub async fn stop_at_once(&self) {
        let connections = self.server.ingress.connections();
        self.stop_within(AT_ONCE, AT_ONCE).await;
        self.tell_end(connections);
    }

    /// Says what became of what was under way. `connections`: that were open at the end.
    fn tell_end(&self, connections: usize) {
        let spool = &self.server.spool;
        DrainEnded {
            connections,
            events_left: spool.status().events,
            fate: spool.fate_at_the_end(),
        }
        .emit();
    }

    /// Resolves when the spool has failed. The server goes on refusing then, so that its clients know.
    pub async fn failed(&self) {
        self.server.spool.failed().await;
    }

    /// Whether the spool has failed.
    pub fn has_failed(&self) -> bool {
        self.server.spool.status().failed
    }

    /// The end after the spool has failed: what was acknowledged is delivered, then what is in flight is
    /// refused, for at most `drain_timeout` together.
    pub async fn end_failed(&self) {
        let spool = &self.server.spool;
        let _done_or_out_of_time = tokio::time::timeout(self.drain_timeout, async {
            spool.drained().await;
            self.server.lifecycle.enter(Phase::Closing);
            self.serving.ended().await;
        })
        .await;
        self.end_waits().await;
        self.stop().await;
        EndsForSpool {
            events_left: spool.status().events,
        }
        .emit();
    }

    /// The end at once: what is in flight is cut.
    pub async fn stop(&self) {
        self.stop_within(PATIENCE, PATIENCE).await;
    }

    /// `patience`: with the tasks; `with_disk`: with the spool's last checkpoint.
    async fn stop_within(&self, patience: Duration, with_disk: Duration) {
        self.server.lifecycle.enter(Phase::Stopped);
        let ended = async {
            self.serving.ended().await;
            self.background.ended().await;
        };
        // Every task looks for the end; should one be stuck, the process ends without it.
        let _all_or_out_of_patience = tokio::time::timeout(patience, ended).await;
        let closed = self.server.spool.close();
        if tokio::time::timeout(with_disk, closed).await.is_err() {
            CheckpointUnfinished.emit();
        }
    }
}

impl Server {
    fn announce(&self) {
        for (listener, address) in self.listeners() {
            Listening { listener, address }.emit();
        }
    }

    fn listeners(&self) -> impl Iterator<Item = (&'static str, SocketAddr)> {
        let admin = self.admin_address.map(|address| ("admin", address));
        std::iter::once(("public", self.public_address)).chain(admin)
    }

    async fn upkeep(&self) {
        let mut interval = tokio::time::interval(UPKEEP);
        loop {
            interval.tick().await;
            self.telemetry.upkeep();
        }
    }

    /// Apart from the rest of the upkeep: a folder that does not answer must hold up nothing else.
    async fn measure_letters(&self) {
        let mut interval = tokio::time::interval(UPKEEP);
        loop {
            interval.tick().await;
            let letters = self.dead_letters.clone();
            blocking(move || letters.measure()).await;
        }
    }
}

impl Operated for Server {
    fn status(&self) -> Status {
        let spool = self.spool.status();
        Status {
            version: env!("CARGO_PKG_VERSION"),
            phase: self.lifecycle.phase(),
            uptime_seconds: self.started.elapsed().as_secs(),
            config: self.config_summary(),
            listeners: self
                .listeners()
                .map(|(name, address)| ListenerStatus {
                    name,
                    address: address.to_string(),
                })
                .collect(),
            spool: spool.into(),
            dead_letters_failing: self.telemetry.are_letters_failing(),
            dead_letters_dropped: self.telemetry.letters_dropped_so_far(),
            output_failing: self.telemetry.is_output_failing(),
            certificates: self
                .telemetry
                .certificates()
                .into_iter()
                .map(|(setting, expires_at)| CertificateSummary::new(setting, expires_at))
                .collect(),
            brokers: self
                .forward
                .brokers()
                .into_iter()
                .map(|broker| BrokerSummary {
                    url: broker.url,
                    up: broker.up,
                    in_flight: broker.in_flight,
                })
                .collect(),
            books: Books::new(self.telemetry.books(), spool.events),
        }
    }

    fn metrics(&self) -> String {
        let spool = self.spool.status();
        self.telemetry.render(Gauges {
            spool_bytes: spool.bytes,
            spool_disk_full: spool.disk_full,
            spool_events: spool.events,
            spool_oldest_age: spool.oldest_age,
            in_flight_bytes: self.ingress.in_flight_bytes(),
            bodies_waiting: self.ingress.bodies_waiting(),
            connections: self.ingress.connections(),
        })
    }
}
