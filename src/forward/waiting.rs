//! Batches that failed and wait to be tried again, and which one is next. Pure: the time is given.

use std::collections::{BTreeMap, VecDeque};
use std::time::Duration;

use tokio::time::Instant;

use super::brokers::Admission;
use super::shipment::Shipment;
use super::suspicion::FAILURES_OF_A_SUSPECT;
use crate::event::Position;
use crate::spool::Part;

/// Where the batches that let others pass take so much, or are so many, none passes any more: they are in memory.
const MAX_PASSED_BYTES: usize = 64 * 1024 * 1024;
const MAX_PASSED: usize = 1024;

/// New events that are preferred to what waits may be withdrawn, so it is looked again this often.
const LOOK_AGAIN: Duration = Duration::from_secs(1);

/// Where order is kept, a batch lets others pass later.
const FAILURES_IN_ORDER: u32 = 2 * FAILURES_OF_A_SUSPECT;

/// The batches that wait.
pub(super) struct Waiting {
    /// By position. New batches come after them.
    in_order: BTreeMap<Position, Entry>,
    /// Those that new batches may pass, in the order in which they came.
    passed: VecDeque<Entry>,
    passed_bytes: usize,
    /// Requests that may be under way at all Brokers together.
    slots: usize,
}

struct Entry {
    shipment: Shipment,
    /// When its pause ends.
    due: Instant,
    /// Whether it waits only until its Broker takes something.
    is_put_off: bool,
}

