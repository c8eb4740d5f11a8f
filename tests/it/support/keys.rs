//! API keys for configurations.

use data_encoding::HEXLOWER;
use sha2::{Digest, Sha256};

/// An entry of `[[auth.keys]]` with `more` lines in it.
pub(crate) fn entry(name: &str, key: &str, more: &str) -> String {
    format!(
        "[[auth.keys]]\nname = '{name}'\nhash = '{}'\n{more}\n",
        hash(key)
    )
}

/// The hash of a key, as the configuration has it.
pub(crate) fn hash(key: &str) -> String {
    format!("sha256:{}", HEXLOWER.encode(&Sha256::digest(key)))
}
