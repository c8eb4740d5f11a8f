//! Whom a request came from, through proxies: X-Forwarded-For, as far as those who wrote it are trusted. Pure.

use std::net::{IpAddr, Ipv6Addr, SocketAddrV4};

use http::{HeaderMap, HeaderName};
use ipnet::IpNet;

const X_FORWARDED_FOR: HeaderName = HeaderName::from_static("x-forwarded-for");

/// No address is longer, its port, brackets and quotes included.
const MAX_ADDRESS_BYTES: usize = 64;

/// The proxies that are believed when they say who their client is.
pub struct TrustedProxies {
    /// First and last addresses of ranges that do not overlap, in order.
    ranges: Vec<(IpAddr, IpAddr)>,
}

impl TrustedProxies {
    /// Trusts the addresses of these networks.
    pub fn new(networks: &[IpNet]) -> Self {
        let mut ranges: Vec<_> = IpNet::aggregate(&networks.to_vec())
            .iter()
            .map(|network| (network.network(), network.broadcast()))
            .collect();
        ranges.sort_unstable();
        Self { ranges }
    }

    /// Whether nobody is trusted.
    pub fn is_empty(&self) -> bool {
        self.ranges.is_empty()
    }

    /// Whether the address, in its canonical form, is one of theirs.
    pub fn contains(&self, address: IpAddr) -> bool {
        let begun = self.ranges.partition_point(|&(first, _)| first <= address);
        begun > 0 && address <= self.ranges[begun - 1].1
    }

    /// The address of a request's client, on a connection of this address.
    ///
    /// Each proxy appends the address that it was reached from, so the header is read from its right end as long as the
    /// one who wrote an address is trusted. The last one so vouched for is the client.
    pub fn client_ip(&self, address: IpAddr, headers: &HeaderMap) -> IpAddr {
        let mut client = address;
        if !self.contains(client) {
            return client;
        }
        let lines = headers.get_all(X_FORWARDED_FOR).iter().rev();
        for element in lines.flat_map(|line| line.as_bytes().rsplit(|&byte| byte == b',')) {
            // Also an empty element: a proxy that did not know its client may have left it so.
            let Some(named) = named_address(element) else {
                break;
            };
            client = named;
            if !self.contains(client) {
                break;
            }
        }
        client
    }
}

/// The canonical address that an element names: `ip`, `ip:port`, `[v6]` or `[v6]:port`, in quotes or not.
fn named_address(element: &[u8]) -> Option<IpAddr> {
    let element = element.trim_ascii();
    let element = element
        .strip_prefix(b"\"")
        .and_then(|inner| inner.strip_suffix(b"\""))
        .unwrap_or(element);
    if element.len() > MAX_ADDRESS_BYTES {
        return None;
    }
    let text = str::from_utf8(element).ok()?;
    let address = match text.strip_prefix('[') {
        Some(bracketed) => in_brackets(bracketed)?,
        None => match text.parse() {
            Ok(address) => address,
            Err(_) => IpAddr::V4(*text.parse::<SocketAddrV4>().ok()?.ip()),
        },
    };
    Some(address.to_canonical())
}

