//! Notices that files have changed, by looking at what they hold. Looking works where notices of the file system do
//! not come: network folders, and the swapped links of Kubernetes' mounted secrets.

use std::path::PathBuf;
use std::time::Duration;

use sha2::{Digest, Sha256};

use crate::lifecycle::blocking;

/// How often it is looked.
const INTERVAL: Duration = Duration::from_secs(2);

/// Some files that belong together, and what they held when last looked at.
#[derive(Debug)]
pub struct FileWatch {
    paths: Vec<PathBuf>,
    seen: Contents,
}

/// A digest of all files; one that cannot be read counts as one without a byte.
type Contents = [u8; 32];

impl FileWatch {
    /// Remembers what the files hold now. Make it before the files are read, so that no change falls between.
    pub fn new(paths: Vec<PathBuf>) -> Self {
        Self {
            seen: contents(&paths),
            paths,
        }
    }

    /// Resolves when the files hold something else than before, and have held it at two looks in a row: a file that
    /// is just being written is not to be read.
    pub async fn changed(&mut self) {
        let mut last = self.seen;
        loop {
            tokio::time::sleep(INTERVAL).await;
            let paths = self.paths.clone();
            let now = blocking(move || contents(&paths)).await;
            if now != self.seen && now == last {
                self.seen = now;
                return;
            }
            last = now;
        }
    }
}

fn contents(paths: &[PathBuf]) -> Contents {
    let mut all = Sha256::new();
    for path in paths {
        let bytes = std::fs::read(path).unwrap_or_default();
        all.update(bytes.len().to_le_bytes());
        all.update(bytes);
    }
    all.finalize().into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_change_is_noticed_once_it_has_settled() {
        let folder = tempfile::tempdir().unwrap();
        let (first, second) = (folder.path().join("a"), folder.path().join("b"));
        std::fs::write(&first, "one").unwrap();
        let mut watch = FileWatch::new(vec![first.clone(), second.clone()]);
        let unchanged = tokio::time::timeout(INTERVAL * 3, watch.changed()).await;
        assert!(unchanged.is_err());

        std::fs::write(&second, "half").unwrap();
        let unsettled = tokio::time::timeout(INTERVAL * 3 / 2, watch.changed()).await;
        assert!(unsettled.is_err());
        std::fs::write(&second, "whole").unwrap();
        watch.changed().await;

        std::fs::remove_file(&first).unwrap();
        watch.changed().await;
    }
}
