//! Checks of the addresses that the server listens on against each other, and against where it sends. Pure.

use std::net::{IpAddr, SocketAddr};

use url::{Host, Url};

use crate::config::merge::Merge;
use crate::config::{Config, OutputType};

/// Notes what could not be bound, and Brokers that are this server.
pub(super) fn check(config: &Config, merge: &mut Merge<'_>) {
    check_both(config, merge);
    check_broker_is_another(config, merge);
}

fn check_both(config: &Config, merge: &mut Merge<'_>) {
    if config
        .admin
        .listen
        .is_some_and(|admin| overlap(config.server.listen, admin))
    {
        let rule = "two listeners cannot share an address: choose another port for one of them";
        merge.contradiction(&["server.listen", "admin.listen"], rule);
    }
}

/// Whether only one of two listeners could be bound: the same port, and one address that includes the other.
fn overlap(one: SocketAddr, other: SocketAddr) -> bool {
    let (a, b) = (one.ip(), other.ip());
    one.port() == other.port() && one.port() != 0 && (a == b || includes(a, b) || includes(b, a))
}

/// Whether a listener at one address is also at the other.
fn includes(outer: IpAddr, inner: IpAddr) -> bool {
    match outer {
        IpAddr::V4(address) => address.is_unspecified() && inner.is_ipv4(),
        IpAddr::V6(address) => address.is_unspecified(),
    }
}

/// A server that is its own Broker sends each event round and round, and keeps it longer each time.
fn check_broker_is_another(config: &Config, merge: &mut Merge<'_>) {
    let is_unsure = merge.is_faulty("server.listen") || merge.is_faulty("output.type");
    if is_unsure || config.output_type() != OutputType::Http {
        return;
    }
    let listen = config.server.listen;
    for (index, url) in config.broker.urls.iter().enumerate() {
        if leads_to(url, listen) {
            let rule = format!(
                "the URL of another server: at server.listen = \"{listen}\" this one would send itself each event for ever"
            );
            merge.refuse_item("broker.urls", index, rule);
        }
    }
}

/// Whether the URL leads to this listener for certain. Names other than `localhost` are not looked up.
fn leads_to(url: &Url, listen: SocketAddr) -> bool {
    if listen.port() == 0 || url.port_or_known_default() != Some(listen.port()) {
        return false;
    }
    let ip = listen.ip().to_canonical();
    let host = match url.host() {
        Some(Host::Domain(name)) => {
            let is_here = name.trim_end_matches('.') == "localhost";
            return is_here && (ip.is_loopback() || ip.is_unspecified());
        }
        Some(Host::Ipv4(host)) => host.into(),
        Some(Host::Ipv6(host)) => IpAddr::V6(host).to_canonical(),
        None => return false,
    };
    // Who connects to the unspecified address reaches the loopback one.
    ip == host
        || host.is_loopback() && includes(ip, host)
        || host.is_unspecified() && (includes(ip, host) || ip.is_loopback())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_url_leads_to_the_listener_that_it_would_reach() {
        for (url, listen, expected) in [
            ("http://127.0.0.1:8080/", "0.0.0.0:8080", true),
            ("http://127.0.0.1:8080/", "[::]:8080", true),
            ("http://127.0.0.1:8080/", "127.0.0.1:8080", true),
            ("http://[::1]:8080/", "[::]:8080", true),
            ("http://[::ffff:127.0.0.1]:8080/", "0.0.0.0:8080", true),
            ("http://localhost:8080/in", "0.0.0.0:8080", true),
            ("http://LOCALHOST.:8080/", "127.0.0.1:8080", true),
            ("http://0.0.0.0:8080/", "0.0.0.0:8080", true),
            ("http://0.0.0.0:8080/", "127.0.0.1:8080", true),
            ("http://10.0.0.5:8080/", "10.0.0.5:8080", true),
            ("http://127.0.0.1/", "0.0.0.0:80", true),
            ("https://127.0.0.1/", "0.0.0.0:443", true),
            ("http://127.0.0.1:8081/", "0.0.0.0:8080", false),
            ("http://127.0.0.1:8080/", "10.0.0.5:8080", false),
            ("http://localhost:8080/", "10.0.0.5:8080", false),
            ("http://127.0.0.1:8080/", "127.0.0.2:8080", false),
            ("http://[::1]:8080/", "0.0.0.0:8080", false),
            ("http://10.0.0.5:8080/", "0.0.0.0:8080", false),
            ("http://logstash:8080/", "0.0.0.0:8080", false),
            ("http://127.0.0.1:0/", "127.0.0.1:0", false),
        ] {
            let (to, at) = (url.parse().unwrap(), listen.parse().unwrap());
            assert_eq!(leads_to(&to, at), expected, "{url} {listen}");
        }
    }

    #[test]
    fn listeners_overlap_where_only_one_could_be_bound() {
        for (one, other, expected) in [
            ("127.0.0.1:80", "127.0.0.1:80", true),
            ("0.0.0.0:80", "127.0.0.1:80", true),
            ("[::]:80", "127.0.0.1:80", true),
            ("[::]:80", "[::1]:80", true),
            ("0.0.0.0:80", "[::1]:80", false),
            ("127.0.0.1:80", "127.0.0.2:80", false),
            ("127.0.0.1:80", "127.0.0.1:81", false),
            ("127.0.0.1:0", "127.0.0.1:0", false),
        ] {
            let (one, other) = (one.parse().unwrap(), other.parse().unwrap());
            assert_eq!(overlap(one, other), expected, "{one} {other}");
            assert_eq!(overlap(other, one), expected, "{other} {one}");
        }
    }
}
