//! Headers of both versions, whole and cut at every byte.

use proptest::collection::vec;
use proptest::prelude::*;

use super::*;

fn ip(text: &str) -> IpAddr {
    text.parse().unwrap()
}

/// A header of version 2: `body` is all behind its length.
fn v2(command: u8, family: u8, body: &[u8]) -> Vec<u8> {
    let length = u16::try_from(body.len()).unwrap().to_be_bytes();
    [BINARY_SIGNATURE, &[command, family], &length, body].concat()
}

/// Addresses, ports and `more` bytes behind them.
fn addresses(source: IpAddr, more: usize) -> Vec<u8> {
    let octets = |address: IpAddr| match address {
        IpAddr::V4(address) => address.octets().to_vec(),
        IpAddr::V6(address) => address.octets().to_vec(),
    };
    let destination = if source.is_ipv4() { "127.0.0.1" } else { "::1" };
    let mut body = [octets(source), octets(ip(destination))].concat();
    body.extend([0x1f, 0x90, 0, 80]);
    body.resize(body.len() + more, 0x04);
    body
}

/// Whatever a beginning is taken for, more bytes do not change it; and it is taken for something once it is all there.
fn check_every_cut(bytes: &[u8], expected: Found) {
    let mut answered = None;
    for cut in 0..=bytes.len() {
        let found = find(&bytes[..cut]);
        match answered {
            Some(answer) => assert_eq!(found, answer, "{cut} of {bytes:?}"),
            None if found == Found::NeedMore => {}
            None => answered = Some(found),
        }
    }
    assert_eq!(answered.unwrap_or(Found::NeedMore), expected, "{bytes:?}");
}

fn check_header(header: &[u8], source: Option<&str>) {
    let length = header.len();
    let source = source.map(ip);
    let expected = Found::Header { source, length };
    check_every_cut(header, expected);
    for next in [&b"\r\n"[..], b"GET / HTTP/1.1\r\n\r\n", header] {
        assert_eq!(find(&[header, next].concat()), expected, "{header:?}");
    }
}

#[test]
fn lines_of_version_1_name_their_source() {
    for (line, source) in [
        (
            "PROXY TCP4 203.0.113.5 127.0.0.1 4000 80\r\n",
            Some("203.0.113.5"),
        ),
        (
            "PROXY TCP4 255.255.255.255 0.0.0.0 0 65535\r\n",
            Some("255.255.255.255"),
        ),
        (
            "PROXY TCP6 2001:db8::5 ::1 4000 80\r\n",
            Some("2001:db8::5"),
        ),
        (
            "PROXY TCP6 ::ffff:203.0.113.5 ::1 4000 80\r\n",
            Some("203.0.113.5"),
        ),
        ("PROXY UNKNOWN\r\n", None),
        ("PROXY UNKNOWN \r\n", None),
        (
            "PROXY UNKNOWN 203.0.113.5 127.0.0.1 4000 80 and \t\0 so on\r\n",
            None,
        ),
        (
            "PROXY TCP6 ffff:ffff:ffff:ffff:ffff:ffff:ffff:fffe ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff 65535 65535\r\n",
            Some("ffff:ffff:ffff:ffff:ffff:ffff:ffff:fffe"),
        ),
    ] {
        check_header(line.as_bytes(), source);
    }
    let longest = format!("PROXY UNKNOWN {}\r\n", "x".repeat(MAX_TEXT_BYTES - 16));
    check_header(longest.as_bytes(), None);
    check_header(b"PROXY UNKNOWN \xff\xfe\r\n", None);
}

