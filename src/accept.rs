//! Accepting connections: what is in the way of it is told, and waited for.

use std::io;
use std::net::SocketAddr;
use std::time::Duration;

use tokio::net::{TcpListener, TcpStream};

use crate::telemetry::Spell;
use crate::telemetry::events::AcceptFailed;

/// The pause after a connection could not be accepted (no file descriptor left, mostly).
const PAUSE: Duration = Duration::from_millis(100);

/// Takes connections from a listener.
#[derive(Debug)]
pub struct Acceptor {
    listener: TcpListener,
    /// Without descriptors every connection that ends lets one in.
    failing: Spell,
}

impl Acceptor {
    /// Of a listener that is bound.
    pub fn new(listener: TcpListener) -> Self {
        Self {
            listener,
            failing: Spell::default(),
        }
    }

    /// The next connection, and whose it is.
    pub async fn next(&mut self) -> (TcpStream, SocketAddr) {
        loop {
            match self.listener.accept().await {
                Ok(accepted) => return accepted,
                Err(error) if is_of_the_client(&error) => {}
                Err(error) => {
                    if self.failing.begins() {
                        AcceptFailed { reason: &error }.emit();
                    }
                    tokio::time::sleep(PAUSE).await;
                }
            }
        }
    }

    /// Those who have connected and were not taken yet. The runtime may not have heard of them; to close the listener
    /// over them would reset them.
    pub fn rest(self) -> impl Iterator<Item = (TcpStream, SocketAddr)> {
        let listener = self.listener.into_std().ok();
        std::iter::from_fn(move || {
            let (stream, peer) = loop {
                match listener.as_ref()?.accept() {
                    Ok(accepted) => break accepted,
                    Err(error) if is_of_the_client(&error) => {}
                    Err(_none_is_left) => return None,
                }
            };
            stream.set_nonblocking(true).ok()?;
            Some((TcpStream::from_std(stream).ok()?, peer))
        })
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
