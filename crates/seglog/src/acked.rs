//! Which events are done: everything below a low-water mark, and ranges above it. Pure.

use std::collections::BTreeMap;
use std::ops::Range;

use crate::Position;

/// The events that are done, whichever way: delivered, kept as dead letters, or reported as lost.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Acked {
    low: Position,
    /// Start to end; above `low`, apart from each other and from it.
    ranges: BTreeMap<Position, Position>,
}

impl Acked {
    /// Everything below `low`, nothing else.
    pub fn below(low: Position) -> Self {
        Self {
            low,
            ranges: BTreeMap::new(),
        }
    }

    /// The first position that is not done.
    pub fn low(&self) -> Position {
        self.low
    }

    /// The end of the last range, or the low-water mark: nothing at or above it is done.
    pub fn high(&self) -> Position {
        self.ranges
            .last_key_value()
            .map_or(self.low, |(_, end)| *end)
    }

    /// The ranges above the low-water mark, in order.
    pub fn ranges(&self) -> impl ExactSizeIterator<Item = Range<Position>> {
        self.ranges.iter().map(|(start, end)| *start..*end)
    }

    /// Notes that these are done; how many of them were not before.
    pub fn ack(&mut self, positions: Range<Position>) -> u64 {
        let start = positions.start.max(self.low);
        if start >= positions.end {
            return 0;
        }
        let newly = self.open_count(start..positions.end);
        let (start, end) = self.take_touching(start, positions.end);
        if start == self.low {
            self.low = end;
        } else {
            self.ranges.insert(start, end);
        }
        newly
    }

    /// Takes out the ranges that overlap or touch this one; all of them as one.
    fn take_touching(&mut self, start: Position, end: Position) -> (Position, Position) {
        let (mut start, mut end) = (start, end);
        while let Some((&other_start, &other_end)) = self.ranges.range(..=end).next_back() {
            if other_end < start {
                break;
            }
            start = start.min(other_start);
            end = end.max(other_end);
            self.ranges.remove(&other_start);
        }
        (start, end)
    }

    /// Whether an event is done.
    pub fn contains(&self, position: Position) -> bool {
        let before = self.ranges.range(..=position).next_back();
        position < self.low || before.is_some_and(|(_, end)| position < *end)
    }

    /// How many of these are not done.
    pub fn open_count(&self, positions: Range<Position>) -> u64 {
        let open = self.open_in(positions);
        open.map(|range| range.end - range.start).sum()
    }

    /// The ranges of these that are not done, in order.
    pub fn open_in(&self, positions: Range<Position>) -> impl Iterator<Item = Range<Position>> {
        let mut at = positions.start.max(self.low);
        let end = positions.end;
        let before = self.ranges.range(..=at).next_back();
        let within = self
            .ranges
            .range((std::ops::Bound::Excluded(at), std::ops::Bound::Unbounded));
        let mut done = before.into_iter().chain(within);
        std::iter::from_fn(move || {
            while at < end {
                let Some((&done_start, &done_end)) = done.next() else {
                    let open = at..end;
                    at = end;
                    return Some(open);
                };
                let open = at..done_start.min(end);
                at = at.max(done_end);
                if open.start < open.end {
                    return Some(open);
                }
            }
            None
        })
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn behaves_like_a_set_of_positions(
            acks in proptest::collection::vec((0_u64..60, 0_u64..12), 0..40),
            low in 0_u64..10,
            asked in (0_u64..70, 0_u64..70),
        ) {
            let mut acked = Acked::below(low);
            let mut model: BTreeSet<u64> = (0..low).collect();
            for (start, count) in acks {
                let newly = (start..start + count).filter(|position| model.insert(*position)).count();
                prop_assert_eq!(acked.ack(start..start + count), newly as u64);
            }
            for position in 0..80 {
                prop_assert_eq!(acked.contains(position), model.contains(&position));
            }
            let first_open = (0..).find(|position| !model.contains(position)).unwrap();
            prop_assert_eq!(acked.low(), first_open);
            prop_assert_eq!(acked.high(), model.last().map_or(low, |last| last + 1).max(acked.low()));
            let open: Vec<u64> = acked.open_in(asked.0..asked.1).flatten().collect();
            let expected: Vec<u64> = (asked.0..asked.1).filter(|position| !model.contains(position)).collect();
            prop_assert_eq!(open, expected);
            let mut last_end = acked.low();
            for range in acked.ranges() {
                prop_assert!(range.start > last_end && range.end > range.start);
                last_end = range.end;
            }
        }
    }
}
