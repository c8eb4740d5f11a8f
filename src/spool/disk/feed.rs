//! One lane of the spool on disk on its way out: events, or dead letters. What is committed goes into it from memory as
//! long as it keeps up; when it holds as much as it may, what follows is read from the disk when its turn comes. Pure.

use seglog::{Cursor, Place};

use crate::event::{Lines, Position};
use crate::spool::lane::{Lane, Threshold};
use crate::spool::{LeaseLimits, Part};

/// A lane, and what is left on the disk behind it.
pub(super) struct Feed {
    lane: Lane,
    /// The most text that is put into the lane from memory.
    capacity: usize,
    behind: Option<Behind>,
}

/// Where reading from the disk goes on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Behind {
    /// Before the record that holds what comes next.
    pub(super) cursor: Cursor,
    /// Everything below is in the lane, or was.
    pub(super) taken: Position,
}

impl Feed {
    pub(super) fn new(capacity: usize, behind: Option<Behind>) -> Self {
        Self {
            lane: Lane::default(),
            capacity,
            behind,
        }
    }

    /// Lines of a record that was just committed; true when the waiting side is to be woken.
    pub(super) fn push(&mut self, first: Position, lines: Lines, record: Place) -> bool {
        if lines.count == 0 || self.behind.is_some() {
            return false;
        }
        if self.lane.bytes() + lines.bytes.len() > self.capacity {
            self.behind = Some(Behind {
                cursor: Cursor {
                    generation: record.generation,
                    offset: record.offset,
                    position: record.first,
                },
                taken: first,
            });
            return true;
        }
        self.lane.push(first, lines)
    }

    /// What was read from the disk, and where reading goes on; nowhere when it has caught up.
    pub(super) fn refill(&mut self, parts: Vec<Part>, behind: Option<Behind>) {
        for part in parts {
            self.lane.push(part.first, part.lines);
        }
        self.behind = behind;
    }

    /// Where to read from the disk, when the lane does not hold enough for a lease.
    pub(super) fn wants_to_read(&self, limits: LeaseLimits) -> Option<Behind> {
        self.behind
            .filter(|_| !self.lane.has(Threshold::full(limits)))
    }

    /// Whether a lease would find something without reading.
    pub(super) fn has_in_memory(&self) -> bool {
        !self.lane.is_empty()
    }

    /// Whether a lease would find something, here or on the disk.
    pub(super) fn has_something(&self) -> bool {
        !self.lane.is_empty() || self.behind.is_some()
    }

    /// Whether so much can be leased, or be read; if not, a push that reaches it says so.
    pub(super) fn has_or_will_wake_at(&mut self, threshold: Threshold) -> bool {
        self.lane.has_or_will_wake_at(threshold) || self.behind.is_some()
    }

    pub(super) fn lease(&mut self, limits: LeaseLimits) -> Vec<Part> {
        self.lane.lease(limits)
    }

    /// The position that is leased next, as far as it is known.
    pub(super) fn front(&self) -> Option<Position> {
        self.lane.front().or(self.behind.map(|behind| behind.taken))
    }

    /// Everything of this lane below was leased; none where all of it was.
    pub(super) fn leased_below(&self) -> Option<Position> {
        let read_below = |behind: Behind| behind.taken.max(behind.cursor.position);
        self.lane.front().or(self.behind.map(read_below))
    }
}
