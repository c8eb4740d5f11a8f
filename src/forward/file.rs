//! The file output: one NDJSON file an hour, `YYYY-MM-DDTHH.ndjson` (UTC), appended to. Together they keep within a
//! bound, where there is one.

mod bound;
mod current;

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use jiff::Timestamp;

use super::StartError;
use crate::config;
use crate::folders::{FolderLock, check_writable, make_folder, sync_folder};
use crate::telemetry::Telemetry;
use crate::telemetry::events::OutputNotMended;
use bound::Bound;
use current::Current;

/// Writes events to the file of the hour.
pub(super) struct FileOutput {
    folder: PathBuf,
    bound: Option<Bound>,
    current: Option<Current>,
    lock: FolderLock,
}

/// What is locked in the folder.
const LOCK_FILE: &str = ".headgate-lock";

impl FileOutput {
    /// Takes the folder, which is made if it is not there.
    pub(super) fn open(
        config: &config::FileOutput,
        telemetry: Arc<Telemetry>,
    ) -> Result<Self, StartError> {
        let folder = config.dir.display().to_string();
        let lock = match lock(&config.dir) {
            Ok(Some(lock)) => lock,
            Ok(None) => return Err(StartError::FolderLocked { folder }),
            Err(source) => return Err(StartError::Folder { folder, source }),
        };
        if let Err(error) = mend_all(&config.dir) {
            OutputNotMended {
                folder: &folder,
                reason: &error,
            }
            .emit();
        }
        let bound = |size: crate::units::ByteSize| Bound::new(size.bytes(), telemetry);
        Ok(Self {
            folder: config.dir.clone(),
            bound: config.max_bytes.map(bound),
            current: None,
            lock,
        })
    }

    /// Where it writes.
    pub(super) fn target(&self) -> String {
        self.folder.display().to_string()
    }

    /// Appends whole lines, all or none, and syncs them: what is acked after this may be purged from the spool.
    pub(super) fn write(&mut self, lines: &[u8]) -> io::Result<()> {
        self.lock.hold_on()?;
        if let Some(current) = &mut self.current {
            current.cut_off_what_failed()?;
        }
        let path = self.folder.join(file_name(Timestamp::now()));
        let mut current = self.current(path)?;
        if let Some(bound) = &mut self.bound {
            let bytes = current.bytes() + lines.len() as u64;
            bound.make_room(&self.folder, current.path(), bytes)?;
        }
        let outcome = current.append(lines);
        // What is in the file after a failure is found out anew, but for what has to be cut off first.
        if outcome.is_ok() || current.is_uncut() {
            self.current = Some(current);
        }
        outcome
    }

    /// The file of this path, open.
    fn current(&mut self, path: PathBuf) -> io::Result<Current> {
        let is_usable = |current: &Current| current.path() == path && current.is_there();
        if let Some(current) = self.current.take().filter(is_usable) {
            return Ok(current);
        }
        let current = Current::open(path)?;
        sync_folder(&self.folder)?;
        if let Some(bound) = &mut self.bound {
            bound.look_again();
        }
        Ok(current)
    }
}

fn lock(folder: &Path) -> io::Result<Option<FolderLock>> {
    make_folder(folder)?;
    check_writable(folder)?;
    FolderLock::take(folder, LOCK_FILE)
}

/// Cuts what a crash left of a last line, for in another hour nobody opens that file again. It need not be the newest:
/// the clock may have been set back before the crash. One that cannot be read or written any more, because somebody has
/// put it away, is no reason not to start, nor to leave the others.
fn mend_all(folder: &Path) -> io::Result<()> {
    let mut outcome = Ok(());
    for file in bound::events_files(folder)? {
        let told = |error: io::Error| io::Error::other(format!("{}: {error}", file.path.display()));
        outcome = outcome.and(current::mend(&file.path).map_err(told));
    }
    outcome
}

fn file_name(time: Timestamp) -> String {
    format!("{}.ndjson", time.strftime("%Y-%m-%dT%H"))
}

#[cfg(test)]
mod tests {
    use std::fs::{self, OpenOptions};
    use std::io::Write;

    use super::*;
    use crate::config::OutputType;
    use crate::telemetry::Gauges;
    use crate::units::ByteSize;

    fn output(folder: &Path, max_bytes: Option<u64>) -> (FileOutput, Arc<Telemetry>) {
        try_output(folder, max_bytes).unwrap()
    }

    fn try_output(
        folder: &Path,
        max_bytes: Option<u64>,
    ) -> Result<(FileOutput, Arc<Telemetry>), StartError> {
        let telemetry = Arc::new(Telemetry::new(vec![], 1, OutputType::File));
        let config = config::FileOutput {
            dir: folder.into(),
            max_bytes: max_bytes.map(|bytes| format!("{bytes}B").parse::<ByteSize>().unwrap()),
        };
        let output = FileOutput::open(&config, Arc::clone(&telemetry));
        output.map(|output| (output, telemetry))
    }

    fn only_file(folder: &Path) -> PathBuf {
        let mut files = event_files(folder);
        assert_eq!(files.len(), 1);
        files.remove(0)
    }

