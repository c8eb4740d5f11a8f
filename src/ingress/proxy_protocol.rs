//! The header of the PROXY protocol, versions 1 and 2, that a balancer sends in front of a connection to say who its
//! client is. Pure: looks at the bytes that there are and asks for more.
//!
//! <https://www.haproxy.org/download/3.2/doc/proxy-protocol.txt>

use std::net::IpAddr;

/// Version 1 begins with this. It could begin a request too, of a method that nobody has.
const TEXT_SIGNATURE: &[u8] = b"PROXY ";

/// Version 2 begins with this.
const BINARY_SIGNATURE: &[u8] = b"\r\n\r\n\0\r\nQUIT\n";

/// The longest header of version 1, its end of line included.
const MAX_TEXT_BYTES: usize = 107;

/// What every header of version 2 has: the signature, version and command, family and transport, the length
/// of the rest.
const BINARY_FIXED_BYTES: usize = 16;

/// Source and destination of a pair of sockets with paths.
const UNIX_ADDRESSES_BYTES: u16 = 2 * 108;

/// What the bytes at the beginning of a connection are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Found {
    /// Perhaps a header: more of them will tell.
    NeedMore,
    /// No header.
    NotAHeader,
    /// A header, whose end may not have come yet: all that follows its addresses is of no interest here.
    Header {
        /// The client's address in its canonical form. None where the header names no client: the connection is the
        /// balancer's own (its health checks), or the client has no address of the Internet.
        source: Option<IpAddr>,
        /// Bytes from the beginning of the connection to the end of the header.
        length: usize,
    },
    /// It begins like a header and is none.
    Malformed,
}

/// Looks for a header at the beginning of a connection. Once it answers anything but [`Found::NeedMore`], more bytes
/// make no difference.
pub fn find(bytes: &[u8]) -> Found {
    if bytes.starts_with(TEXT_SIGNATURE) {
        text(bytes)
    } else if bytes.starts_with(BINARY_SIGNATURE) {
        binary(bytes)
    } else if TEXT_SIGNATURE.starts_with(bytes) || BINARY_SIGNATURE.starts_with(bytes) {
        Found::NeedMore
    } else {
        Found::NotAHeader
    }
}

/// Whether what begins like this where HTTP is expected is a header. The first line ends of version 2 may have been passed
/// over, as those before a request are.
pub(super) fn is_misplaced(bytes: &[u8]) -> bool {
    let lines = [&b"TCP4 "[..], b"TCP6 ", b"UNKNOWN"];
    let line = bytes.strip_prefix(TEXT_SIGNATURE);
    line.is_some_and(|line| lines.iter().any(|first| line.starts_with(first)))
        || bytes.starts_with(BINARY_SIGNATURE.trim_ascii_start())
}

/// Version 1: a line of text.
fn text(bytes: &[u8]) -> Found {
    let limited = &bytes[..bytes.len().min(MAX_TEXT_BYTES)];
    let Some(newline) = memchr::memchr(b'\n', limited) else {
        return if limited.len() < MAX_TEXT_BYTES {
            Found::NeedMore
        } else {
            Found::Malformed
        };
    };
    let line = limited[TEXT_SIGNATURE.len()..newline].strip_suffix(b"\r");
    match line.and_then(source_in) {
        None => Found::Malformed,
        Some(source) => Found::Header {
            source: source.map(|source| source.to_canonical()),
            length: newline + 1,
        },
    }
}

/// The source that a line of version 1 names, if it names one; none where it breaks the rules.
fn source_in(line: &[u8]) -> Option<Option<IpAddr>> {
    let mut words = line.split(|&byte| byte == b' ');
    let is_v6 = match words.next()? {
        b"TCP4" => false,
        b"TCP6" => true,
        // Whatever else the line says is to be ignored.
        b"UNKNOWN" => return Some(None),
        _ => return None,
    };
    let mut word = || str::from_utf8(words.next()?).ok();
    let mut address = || {
        let address: IpAddr = word()?.parse().ok()?;
        (address.is_ipv6() == is_v6).then_some(address)
    };
    let (source, _destination) = (address()?, address()?);
    let has_ports = is_port(word()?) && is_port(word()?);
    (has_ports && words.next().is_none()).then_some(Some(source))
}

/// Whether the text is a decimal number of 16 bits without leading zeros.
fn is_port(text: &str) -> bool {
    let is_plain = text == "0" || !text.starts_with(['0', '+']);
    is_plain && text.parse::<u16>().is_ok()
}

/// Version 2: fixed fields, addresses, then more fields that tell nothing of the client's address.
fn binary(bytes: &[u8]) -> Found {
    let fields = bytes.get(BINARY_SIGNATURE.len()..);
    let Some(&[command, family, high, low]) = fields.and_then(|fields| fields.first_chunk()) else {
        return Found::NeedMore;
    };
    let rest = u16::from_be_bytes([high, low]);
    let addresses = &bytes[BINARY_FIXED_BYTES..];
    let source = match (command, family) {
        // LOCAL, whatever family it names; and PROXY for a client whose family the balancer does not tell.
        (0x20, _) | (0x21, 0x00) => Some(None),
        // Over datagrams too: a balancer may take HTTP/3 and pass it on over TCP.
        (0x21, 0x11 | 0x12) if rest >= 12 => addresses
            .first_chunk()
            .map(|&source: &[u8; 4]| Some(IpAddr::from(source))),
        (0x21, 0x21 | 0x22) if rest >= 36 => addresses
            .first_chunk()
            .map(|&source: &[u8; 16]| Some(IpAddr::from(source))),
        (0x21, 0x31 | 0x32) if rest >= UNIX_ADDRESSES_BYTES => Some(None),
        _ => return Found::Malformed,
    };
    match source {
        None => Found::NeedMore,
        Some(source) => Found::Header {
            source: source.map(|source| source.to_canonical()),
            length: BINARY_FIXED_BYTES + usize::from(rest),
        },
    }
}

#[cfg(test)]
mod tests;
