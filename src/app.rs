//! The one room that knows all rooms: a configuration goes in, a running server with its addresses comes out. Owns
//! every task and the order of the end.

mod reload;

use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use anyhow::Context as _;
use seglog::{DiskFolder, Folder};
use tokio::net::TcpListener;
use tokio::time::Instant;

use crate::admin::{self, Books, BrokerSummary, ListenerStatus, Operated, Status};
use crate::config::{Config, Durability, OutputType};
use crate::dead_letters::DeadLetters;
use crate::forward::{Forward, Resolve, SystemResolver};
use crate::ingress::Ingress;
use crate::lifecycle::{Lifecycle, Phase, TaskGroup, blocking};
use crate::replay::Replays;
use crate::spool::{Acknowledge, Look, OpenedSpool, Spool, SpoolOptions};
use crate::telemetry::events::{DrainBegins, DrainEnded, EndsForSpool, Listening, SpoolUnused};
use crate::telemetry::{Gauges, Limits, Output, Telemetry};
use reload::InForce;

/// Histograms are tidied this often.
const UPKEEP: Duration = Duration::from_secs(5);

/// Longest wait for tasks that were told to end.
const PATIENCE: Duration = Duration::from_secs(3);

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
    ingress: Ingress,
    forward: Forward,
    public_address: SocketAddr,
    admin_address: Option<SocketAddr>,
    replays: Replays,
    in_force: Mutex<InForce>,
    started: Instant,
}

impl App {
    /// Starts a server. It serves when this returns.
    ///
    /// # Errors
    /// An address that cannot be bound, a folder that cannot be written.
    pub async fn start(config: Config) -> anyhow::Result<Self> {
        let folder = DiskFolder::new(&config.spool.dir);
        Self::start_in(config, Arc::new(folder)).await
    }

    /// Starts a server whose spool on disk, if it has one, lies in this folder.
    ///
    /// # Errors
    /// See [`Self::start`].
    pub async fn start_in(config: Config, folder: Arc<dyn Folder>) -> anyhow::Result<Self> {
        Self::start_among(config, folder, Arc::new(SystemResolver)).await
    }

    /// Starts a server that also has its Brokers' names looked up by this resolver.
    ///
    /// # Errors
    /// See [`Self::start`].
    pub async fn start_among(
        config: Config,
        folder: Arc<dyn Folder>,
        resolver: Arc<dyn Resolve>,
    ) -> anyhow::Result<Self> {
        let lifecycle = Lifecycle::new();
        let background = TaskGroup::default();
        let telemetry = Arc::new(telemetry(&config));
        let dead_letters = dead_letters(&config, Arc::clone(&telemetry))
            .await
            .context("dead_letters.dir")?;
        let (spool, opened) = spool(&config, folder, Arc::clone(&telemetry))
            .await
            .context("spool.dir")?;
        if let Some(opened) = opened {
            recall(&dead_letters, opened)
                .await
                .context("dead_letters.dir")?;
        }
        let public = bind(config.server.listen, "server.listen").await?;
        let admin = match config.admin.listen {
            Some(address) => Some(bind(address, "admin.listen").await?),
            None => None,
        };
        let forward = Forward::start(
            &config,
            spool.clone(),
            dead_letters.clone(),
            Arc::clone(&telemetry),
            &resolver,
            &lifecycle,
            &background,
        )?;
        let replays = Replays::start(
            &config,
            spool.clone(),
            dead_letters,
            Arc::clone(&telemetry),
            &lifecycle,
            &background,
        );
        let server = Arc::new(Server {
            ingress: Ingress::new(
                &config,
                spool.clone(),
                Arc::clone(&telemetry),
                lifecycle.clone(),
            )?,
            public_address: public.local_addr()?,
            admin_address: admin.as_ref().map(TcpListener::local_addr).transpose()?,
            in_force: Mutex::new(InForce::at_start(config.clone(), &telemetry)),
            started: Instant::now(),
            lifecycle,
            telemetry,
            spool,
            forward,
            replays,
        });
        let app = Self {
            serving: TaskGroup::default(),
            background,
            drain_delay: config.server.drain_delay,
            drain_timeout: config.server.drain_timeout,
            server,
        };
        app.listen(public, admin, config);
        Ok(app)
    }

