//! A batch on its way, with its id and what came of the tries so far.

use std::fmt;

use super::batch::Batch;
use super::suspects::SuspectUnderWay;
use super::suspicion::{FAILURES_OF_A_SUSPECT, Suspicion};
use crate::event::Position;
use crate::spool::Part;

/// What a Broker's log can tell batches by: the same for each try of a batch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct BatchId(u128);

impl BatchId {
    fn new() -> Self {
        Self(fastrand::u128(..))
    }
}

impl fmt::Display for BatchId {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{:032x}", self.0)
    }
}

/// A batch and its history.
#[derive(Debug)]
pub(super) struct Shipment {
    pub(super) id: BatchId,
    pub(super) batch: Batch,
    pub(super) suspicion: Suspicion,
    /// How often it was tried at every Broker that there was.
    pub(super) rounds: u32,
    /// How often a Broker that was reached did not take it, for whatever reason.
    pub(super) turned_away: u32,
    /// How many batches had been taken when it was turned away first, or when it was made of one that was.
    pub(super) taken_before: Option<u64>,
    /// Whether it was last turned away with the wish for a rest.
    pub(super) asks_for_rest: bool,
    /// The Brokers that it failed at in this round.
    pub(super) failed_at: Vec<usize>,
    /// Until its sending is over, where it is a suspect.
    pub(super) under_way: Option<SuspectUnderWay>,
}

impl Shipment {
    /// `parts` are what was leased.
    pub(super) fn new(parts: Vec<Part>) -> Self {
        Self::of(Batch::new(parts), Suspicion::default())
    }

    fn of(batch: Batch, suspicion: Suspicion) -> Self {
        Self {
            id: BatchId::new(),
            batch,
            suspicion,
            rounds: 0,
            turned_away: 0,
            taken_before: None,
            asks_for_rest: false,
            failed_at: vec![],
            under_way: None,
        }
    }

    /// The position of its first event.
    pub(super) fn first(&self) -> Position {
        self.batch.first()
    }

    /// Takes it apart, in order; for a batch of at least two events. The halves are new batches.
    pub(super) fn halve(self) -> [Self; 2] {
        let (left, right) = self.batch.halve();
        [left, right].map(|half| Self {
            turned_away: self.turned_away,
            ..Self::of(half, self.suspicion.clone())
        })
    }

    /// Takes one apart that is turned away when so many batches were taken. What is taken of one half speaks against the
    /// other, whichever is tried first.
    pub(super) fn halve_turned_away(self, taken: u64) -> [Self; 2] {
        self.halve().map(|half| Self {
            taken_before: Some(taken),
            ..half
        })
    }

    /// It is turned away when so many batches were taken. Whether its halves are to be tried, for one of them may be taken
    /// where the whole is not. A half is not halved again at once: to a Broker that is busy that would be more and more
    /// requests.
    pub(super) fn is_in_the_way(&mut self, taken: u64) -> bool {
        let is_passed_by_others = taken > *self.taken_before.get_or_insert(taken);
        let is_tried_enough = self.turned_away >= FAILURES_OF_A_SUSPECT && self.rounds > 0;
        is_passed_by_others && is_tried_enough && self.batch.events() > 1
    }

    /// Puts it together again with what follows it. The whole is a new batch.
    pub(super) fn join(self, next: Self) -> Self {
        Self::of(self.batch.join(next.batch), self.suspicion)
    }

    /// Bytes of its events.
    pub(super) fn bytes(&self) -> usize {
        self.batch.bytes()
    }

    /// Begins a new round of tries.
    pub(super) fn begin_round(&mut self) {
        self.rounds = self.rounds.saturating_add(1);
        self.failed_at.clear();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::event::Lines;

    fn of_events(count: usize) -> Shipment {
        let bytes = "{},\n".repeat(count).into();
        let lines = Lines { count, bytes };
        Shipment::new(vec![Part { first: 7, lines }])
    }

    fn shipment() -> Shipment {
        of_events(2)
    }

    fn turned_away(shipment: Shipment) -> Shipment {
        Shipment {
            turned_away: FAILURES_OF_A_SUSPECT,
            rounds: 1,
            ..shipment
        }
    }

    #[test]
    fn what_was_taken_of_one_half_speaks_against_the_other() {
        let mut whole = turned_away(shipment());
        assert!(!whole.is_in_the_way(3));
        assert!(!whole.is_in_the_way(3));
        assert!(whole.is_in_the_way(4));
        let [_taken, mut other] = turned_away(of_events(4)).halve_turned_away(4);
        assert!(!other.is_in_the_way(5), "not at once");
        other.begin_round();
        assert!(other.is_in_the_way(5));
        let [mut left, mut right] = turned_away(of_events(4))
            .halve_turned_away(5)
            .map(turned_away);
        assert!(!left.is_in_the_way(5) && !right.is_in_the_way(5));
    }

    #[test]
    fn an_id_stays_and_halves_have_their_own() {
        let mut shipment = shipment();
        let id = shipment.id;
        assert_eq!(id.to_string().len(), 32);
        shipment.begin_round();
        assert_eq!((shipment.id, shipment.rounds), (id, 1));
        let [left, right] = shipment.halve();
        assert!(left.id != id && right.id != id && left.id != right.id);
        assert_eq!((left.first(), right.first(), left.rounds), (7, 8, 0));
        let whole = left.join(right);
        assert_eq!(
            (whole.first(), whole.batch.events(), whole.bytes()),
            (7, 2, 8)
        );
    }
}
