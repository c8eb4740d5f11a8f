//! Batches that failed and wait to be tried again, and which one is next. Pure: the time is given.

#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;

use super::brokers::Admission;
use super::shipment::Shipment;
use super::suspects::Suspects;
use super::suspicion::FAILURES_OF_A_SUSPECT;
use crate::event::Position;

/// Where the batches that let others pass take so much, or are so many, none passes any more: they are in memory.
const MAX_PASSED_BYTES: usize = 64 * 1024 * 1024;
const MAX_PASSED: usize = 1024;

/// Where so many times the slots wait in order, no new batch is taken beside them: with durability `broker` it could
/// still be withdrawn.
const MAX_IN_ORDER: usize = 8;

/// New events that are preferred to what waits may be withdrawn, so it is looked again this often.
const LOOK_AGAIN: Duration = Duration::from_secs(1);

/// Where order is kept, a batch lets others pass later.
const FAILURES_IN_ORDER: u32 = 2 * FAILURES_OF_A_SUSPECT;

/// The batches that wait.
pub(super) struct RetryQueue {
    /// By position. New batches come after them.
    in_order: BTreeMap<Position, Entry>,
    /// Those that new batches may pass, in the order in which they came.
    passed: VecDeque<Entry>,
    /// Requests that may be under way at all Brokers together.
    slots: usize,
    suspects: Arc<Suspects>,
}

struct Entry {
    shipment: Shipment,
    /// What it takes in memory.
    bytes: usize,
    /// When its pause ends.
    due: Instant,
    /// Whether it waits only until its Broker takes something.
    is_put_off: bool,
}

impl Entry {
    fn new(shipment: Shipment, due: Instant, is_put_off: bool) -> Self {
        let parts = size_of_val(shipment.batch.parts());
        Self {
            bytes: shipment.bytes() + parts + size_of::<Self>(),
            shipment,
            due,
            is_put_off,
        }
    }

    fn is_suspect(&self) -> bool {
        self.shipment.suspicion.failures() > 0
    }

    /// When it may be sent, if that is known: suspects wait also for one of their slots, which is free from then on.
    fn goes_at(&self, room_from: Option<Instant>) -> Option<Instant> {
        if self.is_suspect() {
            room_from.map(|from| from.max(self.due))
        } else {
            Some(self.due)
        }
    }
}

/// What is to be sent next.
pub(super) enum Choice {
    /// This.
    Send(Shipment),
    /// What can be leased, unless there is something better at the given moment.
    Lease(Option<Instant>),
    /// Nothing before this moment.
    Wait(Option<Instant>),
}

impl RetryQueue {
    pub(super) fn new(slots: usize) -> Self {
        Self {
            in_order: BTreeMap::new(),
            passed: VecDeque::new(),
            slots,
            suspects: Arc::new(Suspects::new(slots)),
        }
    }

    /// The suspects that it has sent.
    pub(super) fn suspects(&self) -> Arc<Suspects> {
        Arc::clone(&self.suspects)
    }

    /// Takes a batch that is to be tried again when its pause is over.
    pub(super) fn add(&mut self, mut shipment: Shipment, due: Instant) {
        shipment.under_way = None;
        let lets_others_pass = self.lets_others_pass(&shipment);
        let entry = Entry::new(shipment, due, false);
        if lets_others_pass {
            self.let_pass(entry);
        } else {
            self.add_in_order(entry);
        }
    }

    /// Takes a batch that others may pass until its Broker takes something. Those that were recalled and not
    /// tried since go with it: new ones would else wait for a probe with each of them.
    pub(super) fn put_off(&mut self, mut shipment: Shipment, due: Instant) {
        shipment.under_way = None;
        let recalled = self.in_order.extract_if(.., |_, entry| entry.is_put_off);
        let recalled: Vec<_> = recalled.map(|(_, entry)| entry).collect();
        for entry in recalled {
            self.let_pass(entry);
        }
        self.let_pass(Entry::new(shipment, due, true));
    }

    /// New batches may pass this one. It may be a line of a large envelope, which need not stay for that.
    fn let_pass(&mut self, mut entry: Entry) {
        entry.shipment.batch.detach();
        self.passed.push_back(entry);
    }

    /// A Broker took something: what was put off is tried at once.
    pub(super) fn recall(&mut self, now: Instant) -> bool {
        if !self.passed.iter().any(|entry| entry.is_put_off) {
            return false;
        }
        let (recalled, passed) = std::mem::take(&mut self.passed)
            .into_iter()
            .partition::<VecDeque<_>, _>(|entry| entry.is_put_off);
        self.passed = passed;
        for entry in recalled {
            self.add_in_order(Entry { due: now, ..entry });
        }
        true
    }

    fn may_be_passed(&self) -> bool {
        bytes_of(self.passed.iter()) < MAX_PASSED_BYTES && self.passed.len() < MAX_PASSED
    }

    /// A Broker came up: what waited because it was down is tried at once, but of those that let others pass
    /// one only, for they may be what it went down for.
    pub(super) fn end_pauses(&mut self, now: Instant) {
        for entry in self.in_order.values_mut() {
            entry.due = entry.due.min(now);
        }
        self.end_next_pause(now);
    }

    /// A batch that had waited was taken: the next one that lets others pass is tried at once.
    pub(super) fn end_next_pause(&mut self, now: Instant) {
        // What made a Broker ask for a rest would make it rest again.
        let may_go = |entry: &&mut Entry| !entry.is_put_off && !entry.shipment.asks_for_rest;
        if let Some(next) = self.passed.iter_mut().find(may_go) {
            next.due = next.due.min(now);
        }
    }

