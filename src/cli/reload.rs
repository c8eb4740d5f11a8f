//! Reads the configuration again, on SIGHUP and when its file has changed, and hands it to the server. One after the
//! other: what comes meanwhile is one more look afterwards.

use std::convert::Infallible;

use tokio::signal::unix::Signal;

use crate::app::App;
use crate::config::{Config, ConfigErrors, Loaded};
use crate::file_watch::FileWatch;
use crate::lifecycle::blocking;
use crate::telemetry::events::ConfigWarning;
use crate::telemetry::logging::LogLevelHandle;

/// Where a running server's configuration comes from.
pub(super) struct Reloader {
    hang_up: Signal,
    watch: FileWatch,
    /// What was read last and was right.
    loaded: Loaded,
    log_level: LogLevelHandle,
}

impl Reloader {
    /// `watch` has seen the file before it was read.
    pub(super) fn new(
        hang_up: Signal,
        mut watch: FileWatch,
        loaded: Loaded,
        log_level: LogLevelHandle,
    ) -> Self {
        watch.follow(loaded.files());
        Self {
            hang_up,
            watch,
            loaded,
            log_level,
        }
    }

    /// Reads again whenever there is reason to, and never ends.
    pub(super) async fn run(&mut self, app: &App) -> Infallible {
        loop {
            tokio::select! {
                _ = self.hang_up.recv() => {}
                () = self.watch.changed() => {}
            }
            self.reload(app).await;
        }
    }

    async fn reload(&mut self, app: &App) {
        let (files, source) = (self.loaded.files(), self.loaded.source.clone());
        let read = move || {
            let mut watch = FileWatch::new(files);
            let loaded = Config::load_again(&source);
            watch_what_was_read(&mut watch, &loaded);
            (watch, loaded)
        };
        let (watch, loaded) = blocking(read).await;
        // What SIGHUP has had read is no news when the watch comes upon it.
        self.watch = watch;
        match loaded {
            Ok(loaded) => self.apply(app, loaded),
            Err(errors) => app.refuse_reload(&errors),
        }
    }

    fn apply(&mut self, app: &App, loaded: Loaded) {
        let (old, new) = (self.loaded.config.log.level, loaded.config.log.level);
        // The change is told at the level that tells more, whichever way it goes.
        self.log_level.set(old.max(new));
        for warning in &loaded.warnings {
            if !self.loaded.warnings.contains(warning) {
                let message = &warning.to_string();
                ConfigWarning { message }.emit();
            }
        }
        app.reload(&loaded.config);
        self.log_level.set(new);
        self.loaded = loaded;
    }
}

/// Has the files watched that belong to what was read, or has them read once more where that could not be done.
fn watch_what_was_read(watch: &mut FileWatch, read: &Result<Loaded, ConfigErrors>) {
    match read {
        Ok(loaded) => watch.follow(loaded.files()),
        Err(errors) if errors.is_out_of_handles() => watch.look_again(),
        Err(_) => {}
    }
}

#[cfg(test)]
mod tests {
    use std::io;
    use std::time::Duration;

    use super::*;
    use crate::config::Problem;

    #[tokio::test(start_paused = true)]
    async fn what_could_not_be_read_for_want_of_handles_is_read_once_more_and_what_is_wrong_is_not()
    {
        const ENOENT: i32 = 2;
        const EMFILE: i32 = 24;
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("headgate.toml");
        std::fs::write(&path, "[log]\n").unwrap();
        for (code, expected) in [(EMFILE, true), (ENOENT, false)] {
            let problem = Problem::Unreadable {
                path: path.clone(),
                error: io::Error::from_raw_os_error(code),
            };
            let errors = ConfigErrors::new(vec![problem], vec![], Config::default().log);
            let mut watch = FileWatch::new(vec![path.clone()]);
            watch_what_was_read(&mut watch, &Err(errors));
            let soon = tokio::time::timeout(Duration::from_secs(60), watch.changed()).await;
            assert_eq!(soon.is_ok(), expected, "{code}");
        }
    }
}