    fn listen(&self, public: TcpListener, admin: Option<TcpListener>, config: Config) {
        // The listeners take connections from the moment that they are bound.
        self.server.lifecycle.enter(Phase::Serving);
        self.server.announce();
        let server = Arc::clone(&self.server);
        self.serving
            .spawn(async move { server.ingress.serve(public, &config).await });
        if let Some(listener) = admin {
            let server = Arc::clone(&self.server);
            self.background
                .spawn(async move { server.serve_admin(listener).await });
        }
        let server = Arc::clone(&self.server);
        self.background.spawn(async move {
            let upkeep = futures_util::future::join(server.upkeep(), server.spool.tell_when_full());
            server.lifecycle.unless_stopped(upkeep).await;
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
        let connections = server.ingress.connections();
        self.stop().await;
        DrainEnded {
            connections,
            events_left: server.spool.status().events,
            fate: server.spool.fate_at_the_end(),
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

    /// The end after the spool has failed: what was acknowledged is delivered, then what is in flight is refused, for at
    /// most `drain_timeout` together.
    pub async fn end_failed(&self) {
        let spool = &self.server.spool;
        let _done_or_out_of_time = tokio::time::timeout(self.drain_timeout, async {
            spool.drained().await;
            // Whoever waits is told no; a cut connection would leave it in doubt.
            self.server.lifecycle.enter(Phase::Closing);
            self.serving.ended().await;
        })
        .await;
        self.stop().await;
        EndsForSpool {
            events_left: spool.status().events,
        }
        .emit();
    }

    /// The end at once: what is in flight is cut.
    pub async fn stop(&self) {
        self.server.lifecycle.enter(Phase::Stopped);
        let ended = async {
            self.serving.ended().await;
            self.background.ended().await;
        };
        // Every task looks for the end; should one be stuck, the process ends without it.
        let _all_or_out_of_patience = tokio::time::timeout(PATIENCE, ended).await;
        let closed = self.server.spool.close();
        let _closed_or_out_of_patience = tokio::time::timeout(PATIENCE, closed).await;
    }
}

impl Server {
    fn announce(&self) {
        for listener in self.listeners() {
            Listening {
                listener: listener.0,
                address: listener.1,
            }
            .emit();
        }
    }

    fn listeners(&self) -> impl Iterator<Item = (&'static str, SocketAddr)> {
        let admin = self.admin_address.map(|address| ("admin", address));
        std::iter::once(("public", self.public_address)).chain(admin)
    }

    async fn serve_admin(self: Arc<Self>, listener: TcpListener) {
        let (telemetry, lifecycle) = (Arc::clone(&self.telemetry), self.lifecycle.clone());
        admin::serve(listener, self, telemetry, lifecycle).await;
    }

    async fn upkeep(&self) {
        let mut interval = tokio::time::interval(UPKEEP);
        loop {
            interval.tick().await;
            self.telemetry.upkeep();
        }
    }
}

impl Operated for Server {
    fn status(&self) -> Status {
        let spool = self.spool.status();
        Status {
            version: env!("CARGO_PKG_VERSION"),
            phase: self.lifecycle.phase().as_str(),
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

    fn gauges(&self) -> Gauges {
        let spool = self.spool.status();
        Gauges {
            spool_bytes: spool.bytes,
            spool_events: spool.events,
            spool_oldest_age: spool.oldest_age,
            in_flight_bytes: self.ingress.in_flight_bytes(),
            connections: self.ingress.connections(),
        }
    }
}

fn telemetry(config: &Config) -> Telemetry {
    let output = match config.output_type() {
        OutputType::Http => Output::Http,
        OutputType::File => Output::File,
        OutputType::Stdout => Output::Stdout,
    };
    let telemetry = Telemetry::new(
        config.metrics.source_labels(),
        config.metrics.max_sources,
        output,
    );
    telemetry.limits(Limits {
        spool_bytes: match config.ingest.durability {
            Durability::Disk => config.spool.max_bytes.bytes(),
            Durability::Broker | Durability::Memory => config.spool.memory_bytes.bytes(),
        },
        in_flight_bytes: config.ingest.max_in_flight_bytes.bytes(),
        connections: config.server.max_connections as u64,
    });
    telemetry
}

async fn dead_letters(config: &Config, telemetry: Arc<Telemetry>) -> anyhow::Result<DeadLetters> {
    let config = config.dead_letters.clone();
    Ok(blocking(move || DeadLetters::open(&config, telemetry)).await?)
}

async fn spool(
    config: &Config,
    folder: Arc<dyn Folder>,
    telemetry: Arc<Telemetry>,
) -> anyhow::Result<(Spool, Option<OpenedSpool>)> {
    let acknowledge = match config.ingest.durability {
        Durability::Memory => Acknowledge::Queued,
        Durability::Broker => Acknowledge::Delivered,
        Durability::Disk => {
            let options = SpoolOptions::from(&config.spool);
            let opening = blocking(move || Spool::on_disk(&folder, options, telemetry));
            let (spool, opened) = opening.await?;
            return Ok((spool, Some(opened)));
        }
    };
    warn_of_unused(folder).await;
    let max_bytes = config.spool.memory_bytes.as_usize();
    let spool = Spool::in_memory(max_bytes, acknowledge, telemetry);
    Ok((spool, None))
}

/// Events that an earlier run left on disk would else be forgotten without a word.
async fn warn_of_unused(folder: Arc<dyn Folder>) {
    let events = {
        let folder = Arc::clone(&folder);
        // No folder, no events; and what cannot be read is told when it is used.
        blocking(move || Look::at(folder).map_or(0, |look| look.open_events())).await
    };
    if events > 0 {
        let folder = folder.path();
        SpoolUnused { folder, events }.emit();
    }
}

/// Lets the store of dead letters find those that were written just before a crash, and come out of the spool again.
async fn recall(dead_letters: &DeadLetters, opened: OpenedSpool) -> std::io::Result<()> {
    let dead_letters = dead_letters.clone();
    let since = opened.open_since;
    blocking(move || dead_letters.recall(since, |position| opened.comes_again(position))).await
}

async fn bind(address: SocketAddr, key: &str) -> anyhow::Result<TcpListener> {
    TcpListener::bind(address)
        .await
        .with_context(|| format!("{key}: cannot listen on {address}"))
}
