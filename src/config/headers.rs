//! Tables of HTTP headers that the operator chooses: `#[serde(with = "headers")]` on a `HeaderMap`. Pure.
//!
//! Values of headers that may carry credentials are marked sensitive, so that neither `Debug` nor the effective
//! configuration shows them.

use std::collections::BTreeMap;

use http::header::{CONNECTION, CONTENT_LENGTH, TRANSFER_ENCODING};
use http::{HeaderMap, HeaderName, HeaderValue};
use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

use crate::config::shown;
use crate::units::secret::MASK;

/// Headers that say where a message ends or how its connection goes on; a fixed value would break the framing.
const OF_THE_CONNECTION: [HeaderName; 3] = [CONNECTION, CONTENT_LENGTH, TRANSFER_ENCODING];

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

/// Reads a table of header names and values.
pub(super) fn deserialize<'de, D: Deserializer<'de>>(
    deserializer: D,
) -> Result<HeaderMap, D::Error> {
    let mut headers = HeaderMap::new();
    for (name, text) in BTreeMap::<String, String>::deserialize(deserializer)? {
        let refused = |form: &str| de::Error::invalid_value(de::Unexpected::Str(&name), &form);
        let header = HeaderName::from_bytes(name.as_bytes())
            .map_err(|_| refused("named like an HTTP header, such as X-Environment"))?;
        if OF_THE_CONNECTION.contains(&header) {
            return Err(refused(
                "another header than Connection, Content-Length and Transfer-Encoding, which belong to each message",
            ));
        }
        let mut value = HeaderValue::from_str(&text)
            .ok()
            .filter(|value| value.to_str().is_ok())
            .ok_or_else(|| {
                refused("the value of an HTTP header: visible ASCII characters and spaces")
            })?;
        value.set_sensitive(shown::names_a_secret(header.as_str()));
        if headers.insert(header, value).is_some() {
            return Err(refused(
                "a header of its own: one before it is the same, whatever the case of its name",
            ));
        }
    }
    Ok(headers)
}

/// The same, for headers by which this server proves who it is: any of them may be a credential, whatever its name.
pub(super) fn deserialize_sensitive<'de, D: Deserializer<'de>>(
    deserializer: D,
) -> Result<HeaderMap, D::Error> {
    let mut headers = deserialize(deserializer)?;
    for value in headers.values_mut() {
        value.set_sensitive(true);
    }
    Ok(headers)
}
