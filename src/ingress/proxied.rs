//! Who the client of a connection is, where a balancer says so in front of it: reads the PROXY header off the stream,
//! leaves what follows it, and decides whether it is believed.

use std::net::IpAddr;

use bytes::{Buf, Bytes, BytesMut};
use tokio::io::{AsyncRead, AsyncReadExt};
use tokio::net::TcpStream;
use tokio::time::Instant;

use super::gate::Gate;
use super::prefixed::Prefixed;
use super::proxy_protocol::{Found, find};
use super::trusted_proxies::TrustedProxies;
use super::waiting::{WaitLimits, bytes_come};
use crate::config::ProxyProtocol;
use crate::telemetry::ProxyHeaderFault;

/// Room for any header of version 1, and most of version 2.
const HEADER_ROOM: usize = 256;

/// The stream behind the PROXY header of a connection, or behind nothing, and the client's address. None
/// where the connection is to be closed. The header has the time of a head, and must be one that the policy
/// of this moment believes.
pub(super) async fn identify(
    mut stream: TcpStream,
    peer: IpAddr,
    mode: ProxyProtocol,
    gate: &Gate,
    waiting: WaitLimits<'_>,
) -> Option<(Prefixed, IpAddr)> {
    let is_required = match mode {
        ProxyProtocol::Off => return Some((Prefixed::new(Bytes::new(), stream), peer)),
        ProxyProtocol::Optional => false,
        ProxyProtocol::Required => true,
    };
    let mut read = BytesMut::with_capacity(HEADER_ROOM);
    let reading = stream.read_buf(&mut read);
    if !bytes_come(reading, Instant::now(), waiting).await {
        return None;
    }
    let policy = gate.policy();
    let trusted = &policy.trusted_proxies;
    let reading = address_of(&mut stream, &mut read, peer, is_required, trusted);
    let address = waiting.before_request(reading).await?;
    match address.unwrap_or(Err(ProxyHeaderFault::Incomplete)) {
        Ok(address) => Some((Prefixed::new(read.freeze(), stream), address)),
        Err(fault) => {
            gate.telemetry.proxy_headers.refused(peer, fault);
            None
        }
    }
}

/// Reads a header, if there is one, from the bytes that were read of a connection and from the stream behind
/// them. Gives back the client's address: the one that the header names, else the peer's. Afterwards `read`
/// begins behind the header.
async fn address_of(
    stream: &mut (impl AsyncRead + Unpin),
    read: &mut BytesMut,
    peer: IpAddr,
    is_required: bool,
    trusted: &TrustedProxies,
) -> Result<IpAddr, ProxyHeaderFault> {
    let (source, length) = loop {
        match find(read) {
            Found::Header { source, length } => break (source, length),
            Found::NotAHeader if is_required => return Err(ProxyHeaderFault::Missing),
            Found::NotAHeader => return Ok(peer),
            Found::Malformed => return Err(ProxyHeaderFault::Malformed),
            Found::NeedMore => read_more(stream, read).await?,
        }
    };
    if !trusted.is_empty() && !trusted.contains(peer) {
        return Err(ProxyHeaderFault::Untrusted);
    }
    skip(stream, read, length).await?;
    Ok(source.unwrap_or(peer))
}

/// Throws away so many bytes without ever keeping them: a header may be 64 KiB long.
async fn skip(
    stream: &mut (impl AsyncRead + Unpin),
    read: &mut BytesMut,
    mut bytes: usize,
) -> Result<(), ProxyHeaderFault> {
    loop {
        let here = bytes.min(read.len());
        read.advance(here);
        bytes -= here;
        if bytes == 0 {
            return Ok(());
        }
        read_more(stream, read).await?;
    }
}

async fn read_more(
    stream: &mut (impl AsyncRead + Unpin),
    read: &mut BytesMut,
) -> Result<(), ProxyHeaderFault> {
    match stream.read_buf(read).await {
        Ok(1..) => Ok(()),
        Ok(0) | Err(_) => Err(ProxyHeaderFault::Incomplete),
    }
}

#[cfg(test)]
mod tests {
    use tokio::io::AsyncWriteExt;