    /// What is next. `has_new` tells whether a lease would find events now.
    pub(super) fn choose(&mut self, admission: Admission, has_new: bool, now: Instant) -> Choice {
        match admission {
            Admission::Free => self.choose_freely(now),
            Admission::Probe => self.choose_for_a_probe(has_new, now),
        }
    }

    fn choose_freely(&mut self, now: Instant) -> Choice {
        let room_from = self.suspects.have_room_from(now);
        if let Some(entry) = self.take_due(room_from, now) {
            return self.send(entry, now);
        }
        let in_order = self.next_in_order(room_from).map(|(_, goes_at)| goes_at);
        let passed = self.passed.iter();
        let passed = passed.filter_map(|entry| entry.goes_at(room_from));
        let next = in_order.chain(passed).min();
        if self.may_lease() {
            Choice::Lease(next)
        } else {
            Choice::Wait(next)
        }
    }

    /// Takes a batch that may go now, one that waits in order first. `room_from`: when there is a slot for suspects.
    fn take_due(&mut self, room_from: Option<Instant>, now: Instant) -> Option<Entry> {
        let due = self
            .next_in_order(room_from)
            .find(|(_, goes_at)| *goes_at <= now);
        if let Some((first, _)) = due {
            return self.in_order.remove(&first);
        }
        let is_due = |entry: &Entry| entry.goes_at(room_from).is_some_and(|at| at <= now);
        let due = self.passed.iter().position(is_due)?;
        self.passed.remove(due)
    }

    /// Those that wait in order and may be next, and when each goes. Where order is kept that is the first alone, and it
    /// goes when its pause is over though it be a suspect: nothing else could use the time that it leaves.
    fn next_in_order(
        &self,
        room_from: Option<Instant>,
    ) -> impl Iterator<Item = (Position, Instant)> {
        let keeps_order = self.keeps_order();
        let candidates = if keeps_order { 1 } else { usize::MAX };
        let in_order = self.in_order.iter().take(candidates);
        in_order.filter_map(move |(first, entry)| {
            let goes_at = if keeps_order {
                Some(entry.due)
            } else {
                entry.goes_at(room_from)
            };
            Some((*first, goes_at?))
        })
    }

    /// Whether new batches may be leased beside those that wait. Each of those waits for a slot, but for suspects: they
    /// have theirs, and others are to be taken meanwhile.
    fn may_lease(&self) -> bool {
        let in_order = self.in_order.values();
        let waiting = in_order.filter(|entry| self.keeps_order() || !entry.is_suspect());
        waiting.count() < self.slots && self.has_room_in_order() && self.may_be_passed()
    }

    /// The Broker has had its rest, which stands for the pauses of all batches. Any of them may be what it
    /// does not take, so where order is not kept and all were turned away it is asked to take a new one
    /// first, and then that which was tried the fewest times.
    fn choose_for_a_probe(&mut self, has_new: bool, now: Instant) -> Choice {
        if has_new && self.may_probe_with_new() {
            let has_others = !self.in_order.is_empty() || !self.passed.is_empty();
            Choice::Lease(has_others.then_some(now + LOOK_AGAIN))
        } else if let Some(entry) = self.take_for_a_probe() {
            self.send(entry, now)
        } else {
            Choice::Lease(None)
        }
    }

    fn may_probe_with_new(&self) -> bool {
        let mut waiting = self.in_order.values();
        let is_free = self.in_order.is_empty()
            || !self.keeps_order()
                && self.has_room_in_order()
                && waiting.all(|entry| entry.shipment.turned_away.in_all() > 0);
        is_free && self.may_be_passed()
    }

    fn has_room_in_order(&self) -> bool {
        self.in_order.len() < self.slots * MAX_IN_ORDER
            && bytes_of(self.in_order.values()) < MAX_PASSED_BYTES
    }

    fn take_for_a_probe(&mut self) -> Option<Entry> {
        let tries = |entry: &Entry| {
            if self.keeps_order() {
                0
            } else {
                entry.shipment.rounds
            }
        };
        let next = self.in_order.iter().min_by_key(|(_, entry)| tries(entry));
        match next.map(|(first, _)| *first) {
            Some(first) => self.in_order.remove(&first),
            None => self.passed.pop_front(),
        }
    }

    fn send(&self, entry: Entry, now: Instant) -> Choice {
        let under_way = entry.is_suspect().then(|| self.suspects.begin(now));
        Choice::Send(Shipment {
            under_way,
            ..entry.shipment
        })
    }

    fn add_in_order(&mut self, entry: Entry) {
        let before = self.in_order.insert(entry.shipment.first(), entry);
        debug_assert!(before.is_none(), "an event is in one batch");
    }

    /// With one request at a time events arrive in the order in which they came.
    pub(super) fn keeps_order(&self) -> bool {
        self.slots == 1
    }

    /// Where order is kept, only what may be to blame itself; else also what was turned away again and again
    /// for reasons that speak of the Broker: they may be untrue.
    fn lets_others_pass(&self, shipment: &Shipment) -> bool {
        let failures = shipment.suspicion.failures();
        if self.keeps_order() {
            failures >= FAILURES_IN_ORDER
        } else {
            failures.max(shipment.turned_away.in_all()) >= FAILURES_OF_A_SUSPECT
        }
    }
}

fn bytes_of<'a>(entries: impl Iterator<Item = &'a Entry>) -> usize {
    entries.map(|entry| entry.bytes).sum()
}
