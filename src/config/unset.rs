//! Keys that may be left unset, which is written `""`: `#[serde(with = "unset")]` on an `Option`. Pure.

use serde::de::DeserializeOwned;
use serde::{Deserialize, Deserializer, Serialize, Serializer, de};
use toml::Value;

/// Writes the value, or `""` where there is none.
pub(super) fn serialize<T: Serialize, S: Serializer>(
    value: &Option<T>,
    serializer: S,
) -> Result<S::Ok, S::Error> {
    match value {
        Some(value) => value.serialize(serializer),
        None => serializer.serialize_str(""),
    }
}

/// Reads nothing from `""`, else the value.
pub(super) fn deserialize<'de, T, D>(deserializer: D) -> Result<Option<T>, D::Error>
where
    T: DeserializeOwned,
    D: Deserializer<'de>,
{
    let value = Value::deserialize(deserializer)?;
    if value.as_str() == Some("") {
        return Ok(None);
    }
    T::deserialize(value).map(Some).map_err(|error| {
        de::Error::custom(format_args!(
            r#"{}, or "" to leave it unset"#,
            error.message()
        ))
    })
}
