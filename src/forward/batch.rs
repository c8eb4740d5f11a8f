//! A batch: events that are delivered together and stay together until they are.

use bytes::Bytes;

use crate::event::Position;
use crate::spool::Part;

/// Leased events on their way.
#[derive(Clone, Debug)]
pub(super) struct Batch {
    /// Never empty, and no part is.
    parts: Vec<Part>,
}

impl Batch {
    /// `parts` are what was leased: never empty, and none of them is.
    pub(super) fn new(parts: Vec<Part>) -> Self {
        debug_assert!(
            !parts.is_empty() && parts.iter().all(|part| part.lines.count > 0),
            "a lease has an event, and so has each part of it"
        );
        Self { parts }
    }

    pub(super) fn parts(&self) -> &[Part] {
        &self.parts
    }

    /// The position of its first event.
    pub(super) fn first(&self) -> Position {
        self.parts[0].first
    }

    /// Bytes of its events.
    pub(super) fn bytes(&self) -> usize {
        self.parts.iter().map(|part| part.lines.bytes.len()).sum()
    }

    pub(super) fn events(&self) -> usize {
        self.parts.iter().map(|part| part.lines.count).sum()
    }

    /// The one event and its position, if the batch is down to one.
    pub(super) fn single(&self) -> Option<(Position, Bytes)> {
        match self.parts.as_slice() {
            [only] if only.lines.count == 1 => {
                let event = only.lines.iter().next()?;
                Some((only.first, only.lines.bytes.slice_ref(event)))
            }
            _ => None,
        }
    }

    /// Leaves what its events were cut out of.
    pub(super) fn detach(&mut self) {
        for part in &mut self.parts {
            part.lines.detach();
        }
    }

    /// Takes a batch of at least two events apart, in order.
    pub(super) fn halve(self) -> (Self, Self) {
        let mut left = Vec::new();
        let mut right = Vec::new();
        let mut wanted = self.events() / 2;
        for mut part in self.parts {
            if wanted > 0 {
                let first = part.first;
                let lines = part.lines.split_front(wanted, usize::MAX);
                wanted -= lines.count;
                part.first += lines.count as Position;
                left.push(Part { first, lines });
            }
            if part.lines.count > 0 {
                right.push(part);
            }
        }
        (Self::new(left), Self::new(right))
    }

    /// Puts it together with what follows it.
    pub(super) fn join(mut self, next: Self) -> Self {
        self.parts.extend(next.parts);
        self
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::event::Lines;

    fn part(first: Position, count: usize) -> Part {
        let text: String = (0..count)
            .map(|index| format!("{},\n", first + index as u64))
            .collect();
        let bytes = text.into();
        Part {
            first,
            lines: Lines { count, bytes },
        }
    }

    fn positions(batch: &Batch) -> Vec<String> {
        let events = batch.parts.iter().flat_map(|part| part.lines.iter());
        events
            .map(|event| String::from_utf8_lossy(event).into_owned())
            .collect()
    }

    #[test]
    fn halves_keep_order_and_positions() {
        for counts in [&[2][..], &[1, 1], &[5], &[1, 3, 1], &[3, 1, 4]] {
            let parts = counts.iter().scan(10, |next, count| {
                let first = *next;
                *next += 100;
                Some(part(first, *count))
            });
            let batch = Batch::new(parts.collect());
            let whole = positions(&batch);
            let (left, right) = batch.halve();
            assert_eq!(left.events(), whole.len() / 2);
            assert_eq!([positions(&left), positions(&right)].concat(), whole);
            for part in left.parts.iter().chain(&right.parts) {
                assert_eq!(
                    part.lines.iter().next().unwrap(),
                    part.first.to_string().as_bytes()
                );
            }
        }
    }
}