#[test]
fn lines_that_break_the_rules_are_malformed() {
    let too_long = format!("PROXY UNKNOWN {}\r\n", "x".repeat(MAX_TEXT_BYTES - 15));
    let without_end = "PROXY TCP4 ".repeat(20);
    for line in [
        "PROXY \r\n",
        "PROXY TCP4\r\n",
        "PROXY TCP4 \r\n",
        "PROXY  TCP4 203.0.113.5 127.0.0.1 4000 80\r\n",
        "PROXY tcp4 203.0.113.5 127.0.0.1 4000 80\r\n",
        "PROXY UNKNOWNx\r\n",
        "PROXY UDP4 203.0.113.5 127.0.0.1 4000 80\r\n",
        "PROXY TCP4 2001:db8::5 ::1 4000 80\r\n",
        "PROXY TCP4 203.0.113.5 ::1 4000 80\r\n",
        "PROXY TCP6 203.0.113.5 127.0.0.1 4000 80\r\n",
        "PROXY TCP4 203.0.113.5 127.0.0.1 4000\r\n",
        "PROXY TCP4 203.0.113.5 127.0.0.1 4000 80 \r\n",
        "PROXY TCP4 203.0.113.5 127.0.0.1 4000 80 1\r\n",
        "PROXY TCP4  203.0.113.5 127.0.0.1 4000 80\r\n",
        "PROXY TCP4 203.0.113.5 127.0.0.1 4000 65536\r\n",
        "PROXY TCP4 203.0.113.5 127.0.0.1 +4000 80\r\n",
        "PROXY TCP4 203.0.113.5 127.0.0.1 04000 80\r\n",
        "PROXY TCP4 203.0.113.5 127.0.0.1 4000 -1\r\n",
        "PROXY TCP4 203.0.113.005 127.0.0.1 4000 80\r\n",
        "PROXY TCP4 203.0.113.5 127.0.0.1 4000 80\n",
        "PROXY TCP4 203.0.113.5 127.0.0.1 4000 80\r\r\n",
        "PROXY TCP4 203.0.113.5\r127.0.0.1 4000 80\r\n",
        "PROXY UNKNOWN\n",
        "PROXY / HTTP/1.1\r\n",
        &too_long,
        &without_end,
    ] {
        check_every_cut(line.as_bytes(), Found::Malformed);
    }
}

#[test]
fn headers_of_version_2_name_their_source() {
    let v4 = addresses(ip("203.0.113.7"), 0);
    let v6 = addresses(ip("2001:db8::7"), 0);
    for family in [0x11, 0x12] {
        check_header(&v2(0x21, family, &v4), Some("203.0.113.7"));
    }
    for family in [0x21, 0x22] {
        check_header(&v2(0x21, family, &v6), Some("2001:db8::7"));
    }
    let mapped = addresses(ip("::ffff:203.0.113.7"), 0);
    check_header(&v2(0x21, 0x21, &mapped), Some("203.0.113.7"));
    let with_more = addresses(ip("203.0.113.7"), 65535 - 12);
    let header = v2(0x21, 0x11, &with_more);
    let found = Found::Header {
        source: Some(ip("203.0.113.7")),
        length: BINARY_FIXED_BYTES + 65535,
    };
    check_every_cut(&header, found);
}

#[test]
fn headers_without_a_client_leave_the_peer() {
    let paths = [0_u8; 216];
    for (command, family, body) in [
        (0x20, 0x00, &[][..]),
        (0x20, 0x00, &[1, 2, 3]),
        (0x20, 0x11, &addresses(ip("203.0.113.7"), 0)),
        // The rest of a LOCAL header is to be ignored, be it short or of a family to come.
        (0x20, 0x11, &[]),
        (0x20, 0xff, &[]),
        (0x21, 0x00, &[]),
        (0x21, 0x00, &[3, 0, 4, 1, 2, 3, 4]),
        (0x21, 0x31, &paths),
        (0x21, 0x32, &[paths, paths].concat()),
    ] {
        check_header(&v2(command, family, body), None);
    }
}

