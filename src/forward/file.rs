//! The file output: one NDJSON file an hour, `YYYY-MM-DDTHH.ndjson` (UTC), appended to.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::os::unix::fs::MetadataExt;
use std::path::PathBuf;

use jiff::Timestamp;

use crate::telemetry::events::TornLineCut;

/// Writes events to the file of the hour.
pub(super) struct FileOutput {
    folder: PathBuf,
    current: Option<Current>,
}

struct Current {
    path: PathBuf,
    file: File,
    /// Where the last whole line ends.
    bytes: u64,
}

impl FileOutput {
    pub(super) fn new(folder: PathBuf) -> Self {
        Self {
            folder,
            current: None,
        }
    }

    /// Where it writes.
    pub(super) fn target(&self) -> String {
        self.folder.display().to_string()
    }

    /// Whether the folder can be written; made to be asked at start.
    pub(super) fn check(&self) -> io::Result<()> {
        fs::create_dir_all(&self.folder)?;
        let probe = self.folder.join(".headgate-writable");
        File::create(&probe)?;
        fs::remove_file(probe)
    }

    /// Appends whole lines, all or none, and syncs them: what is acked after this may be purged from the spool.
    pub(super) fn write(&mut self, lines: &[u8]) -> io::Result<()> {
        let path = self.folder.join(file_name(Timestamp::now()));
        let is_usable = |current: &Current| current.path == path && current.is_there();
        if !self.current.as_ref().is_some_and(is_usable) {
            fs::create_dir_all(&self.folder)?;
            self.current = Some(Current::open(path)?);
            // Makes the file's name durable.
            File::open(&self.folder)?.sync_all()?;
        }
        let current = self.current.as_mut().expect("a file was opened");
        let outcome = current.append(lines);
        if outcome.is_err() {
            // What is in the file now is found out anew.
            self.current = None;
        }
        outcome
    }
}

impl Current {
    /// Opens a file for appending. What a crash or a full disk left of a last line is cut: its event was never
    /// counted as delivered and comes again.
    fn open(path: PathBuf) -> io::Result<Self> {
        let mut file = OpenOptions::new()
            .read(true)
            .append(true)
            .create(true)
            .open(&path)?;
        let bytes = file.metadata()?.len();
        let whole = whole_lines(&mut file, bytes)?;
        if whole < bytes {
            file.set_len(whole)?;
            TornLineCut {
                path: &path,
                bytes: bytes - whole,
            }
            .emit();
        }
        Ok(Self {
            path,
            file,
            bytes: whole,
        })
    }

    /// Whether the file still has a name: someone may have tidied the folder, and what is written would go with the
    /// file.
    fn is_there(&self) -> bool {
        self.file
            .metadata()
            .is_ok_and(|metadata| metadata.nlink() > 0)
    }

    fn append(&mut self, lines: &[u8]) -> io::Result<()> {
        let outcome = self.file.write_all(lines);
        if let Err(error) = outcome.and_then(|()| self.file.sync_data()) {
            // The lines come again. Should this fail too, opening the file anew cuts at least a torn one.
            let _cut = self.file.set_len(self.bytes);
            return Err(error);
        }
        self.bytes += lines.len() as u64;
        Ok(())
    }
}

/// Where the last whole line of a file of so many bytes ends.
fn whole_lines(file: &mut (impl Read + Seek), bytes: u64) -> io::Result<u64> {
    const STEP: u64 = 64 * 1024;
    let mut end = bytes;
    while end > 0 {
        let start = end.saturating_sub(STEP);
        let mut piece = Vec::new();
        file.seek(SeekFrom::Start(start))?;
        file.take(end - start).read_to_end(&mut piece)?;
        if let Some(newline) = memchr::memrchr(b'\n', &piece) {
            return Ok(start + newline as u64 + 1);
        }
        end = start;
    }
    Ok(0)
}

fn file_name(time: Timestamp) -> String {
    format!("{}.ndjson", time.strftime("%Y-%m-%dT%H"))
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;

    fn only_file(folder: &Path) -> PathBuf {
        let mut files = fs::read_dir(folder).unwrap();
        let path = files.next().unwrap().unwrap().path();
        assert!(files.next().is_none());
        path
    }

    #[test]
    fn lines_are_appended_and_a_torn_one_is_cut() {
        let folder = tempfile::tempdir().unwrap();
        let hour = Timestamp::now();
        let write = |lines: &[u8]| FileOutput::new(folder.path().into()).write(lines).unwrap();
        write(b"{\"a\":1}\n");
        let path = only_file(folder.path());
        let torn = [b"{\"a\":".to_vec(), vec![b'x'; 200_000]].concat();
        OpenOptions::new()
            .append(true)
            .open(&path)
            .unwrap()
            .write_all(&torn)
            .unwrap();
        write(b"{\"a\":2}\n");
        if file_name(hour) == file_name(Timestamp::now()) {
            assert_eq!(fs::read(path).unwrap(), b"{\"a\":1}\n{\"a\":2}\n");
        }
    }

    #[test]
    fn a_file_that_was_removed_is_made_anew() {
        let folder = tempfile::tempdir().unwrap();
        let mut output = FileOutput::new(folder.path().join("events"));
        output.write(b"{\"a\":1}\n").unwrap();
        fs::remove_dir_all(folder.path().join("events")).unwrap();
        output.write(b"{\"a\":2}\n").unwrap();
        let path = only_file(&folder.path().join("events"));
        assert_eq!(fs::read(path).unwrap(), b"{\"a\":2}\n");
    }

    #[test]
    fn the_name_is_the_hour() {
        let time = "2026-11-23T08:59:59.999Z".parse().unwrap();
        assert_eq!(file_name(time), "2026-11-23T08.ndjson");
    }

    #[test]
    fn a_folder_that_cannot_be_is_told() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("plain-file");
        fs::write(&file, "x").unwrap();
        assert!(FileOutput::new(file.join("events")).check().is_err());
        assert!(FileOutput::new(folder.path().join("a/b")).check().is_ok());
    }
}
