//! `[auth]`: who may send. Plain data.

use data_encoding::HEXLOWER_PERMISSIVE;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::config::{AllowedOrigins, StaticFields, limits, password};
use crate::units::secret::MASK;
use crate::units::{Secret, text};

/// Who may send; nothing set: everybody.
#[derive(Debug, Clone, PartialEq, Deserialize, Serialize, validator::Validate)]
#[serde(deny_unknown_fields)]
pub struct Auth {
    /// The user name for HTTP Basic; empty: none.
    pub user: String,
    /// The password for HTTP Basic.
    #[serde(deserialize_with = "password::deserialize")]
    pub password: Secret,
    /// `[[auth.keys]]`.
    #[serde(default)]
    pub keys: Vec<ApiKey>,
}

impl Auth {
    /// Whether everybody may send.
    pub fn is_open(&self) -> bool {
        self.user.is_empty() && self.keys.is_empty()
    }
}

/// `[[auth.keys]]`: a key that a client may send instead of a user name and a password.
#[derive(Debug, Clone, PartialEq, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct ApiKey {
    /// What the key is called; also the user name when it is sent as HTTP Basic.
    #[serde(deserialize_with = "key_name")]
    pub name: String,
    /// The hash of the key.
    pub hash: KeyHash,
    /// Fields forced on every event of this key.
    #[serde(default)]
    pub fields: StaticFields,
    /// Events a second that may be sent with it; 0: no limit.
    #[serde(default, deserialize_with = "limits::events_per_second")]
    pub events_per_second: u64,
    /// Bytes of bodies a second that may be sent with it; 0: no limit.
    #[serde(default, deserialize_with = "limits::bytes_per_second")]
    pub bytes_per_second: u64,
    /// The origins of the web pages that send with it. A key that has any is taken from these pages only.
    #[serde(default)]
    pub allowed_origins: AllowedOrigins,
}

/// The SHA-256 of a key, written `sha256:` and 64 hexadecimal digits; never shown.
///
/// A plain hash is enough because keys are made by the program, with more entropy than can be searched.
#[derive(Clone, PartialEq, Eq)]
pub struct KeyHash([u8; 32]);

/// The text is not a hash of a key.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("not {HASH_FORM}")]
pub struct KeyHashError;

/// What a hash looks like; told to whoever wrote something else.
const HASH_FORM: &str = "`sha256:` and 64 hexadecimal digits, as `headgate keys new` prints them (`headgate check` prints a mask)";

impl KeyHash {
    /// The 32 bytes of the hash.
    pub const fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }
}

impl std::str::FromStr for KeyHash {
    type Err = KeyHashError;

    fn from_str(text: &str) -> Result<Self, KeyHashError> {
        let digits = text.strip_prefix("sha256:").ok_or(KeyHashError)?;
        let hash = HEXLOWER_PERMISSIVE.decode(digits.as_bytes()).ok();
        let hash = hash.and_then(|hash| hash.try_into().ok());
        hash.map(Self).ok_or(KeyHashError)
    }
}

impl std::fmt::Debug for KeyHash {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(MASK)
    }
}

impl Serialize for KeyHash {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(MASK)
    }
}

impl<'de> Deserialize<'de> for KeyHash {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        text::deserialize(deserializer, HASH_FORM, str::parse)
    }
}

/// The text is not a name of a key.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("not {NAME_FORM}")]
pub struct KeyNameError;

/// What a name looks like; told to whoever wrote something else.
const NAME_FORM: &str = "a name without colons and control characters";

impl ApiKey {
    /// Checks a name. It can be sent as the user name of HTTP Basic, which ends at the first colon (RFC 7617, 2).
    ///
    /// # Errors
    /// See [`KeyNameError`].
    pub fn check_name(name: &str) -> Result<String, KeyNameError> {
        let fits = !name.is_empty() && !name.contains(|c: char| c == ':' || c.is_control());
        fits.then(|| name.to_owned()).ok_or(KeyNameError)
    }
}

fn key_name<'de, D: Deserializer<'de>>(deserializer: D) -> Result<String, D::Error> {
    text::deserialize(deserializer, NAME_FORM, ApiKey::check_name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_hash_reads_in_either_case_and_is_never_shown() {
        let lower = format!("sha256:{}", "0f".repeat(32));
        let hash: KeyHash = lower.parse().unwrap();
        assert_eq!(hash.as_bytes(), &[0x0f; 32]);
        assert_eq!(
            format!("sha256:{}", "0F".repeat(32)).parse(),
            Ok(hash.clone())
        );
        assert_eq!(format!("{hash:?}"), "***");
        assert_eq!(serde_json::to_value(&hash).unwrap(), "***");
    }

    #[test]
    fn anything_else_is_no_hash() {
        for text in [
            String::new(),
            "0f".repeat(32),
            format!("sha256:{}", "0f".repeat(31)),
            format!("sha256:{}", "0f".repeat(33)),
            format!("sha256:{}", "0g".repeat(32)),
            format!("sha256:{}", "é".repeat(32)),
            format!("SHA256:{}", "0f".repeat(32)),
            "***".to_owned(),
        ] {
            assert_eq!(text.parse::<KeyHash>(), Err(KeyHashError), "{text:?}");
        }
    }
}
