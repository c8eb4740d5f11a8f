//! Accepting connections: what is in the way of it is told, and waited for.

use std::io;
use std::net::SocketAddr;
use std::time::Duration;

use tokio::net::{TcpListener, TcpStream};
use tokio::time::Instant;

use crate::telemetry::events::AcceptFailed;

/// The pause after a connection could not be accepted (no file descriptor left, mostly).
const PAUSE: Duration = Duration::from_millis(100);

/// After so long without a failure the next one is told again: without descriptors every connection that ends lets
/// one in.
const CALM: Duration = Duration::from_secs(10);

/// Takes connections from a listener.
#[derive(Debug)]
pub struct Acceptor {
    listener: TcpListener,
    failed_at: Option<Instant>,
}

impl Acceptor {
    /// Of a listener that is bound.
    pub fn new(listener: TcpListener) -> Self {
        Self {
            listener,
            failed_at: None,
        }
    }

    /// The next connection, and whose it is.
    pub async fn next(&mut self) -> (TcpStream, SocketAddr) {
        loop {
            match self.listener.accept().await {
                Ok(accepted) => return accepted,
                Err(error) if is_of_the_client(&error) => {}
                Err(error) => {
                    let now = Instant::now();
                    let before = self.failed_at.replace(now);
                    if before.is_none_or(|before| now >= before + CALM) {
                        AcceptFailed { reason: &error }.emit();
                    }
                    tokio::time::sleep(PAUSE).await;
                }
            }
        }
    }
}

/// Whether it was this connection that failed, and not the accepting.
fn is_of_the_client(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::ConnectionAborted
            | io::ErrorKind::ConnectionReset
            | io::ErrorKind::ConnectionRefused
    )
}
