//! Socket addresses as values of keys. Pure.

use std::net::{AddrParseError, SocketAddr};

use serde::Deserializer;

use crate::units::text;

/// Reads an address with its port.
pub(super) fn deserialize<'de, D: Deserializer<'de>>(
    deserializer: D,
) -> Result<SocketAddr, D::Error> {
    const FORM: &str =
        r#"an IP address and a port, such as "0.0.0.0:8080", "127.0.0.1:0" or "[::]:8080""#;
    text::deserialize(deserializer, FORM, str::parse)
}

/// Reads an address with its port, or `""` for none.
pub(super) fn deserialize_unset<'de, D: Deserializer<'de>>(
    deserializer: D,
) -> Result<Option<SocketAddr>, D::Error> {
    const FORM: &str = r#"an IP address and a port, such as "127.0.0.1:8081", or "" for none"#;
    text::deserialize(deserializer, FORM, |text| {
        let address = (!text.is_empty()).then(|| text.parse()).transpose();
        address as Result<_, AddrParseError>
    })
}