    fn event_files(folder: &Path) -> Vec<PathBuf> {
        let files = fs::read_dir(folder).unwrap();
        let paths = files.map(|file| file.unwrap().path());
        paths.filter(|path| !path.ends_with(LOCK_FILE)).collect()
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
    fn a_torn_line_of_an_hour_that_is_over_is_cut_at_the_start() {
        let folder = tempfile::tempdir().unwrap();
        let files = [
            ("2026-01-01T06.ndjson", "{\"a\"", ""),
            // The clock was set back from eight to seven.
            ("2026-01-01T07.ndjson", "{\"a\":1}\n{\"a\"", "{\"a\":1}\n"),
            ("2026-01-01T08.ndjson", "{\"a\":2}\n", "{\"a\":2}\n"),
            ("2026-01-01T09.ndjson", "", ""),
            ("2026-01-01T08.ndjson.gz", "packed", "packed"),
            ("notes.ndjson", "a note", "a note"),
        ];
        for (name, text, _) in files {
            fs::write(folder.path().join(name), text).unwrap();
        }
        let _output = output(folder.path(), None);
        for (name, _, left) in files {
            let text = fs::read_to_string(folder.path().join(name)).unwrap();
            assert_eq!(text, left, "{name}");
        }
    }

    fn fail_cuts_and_writes(output: &mut FileOutput, fail: bool) {
        let current = output.current.as_mut().unwrap();
        current.fail_cuts(fail);
        current.fail_writes(fail);
    }

    /// The lines of all files, oldest first.
    fn all_lines(folder: &Path) -> String {
        let mut files = event_files(folder);
        files.sort();
        let lines = files.iter().map(|path| fs::read_to_string(path).unwrap());
        lines.collect()
    }

    #[test]
    fn what_failed_and_cannot_be_cut_off_for_want_of_room_is_before_the_next_line() {
        for is_removed in [false, true] {
            let folder = tempfile::tempdir().unwrap();
            let (mut output, _) = output(folder.path(), None);
            output.write(b"{\"a\":1}\n").unwrap();
            let path = only_file(folder.path());
            fs::write(&path, "{\"a\":1}\n{\"a\":2}\n{\"a\"").unwrap();
            fail_cuts_and_writes(&mut output, true);
            for _ in 0..3 {
                assert!(output.write(b"{\"a\":2}\n{\"a\":3}\n").is_err());
            }
            if is_removed {
                // That it is let go gives back its room.
                fs::remove_file(path).unwrap();
            } else {
                fail_cuts_and_writes(&mut output, false);
            }
            output.write(b"{\"a\":2}\n{\"a\":3}\n").unwrap();
            let lines = all_lines(folder.path());
            let first = lines.strip_prefix("{\"a\":1}\n");
            assert_eq!(first.is_none(), is_removed);
            assert_eq!(first.unwrap_or(&lines), "{\"a\":2}\n{\"a\":3}\n");
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
    fn a_file_that_was_cut_short_takes_no_more_room_than_it_has() {
        let folder = tempfile::tempdir().unwrap();
        let older = folder.path().join("2026-01-01T08.ndjson");
        fs::write(&older, "{\"a\":1}\n").unwrap();
        let (mut output, _) = output(folder.path(), Some(32));
        output.write(&b"{\"a\":2}\n".repeat(3)).unwrap();
        for path in event_files(folder.path()) {
            if path != older {
                // As logrotate does with `copytruncate`.
                fs::write(path, "").unwrap();
            }
        }
        output.write(b"{\"a\":3}\n").unwrap();
        assert!(older.exists());
    }

    #[test]
    fn the_file_of_an_hour_that_is_over_makes_room_too() {
        let folder = tempfile::tempdir().unwrap();
        let (mut output, _) = output(folder.path(), Some(32));
        output.write(&b"{\"a\":1}\n".repeat(3)).unwrap();
        let over = folder.path().join("2026-01-01T08.ndjson");
        fs::rename(only_file(folder.path()), &over).unwrap();
        output.write(&b"{\"a\":2}\n".repeat(2)).unwrap();
        assert!(!over.exists());
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
        assert!(try_output(&file.join("events"), None).is_err());
        assert!(try_output(&folder.path().join("a/b"), None).is_ok());
    }

    #[test]
    fn a_folder_has_one_writer_at_a_time() {
        let folder = tempfile::tempdir().unwrap();
        let first = output(folder.path(), None);
        let second = try_output(folder.path(), None).map(drop).unwrap_err();
        assert!(matches!(second, StartError::FolderLocked { .. }));
        drop(first);
        assert!(try_output(folder.path(), None).is_ok());
    }

    #[test]
    fn a_folder_that_was_removed_still_has_one_writer() {
        let around = tempfile::tempdir().unwrap();
        let folder = around.path().join("events");
        let (mut first, _) = output(&folder, None);
        fs::remove_dir_all(&folder).unwrap();
        first.write(b"{\"a\":1}\n").unwrap();
        assert!(try_output(&folder, None).is_err());
        fs::remove_dir_all(&folder).unwrap();
        let second = output(&folder, None);
        assert!(first.write(b"{\"a\":2}\n").is_err());
        drop(second);
        first.write(b"{\"a\":2}\n").unwrap();
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
        let written: usize = event_files(folder.path())
            .iter()
            .filter(|path| **path != place("notes.ndjson"))
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
