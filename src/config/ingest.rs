//! `[ingest]`: what is taken from clients, how it is decoded, when it is acknowledged. Plain data.

use std::collections::BTreeMap;

use http::HeaderMap;
use serde::{Deserialize, Deserializer, Serialize, de};

use crate::config::{checks, headers, status};
use crate::units::ByteSize;

/// What is taken from clients, how it is decoded, when it is acknowledged.
#[derive(Debug, Clone, PartialEq, Deserialize, Serialize, validator::Validate)]
#[serde(deny_unknown_fields)]
pub struct Ingest {
    /// What has happened to an event when the client reads a 2xx.
    pub durability: Durability,
    /// The codec of a content type that `codecs` does not name.
    pub codec: Codec,
    /// Codecs by media type: in lower case, without parameters.
    #[serde(deserialize_with = "media_types")]
    pub codecs: BTreeMap<String, Codec>,
    /// The status of a success on the Logstash paths: 200, 201, 202 or 204.
    #[serde(deserialize_with = "status::response_code")]
    pub response_code: u16,
    /// Headers of every success on the Logstash paths.
    #[serde(
        serialize_with = "headers::serialize",
        deserialize_with = "headers::of_answers"
    )]
    pub response_headers: HeaderMap,
    /// The longest body, compressed and inflated alike.
    #[validate(custom(function = checks::size_limit))]
    pub max_content_length: ByteSize,
    /// How many times longer than on the wire a body may be inflated, once it is past [`Self::FREE_INFLATION`].
    #[validate(range(min = 1, max = 1_000_000))]
    pub max_inflation_ratio: usize,
    /// The longest event.
    #[validate(custom(function = checks::size_limit))]
    pub max_event_bytes: ByteSize,
    /// Events in one request.
    #[validate(range(min = 1, max = 10_000_000))]
    pub max_events_per_request: usize,
    /// Nesting of one event, `{}` being 1.
    #[validate(range(min = 1, max = 10_000))]
    pub max_depth: usize,
    /// One request inflated, enriched and rendered.
    #[validate(custom(function = checks::size_limit))]
    pub max_envelope_bytes: ByteSize,
    /// Bodies and rendered envelopes in memory, all requests together.
    #[validate(custom(function = checks::size_limit))]
    pub max_in_flight_bytes: ByteSize,
    /// The status of a request that is shed: 503 or 429.
    #[serde(deserialize_with = "status::overload_status")]
    pub overload_status: u16,
}

impl Ingest {
    /// Inflated bytes that any body may come to, however short it was: a small batch of one line again and again is
    /// honest, and packs a thousand times and more.
    pub const FREE_INFLATION: usize = 8 * 1024 * 1024;
}

/// What has happened to an event when the client reads a 2xx.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Durability {
    /// It is in the spool on disk, synced.
    Disk,
    /// A Broker has taken it, or the file output has written and synced it.
    Broker,
    /// It is in the bounded queue in memory.
    Memory,
}

impl Durability {
    /// The word of the configuration.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Disk => "disk",
            Self::Broker => "broker",
            Self::Memory => "memory",
        }
    }
}

/// How a body becomes events.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Deserialize, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Codec {
    /// The whole body is the `message` of one event.
    Plain,
    /// Objects, arrays of objects, or several of them one after the other.
    Json,
    /// JSON, a line at a time.
    JsonLines,
    /// `json` where the body looks like it and parses, else `plain`.
    Auto,
}

/// Reads the table of codecs; media types are compared in lower case, so they are kept in it.
fn media_types<'de, D: Deserializer<'de>>(
    deserializer: D,
) -> Result<BTreeMap<String, Codec>, D::Error> {
    let mut codecs = BTreeMap::new();
    for (name, codec) in BTreeMap::<String, Codec>::deserialize(deserializer)? {
        let refused = |form: &str| de::Error::invalid_value(de::Unexpected::Str(&name), &form);
        let media_type = name.to_ascii_lowercase();
        if !is_media_type(&media_type) {
            return Err(refused(
                r#"named by a media type without parameters, such as "application/json""#,
            ));
        }
        if codecs.insert(media_type, codec).is_some() {
            return Err(refused(
                "named by a media type of its own: one before it is the same, whatever the case",
            ));
        }
    }
    Ok(codecs)
}

/// Whether the text is `type/subtype`, both made of the characters of an HTTP token (RFC 9110, 5.6.2 and 8.3.1).
fn is_media_type(text: &str) -> bool {
    let is_token = |part: &str| {
        !part.is_empty()
            && part
                .bytes()
                .all(|byte| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte))
    };
    text.split_once('/')
        .is_some_and(|(kind, subtype)| is_token(kind) && is_token(subtype))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_are_those_of_the_configuration() {
        for durability in [Durability::Disk, Durability::Broker, Durability::Memory] {
            assert_eq!(
                serde_json::to_value(durability).unwrap(),
                durability.as_str()
            );
        }
    }

    #[test]
    fn media_types_have_a_type_and_a_subtype_and_nothing_else() {
        for (text, is) in [
            ("application/json", true),
            ("application/vnd.api+json", true),
            ("json", false),
            ("application/", false),
            ("/json", false),
            ("application/json; charset=utf-8", false),
            ("a/b/c", false),
            ("", false),
        ] {
            assert_eq!(is_media_type(text), is, "{text:?}");
        }
    }
}
