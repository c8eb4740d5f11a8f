//! The file output: one NDJSON file an hour, `YYYY-MM-DDTHH.ndjson` (UTC), appended to. Together they keep within a
//! bound, where there is one.

mod bound;
mod current;

use std::io;
use std::path::PathBuf;
use std::sync::Arc;

use jiff::Timestamp;

use crate::config;
use crate::folders::{check_writable, make_folder, sync_folder};
use crate::telemetry::Telemetry;
use bound::Bound;
use current::Current;

/// Writes events to the file of the hour.
pub(super) struct FileOutput {
    folder: PathBuf,
    bound: Option<Bound>,
    current: Option<Current>,
}

impl FileOutput {
    pub(super) fn new(config: &config::FileOutput, telemetry: Arc<Telemetry>) -> Self {
        let bound = |size: crate::units::ByteSize| Bound::new(size.bytes(), telemetry);
        Self {
            folder: config.dir.clone(),
            bound: config.max_bytes.map(bound),
            current: None,
        }
    }

    /// Where it writes.
    pub(super) fn target(&self) -> String {
        self.folder.display().to_string()
    }

    /// Whether the folder can be written; made to be asked at start.
    pub(super) fn check(&self) -> io::Result<()> {
        make_folder(&self.folder)?;
        check_writable(&self.folder)
    }

    /// Appends whole lines, all or none, and syncs them: what is acked after this may be purged from the spool.
    pub(super) fn write(&mut self, lines: &[u8]) -> io::Result<()> {
        let path = self.folder.join(file_name(Timestamp::now()));
        let mut current = self.current(path)?;
        if let Some(bound) = &mut self.bound {
            let bytes = current.bytes() + lines.len() as u64;
            bound.make_room(&self.folder, current.path(), bytes)?;
        }
        current.append(lines)?;
        // Only now: what is in the file after a failure is found out anew.
        self.current = Some(current);
        Ok(())
    }

    /// The file of this path, open.
    fn current(&mut self, path: PathBuf) -> io::Result<Current> {
        let is_usable = |current: &Current| current.path() == path && current.is_there();
        if let Some(current) = self.current.take().filter(is_usable) {
            return Ok(current);
        }
        make_folder(&self.folder)?;
        let current = Current::open(path)?;
        sync_folder(&self.folder)?;
        if let Some(bound) = &mut self.bound {
            bound.look_again();
        }
        Ok(current)
    }
}

fn file_name(time: Timestamp) -> String {
    format!("{}.ndjson", time.strftime("%Y-%m-%dT%H"))
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use std::fs::{self, OpenOptions};
    use std::io::Write;

    use super::*;
    use crate::config::OutputType;
    use crate::telemetry::Gauges;
    use crate::units::ByteSize;

    fn output(folder: &Path, max_bytes: Option<u64>) -> (FileOutput, Arc<Telemetry>) {
        let telemetry = Arc::new(Telemetry::new(vec![], 1, OutputType::File));
        let config = config::FileOutput {
            dir: folder.into(),
            max_bytes: max_bytes.map(|bytes| format!("{bytes}B").parse::<ByteSize>().unwrap()),
        };
        (FileOutput::new(&config, Arc::clone(&telemetry)), telemetry)
    }

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
        let write = |lines: &[u8]| output(folder.path(), None).0.write(lines).unwrap();
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
    fn a_file_that_was_removed_or_moved_away_is_made_anew() {
        let folder = tempfile::tempdir().unwrap();
        let events = folder.path().join("events");
        let elsewhere = folder.path().join("elsewhere");
        let (mut output, _) = output(&events, None);
        output.write(b"{\"a\":1}\n").unwrap();
        fs::remove_dir_all(&events).unwrap();
        output.write(b"{\"a\":2}\n").unwrap();
        fs::rename(only_file(&events), &elsewhere).unwrap();
        output.write(b"{\"a\":3}\n").unwrap();
        assert_eq!(fs::read(elsewhere).unwrap(), b"{\"a\":2}\n");
        assert_eq!(fs::read(only_file(&events)).unwrap(), b"{\"a\":3}\n");
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
        assert!(output(&file.join("events"), None).0.check().is_err());
        assert!(output(&folder.path().join("a/b"), None).0.check().is_ok());
    }

    #[test]
    fn the_oldest_files_make_room_and_what_was_in_them_is_counted() {
        let folder = tempfile::tempdir().unwrap();
        let place = |name: &str| folder.path().join(name);
        for (name, events) in [
            ("2026-01-01T08.ndjson", 3),
            ("2026-01-01T09.ndjson", 4),
            ("2026-01-01T10.ndjson", 5),
            ("notes.ndjson", 100),
        ] {
            fs::write(place(name), "{\"a\":1}\n".repeat(events)).unwrap();
        }
        // Of eight bytes an event: room for nine.
        let (mut output, telemetry) = output(folder.path(), Some(72));
        output.write(b"{\"a\":2}\n").unwrap();
        let is_there =
            || ["08", "09", "10"].map(|hour| place(&format!("2026-01-01T{hour}.ndjson")).exists());
        assert_eq!(is_there(), [false, false, true]);
        output.write(&b"{\"a\":3}\n".repeat(3)).unwrap();
        assert_eq!(is_there(), [false, false, true], "it just fits");
        output.write(b"{\"a\":4}\n").unwrap();
        assert_eq!(is_there(), [false, false, false]);
        output.write(&b"{\"a\":5}\n".repeat(20)).unwrap();
        assert!(place("notes.ndjson").exists(), "no file of the output's");
        let written: usize = fs::read_dir(folder.path())
            .unwrap()
            .map(|file| file.unwrap().path())
            .filter(|path| *path != place("notes.ndjson"))
            .map(|path| fs::read_to_string(path).unwrap().lines().count())
            .sum();
        assert_eq!(written, 25, "the current file stays");
        let text = telemetry.render(Gauges::default());
        for sample in [
            "headgate_output_events_removed_total 12",
            "headgate_output_bytes_removed_total 96",
        ] {
            assert!(text.contains(sample), "{sample} is missing in:\n{text}");
        }
    }
}
