//! A folder with a configuration, where the program is started again and again.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Output;
use std::sync::Arc;
use std::time::SystemTime;

use seglog::{DiskFolder, Folder, Survey};
use tempfile::TempDir;

use super::program::{Program, run};
use super::test_app::{config, over};

/// The folder; removed when dropped.
pub(crate) struct Site {
    folder: TempDir,
}

impl Site {
    /// With the settings that tests begin with, the spool on disk, and `toml` laid over them.
    pub(crate) fn new(toml: &str) -> Self {
        let site = Self {
            folder: tempfile::tempdir().unwrap(),
        };
        site.configure(toml);
        site
    }

    /// Replaces the configuration.
    pub(crate) fn configure(&self, toml: &str) {
        let base = "[log]\nformat = 'json'\n[ingest]\ndurability = 'disk'";
        config(self.folder.path(), &over(base, toml)).unwrap();
    }

    pub(crate) fn serve(&self) -> Program {
        Program::serve(&self.path("headgate.toml"), self.folder.path())
    }

    /// Runs a server that does not start: its exit status and what it told.
    pub(crate) fn fail_to_serve(&self) -> (Option<i32>, String) {
        let config = self.path("headgate.toml").display().to_string();
        let Output { status, stderr, .. } =
            run(&["serve", "--config", &config], self.folder.path());
        (status.code(), String::from_utf8(stderr).unwrap())
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// What lies in the spool, found without a server.
    pub(crate) fn survey(&self) -> Survey {
        survey(&self.path("spool"))
    }

    /// The spool's segments, oldest first.
    pub(crate) fn segments(&self) -> Vec<PathBuf> {
        let survey = self.survey();
        let names = survey.segments.iter().map(seglog::Segment::name);
        names.map(|name| self.path("spool").join(name)).collect()
    }

    /// Name, contents and time of change of every file of the spool.
    pub(crate) fn snapshot(&self) -> BTreeMap<PathBuf, (Vec<u8>, SystemTime)> {
        let files = files(&self.path("spool")).into_iter().map(|path| {
            let changed = fs::metadata(&path).unwrap().modified().unwrap();
            let contents = fs::read(&path).unwrap();
            (path, (contents, changed))
        });
        files.collect()
    }
}

/// The files of a folder.
pub(crate) fn files(folder: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(folder).unwrap();
    entries.map(|entry| entry.unwrap().path()).collect()
}

/// What lies in the folder of a spool; a server may run on it.
pub(crate) fn survey(folder: &Path) -> Survey {
    let folder: Arc<dyn Folder> = Arc::new(DiskFolder::new(folder));
    seglog::survey(&folder).unwrap()
}
