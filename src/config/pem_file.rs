//! A PEM file that is read at the start only. Data, and the look at what stands in it.

use std::path::{Path, PathBuf};

use serde::{Deserialize, Deserializer, Serialize, Serializer};
use sha2::{Digest, Sha256};

/// The path of a PEM file, and a digest of what stood in it when the configuration was loaded: two are the same where
/// their files hold the same.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PemFile {
    path: PathBuf,
    digest: Option<[u8; 32]>,
}

impl PemFile {
    /// Where the file is.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Remembers what the file holds; nothing where it cannot be read.
    pub(super) fn note(&mut self) {
        let bytes = std::fs::read(&self.path).ok();
        self.digest = bytes.map(|bytes| Sha256::digest(bytes).into());
    }
}

impl Serialize for PemFile {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.path.serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for PemFile {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Ok(Self {
            path: PathBuf::deserialize(deserializer)?,
            digest: None,
        })
    }
}
