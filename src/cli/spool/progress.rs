//! A progress bar on a terminal, for what takes longer than a second.

use std::time::{Duration, Instant};

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

/// Before that a bar would only flicker.
const PATIENCE: Duration = Duration::from_secs(1);

const STYLE: &str = "{msg} [{wide_bar}] {bytes} of {total_bytes}, {eta} left";

/// Shown on standard error when that is a terminal.
pub(super) struct Bar {
    what: &'static str,
    begun: Instant,
    bar: Option<ProgressBar>,
}

impl Bar {
    pub(super) fn new(what: &'static str) -> Self {
        Self {
            what,
            begun: Instant::now(),
            bar: None,
        }
    }

    /// So many bytes of so many are done.
    pub(super) fn show(&mut self, done: u64, of: u64) {
        if self.bar.is_none() && self.begun.elapsed() < PATIENCE {
            return;
        }
        let bar = self.bar.get_or_insert_with(|| {
            let style = ProgressStyle::with_template(STYLE).expect("the template is right");
            // Hidden where standard error is no terminal.
            let bar = ProgressBar::with_draw_target(Some(of), ProgressDrawTarget::stderr());
            bar.with_style(style).with_message(self.what)
        });
        bar.set_length(of);
        bar.set_position(done);
    }

    /// Wipes it off.
    pub(super) fn end(self) {
        if let Some(bar) = self.bar {
            bar.finish_and_clear();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_style_is_right() {
        assert!(ProgressStyle::with_template(STYLE).is_ok());
    }
}
