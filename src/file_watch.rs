//! Notices that files have changed, by looking at what they hold. Looking works where notices of the file system do
//! not come: network folders, and the swapped links of Kubernetes' mounted secrets.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;

use seglog::is_out_of_handles;
use sha2::{Digest, Sha256};

use crate::lifecycle::blocking;

/// How often it is looked.
const INTERVAL: Duration = Duration::from_secs(2);

/// Some files that belong together, and what they held when last looked at.
#[derive(Debug)]
pub struct FileWatch {
    seen: Contents,
}

/// A digest of each file; one that cannot be read counts as one without a byte. So does a pipe: to look at it
/// would take from whoever is to read it.
type Contents = BTreeMap<PathBuf, [u8; 32]>;

impl FileWatch {
    /// Remembers what the files hold now. Make it before the files are read, so that no change falls between.
    pub fn new(paths: Vec<PathBuf>) -> Self {
        Self {
            seen: contents(&paths).unwrap_or_else(|| unknown(paths)),
        }
    }

    /// Watches these files from now on. Of those that it watched already it knows what they held.
    pub fn follow(&mut self, paths: Vec<PathBuf>) {
        let mut known = std::mem::take(&mut self.seen);
        self.seen = contents(&paths).unwrap_or_else(|| unknown(paths));
        for (path, digest) in &mut self.seen {
            if let Some(known) = known.remove(path) {
                *digest = known;
            }
        }
    }

    /// Finds the files changed at the next look: what they hold could not be read for want of a file handle.
    pub fn look_again(&mut self) {
        self.seen = unknown(std::mem::take(&mut self.seen).into_keys().collect());
    }

    /// Resolves when the files hold something else than before, and have held it at two looks in a row: a file that
    /// is just being written is not to be read.
    pub async fn changed(&mut self) {
        let mut last = self.seen.clone();
        loop {
            tokio::time::sleep(INTERVAL).await;
            let paths: Vec<PathBuf> = self.seen.keys().cloned().collect();
            let Some(now) = blocking(move || contents(&paths)).await else {
                continue;
            };
            if now != self.seen && now == last {
                self.seen = now;
                return;
            }
            last = now;
        }
    }
}

/// What the files hold; none where it cannot be looked for want of a file handle.
fn contents(paths: &[PathBuf]) -> Option<Contents> {
    let digest = |path: &PathBuf| {
        let is_file = std::fs::metadata(path).is_ok_and(|found| found.is_file());
        let bytes = match is_file.then(|| std::fs::read(path)) {
            Some(Ok(bytes)) => bytes,
            Some(Err(error)) if is_out_of_handles(&error) => return None,
            Some(Err(_)) | None => Vec::new(),
        };
        Some((path.clone(), Sha256::digest(bytes).into()))
    };
    paths.iter().map(digest).collect()
}

/// As if the files held what no file does: the next look that succeeds finds them changed.
fn unknown(paths: Vec<PathBuf>) -> Contents {
    paths.into_iter().map(|path| (path, [0; 32])).collect()
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

    #[tokio::test(start_paused = true)]
    async fn what_could_not_be_read_is_found_changed_once_more() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a");
        std::fs::write(&path, "one").unwrap();
        let mut watch = FileWatch::new(vec![path]);
        watch.look_again();
        watch.changed().await;
        let unchanged = tokio::time::timeout(INTERVAL * 3, watch.changed()).await;
        assert!(unchanged.is_err());
    }

    #[tokio::test(start_paused = true)]
    async fn what_it_follows_may_change_without_a_change_being_missed() {
        let folder = tempfile::tempdir().unwrap();
        let (first, second) = (folder.path().join("a"), folder.path().join("b"));
        std::fs::write(&first, "one").unwrap();
        let mut watch = FileWatch::new(vec![first.clone()]);
        std::fs::write(&first, "two").unwrap();
        watch.follow(vec![first.clone(), second.clone()]);
        watch.changed().await;

        watch.follow(vec![first]);
        std::fs::write(&second, "not looked at").unwrap();
        let unchanged = tokio::time::timeout(INTERVAL * 3, watch.changed()).await;
        assert!(unchanged.is_err());
    }
}
