//! Whole requests: HTTP over a loopback connection, decoding, the spool in memory, the answer, and the events given
//! away. Client and server take turns on one thread, so that each run does the same.

use std::sync::Arc;
use std::time::Duration;

use anyhow::{Result, ensure};
use headgate::config::Config;
use headgate::config::OutputType;
use headgate::ingress::Ingress;
use headgate::lifecycle::Lifecycle;
use headgate::spool::{Acknowledge, LeaseLimits, Spool};
use headgate::telemetry::Telemetry;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::runtime::Runtime;

use crate::decode::config;

const SPOOL_BYTES: usize = 64 * 1024 * 1024;

const EVERYTHING: LeaseLimits = LeaseLimits {
    max_events: usize::MAX,
    max_bytes: usize::MAX,
    linger: Duration::ZERO,
};

/// The key `bench`, by its SHA-256.
const KEY: &str = "name = 'bench'\n\
    hash = 'sha256:1b32c28cb38c05480eccc1bd60ff97029b57a05c96718b96dad7e9d84894f549'\n";

/// A server, and a request that it is sent again and again over one connection.
pub struct Requests {
    runtime: Runtime,
    spool: Spool,
    connection: TcpStream,
    request: Vec<u8>,
}

impl Requests {
    /// Starts a server, connects to it, and makes a request with this body.
    ///
    /// # Errors
    /// There is no loopback.
    pub fn new(media_type: &str, body: &str) -> Result<Self> {
        Self::of(&config()?, media_type, body, "")
    }

    /// The same with an API key, and a server that asks for one.
    ///
    /// # Errors
    /// There is no loopback.
    pub fn with_key(media_type: &str, body: &str) -> Result<Self> {
        let mut config = config()?;
        config.auth.keys = vec![toml::from_str(KEY)?];
        Self::of(&config, media_type, body, "Authorization: Bearer bench\r\n")
    }

    fn of(config: &Config, media_type: &str, body: &str, authorization: &str) -> Result<Self> {
        // A request id of our own: the server's are random.
        let head = format!(
            "POST / HTTP/1.1\r\nHost: logs.example:8080\r\nUser-Agent: curl/7.88.1\r\nAccept: */*\r\n\
             X-Request-Id: bench\r\nContent-Type: {media_type}\r\n{authorization}Content-Length: {}\r\n\r\n",
            body.len()
        );
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()?;
        let (spool, connection) = runtime.block_on(serve_and_connect(config))?;
        Ok(Self {
            runtime,
            spool,
            connection,
            request: [head.as_bytes(), body.as_bytes()].concat(),
        })
    }

    /// Sends the request, reads the answer, and takes the events out of the spool.
    ///
    /// # Errors
    /// The answer was not 200.
    pub fn exchange(&mut self) -> Result<()> {
        self.runtime.block_on(async {
            self.connection.write_all(&self.request).await?;
            let mut answer = [0; 1024];
            let bytes = self.connection.read(&mut answer).await?;
            let answer = &answer[..bytes];
            ensure!(
                answer.starts_with(b"HTTP/1.1 200 ") && answer.ends_with(b"\r\n\r\nok"),
                "answered {}",
                String::from_utf8_lossy(answer)
            );
            self.spool.ack(&self.spool.lease(EVERYTHING).await);
            Ok(())
        })
    }
}

async fn serve_and_connect(config: &Config) -> Result<(Spool, TcpStream)> {
    let config = config.clone();
    let labels = config.metrics.source_labels();
    let max_sources = config.metrics.max_sources;
    let telemetry = Arc::new(Telemetry::new(labels, max_sources, OutputType::File));
    let spool = Spool::in_memory(SPOOL_BYTES, Acknowledge::Queued, Arc::clone(&telemetry));
    let lifecycle = Lifecycle::new();
    let tasks = lifecycle.task_group();
    let ingress = Ingress::new(&config, spool.clone(), telemetry, lifecycle)?;
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let address = listener.local_addr()?;
    // Ends with the runtime.
    tasks.spawn(async move { ingress.serve(listener, &config).await });
    let connection = TcpStream::connect(address).await?;
    connection.set_nodelay(true)?;
    Ok((spool, connection))
}
