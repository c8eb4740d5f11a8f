//! One lane of a spool, events or dead letters: the parts that are in memory and not leased yet, in order of
//! position.

use std::collections::VecDeque;
use std::ops::Range;

use crate::event::{Lines, Position};
use crate::spool::{LeaseLimits, Part};

/// Parts that wait, and how much must be there before the waiting side is woken.
#[derive(Default)]
pub(super) struct Lane {
    parts: VecDeque<Part>,
    events: usize,
    bytes: usize,
    /// Waking the waiting side for each append costs more than the append, so it says what it waits for.
    wake_at: Option<Threshold>,
}

/// How much is waited for: so many events, or so many bytes of them, whichever is there first.
#[derive(Clone, Copy, Debug)]
pub(super) struct Threshold {
    events: usize,
    bytes: usize,
}

impl Threshold {
    /// Anything at all.
    pub(super) const ANYTHING: Self = Self {
        events: 1,
        bytes: 1,
    };

    /// As much as a lease may take.
    pub(super) fn full(limits: LeaseLimits) -> Self {
        Self {
            events: limits.max_events,
            bytes: limits.max_bytes,
        }
    }
}

impl Lane {
    /// Adds a part; true when the waiting side is to be woken.
    pub(super) fn push(&mut self, first: Position, lines: Lines) -> bool {
        if lines.count == 0 {
            return false;
        }
        self.events += lines.count;
        self.bytes += lines.bytes.len();
        self.parts.push_back(Part { first, lines });
        let reached = self.wake_at.is_some_and(|threshold| self.has(threshold));
        if reached {
            self.wake_at = None;
        }
        reached
    }

    /// Whether so much is there; if not, a push that reaches it says so.
    pub(super) fn has_or_will_wake_at(&mut self, threshold: Threshold) -> bool {
        let has = self.has(threshold);
        self.wake_at = (!has).then_some(threshold);
        has
    }

    /// Bytes of text.
    pub(super) fn bytes(&self) -> usize {
        self.bytes
    }

    /// The position of the first event that waits.
    pub(super) fn front(&self) -> Option<Position> {
        self.parts.front().map(|part| part.first)
    }

    /// Whether nothing waits.
    pub(super) fn is_empty(&self) -> bool {
        self.parts.is_empty()
    }

    /// Whether so much is there.
    pub(super) fn has(&self, threshold: Threshold) -> bool {
        self.events >= threshold.events || self.bytes >= threshold.bytes
    }

    /// Takes from the front what the limits allow, at least one event if there is any.
    pub(super) fn lease(&mut self, limits: LeaseLimits) -> Vec<Part> {
        let LeaseLimits {
            max_events,
            max_bytes,
            ..
        } = limits;
        let mut leased: Vec<Part> = Vec::new();
        let (mut events, mut bytes) = (0, 0);
        while let Some(front) = self.parts.front_mut() {
            let (events_left, bytes_left) = (max_events - events, max_bytes.saturating_sub(bytes));
            let whole = front.lines.count <= events_left && front.lines.bytes.len() <= bytes_left;
            if !whole && !leased.is_empty() && !fits_one(&front.lines, events_left, bytes_left) {
                break;
            }
            let first = front.first;
            let lines = front.lines.split_front(events_left, bytes_left);
            front.first += lines.count as Position;
            if front.lines.count == 0 {
                self.parts.pop_front();
            }
            events += lines.count;
            bytes += lines.bytes.len();
            leased.push(Part { first, lines });
            if !whole || events == max_events {
                break;
            }
        }
        self.events -= events;
        self.bytes -= bytes;
        leased
    }

    /// Removes what is left of the events at these positions; how many they were.
    pub(super) fn withdraw(&mut self, positions: Range<Position>) -> usize {
        let begin = self
            .parts
            .partition_point(|part| part.first < positions.start);
        let end = self
            .parts
            .partition_point(|part| part.first < positions.end);
        let mut withdrawn = 0;
        for part in self.parts.drain(begin..end) {
            withdrawn += part.lines.count;
            self.bytes -= part.lines.bytes.len();
        }
        self.events -= withdrawn;
        withdrawn
    }
}

/// Whether the first of the events fits.
fn fits_one(lines: &Lines, max_events: usize, max_bytes: usize) -> bool {
    max_events > 0 && memchr::memchr(b'\n', &lines.bytes).is_some_and(|newline| newline < max_bytes)
}
