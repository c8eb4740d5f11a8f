//! When events were taken, kept sparsely: enough to tell the age of the oldest one in a spool of any length. Pure.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use crate::event::Position;

/// Two notes are at least so far apart.
const STEP: Duration = Duration::from_secs(1);

/// More notes than this are thinned out: a day's worth of seconds is not needed to tell an age of hours.
const MAX_NOTES: usize = 4096;

/// Positions and when they were taken, by a clock that nobody sets: an age that is measured with the system's
/// would be none after that was set back.
#[derive(Debug, Default)]
pub(super) struct Ages {
    notes: VecDeque<(Position, Instant)>,
}

impl Ages {
    /// The event at `position`, which only grows, was taken at `taken_at`. That does so too, but for what was taken before
    /// the start, while the system's clock was set back.
    pub(super) fn note(&mut self, position: Position, taken_at: Instant) {
        let is_due = self
            .notes
            .back()
            .is_none_or(|(_, last)| taken_at < *last || taken_at >= *last + STEP);
        if !is_due {
            return;
        }
        if self.notes.len() == MAX_NOTES {
            let mut index = 0;
            self.notes.retain(|_| {
                index += 1;
                index % 2 == 1
            });
        }
        self.notes.push_back((position, taken_at));
    }

    /// Forgets what is of no use once everything below `position` is done.
    pub(super) fn forget_below(&mut self, position: Position) {
        while self.notes.get(1).is_some_and(|(next, _)| *next <= position) {
            self.notes.pop_front();
        }
    }

    /// When the event at `position` was taken, at the latest.
    pub(super) fn taken_at(&self, position: Position) -> Option<Instant> {
        let after = self.notes.partition_point(|(noted, _)| *noted <= position);
        let at_or_after = after.saturating_sub(1);
        self.notes.get(at_or_after).map(|(_, taken_at)| *taken_at)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_age_is_known_to_a_second_and_memory_is_bounded() {
        let start = Instant::now();
        let taken = |position: u64| start + Duration::from_millis(position * 100);
        let mut ages = Ages::default();
        assert_eq!(ages.taken_at(5), None);
        for position in 0..100_000 {
            ages.note(position, taken(position));
        }
        assert!(ages.notes.len() <= MAX_NOTES);
        let close = |position: u64| {
            let known = ages.taken_at(position).unwrap();
            assert!(known <= taken(position));
            assert!(taken(position) - known < Duration::from_secs(10));
        };
        close(0);
        close(55_555);
        close(99_999);
        ages.forget_below(90_000);
        assert!(ages.taken_at(90_000).unwrap() <= taken(90_000));
        assert!(ages.notes.len() <= 1100);
    }

    #[test]
    fn what_was_taken_while_the_clock_was_set_back_before_the_start_is_noted() {
        let start = Instant::now();
        let mut ages = Ages::default();
        ages.note(1, start + Duration::from_secs(1000));
        for position in 2..100 {
            ages.note(position, start + Duration::from_secs(400 + position));
        }
        ages.forget_below(50);
        let taken_at = ages.taken_at(50).unwrap();
        assert_eq!(taken_at, start + Duration::from_secs(450));
    }
}
