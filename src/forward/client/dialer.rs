//! Opens connections: looks the name up, goes through its addresses, and sets up TLS where the URL asks for it.

use std::cmp::Ordering as Order;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use futures_util::StreamExt;
use futures_util::stream::FuturesUnordered;
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

/// In this time TCP and TLS are set up over nearly any distance. An address that takes longer may be dead.
const HEAD_START: Duration = Duration::from_secs(1);

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
    /// the one whose turn it is. Each has all of the time that is left: one that is dead leaves enough to the others, for
    /// they are tried beside it.
    pub(super) async fn dial(&self) -> Result<Stream, DialError> {
        let deadline = Instant::now() + self.limit;
        let addresses = timeout_at(deadline, self.addresses());
        let addresses = addresses.await.map_err(|_| DialError::TimedOut)??;
        let addresses = in_turn(addresses, self.turn.fetch_add(1, Ordering::Relaxed));
        let head_start = head_start(self.limit, addresses.len());
        let attempts = addresses.into_iter().map(|address| self.open(address));
        let first = timeout_at(deadline, first_to_succeed(attempts, head_start));
        first.await.unwrap_or(Err(DialError::TimedOut))
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

/// After how long the next of so many addresses is tried, so that each is within the limit.
fn head_start(limit: Duration, addresses: usize) -> Duration {
    let addresses = u32::try_from(addresses.max(1)).unwrap_or(u32::MAX);
    HEAD_START.min(limit / addresses)
}

/// The first of the attempts that succeeds. Each has a head start before the next; one that fails is followed at once.
async fn first_to_succeed<T>(
    attempts: impl Iterator<Item = impl Future<Output = io::Result<T>>>,
    head_start: Duration,
) -> Result<T, DialError> {
    let mut under_way = FuturesUnordered::new();
    let mut failure = DialError::NoAddress;
    for attempt in attempts {
        under_way.push(attempt);
        match timeout(head_start, under_way.next()).await {
            Ok(Some(Ok(opened))) => return Ok(opened),
            Ok(Some(Err(error))) => failure = error.into(),
            Ok(None) | Err(_) => {}
        }
    }
    while let Some(outcome) = under_way.next().await {
        match outcome {
            Ok(opened) => return Ok(opened),
            Err(error) => failure = error.into(),
        }
    }
    Err(failure)
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
    fn every_address_is_tried_within_the_limit() {
        let seconds = Duration::from_secs;
        assert_eq!(head_start(seconds(5), 0), HEAD_START);
        assert_eq!(head_start(seconds(5), 5), HEAD_START);
        assert_eq!(head_start(seconds(5), 10), seconds(5) / 10);
        assert_eq!(head_start(seconds(1), 2), seconds(1) / 2);
    }

    /// When attempts that take so many seconds are over, and which of them has succeeded; below zero are those that fail.
    async fn outcome_of(attempts: &[i64]) -> (u64, Option<usize>) {
        let begun = Instant::now();
        let attempt = async |(index, seconds): (usize, &i64)| {
            tokio::time::sleep(Duration::from_secs(seconds.unsigned_abs())).await;
            let refused = io::Error::from(io::ErrorKind::ConnectionRefused);
            if *seconds > 0 {
                Ok(index)
            } else {
                Err(refused)
            }
        };
        let attempts = attempts.iter().enumerate().map(attempt);
        let first = first_to_succeed(attempts, HEAD_START).await;
        (begun.elapsed().as_secs(), first.ok())
    }

    #[tokio::test(start_paused = true)]
    async fn one_that_hangs_is_overtaken_and_one_that_is_slow_may_win() {
        const DEAD: i64 = 3600;
        for (attempts, expected) in [
            (&[][..], (0, None)),
            (&[0, 0], (0, None)),
            (&[DEAD, 0, 4], (5, Some(2))),
            (&[DEAD, -2, DEAD, 1], (4, Some(3))),
            (&[4, DEAD], (4, Some(0))),
            (&[4, 4], (4, Some(0))),
            (&[4, -1], (4, Some(0))),
            (&[-2, -4], (5, None)),
        ] {
            assert_eq!(outcome_of(attempts).await, expected, "{attempts:?}");
        }
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