    use super::*;

    const PEER: &str = "10.0.0.1";
    const LINE: &[u8] = b"PROXY TCP4 203.0.113.5 127.0.0.1 4000 80\r\n";
    /// A LOCAL header that says that 65,535 bytes follow.
    const LONG: &[u8] = b"\r\n\r\n\0\r\nQUIT\n\x20\0\xff\xff";

    type Outcome = Result<IpAddr, ProxyHeaderFault>;

    /// What comes of these bytes, read one by one, and what is left of them.
    async fn read(bytes: &[u8], is_required: bool, trusted: &[&str]) -> (Outcome, Vec<u8>) {
        let networks: Vec<_> = trusted.iter().map(|text| text.parse().unwrap()).collect();
        let trusted = TrustedProxies::new(&networks);
        let (mut near, mut far) = tokio::io::duplex(1);
        let sending = async {
            far.write_all(bytes).await.unwrap();
            drop(far);
        };
        let reading = async {
            let mut read = BytesMut::with_capacity(64);
            let peer = PEER.parse().unwrap();
            let client = address_of(&mut near, &mut read, peer, is_required, &trusted).await;
            assert!(read.capacity() <= 1024, "a long header is not kept");
            let mut left = read.to_vec();
            near.read_to_end(&mut left).await.unwrap();
            (client, left)
        };
        tokio::join!(sending, reading).1
    }

    fn ok(address: &str) -> Outcome {
        Ok(address.parse().unwrap())
    }

    #[tokio::test]
    async fn a_header_is_believed_where_its_sender_is() {
        let untrusted = Err(ProxyHeaderFault::Untrusted);
        for (is_required, trusted, expected) in [
            (false, &[][..], ok("203.0.113.5")),
            (true, &[], ok("203.0.113.5")),
            (false, &["10.0.0.0/8"], ok("203.0.113.5")),
            (true, &["10.0.0.0/8"], ok("203.0.113.5")),
            (false, &["192.0.2.0/24"], untrusted),
            (true, &["203.0.113.5/32"], untrusted),
        ] {
            let (client, _) = read(LINE, is_required, trusted).await;
            assert_eq!(client, expected, "{is_required} {trusted:?}");
        }
    }

    #[tokio::test]
    async fn no_byte_behind_a_header_is_lost() {
        let long = [LONG, &[b'x'; 0xffff][..]].concat();
        for (header, client) in [
            (LINE, "203.0.113.5"),
            (b"PROXY UNKNOWN\r\n", PEER),
            (b"\r\n\r\n\0\r\nQUIT\n\x20\0\0\0", PEER),
            (&long, PEER),
        ] {
            for next in [&b""[..], b"POST / HTTP/1.1\r\n", LINE, b"\x16\x03\x01"] {
                let bytes = [header, next].concat();
                let found = read(&bytes, true, &["10.0.0.0/8"]).await;
                assert_eq!(found, (ok(client), next.to_vec()), "{header:?}");
            }
        }
    }

    #[tokio::test]
    async fn what_is_no_header_is_left_as_it_came_or_refused() {
        for bytes in [&b"POST / HTTP/1.1"[..], b"PRI * HTTP/2.0", b"\x16\x03\x01"] {
            let found = read(bytes, false, &["192.0.2.0/24"]).await;
            assert_eq!(found, (ok(PEER), bytes.to_vec()));
            let (client, _) = read(bytes, true, &[]).await;
            assert_eq!(client, Err(ProxyHeaderFault::Missing));
        }
    }

    #[tokio::test]
    async fn one_that_is_wrong_or_cut_short_is_refused() {
        let without_end = &LINE[..LINE.len() - 1];
        for cut in [&b"P"[..], without_end, LONG] {
            let (client, _) = read(cut, false, &[]).await;
            assert_eq!(client, Err(ProxyHeaderFault::Incomplete), "{cut:?}");
        }
        let (client, _) = read(b"PROXY TCP9\r\n", false, &[]).await;
        assert_eq!(client, Err(ProxyHeaderFault::Malformed));
    }
}
