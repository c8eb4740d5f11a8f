//! How many events of an envelope each source sent. Pure.

use crate::event::SourceCount;

/// So many of the counts before are looked through for a source; a body can be of thousands.
const MAX_LOOKED_THROUGH: usize = 8;

/// The events of each source, counted by runs while they come: those of one source mostly come together.
#[derive(Debug, Default)]
pub(super) struct SourceCounts {
    runs: Vec<SourceCount>,
}

/// How far the counting had come.
#[derive(Clone, Copy, Debug)]
pub(super) struct CountsMark {
    runs: usize,
    /// Events of the last of them.
    events: u64,
}

impl SourceCounts {
    /// Counts an event.
    pub(super) fn note(&mut self, source: usize) {
        match self.runs.last_mut() {
            Some(run) if run.source == source => run.events += 1,
            _ => self.runs.push(SourceCount { source, events: 1 }),
        }
    }

    pub(super) fn mark(&self) -> CountsMark {
        CountsMark {
            runs: self.runs.len(),
            events: self.runs.last().map_or(0, |run| run.events),
        }
    }

    /// Forgets all events since the mark.
    pub(super) fn roll_back(&mut self, mark: CountsMark) {
        self.runs.truncate(mark.runs);
        if let Some(run) = self.runs.last_mut() {
            run.events = mark.events;
        }
    }

    /// The counts; a source can have several where there are many.
    pub(super) fn finish(mut self) -> Vec<SourceCount> {
        let mut counts = 0_usize;
        for at in 0..self.runs.len() {
            let run = self.runs[at];
            let earlier = &mut self.runs[counts.saturating_sub(MAX_LOOKED_THROUGH)..counts];
            match earlier.iter_mut().find(|count| count.source == run.source) {
                Some(count) => count.events += run.events,
                None => {
                    self.runs[counts] = run;
                    counts += 1;
                }
            }
        }
        self.runs.truncate(counts);
        // They may wait with their envelope for long.
        self.runs.shrink_to(MAX_LOOKED_THROUGH);
        self.runs
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn counts(sources: impl IntoIterator<Item = usize>) -> Vec<(usize, u64)> {
        let mut counts = SourceCounts::default();
        for source in sources {
            counts.note(source);
        }
        let counts = counts.finish();
        counts.iter().map(|one| (one.source, one.events)).collect()
    }

    #[test]
    fn a_few_sources_in_turn_have_one_count_each() {
        assert_eq!(counts([]), []);
        assert_eq!(counts([7, 7, 3, 7, 5, 3, 3]), [(7, 3), (3, 3), (5, 1)]);
    }

    #[test]
    fn many_sources_are_counted_all_the_same() {
        let all = counts((0..100).chain(0..100));
        let events: u64 = all.iter().map(|(_, events)| events).sum();
        assert_eq!(events, 200);
        let of_9: u64 = all.iter().filter(|one| one.0 == 9).map(|one| one.1).sum();
        assert_eq!(of_9, 2);
    }

    #[test]
    fn what_is_rolled_back_was_not_counted() {
        for before in [&[][..], &[1], &[1, 1, 2, 2]] {
            let mut counts = SourceCounts::default();
            before.iter().for_each(|source| counts.note(*source));
            let mark = counts.mark();
            [2, 2, 3].iter().for_each(|source| counts.note(*source));
            counts.roll_back(mark);
            let events: u64 = counts.finish().iter().map(|count| count.events).sum();
            assert_eq!(events, before.len() as u64);
        }
    }
}
