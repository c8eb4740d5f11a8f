//! The bound of the files together: the oldest make room. What is removed was delivered once and is lost now, so it is
//! counted and logged.

use std::fs::{self, File};
use std::io::{self, ErrorKind, Read};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::file_name;
use crate::folders::unless_gone;
use crate::telemetry::Telemetry;
use crate::telemetry::events::{OutputFileRemoved, RemovedUncounted};

/// Keeps the files of one folder within so many bytes.
pub(super) struct Bound {
    max_bytes: u64,
    /// Bytes of the files other than the current one, when last looked at.
    others: Option<u64>,
    telemetry: Arc<Telemetry>,
}

/// The file of an hour.
pub(super) struct EventsFile {
    pub(super) path: PathBuf,
    bytes: u64,
}

impl Bound {
    pub(super) fn new(max_bytes: u64, telemetry: Arc<Telemetry>) -> Self {
        Self {
            max_bytes,
            others: None,
            telemetry,
        }
    }

    /// Another file is the current one now.
    pub(super) fn look_again(&mut self) {
        self.others = None;
    }

    /// Makes room for the current file to have so many bytes. It stays itself, however long.
    pub(super) fn make_room(
        &mut self,
        folder: &Path,
        current: &Path,
        bytes: u64,
    ) -> io::Result<()> {
        let fits = |others: u64| others == 0 || others.saturating_add(bytes) <= self.max_bytes;
        if self.others.is_some_and(fits) {
            return Ok(());
        }
        // Somebody may have tidied the folder meanwhile.
        let mut files = events_files(folder)?;
        files.retain(|file| file.path != current);
        let mut others = files.iter().map(|file| file.bytes).sum();
        for file in &files {
            if fits(others) {
                break;
            }
            self.remove(file)?;
            others -= file.bytes;
        }
        self.others = Some(others);
        Ok(())
    }

    /// A file that cannot be read goes all the same: the output would else stand still because of it, for good.
    fn remove(&self, file: &EventsFile) -> io::Result<()> {
        let (events, read) = count_lines(&file.path);
        if unless_gone(fs::remove_file(&file.path))?.is_none() {
            return Ok(());
        }
        if let Err(error) = &read {
            RemovedUncounted {
                path: &file.path,
                reason: error,
            }
            .emit();
        }
        self.telemetry.output_removed(events, file.bytes);
        OutputFileRemoved {
            path: &file.path,
            events,
            bytes: file.bytes,
        }
        .emit();
        Ok(())
    }
}

/// The files of the output, the oldest first. Files of other names are not touched.
pub(super) fn events_files(folder: &Path) -> io::Result<Vec<EventsFile>> {
    let mut files = Vec::new();
    for entry in fs::read_dir(folder)? {
        let entry = entry?;
        let path = entry.path();
        if !is_hour(&path) {
            continue;
        }
        if let Some(metadata) = unless_gone(entry.metadata())?.filter(fs::Metadata::is_file) {
            files.push(EventsFile {
                path,
                bytes: metadata.len(),
            });
        }
    }
    // The names are times.
    files.sort_by(|one, other| one.path.cmp(&other.path));
    Ok(files)
}

/// Whether the name is that of an hour's file: `2026-01-01T08.ndjson`.
fn is_hour(path: &Path) -> bool {
    let name = path.file_name().and_then(|name| name.to_str());
    let hour = name.and_then(|name| name.strip_suffix(".ndjson"));
    let time = hour.and_then(|hour| format!("{hour}:00Z").parse().ok());
    // A time can be written in other ways too, and files that are named so are not the output's.
    time.is_some_and(|time| name == Some(&file_name(time)))
}

/// How many lines could be read, and whether those were all.
fn count_lines(path: &Path) -> (u64, io::Result<()>) {
    let mut lines = 0;
    let mut piece = vec![0; 256 * 1024];
    let mut count = || {
        let mut file = File::open(path)?;
        loop {
            match file.read(&mut piece) {
                Ok(0) => return Ok(()),
                Ok(bytes) => lines += memchr::memchr_iter(b'\n', &piece[..bytes]).count() as u64,
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
    };
    let read = count();
    (lines, read)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::OutputType;

    #[test]
    fn a_file_that_cannot_be_read_is_in_the_way_of_nothing() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("2026-01-01T08.ndjson");
        // A loop of links cannot be opened, whoever asks.
        std::os::unix::fs::symlink(&path, &path).unwrap();
        let telemetry = Arc::new(Telemetry::new(vec![], 1, OutputType::File));
        let bound = Bound::new(1, telemetry);
        let file = EventsFile { path, bytes: 100 };
        bound.remove(&file).unwrap();
        assert!(fs::symlink_metadata(&file.path).is_err());
        bound.remove(&file).unwrap();
    }

    #[test]
    fn only_an_hour_is_an_hour() {
        for (name, expected) in [
            ("2026-01-01T08.ndjson", true),
            ("2026-01-01T08.ndjson.gz", false),
            ("2026-01-01T25.ndjson", false),
            ("2026-01-01T08:30.ndjson", false),
            ("2026-01-01t08.ndjson", false),
            ("2026-01-01 08.ndjson", false),
            ("20260101T08.ndjson", false),
            ("2026-01-01.ndjson", false),
            ("notes.ndjson", false),
        ] {
            assert_eq!(is_hour(Path::new(name)), expected, "{name}");
        }
    }
}
