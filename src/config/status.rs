//! HTTP status codes as values of keys. Pure.

use serde::{Deserialize, Deserializer, de};
use toml::Value;

/// Reads `ingest.response_code`.
pub(super) fn response_code<'de, D: Deserializer<'de>>(deserializer: D) -> Result<u16, D::Error> {
    one(
        deserializer,
        |code| matches!(code, 200 | 201 | 202 | 204),
        "200, 201, 202 or 204",
    )
}

/// Reads `ingest.overload_status`.
pub(super) fn overload_status<'de, D: Deserializer<'de>>(deserializer: D) -> Result<u16, D::Error> {
    one(deserializer, |code| matches!(code, 429 | 503), "503 or 429")
}

/// Reads `broker.rejected_codes`.
pub(super) fn rejected_codes<'de, D: Deserializer<'de>>(
    deserializer: D,
) -> Result<Vec<u16>, D::Error> {
    const FORM: &str = "a status code from 100 to 599 that is not 2xx";
    Vec::<Value>::deserialize(deserializer)?
        .iter()
        .map(|value| code(value, |code| matches!(code, 100..=199 | 300..=599), FORM))
        .collect()
}

fn one<'de, D: Deserializer<'de>>(
    deserializer: D,
    is_allowed: fn(u16) -> bool,
    form: &str,
) -> Result<u16, D::Error> {
    code(&Value::deserialize(deserializer)?, is_allowed, form)
}

/// The code in the value, where it is allowed; the error ends in `form`.
fn code<E: de::Error>(value: &Value, is_allowed: fn(u16) -> bool, form: &str) -> Result<u16, E> {
    value
        .as_integer()
        .and_then(|code| u16::try_from(code).ok())
        .filter(|&code| is_allowed(code))
        .ok_or_else(|| E::invalid_value(de::Unexpected::Other("value"), &form))
}
