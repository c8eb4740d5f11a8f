//! Whole requests: HTTP over a loopback connection, decoding, the spool in memory, the answer, and the events given
//! away. Client and server take turns on one thread, so that each run does the same.

use std::sync::Arc;
use std::time::Duration;

use anyhow::{Result, ensure};
use headgate::config::Config;
use headgate::ingress::Ingress;
use headgate::lifecycle::Lifecycle;
use headgate::spool::{Acknowledge, LeaseLimits, Spool};
use headgate::telemetry::{Output, Telemetry};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

use crate::decode::config;

const SPOOL_BYTES: usize = 64 * 1024 * 1024;

const EVERYTHING: LeaseLimits = LeaseLimits {
    max_events: usize::MAX,
    max_bytes: usize::MAX,
    linger: Duration::ZERO,
};

/// A server, and a request that it is sent again and again over one connection.
pub struct Requests {
    config: Config,
    request: Vec<u8>,
}

impl Requests {
    /// A request with this body.
    ///
    /// # Errors
    /// See [`config`].
    pub fn new(media_type: &str, body: &str) -> Result<Self> {
        // A request id of our own: the server's are random.
        let head = format!(
            "POST / HTTP/1.1\r\nHost: logs.example:8080\r\nUser-Agent: curl/7.88.1\r\nAccept: */*\r\n\
             X-Request-Id: bench\r\nContent-Type: {media_type}\r\nContent-Length: {}\r\n\r\n",
            body.len()
        );
        Ok(Self {
            config: config()?,
            request: [head.as_bytes(), body.as_bytes()].concat(),
        })
    }

    /// Sends the request so often, one after the other.
    ///
    /// # Errors
    /// There is no loopback, or an answer was not 200.
    pub fn exchange(&self, times: usize) -> Result<()> {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()?;
        runtime.block_on(self.serve_and_send(times))
    }

    async fn serve_and_send(&self, times: usize) -> Result<()> {
        let metrics = &self.config.metrics;
        let labels = metrics.source_labels();
        let telemetry = Arc::new(Telemetry::new(labels, metrics.max_sources, Output::File));
        let spool = Spool::in_memory(SPOOL_BYTES, Acknowledge::Queued, Arc::clone(&telemetry));
        let ingress = Ingress::new(&self.config, spool.clone(), telemetry, Lifecycle::new());
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let address = listener.local_addr()?;
        tokio::select! {
            biased;
            () = ingress.serve(listener, &self.config) => Ok(()),
            sent = async {
                let mut connection = TcpStream::connect(address).await?;
                connection.set_nodelay(true)?;
                for _ in 0..times {
                    self.send(&mut connection).await?;
                    spool.ack(&spool.lease(EVERYTHING).await);
                }
                Ok(())
            } => sent,
        }
    }

    async fn send(&self, connection: &mut TcpStream) -> Result<()> {
        connection.write_all(&self.request).await?;
        let mut answer = [0; 1024];
        let bytes = connection.read(&mut answer).await?;
        let answer = &answer[..bytes];
        ensure!(
            answer.starts_with(b"HTTP/1.1 200 ") && answer.ends_with(b"\r\n\r\nok"),
            "answered {}",
            String::from_utf8_lossy(answer)
        );
        Ok(())
    }
}
