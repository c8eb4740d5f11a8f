//! Lines of X-Forwarded-For of any bytes: no panic; whoever is found is the peer or stands in a line; a peer
//! that is not trusted is never overruled; and nobody found behind one who is not trusted.

#![no_main]

use std::net::IpAddr;

use headgate::ingress::fuzzing::TrustedProxies;
use http::{HeaderMap, HeaderValue};
use libfuzzer_sys::fuzz_target;

const NETWORKS: [&str; 4] = ["10.0.0.0/8", "192.0.2.1/32", "2001:db8::/32", "::1/128"];
const STRANGER: &str = "203.0.113.254";

fn lines(input: &[u8]) -> HeaderMap {
    let values = input.split(|&byte| byte == b'\n');
    let values = values.filter_map(|line| HeaderValue::from_bytes(line).ok());
    values
        .map(|value| (http::HeaderName::from_static("x-forwarded-for"), value))
        .collect()
}

fuzz_target!(|input: &[u8]| {
    let networks: Vec<_> = NETWORKS
        .iter()
        .map(|text| text.parse().expect("they are networks"))
        .collect();
    let proxies = TrustedProxies::new(&networks);
    let peer: IpAddr = "10.0.0.1".parse().expect("it is an address");
    let stranger: IpAddr = STRANGER.parse().expect("it is an address");
    let mut headers = lines(input);
    let client = proxies.client_ip(peer, &headers);
    assert_eq!(client, client.to_canonical());
    assert_eq!(proxies.client_ip(stranger, &headers), stranger);
    assert_eq!(TrustedProxies::new(&[]).client_ip(peer, &headers), peer);
    // Whatever a client wrote, the address that the proxy appended counts.
    headers.append("x-forwarded-for", HeaderValue::from_static(STRANGER));
    assert_eq!(proxies.client_ip(peer, &headers), stranger);
    // One who is trusted is passed over, to the same end.
    headers.append(
        "x-forwarded-for",
        HeaderValue::from_static("[2001:db8::1]:80, 10.9.9.9"),
    );
    assert_eq!(proxies.client_ip(peer, &headers), stranger);
});
