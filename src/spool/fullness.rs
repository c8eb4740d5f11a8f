//! When to say that a spool has become full, and that it has room again. Pure.

use std::time::Duration;

use tokio::time::Instant;

/// It has room again when it was not full for so long: at its limit a spool is full and has room many times a second.
const CALM: Duration = Duration::from_secs(10);

/// What is to be said.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum News {
    Full,
    HasRoom,
}

/// What was said last.
#[derive(Debug, Default)]
pub(super) struct Fullness {
    /// When it was full last, if that was said.
    full_at: Option<Instant>,
}

impl Fullness {
    /// Whether the spool is full now, and what is new in that.
    pub(super) fn note(&mut self, is_full: bool, now: Instant) -> Option<News> {
        if is_full {
            let before = self.full_at.replace(now);
            return before.is_none().then_some(News::Full);
        }
        let is_calm = self.full_at.is_some_and(|full_at| now >= full_at + CALM);
        is_calm.then(|| {
            self.full_at = None;
            News::HasRoom
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_comes_and_goes_is_said_once() {
        let mut fullness = Fullness::default();
        let start = Instant::now();
        let mut note = |seconds, is_full| {
            let now = start + Duration::from_secs(seconds);
            fullness.note(is_full, now)
        };
        assert_eq!(note(0, false), None);
        assert_eq!(note(1, true), Some(News::Full));
        for seconds in 2..20 {
            assert_eq!(note(seconds, seconds % 3 == 0), None);
        }
        assert_eq!(note(27, false), None);
        assert_eq!(note(28, false), Some(News::HasRoom));
        assert_eq!(note(60, false), None);
        assert_eq!(note(61, true), Some(News::Full));
    }
}
