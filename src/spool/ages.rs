//! When events were taken, kept sparsely: enough to tell the age of the oldest one in a spool of any length. Pure.

use std::collections::VecDeque;

use crate::event::Position;

/// Two notes are at least so far apart.
const STEP_MILLIS: u64 = 1000;

/// More notes than this are thinned out: a day's worth of seconds is not needed to tell an age of hours.
const MAX_NOTES: usize = 4096;

/// Positions and when they were taken, in milliseconds since the Unix epoch.
#[derive(Debug, Default)]
pub(super) struct Ages {
    notes: VecDeque<(Position, u64)>,
}

impl Ages {
    /// The event at `position`, which only grows, was taken at `taken_at`, which does so unless the clock is set back.
    pub(super) fn note(&mut self, position: Position, taken_at: u64) {
        let is_due = self
            .notes
            .back()
            .is_none_or(|(_, last)| taken_at < *last || taken_at >= last + STEP_MILLIS);
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
    pub(super) fn taken_at(&self, position: Position) -> Option<u64> {
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
        let mut ages = Ages::default();
        assert_eq!(ages.taken_at(5), None);
        for position in 0..100_000 {
            ages.note(position, position * 100);
        }
        assert!(ages.notes.len() <= MAX_NOTES);
        let close = |position: u64| {
            let taken_at = ages.taken_at(position).unwrap();
            assert!(taken_at <= position * 100 && position * 100 - taken_at < 10_000);
        };
        close(0);
        close(55_555);
        close(99_999);
        ages.forget_below(90_000);
        assert!(ages.taken_at(90_000).unwrap() <= 9_000_000);
        assert!(ages.notes.len() <= 1100);
    }

    #[test]
    fn ages_are_told_again_after_the_clock_was_set_back() {
        let mut ages = Ages::default();
        ages.note(1, 1_000_000);
        for position in 2..100 {
            ages.note(position, 400_000 + position * 100);
        }
        ages.forget_below(50);
        let taken_at = ages.taken_at(50).unwrap();
        assert!((404_000..=405_000).contains(&taken_at), "{taken_at}");
    }
}
