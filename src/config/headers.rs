//! Tables of HTTP headers that the operator chooses, as values of keys: a `HeaderMap`. Pure.
//!
//! Values of headers that may carry credentials are marked sensitive, so that neither `Debug` nor the effective
//! configuration shows them.

use std::collections::BTreeMap;

use http::header::{CONNECTION, CONTENT_LENGTH, TRANSFER_ENCODING};
use http::{HeaderMap, HeaderName, HeaderValue};
use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

use crate::config::{password, shown};
use crate::units::secret::MASK;

/// Headers that say where a message ends or how its connection goes on; a fixed value would break the framing.
const OF_THE_CONNECTION: [HeaderName; 3] = [CONNECTION, CONTENT_LENGTH, TRANSFER_ENCODING];

/// Each answer has its own, which would take the place of this one.
const OF_THE_REQUEST: HeaderName = HeaderName::from_static("x-request-id");

/// Writes the headers in the order of their names, credentials masked.
pub(super) fn serialize<S: Serializer>(
    headers: &HeaderMap,
    serializer: S,
) -> Result<S::Ok, S::Error> {
    let shown: BTreeMap<&str, &str> = headers
        .iter()
        .map(|(name, value)| {
            let text = if value.is_sensitive() {
                MASK
            } else {
                value.to_str().unwrap_or(MASK)
            };
            (name.as_str(), text)
        })
        .collect();
    shown.serialize(serializer)
}

/// Reads the headers of answers to clients.
pub(super) fn of_answers<'de, D: Deserializer<'de>>(
    deserializer: D,
) -> Result<HeaderMap, D::Error> {
    let rules = Rules {
        is_reserved: |header| OF_THE_CONNECTION.contains(header) || *header == OF_THE_REQUEST,
        instead: "another header than Connection, Content-Length, Transfer-Encoding and X-Request-Id, which belong to each answer",
        is_secret: shown::names_a_secret,
    };
    read(deserializer, &rules)
}

/// Reads the headers of requests, by which this server proves who it is: any of them may be a credential, whatever
/// its name.
pub(super) fn of_requests<'de, D: Deserializer<'de>>(
    deserializer: D,
) -> Result<HeaderMap, D::Error> {
    let rules = Rules {
        is_reserved: |header| OF_THE_CONNECTION.contains(header),
        instead: "another header than Connection, Content-Length and Transfer-Encoding, which belong to each message",
        is_secret: |_| true,
    };
    read(deserializer, &rules)
}

/// What a table of headers may hold.
struct Rules {
    /// Whether a header is not the operator's to choose.
    is_reserved: fn(&HeaderName) -> bool,
    /// What is told to whoever chooses it.
    instead: &'static str,
    /// Whether the value of the header of this name is not shown.
    is_secret: fn(&str) -> bool,
}

/// Reads a table of header names and values.
fn read<'de, D: Deserializer<'de>>(deserializer: D, rules: &Rules) -> Result<HeaderMap, D::Error> {
    const TWICE: &str =
        "a header of its own: one before it is the same, whatever the case of its name";
    let mut headers = HeaderMap::new();
    for (name, text) in BTreeMap::<String, String>::deserialize(deserializer)? {
        let refused = |form| de::Error::invalid_value(de::Unexpected::Str(&name), &form);
        let (header, value) = header(&name, &text, rules).map_err(refused)?;
        if headers.insert(header, value).is_some() {
            return Err(refused(TWICE));
        }
    }
    Ok(headers)
}

/// A header, or what is allowed in its place.
fn header(
    name: &str,
    text: &str,
    rules: &Rules,
) -> Result<(HeaderName, HeaderValue), &'static str> {
    let header = HeaderName::from_bytes(name.as_bytes())
        .map_err(|_| "named like an HTTP header, such as X-Environment")?;
    if (rules.is_reserved)(&header) {
        return Err(rules.instead);
    }
    let is_secret = (rules.is_secret)(header.as_str());
    if is_secret && text == MASK {
        return Err(password::IS_MASK);
    }
    let mut value = HeaderValue::from_str(text)
        .ok()
        .filter(|value| value.to_str().is_ok())
        .ok_or("the value of an HTTP header: visible ASCII characters and spaces")?;
    value.set_sensitive(is_secret);
    Ok((header, value))
}
