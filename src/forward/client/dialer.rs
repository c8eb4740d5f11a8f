//! Opens connections: looks the name up, goes through its addresses, and sets up TLS where the URL asks for it.

use std::cmp::Ordering as Order;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use rustls::pki_types::ServerName;
use thiserror::Error;
use tokio::net::TcpStream;
use tokio::time::{Instant, timeout, timeout_at};
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;
use tokio_util::either::Either;
use url::{Host, Url};

use super::resolve::Lookup;
use super::{Network, tls};

/// In this time TCP and TLS are set up over any distance on Earth.
const ENOUGH: Duration = Duration::from_secs(2);

/// A stream to a Broker.
pub(super) type Stream = Either<TcpStream, Box<TlsStream<TcpStream>>>;

/// Why there is no connection, in words that say what to mend.
#[derive(Debug, Error)]
pub(super) enum DialError {
    #[error("no connection in time (broker.connect_timeout)")]
    TimedOut,
    #[error("no connection: the name in broker.urls cannot be looked up: {0}")]
    Name(Arc<io::Error>),
    #[error("no connection: the name in broker.urls has no address")]
    NoAddress,
    #[error("no connection: {}", tls::explain(.0))]
    Failed(#[from] io::Error),
}

/// Opens the connections of all slots of one Broker.
pub(super) struct Dialer {
    host: Host<Lookup>,
    port: u16,
    tls: Option<(TlsConnector, ServerName<'static>)>,
    /// For a whole connection, whatever it takes.
    limit: Duration,
    /// Which of the name's addresses is next.
    turn: AtomicUsize,
}

impl Dialer {
    /// None where the URL's host cannot be had in TLS, which has narrower names.
    pub(super) fn new(url: &Url, network: &Network, limit: Duration) -> Option<Self> {
        let host = url.host()?.to_owned();
        let port = url.port_or_known_default()?;
        let tls = match network.tls.clone().filter(|_| url.scheme() == "https") {
            Some(config) => Some((TlsConnector::from(config), server_name(&host)?)),
            None => None,
        };
        Some(Self {
            host: match host {
                Host::Domain(name) => Host::Domain(Lookup::new(name, port, network)),
                Host::Ipv4(address) => Host::Ipv4(address),
                Host::Ipv6(address) => Host::Ipv6(address),
            },
            port,
            tls,
            limit,
            // Several Headgates that start together do not all begin with the same address.
            turn: AtomicUsize::new(fastrand::usize(..)),
        })
    }

    /// Opens a connection to one of the addresses that the name has now; the first that can be reached, beginning with
    /// the one whose turn it is.
    pub(super) async fn dial(&self) -> Result<Stream, DialError> {
        let deadline = Instant::now() + self.limit;
        let addresses = timeout_at(deadline, self.addresses());
        let addresses = addresses.await.map_err(|_| DialError::TimedOut)??;
        let addresses = in_turn(addresses, self.turn.fetch_add(1, Ordering::Relaxed));
        let mut failure = DialError::NoAddress;
        for (tried, address) in addresses.iter().enumerate() {
            let left = deadline.saturating_duration_since(Instant::now());
            let share = share(left, addresses.len() - tried);
            failure = match timeout(share, self.open(*address)).await {
                Ok(Ok(stream)) => return Ok(stream),
                Ok(Err(error)) => error.into(),
                Err(_) => DialError::TimedOut,
            };
        }
        Err(failure)
    }

    /// Whether the name leads to an address now.
    pub(super) async fn finds_addresses(&self) -> bool {
        let addresses = timeout(self.limit, self.addresses()).await;
        matches!(addresses, Ok(Ok(found)) if !found.is_empty())
    }

    async fn addresses(&self) -> Result<Vec<SocketAddr>, DialError> {
        Ok(match &self.host {
            Host::Ipv4(address) => vec![SocketAddr::new(IpAddr::V4(*address), self.port)],
            Host::Ipv6(address) => vec![SocketAddr::new(IpAddr::V6(*address), self.port)],
            Host::Domain(lookup) => lookup.addresses().await.map_err(DialError::Name)?,
        })
    }

    async fn open(&self, address: SocketAddr) -> io::Result<Stream> {
        let stream = TcpStream::connect(address).await?;
        stream.set_nodelay(true)?;
        match &self.tls {
            None => Ok(Either::Left(stream)),
            Some((connector, name)) => {
                let stream = connector.connect(name.clone(), stream).await?;
                Ok(Either::Right(Box::new(stream)))
            }
        }
    }
}

/// How much of the time that is left one of so many addresses gets: its share, so that one that swallows
/// packets leaves some to the others; but of many addresses that are all far away, one after the other must
/// get enough for a handshake.
fn share(left: Duration, addresses: usize) -> Duration {
    let equal = left / u32::try_from(addresses).unwrap_or(u32::MAX);
    equal.max(ENOUGH.min(left / 2))
}

fn server_name(host: &Host) -> Option<ServerName<'static>> {
    match host {
        Host::Domain(name) => ServerName::try_from(name.clone()).ok(),
        Host::Ipv4(address) => Some(IpAddr::V4(*address).into()),
        Host::Ipv6(address) => Some(IpAddr::V6(*address).into()),
    }
}

/// The addresses in the order in which they are tried at this turn: each of the preferred family comes first once. The
/// order of the answer says which family is preferred (RFC 6724) and nothing else: name servers shuffle it, which
/// would undo the turns.
fn in_turn(mut addresses: Vec<SocketAddr>, turn: usize) -> Vec<SocketAddr> {
    let Some(first) = addresses.first() else {
        return addresses;
    };
    let is_preferred_v4 = first.is_ipv4();
    let is_preferred = |address: &SocketAddr| address.is_ipv4() == is_preferred_v4;
    addresses.sort_by(
        |one, other| match is_preferred(other).cmp(&is_preferred(one)) {
            Order::Equal => one.cmp(other),
            by_family => by_family,
        },
    );
    addresses.dedup();
    let preferred = addresses
        .iter()
        .filter(|address| is_preferred(address))
        .count();
    addresses[..preferred].rotate_left(turn % preferred);
    addresses
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_gets_its_share_and_enough_for_a_handshake() {
        let seconds = Duration::from_secs;
        assert_eq!(share(seconds(5), 1), seconds(5));
        assert_eq!(share(seconds(5), 2), seconds(5) / 2);
        assert_eq!(share(seconds(5), 8), seconds(2));
        assert_eq!(share(seconds(1), 8), seconds(1) / 2);
        assert_eq!(share(seconds(60), 3), seconds(20));
    }

    #[test]
    fn each_address_has_its_turn_however_the_answer_is_shuffled() {
        let addresses = |texts: &[&str]| -> Vec<SocketAddr> {
            texts.iter().map(|text| text.parse().unwrap()).collect()
        };
        let [a, b, c, six] = ["10.0.0.1:80", "10.0.0.2:80", "10.0.0.3:80", "[::1]:80"];
        for (answer, turn, expected) in [
            (vec![a, b, c], 0, vec![a, b, c]),
            (vec![b, c, a], 1, vec![b, c, a]),
            (vec![c, a, b, b], 2, vec![c, a, b]),
            (vec![c, a, b], 3, vec![a, b, c]),
            (vec![b, six, a], 1, vec![b, a, six]),
            (vec![six, a, b], 5, vec![six, a, b]),
            (vec![], 7, vec![]),
        ] {
            assert_eq!(in_turn(addresses(&answer), turn), addresses(&expected));
        }
    }
}
