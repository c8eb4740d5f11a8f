//! Keys that may be left unset, which is written `""`: `#[serde(with = "unset")]` on an `Option`. Pure.

use serde::de::DeserializeOwned;
use serde::{Deserialize, Deserializer, Serialize, Serializer, de};
use toml::Value;

use crate::config::allowed::OR_UNSET;

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

/// The same for durations, which have no form of their own in the configuration.
pub(super) mod duration {
    use std::time::Duration;

    use serde::{Deserialize, Deserializer, Serialize, Serializer};

    use crate::units;

    #[derive(Deserialize, Serialize)]
    struct Text(#[serde(with = "units::duration")] Duration);

    /// Writes the duration, or `""` where there is none.
    pub(in crate::config) fn serialize<S: Serializer>(
        value: &Option<Duration>,
        serializer: S,
    ) -> Result<S::Ok, S::Error> {
        super::serialize(&value.map(Text), serializer)
    }

    /// Reads nothing from `""`, else the duration.
    pub(in crate::config) fn deserialize<'de, D: Deserializer<'de>>(
        deserializer: D,
    ) -> Result<Option<Duration>, D::Error> {
        let text: Option<Text> = super::deserialize(deserializer)?;
        Ok(text.map(|Text(duration)| duration))
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
    T::deserialize(value)
        .map(Some)
        .map_err(|error| de::Error::custom(format_args!("{}{OR_UNSET}", error.message())))
}