#[test]
fn headers_of_version_2_that_break_the_rules_are_malformed() {
    let (v4, v6) = (addresses(ip("203.0.113.7"), 0), addresses(ip("::7"), 0));
    for (command, family, body) in [
        (0x11, 0x11, &v4[..]),
        (0x31, 0x11, &v4),
        (0x22, 0x11, &v4),
        (0x2f, 0x00, &[]),
        (0x21, 0x01, &v4),
        (0x21, 0x10, &v4),
        (0x21, 0x13, &v4),
        (0x21, 0x41, &v4),
        (0x21, 0x11, &v4[..11]),
        (0x21, 0x21, &v6[..35]),
        (0x21, 0x21, &v4),
        (0x21, 0x31, &[0; 215]),
    ] {
        check_every_cut(&v2(command, family, body), Found::Malformed);
    }
}

#[test]
fn what_begins_otherwise_is_no_header() {
    let mut wrong_signatures: Vec<Vec<u8>> = Vec::new();
    for signature in [TEXT_SIGNATURE, BINARY_SIGNATURE] {
        for place in 0..signature.len() {
            let mut wrong = signature.to_vec();
            wrong[place] ^= 0x20;
            wrong_signatures.push(wrong);
        }
    }
    for bytes in wrong_signatures.iter().map(Vec::as_slice).chain([
        &b"GET / HTTP/1.1\r\n\r\n"[..],
        b"POST / HTTP/1.1\r\n\r\n",
        b"PUT / HTTP/1.1\r\n\r\n",
        b"PROPFIND / HTTP/1.1\r\n\r\n",
        b"PROXYX / HTTP/1.1\r\n\r\n",
        b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
        b"\r\nGET / HTTP/1.1\r\n\r\n",
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
        b"\0",
    ]) {
        check_every_cut(bytes, Found::NotAHeader);
    }
}

#[test]
fn a_beginning_needs_more() {
    for signature in [TEXT_SIGNATURE, BINARY_SIGNATURE] {
        check_every_cut(signature, Found::NeedMore);
    }
    check_every_cut(&[], Found::NeedMore);
}

/// A header as a balancer would write it, and whom it names.
fn header() -> impl Strategy<Value = (Vec<u8>, Option<IpAddr>)> {
    let ports = any::<(u16, u16)>();
    let line = (any::<IpAddr>(), ports).prop_map(|(source, (from, to))| {
        let (family, destination) = match source {
            IpAddr::V4(_) => ("TCP4", "10.0.0.1"),
            IpAddr::V6(_) => ("TCP6", "fd00::1"),
        };
        let line = format!("PROXY {family} {source} {destination} {from} {to}\r\n");
        (line.into_bytes(), Some(source))
    });
    let binary = (any::<IpAddr>(), 0_usize..400).prop_map(|(source, more)| {
        let family = if source.is_ipv4() { 0x11 } else { 0x21 };
        (v2(0x21, family, &addresses(source, more)), Some(source))
    });
    let local = (any::<u8>(), vec(any::<u8>(), 0..300))
        .prop_map(|(family, body)| (v2(0x20, family, &body), None));
    prop_oneof![line, binary, local]
}

/// Bytes that get past the signatures more often than by chance.
fn bytes() -> impl Strategy<Value = Vec<u8>> {
    let after = |signature: &'static [u8]| {
        vec(any::<u8>(), 0..64).prop_map(move |rest| [signature, &rest].concat())
    };
    let line = "PROXY (TCP4|TCP6|UNKNOWN)?[ 0-9a-f.:]{0,110}(\r|\n|\r\n)?";
    prop_oneof![
        vec(any::<u8>(), 0..64),
        after(TEXT_SIGNATURE),
        after(BINARY_SIGNATURE),
        after(b"\r\n\r\n\0\r\nQUIT\n\x21\x11\0"),
        line.prop_map(String::into_bytes),
    ]
}

proptest! {
    #[test]
    fn a_header_is_read_back_wherever_it_is_cut((header, source) in header(), behind in vec(any::<u8>(), 0..20)) {
        let length = header.len();
        let source = source.map(|source| source.to_canonical());
        check_every_cut(&[header, behind].concat(), Found::Header { source, length });
    }

    #[test]
    fn any_bytes_are_answered_alike_however_they_come(bytes in bytes()) {
        check_every_cut(&bytes, find(&bytes));
    }
}
