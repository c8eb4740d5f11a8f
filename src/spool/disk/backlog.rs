//! What is committed and not acked: the lanes on which it goes out, the positions that are done, the segments that hold
//! it. Pure.

use std::collections::VecDeque;
use std::ops::{BitOrAssign, Range};
use std::time::{Duration, Instant};

use seglog::{Acked, Place, Segment};

use super::feed::{Behind, Feed};
use super::lane_reader::Extent;
use super::{LeaseLimits, PIECE_BYTES};
use crate::event::{Envelope, Position};
use crate::spool::Part;
use crate::spool::ages::Ages;
use crate::spool::drain_rate::DrainRate;
use crate::spool::lane::Threshold;
use crate::spool::side::Side;

/// Acks may be so scattered before leasing waits for the oldest: each range takes room in every checkpoint.
pub(super) const MAX_ACKED_RANGES: usize = 10_000;

/// Which sides have something that they wait for.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Wakes {
    pub(super) live: bool,
    pub(super) dead: bool,
}

impl BitOrAssign for Wakes {
    fn bitor_assign(&mut self, other: Self) {
        self.live |= other.live;
        self.dead |= other.dead;
    }
}

/// What is committed and not acked, and how it goes out.
pub(super) struct Backlog {
    live: Feed,
    dead: Feed,
    /// Dead letters that are leased, and perhaps acked since; in order, and as few ranges as they make.
    leased_letters: VecDeque<Range<Position>>,
    acked: Acked,
    /// Events that are committed and not acked.
    open: u64,
    committed: Position,
    segments: Vec<Segment>,
    ages: Ages,
    drain_rate: DrainRate,
    /// Since the start.
    acked_events: u64,
}

impl Backlog {
    pub(super) fn new(
        feeds: [Feed; 2],
        acked: Acked,
        open: u64,
        committed: Position,
        segments: Vec<Segment>,
    ) -> Self {
        let [live, dead] = feeds;
        Self {
            live,
            dead,
            leased_letters: VecDeque::new(),
            acked,
            open,
            committed,
            segments,
            ages: Ages::default(),
            drain_rate: DrainRate::default(),
            acked_events: 0,
        }
    }

    /// When the event at a position was taken; older ones first.
    pub(super) fn note_age(&mut self, position: Position, taken_at: Instant) {
        self.ages.note(position, taken_at);
    }

    /// What was committed, at a place; who is to be woken.
    pub(super) fn push(&mut self, envelope: &Envelope, place: Place, now: Instant) -> Wakes {
        let first_dead = place.first + envelope.live.count as Position;
        self.committed = place.first + envelope.events() as Position;
        self.open += envelope.events() as u64;
        self.note_age(place.first, now);
        Wakes {
            live: self.live.push(place.first, envelope.live.clone(), place),
            dead: self.dead.push(first_dead, envelope.dead.clone(), place),
        }
    }

    /// Notes that events are done; how many of them were not before.
    pub(super) fn ack(&mut self, positions: Range<Position>) -> u64 {
        let newly = self.acked.ack(positions);
        self.open -= newly;
        self.acked_events += newly;
        newly
    }

    /// When the oldest event that is not done was taken.
    pub(super) fn oldest_taken_at(&self) -> Option<Instant> {
        let taken_at = self.ages.taken_at(self.acked.low());
        taken_at.filter(|_| self.open > 0)
    }

    /// Events that are not done.
    pub(super) fn open(&self) -> u64 {
        self.open
    }

    pub(super) fn feed(&mut self, side: Side) -> &mut Feed {
        match side {
            Side::Live => &mut self.live,
            Side::Dead => &mut self.dead,
        }
    }

    pub(super) fn committed(&self) -> Position {
        self.committed
    }

    pub(super) fn acked(&self) -> &Acked {
        &self.acked
    }

    pub(super) fn is_drained(&self) -> bool {
        self.open == 0
    }

    /// How many of these events are committed and not acked.
    pub(super) fn open_events(&self, positions: Range<Position>) -> u64 {
        self.acked.open_count(positions)
    }

    pub(super) fn can_lease(&mut self, side: Side) -> bool {
        self.feed(side).has_something() && !self.is_held_back(side)
    }

