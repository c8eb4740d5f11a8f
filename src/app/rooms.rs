//! Makes the rooms of a server as its configuration wants them, and binds its listeners.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;

use anyhow::Context as _;
use seglog::Folder;
use tokio::net::{TcpListener, TcpSocket};

use crate::config::{Config, Durability};
use crate::dead_letters::DeadLetters;
use crate::lifecycle::blocking;
use crate::spool::{Acknowledge, Inspection, OpenedSpool, Spool, SpoolOptions};
use crate::telemetry::events::SpoolUnused;
use crate::telemetry::{Limits, Telemetry};

/// Connections that may wait to be accepted: as many as Linux allows by default (`net.core.somaxconn`). When thousands
/// of clients are refused and come again at once, a health check whose SYN finds no room sends it again a second later.
const BACKLOG: u32 = 4096;

pub(super) fn telemetry(config: &Config) -> Telemetry {
    let telemetry = Telemetry::new(
        config.metrics.source_labels(),
        config.metrics.max_sources,
        config.output_type(),
    );
    telemetry.set_limits(Limits {
        spool_bytes: match config.ingest.durability {
            Durability::Disk => config.spool.max_bytes.bytes(),
            Durability::Broker | Durability::Memory => config.spool.memory_bytes.bytes(),
        },
        letter_bytes: config.dead_letters.max_bytes.bytes(),
        in_flight_bytes: config.ingest.max_in_flight_bytes.bytes(),
        connections: config.server.max_connections as u64,
    });
    telemetry
}

/// The dead letters and the spool, of which the first is told what the second gives out again.
pub(super) async fn stores(
    config: &Config,
    spool_folder: Arc<dyn Folder>,
    telemetry: &Arc<Telemetry>,
) -> anyhow::Result<(DeadLetters, Spool)> {
    let dead_letters = dead_letters(config, Arc::clone(telemetry))
        .await
        .context("dead_letters.dir")?;
    let (spool, opened) = spool(config, spool_folder, Arc::clone(telemetry))
        .await
        .context("spool.dir")?;
    if let Some(opened) = opened.filter(OpenedSpool::has_open_events) {
        recall(&dead_letters, opened)
            .await
            .context("dead_letters.dir")?;
    }
    Ok((dead_letters, spool))
}

/// What the server listens on.
pub(super) struct Listeners {
    pub(super) public: TcpListener,
    /// None where `admin.listen` turns it off.
    pub(super) admin: Option<TcpListener>,
}

impl Listeners {
    pub(super) fn bind(config: &Config) -> anyhow::Result<Self> {
        let bind_admin = |address| bind(address, "admin.listen");
        Ok(Self {
            public: bind(config.server.listen, "server.listen")?,
            admin: config.admin.listen.map(bind_admin).transpose()?,
        })
    }

    pub(super) fn admin_address(&self) -> io::Result<Option<SocketAddr>> {
        self.admin.as_ref().map(TcpListener::local_addr).transpose()
    }
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
        blocking(move || Inspection::at(folder).map_or(0, |look| look.open_events())).await
    };
    if events > 0 {
        let folder = folder.path();
        SpoolUnused { folder, events }.emit();
    }
}

/// Lets the store of dead letters find those that were written just before a crash, and come out of the spool again.
async fn recall(dead_letters: &DeadLetters, opened: OpenedSpool) -> io::Result<()> {
    let dead_letters = dead_letters.clone();
    let since = opened.open_since;
    blocking(move || dead_letters.recall(since, |position| opened.comes_again(position))).await
}

fn bind(address: SocketAddr, key: &str) -> anyhow::Result<TcpListener> {
    listen(address).with_context(|| format!("{key}: cannot listen on {address}"))
}

fn listen(address: SocketAddr) -> io::Result<TcpListener> {
    let socket = if address.is_ipv4() {
        TcpSocket::new_v4()
    } else {
        TcpSocket::new_v6()
    }?;
    // A restart does not wait until the connections of the last life are forgotten.
    socket.set_reuseaddr(true)?;
    socket.bind(address)?;
    socket.listen(BACKLOG)
}