/// `v6]` or `v6]:port`.
fn in_brackets(text: &str) -> Option<IpAddr> {
    let (address, rest) = text.split_once(']')?;
    let is_port =
        |port: &str| port.bytes().all(|byte| byte.is_ascii_digit()) && port.parse::<u16>().is_ok();
    let is_whole = rest.is_empty() || rest.strip_prefix(':').is_some_and(is_port);
    let address: Ipv6Addr = address.parse().ok()?;
    is_whole.then_some(IpAddr::V6(address))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ip(text: &str) -> IpAddr {
        text.parse().unwrap()
    }

    fn trusting(networks: &[&str]) -> TrustedProxies {
        let networks: Vec<IpNet> = networks.iter().map(|text| text.parse().unwrap()).collect();
        TrustedProxies::new(&networks)
    }

    fn forwarded(lines: &[&str]) -> HeaderMap {
        let lines = lines.iter().map(|line| {
            let value = http::HeaderValue::from_bytes(line.as_bytes()).unwrap();
            (X_FORWARDED_FOR, value)
        });
        lines.collect()
    }

    #[test]
    fn an_address_is_trusted_where_one_of_the_networks_holds_it() {
        let proxies = trusting(&[
            "10.0.0.0/8",
            "10.1.0.0/16",
            "192.0.2.7/32",
            "192.0.2.0/31",
            "2001:db8::/32",
            "::1/128",
        ]);
        for (address, expected) in [
            ("9.255.255.255", false),
            ("10.0.0.0", true),
            ("10.1.2.3", true),
            ("10.255.255.255", true),
            ("11.0.0.0", false),
            ("192.0.2.0", true),
            ("192.0.2.1", true),
            ("192.0.2.2", false),
            ("192.0.2.7", true),
            ("::", false),
            ("::1", true),
            ("::2", false),
            ("2001:db8::", true),
            ("2001:db8:ffff:ffff:ffff:ffff:ffff:ffff", true),
            ("2001:db9::", false),
        ] {
            assert_eq!(proxies.contains(ip(address)), expected, "{address}");
        }
        assert!(!trusting(&[]).contains(ip("127.0.0.1")));
        assert!(trusting(&["0.0.0.0/0"]).contains(ip("255.255.255.255")));
        assert!(!trusting(&["0.0.0.0/0"]).contains(ip("::1")));
    }

    #[test]
    fn each_spelling_of_an_address_is_read_and_nothing_else() {
        for (element, expected) in [
            ("203.0.113.9", Some("203.0.113.9")),
            (" \t203.0.113.9 ", Some("203.0.113.9")),
            ("203.0.113.9:443", Some("203.0.113.9")),
            ("\"203.0.113.9\"", Some("203.0.113.9")),
            ("\"203.0.113.9:0\"", Some("203.0.113.9")),
            ("2001:db8::9", Some("2001:db8::9")),
            ("2001:DB8::9", Some("2001:db8::9")),
            ("[2001:db8::9]", Some("2001:db8::9")),
            ("[2001:db8::9]:65535", Some("2001:db8::9")),
            ("\"[2001:db8::9]:1\"", Some("2001:db8::9")),
            ("::ffff:203.0.113.9", Some("203.0.113.9")),
            ("[::ffff:203.0.113.9]:1", Some("203.0.113.9")),
            ("", None),
            (" ", None),
            ("unknown", None),
            ("_hidden", None),
            ("203.0.113", None),
            ("203.0.113.09", None),
            ("203.0.113.256", None),
            ("203.0.113.9:", None),
            ("203.0.113.9:+1", None),
            ("203.0.113.9:65536", None),
            ("203.0.113.9/32", None),
            ("203.0.113.9 10.0.0.1", None),
            ("\"203.0.113.9", None),
            ("\"", None),
            ("[203.0.113.9]", None),
            ("[2001:db8::9", None),
            ("[2001:db8::9]x", None),
            ("[2001:db8::9]:", None),
            ("[2001:db8::9]:+1", None),
            ("[2001:db8::9]:65536", None),
            ("[fe80::1%eth0]", None),
            ("fe80::1%eth0", None),
            ("for=203.0.113.9", None),
            ("ü", None),
        ] {
            assert_eq!(
                named_address(element.as_bytes()),
                expected.map(ip),
                "{element:?}"
            );
        }
        assert_eq!(named_address(&[0xff; 4]), None);
        assert_eq!(named_address(&[b'1'; MAX_ADDRESS_BYTES + 1]), None);
    }

    #[test]
    fn the_first_address_from_the_right_that_is_not_trusted_is_the_client() {
        let proxies = trusting(&["10.0.0.0/8", "2001:db8::/32"]);
        for (lines, client) in [
            (&[][..], "10.0.0.1"),
            (&["203.0.113.9"], "203.0.113.9"),
            (&["6.6.6.6, 203.0.113.9"], "203.0.113.9"),
            (&["6.6.6.6,203.0.113.9,10.1.1.1"], "203.0.113.9"),
            (
                &["6.6.6.6", "203.0.113.9", "10.1.1.1, 2001:db8::1"],
                "203.0.113.9",
            ),
            (
                &["6.6.6.6, 203.0.113.9:99", "[2001:db8::1]:7"],
                "203.0.113.9",
            ),
            // All are trusted: the leftmost.
            (&["10.9.9.9, 10.8.8.8", "10.7.7.7"], "10.9.9.9"),
            // What is no address ends it: the proxy that stands before it counts.
            (&["6.6.6.6, unknown, 10.7.7.7"], "10.7.7.7"),
            (&["6.6.6.6, unknown"], "10.0.0.1"),
            (&["6.6.6.6, "], "10.0.0.1"),
            (&["6.6.6.6", ""], "10.0.0.1"),
            (&["6.6.6.6, , 10.7.7.7"], "10.7.7.7"),
            (&["6.6.6.6; 10.7.7.7"], "10.0.0.1"),
        ] {
            let found = proxies.client_ip(ip("10.0.0.1"), &forwarded(lines));
            assert_eq!(found, ip(client), "{lines:?}");
        }
    }

    #[test]
    fn nobody_else_is_believed() {
        let headers = forwarded(&["203.0.113.9"]);
        for networks in [&[][..], &["10.0.0.0/8"]] {
            let peer = ip("192.0.2.1");
            assert_eq!(trusting(networks).client_ip(peer, &headers), peer);
        }
    }

    mod random {
        use proptest::collection::vec;
        use proptest::prelude::*;

        use super::*;

        /// Elements of few addresses, so that trust varies, and some rubbish.
        fn element() -> impl Strategy<Value = String> {
            prop_oneof![
                6 => (0_u8..4, 0_u8..3).prop_map(|(net, host)| format!("{net}.0.0.{host}")),
                2 => (0_u8..3).prop_map(|host| format!("[::{host}]:80")),
                1 => "[ -~]{0,12}".prop_filter("an element has no comma", |text| !text.contains(',')),
            ]
        }

        /// The rule as it is told, on the elements as a list.
        fn told(networks: &[IpNet], peer: IpAddr, elements: &[String]) -> IpAddr {
            let is_trusted = |address: &IpAddr| networks.iter().any(|net| net.contains(address));
            let mut chain = vec![Some(peer)];
            chain.extend(
                elements
                    .iter()
                    .rev()
                    .map(|text| named_address(text.as_bytes())),
            );
            let known = chain.iter().map_while(|address| *address);
            let known: Vec<IpAddr> = known.collect();
            let client = known.iter().find(|address| !is_trusted(address));
            *client.unwrap_or(known.last().unwrap())
        }

        proptest! {
            #[test]
            fn the_walk_finds_whom_the_rule_names(
                bits in vec((0_u8..4, 6_u8..=32), 0..4),
                lines in vec(vec(element(), 1..5), 0..4),
            ) {
                let networks: Vec<IpNet> = bits
                    .iter()
                    .map(|&(net, bits)| IpNet::new(ip(&format!("{net}.0.0.1")), bits).unwrap())
                    .chain(["::1/128".parse().unwrap()])
                    .collect();
                let joined: Vec<String> = lines.iter().map(|line| line.join(",")).collect();
                let joined: Vec<&str> = joined.iter().map(String::as_str).collect();
                let found = TrustedProxies::new(&networks).client_ip(ip("1.0.0.1"), &forwarded(&joined));
                prop_assert_eq!(found, told(&networks, ip("1.0.0.1"), &lines.concat()));
            }
        }
    }
}
