//! Lists of networks as values of keys: `#[serde(deserialize_with = "networks::deserialize")]`. Pure.

use std::net::IpAddr;

use ipnet::{IpNet, Ipv4Net};
use serde::{Deserialize, Deserializer, de};

/// Above this many bits an IPv6 network in `::ffff:0:0/96` is one of IPv4.
const MAPPED_BITS: u8 = 96;

/// What an item looks like; told to whoever wrote something else.
const FORM: &str =
    r#"a network or an address, such as "10.0.0.0/8", "2001:db8::/32" or "192.0.2.1""#;

/// Reads a list of networks and single addresses.
pub(super) fn deserialize<'de, D: Deserializer<'de>>(
    deserializer: D,
) -> Result<Vec<IpNet>, D::Error> {
    let texts = Vec::<String>::deserialize(deserializer)?;
    let refused = |text| de::Error::invalid_value(de::Unexpected::Str(text), &FORM);
    texts
        .iter()
        .map(|text| network(text).ok_or_else(|| refused(text)))
        .collect()
}

/// A network, or an address as the network of this one alone; without the bits that a prefix does not cover, and as
/// IPv4 where it is IPv4 mapped into IPv6.
fn network(text: &str) -> Option<IpNet> {
    let network = match text.parse::<IpNet>() {
        Ok(network) => network.trunc(),
        Err(_) => IpNet::from(text.parse::<IpAddr>().ok()?),
    };
    let IpNet::V6(mapped) = network else {
        return Some(network);
    };
    let unmapped = mapped
        .prefix_len()
        .checked_sub(MAPPED_BITS)
        .zip(mapped.addr().to_ipv4_mapped())
        .and_then(|(bits, address)| Ipv4Net::new(address, bits).ok());
    Some(unmapped.map_or(network, IpNet::V4))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn networks_and_addresses_are_read_and_shown_as_networks() {
        for (text, shown) in [
            ("10.0.0.0/8", Some("10.0.0.0/8")),
            ("10.1.2.3/8", Some("10.0.0.0/8")),
            ("192.0.2.1", Some("192.0.2.1/32")),
            ("0.0.0.0/0", Some("0.0.0.0/0")),
            ("2001:db8::/32", Some("2001:db8::/32")),
            ("::1", Some("::1/128")),
            ("::/0", Some("::/0")),
            ("::ffff:192.0.2.1", Some("192.0.2.1/32")),
            ("::ffff:10.0.0.0/104", Some("10.0.0.0/8")),
            ("::ffff:0:0/96", Some("0.0.0.0/0")),
            ("::ffff:0:0/95", Some("::fffe:0:0/95")),
            ("", None),
            ("10.0.0.0/33", None),
            ("10.0.0/8", None),
            ("10.0.0.0/", None),
            ("10.0.0.0/255.0.0.0", None),
            (" 10.0.0.0/8", None),
            ("[::1]", None),
            ("fe80::1%eth0", None),
            ("balancer.example", None),
        ] {
            let network = network(text).map(|network| network.to_string());
            assert_eq!(network.as_deref(), shown, "{text:?}");
        }
    }
}