impl Entry {
    fn bytes(&self) -> usize {
        let parts = self.shipment.batch.parts.len() * size_of::<Part>();
        self.shipment.bytes() + parts + size_of::<Self>()
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

impl Waiting {
    pub(super) fn new(slots: usize) -> Self {
        Self {
            in_order: BTreeMap::new(),
            passed: VecDeque::new(),
            passed_bytes: 0,
            slots,
        }
    }

    /// Takes a batch that is to be tried again when its pause is over.
    pub(super) fn add(&mut self, shipment: Shipment, due: Instant) {
        let lets_others_pass = shipment.suspicion.failures() >= self.patience();
        let entry = Entry {
            shipment,
            due,
            is_put_off: false,
        };
        if lets_others_pass {
            self.let_pass(entry);
        } else {
            self.add_in_order(entry);
        }
    }

    /// Takes a batch that others may pass until its Broker takes something. Those that were recalled and not tried since go with
    /// it: new ones would else wait for a probe with each of them.
    pub(super) fn put_off(&mut self, shipment: Shipment, due: Instant) {
        let recalled: Vec<Position> = self
            .in_order
            .iter()
            .filter(|(_, entry)| entry.is_put_off)
            .map(|(first, _)| *first)
            .collect();
        for first in recalled {
            let entry = self.in_order.remove(&first).expect("it was found");
            self.let_pass(entry);
        }
        self.let_pass(Entry {
            shipment,
            due,
            is_put_off: true,
        });
    }

    /// New batches may pass this one.
    fn let_pass(&mut self, entry: Entry) {
        self.passed_bytes += entry.bytes();
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
        self.passed_bytes = self.passed.iter().map(Entry::bytes).sum();
        for entry in recalled {
            self.add_in_order(Entry { due: now, ..entry });
        }
        true
    }

    fn may_be_passed(&self) -> bool {
        self.passed_bytes < MAX_PASSED_BYTES && self.passed.len() < MAX_PASSED
    }

    /// A Broker came up: what waited because it was down is tried at once.
    pub(super) fn end_pauses(&mut self, now: Instant) {
        for entry in self.in_order.values_mut() {
            entry.due = entry.due.min(now);
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
        let candidates = if self.keeps_order() { 1 } else { usize::MAX };
        let in_order = self.in_order.iter().take(candidates);
        let due = in_order.clone().find(|(_, entry)| entry.due <= now);
        if let Some(first) = due.map(|(first, _)| *first) {
            return self.send_in_order(first);
        }
        let next = in_order.map(|(_, entry)| entry.due).min();
        if let Some(index) = self.passed.iter().position(|entry| entry.due <= now) {
            return self.send_passed(index);
        }
        let next_passed = self.passed.iter().map(|entry| entry.due).min();
        let next = next.into_iter().chain(next_passed).min();
        if self.in_order.len() < self.slots && self.may_be_passed() {
            Choice::Lease(next)
        } else {
            Choice::Wait(next)
        }
    }

    /// The Broker has had its rest, which stands for the pauses of all batches.
    fn choose_for_a_probe(&mut self, has_new: bool, now: Instant) -> Choice {
        if let Some(first) = self.in_order.keys().next().copied() {
            self.send_in_order(first)
        } else if self.passed.is_empty() {
            Choice::Lease(None)
        } else if has_new && self.may_be_passed() {
            Choice::Lease(Some(now + LOOK_AGAIN))
        } else {
            self.send_passed(0)
        }
    }

    fn send_in_order(&mut self, first: Position) -> Choice {
        let entry = self.in_order.remove(&first).expect("it was found");
        Choice::Send(entry.shipment)
    }

    fn send_passed(&mut self, index: usize) -> Choice {
        let entry = self.passed.remove(index).expect("it was found");
        self.passed_bytes -= entry.bytes();
        Choice::Send(entry.shipment)
    }

    fn add_in_order(&mut self, entry: Entry) {
        let before = self.in_order.insert(entry.shipment.first(), entry);
        debug_assert!(before.is_none(), "an event is in one batch");
    }

    /// With one request at a time events arrive in the order in which they came.
    fn keeps_order(&self) -> bool {
        self.slots == 1
    }

    fn patience(&self) -> u32 {
        if self.keeps_order() {
            FAILURES_IN_ORDER
        } else {
            FAILURES_OF_A_SUSPECT
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::event::Lines;
    use crate::forward::suspicion::Record;

    const PAUSE: Duration = Duration::from_secs(1);

    fn shipment(first: Position) -> Shipment {
        shipment_of(first, 4)
    }

    fn shipment_of(first: Position, bytes: usize) -> Shipment {
        let lines = Lines {
            count: 1,
            bytes: (" ".repeat(bytes - 4) + "{},\n").into(),
        };
        Shipment::new(vec![Part { first, lines }])
    }

    fn suspect(first: Position, failures: u32) -> Shipment {
        let mut shipment = shipment(first);
        for _ in 0..failures {
            shipment.suspicion.failed(0, Record::default());
        }
        shipment
    }

    fn sent(choice: Choice) -> Option<Position> {
        match choice {
            Choice::Send(shipment) => Some(shipment.first()),
            Choice::Lease(_) | Choice::Wait(_) => None,
        }
    }

    #[test]
    fn what_is_due_comes_before_new_events_and_in_order() {
        let now = Instant::now();
        let mut waiting = Waiting::new(8);
        waiting.add(shipment(9), now);
        waiting.add(shipment(5), now);
        waiting.add(shipment(1), now + PAUSE);
        let mut choose = |now| waiting.choose(Admission::Free, true, now);
        assert_eq!(sent(choose(now)), Some(5));
        assert_eq!(sent(choose(now)), Some(9));
        assert!(matches!(choose(now), Choice::Lease(Some(next)) if next == now + PAUSE));
        assert_eq!(sent(choose(now + PAUSE)), Some(1));
        assert!(matches!(choose(now), Choice::Lease(None)));
    }

    #[test]
    fn a_batch_that_waits_holds_a_slot_so_that_one_slot_keeps_order() {
        let now = Instant::now();
        for slots in [1, 3] {
            let mut waiting = Waiting::new(slots);
            for first in 0..slots {
                let choice = waiting.choose(Admission::Free, true, now);
                assert!(matches!(choice, Choice::Lease(_)));
                waiting.add(shipment(first as Position), now + PAUSE);
            }
            let choice = waiting.choose(Admission::Free, true, now);
            assert!(matches!(choice, Choice::Wait(Some(next)) if next == now + PAUSE));
        }
    }

    #[test]
    fn where_order_is_kept_what_is_due_waits_for_what_came_before() {
        let now = Instant::now();
        for (slots, next) in [(1, None), (2, Some(2))] {
            let mut waiting = Waiting::new(slots);
            waiting.add(shipment(1), now + PAUSE);
            waiting.add(shipment(2), now);
            let choice = waiting.choose(Admission::Free, true, now);
            if slots == 1 {
                assert!(matches!(choice, Choice::Wait(Some(next)) if next == now + PAUSE));
            }
            assert_eq!(sent(choice), next);
        }
    }

    #[test]
    fn a_probe_is_made_with_the_oldest_batch_whatever_its_pause() {
        let now = Instant::now();
        let mut waiting = Waiting::new(8);
        waiting.add(shipment(9), now + PAUSE);
        waiting.add(shipment(5), now + 2 * PAUSE);
        assert_eq!(sent(waiting.choose(Admission::Probe, true, now)), Some(5));
        waiting.end_pauses(now);
        assert_eq!(sent(waiting.choose(Admission::Free, true, now)), Some(9));
    }

    #[test]
    fn a_batch_that_may_be_to_blame_lets_others_pass() {
        let now = Instant::now();
        for (slots, failures, passes) in [(8, 4, false), (8, 5, true), (1, 9, false), (1, 10, true)]
        {
            let mut waiting = Waiting::new(slots);
            waiting.add(suspect(1, failures), now + PAUSE);
            let choice = waiting.choose(Admission::Probe, true, now);
            assert_eq!(
                matches!(choice, Choice::Lease(_)),
                passes,
                "{slots} {failures}"
            );
        }
        let mut waiting = Waiting::new(1);
        waiting.add(suspect(1, 10), now + PAUSE);
        assert_eq!(sent(waiting.choose(Admission::Probe, false, now)), Some(1));
        waiting.add(suspect(1, 10), now);
        assert_eq!(sent(waiting.choose(Admission::Free, true, now)), Some(1));
    }

    #[test]
    fn what_is_put_off_is_bounded_and_takes_turns() {
        let now = Instant::now();
        let mut waiting = Waiting::new(8);
        for first in 0..4 {
            let choice = waiting.choose(Admission::Probe, true, now);
            assert!(matches!(choice, Choice::Lease(_)));
            waiting.put_off(shipment_of(first, MAX_PASSED_BYTES / 4), now);
        }
        for expected in [0, 1] {
            let Choice::Send(shipment) = waiting.choose(Admission::Probe, true, now) else {
                panic!("it is full");
            };
            assert_eq!(shipment.first(), expected);
            waiting.put_off(shipment, now);
        }
        assert!(waiting.recall(now));
        assert_eq!(sent(waiting.choose(Admission::Free, true, now)), Some(0));
        waiting.put_off(shipment(0), now);
        let choice = waiting.choose(Admission::Probe, true, now);
        assert!(matches!(choice, Choice::Lease(_)), "all are put off again");
        assert_eq!(sent(waiting.choose(Admission::Probe, false, now)), Some(1));
        assert!(waiting.recall(now));
        assert!(!waiting.recall(now), "once is enough");
    }
}