    pub(super) fn can_lease_or_will_wake(&mut self, side: Side, threshold: Threshold) -> bool {
        let has = self.feed(side).has_or_will_wake_at(threshold);
        has && !self.is_held_back(side)
    }

    pub(super) fn lease(&mut self, side: Side, limits: LeaseLimits) -> Vec<Part> {
        let parts = self.feed(side).lease(limits);
        if side == Side::Dead {
            self.note_leased_letters(&parts);
        }
        parts
    }

    fn note_leased_letters(&mut self, parts: &[Part]) {
        for part in parts {
            match self.leased_letters.back_mut() {
                Some(last) if last.end == part.first => last.end = part.end(),
                _ => self.leased_letters.push_back(part.first..part.end()),
            }
        }
    }

    /// Below it no dead letter is open, so that after a start they are looked for only from there on.
    pub(super) fn letters_from(&mut self) -> Position {
        while let Some(leased) = self.leased_letters.front() {
            if self.acked.open_in(leased.clone()).next().is_some() {
                return leased.start;
            }
            self.leased_letters.pop_front();
        }
        self.dead.leased_below().unwrap_or(self.committed)
    }

    /// Whether this side must wait for older events to be acked, so that the acked ranges stay few. The oldest event
    /// itself never waits.
    fn is_held_back(&mut self, side: Side) -> bool {
        let low = self.acked.low();
        self.is_scattered() && self.feed(side).front().is_none_or(|front| front > low)
    }

    pub(super) fn is_scattered(&self) -> bool {
        self.acked.ranges().len() >= MAX_ACKED_RANGES
    }

    /// What is to be read from the disk for a lease.
    pub(super) fn next_read(
        &mut self,
        side: Side,
        limits: LeaseLimits,
    ) -> Option<(Behind, Extent)> {
        let behind = self.feed(side).wants_to_read(limits)?;
        let extent = Extent {
            segments: self.segments.clone(),
            end: self.committed,
            wanted: PIECE_BYTES.max(limits.max_bytes),
        };
        Some((behind, extent))
    }

    /// The segments after a purge.
    pub(super) fn replace_segments(&mut self, segments: Vec<Segment>) {
        self.segments = segments;
        self.ages.forget_below(self.acked.low());
    }

    /// The generation of the newest segment that is known; 0 when none is.
    pub(super) fn newest_generation(&self) -> u64 {
        self.segments.last().map_or(0, |last| last.generation)
    }

    /// The newest known segment as it is now, and those behind it.
    pub(super) fn note_newest<'a>(&mut self, segments: impl Iterator<Item = &'a Segment>) {
        for segment in segments {
            match self.segments.last_mut() {
                Some(last) if last.generation == segment.generation => last.clone_from(segment),
                _ => self.segments.push(segment.clone()),
            }
        }
    }

    pub(super) fn note_drain(&mut self, now: tokio::time::Instant) {
        self.drain_rate.note(now, self.acked_events);
    }

    /// Whether every event of a segment is done, and others follow.
    pub(super) fn can_purge(&self) -> bool {
        let is_done = |pair: &[Segment]| {
            let positions = pair[0].first..pair[1].first;
            self.acked.open_in(positions).next().is_none()
        };
        self.segments.windows(2).any(is_done)
    }

    /// The time until a segment can be given back, as far as it can be told.
    pub(super) fn time_to_purge(&self) -> Duration {
        let ends = self.segments.iter().skip(1).map(|segment| segment.first);
        let ends = ends.chain([self.committed]);
        let positions = std::iter::zip(&self.segments, ends);
        let open = positions.map(|(segment, end)| self.open_events(segment.first..end));
        self.drain_rate.time_for(open.min().unwrap_or_default())
    }

    /// Bytes of the segments, of the oldest the part that is not done.
    pub(super) fn bytes(&self) -> usize {
        if self.open == 0 {
            return 0;
        }
        let ends = self.segments.iter().skip(1).map(|segment| segment.first);
        let ends = ends.chain([self.committed]);
        let bytes = self.segments.iter().zip(ends).map(|(segment, end)| {
            let events = end.saturating_sub(segment.first).max(1);
            let open = end.saturating_sub(self.acked.low().max(segment.first));
            (segment.used_bytes as f64 * open as f64 / events as f64) as usize
        });
        bytes.sum()
    }
}
