//! `[limits]`: how much one client may send. And how rates are written. Plain data.

use std::fmt;

use serde::{Deserialize, Deserializer, Serialize, de};

use crate::units::ByteSize;

/// How much one client may send, whoever it is. A client is an address; with IPv6, a network of 64 bits.
#[derive(Debug, Clone, PartialEq, Deserialize, Serialize, validator::Validate)]
#[serde(deny_unknown_fields)]
pub struct Limits {
    /// Events a second; 0: no limit.
    #[serde(deserialize_with = "events_per_second")]
    pub events_per_second_per_client: u64,
    /// Bytes of bodies a second; 0: no limit.
    #[serde(deserialize_with = "bytes_per_second")]
    pub bytes_per_second_per_client: u64,
}

/// The highest rate: a limit beyond it limits nothing.
const MAX_EVENTS: u64 = 1_000_000_000;
const MAX_BYTES: u64 = 1 << 40;

/// Reads a rate of events.
pub(super) fn events_per_second<'de, D: Deserializer<'de>>(
    deserializer: D,
) -> Result<u64, D::Error> {
    deserializer.deserialize_any(Rate {
        form: "a whole number from 0 to 1000000000; 0 for no limit",
        max: MAX_EVENTS,
        has_units: false,
    })
}

/// Reads a rate of bytes: a size, or a number of bytes.
pub(super) fn bytes_per_second<'de, D: Deserializer<'de>>(
    deserializer: D,
) -> Result<u64, D::Error> {
    deserializer.deserialize_any(Rate {
        form: r#"a size up to 1TiB, such as "64KiB", or a whole number of bytes; 0 for no limit"#,
        max: MAX_BYTES,
        has_units: true,
    })
}

struct Rate {
    form: &'static str,
    max: u64,
    has_units: bool,
}

impl de::Visitor<'_> for Rate {
    type Value = u64;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.form)
    }

    fn visit_u64<E: de::Error>(self, number: u64) -> Result<u64, E> {
        if number > self.max {
            return Err(E::invalid_value(de::Unexpected::Unsigned(number), &self));
        }
        Ok(number)
    }

    fn visit_i64<E: de::Error>(self, number: i64) -> Result<u64, E> {
        match u64::try_from(number) {
            Ok(number) => self.visit_u64(number),
            Err(_) => Err(E::invalid_value(de::Unexpected::Signed(number), &self)),
        }
    }

    fn visit_str<E: de::Error>(self, text: &str) -> Result<u64, E> {
        let size = text.parse::<ByteSize>().ok().filter(|_| self.has_units);
        match size {
            Some(size) => self.visit_u64(size.bytes()),
            None => Err(E::invalid_value(de::Unexpected::Str(text), &self)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rates_of_bytes_are_sizes_or_numbers() {
        let limits = |bytes: &str| {
            toml::from_str::<Limits>(&format!(
                "events_per_second_per_client = 5\nbytes_per_second_per_client = {bytes}"
            ))
            .map(|limits| limits.bytes_per_second_per_client)
        };
        assert_eq!(limits("0"), Ok(0));
        assert_eq!(limits("1000"), Ok(1000));
        assert_eq!(limits("'64KiB'"), Ok(65536));
        assert_eq!(limits("'1TiB'"), Ok(MAX_BYTES));
        for wrong in ["-1", "1.5", "'2TiB'", "'fast'", "''", "true", "[]"] {
            let error = limits(wrong).unwrap_err();
            assert!(error.message().contains("0 for no limit"), "{error}");
        }
    }
}
