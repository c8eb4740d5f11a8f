//! What comes again and again is told in the log when it begins, so that it does not fill it.

use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

/// What did not happen for so long is over: the next time is told again.
const CALM: Duration = Duration::from_secs(10);

/// How long ago something happened last.
#[derive(Debug, Default)]
pub struct Spell {
    last: Mutex<Option<Instant>>,
}

impl Spell {
    /// It happens now; whether that begins a new spell of it, and is to be told.
    pub fn begins(&self) -> bool {
        let now = Instant::now();
        let mut last = self.last.lock().unwrap_or_else(PoisonError::into_inner);
        let before = last.replace(now);
        before.is_none_or(|before| now >= before + CALM)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn what_goes_on_is_told_once() {
        let spell = Spell::default();
        let mut told = Vec::new();
        for pause in [0, 0, 9, 9, 9, 10, 9, 60] {
            tokio::time::advance(Duration::from_secs(pause)).await;
            told.push(spell.begins());
        }
        assert_eq!(told, [true, false, false, false, false, true, false, true]);
    }
}
