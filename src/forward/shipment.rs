//! A batch on its way, with its id and what came of the tries so far.

use std::fmt;

use super::batch::Batch;
use super::suspects::SuspectUnderWay;
use super::suspicion::Suspicion;
use super::turned_away::{Intake, TurnedAway};
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
    pub(super) turned_away: TurnedAway,
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
            turned_away: TurnedAway::default(),
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
            turned_away: self.turned_away.of_a_part(),
            ..Self::of(half, self.suspicion.clone())
        })
    }

    /// Takes one apart that is in the way of its own events.
    pub(super) fn halve_turned_away(self, now: Intake) -> [Self; 2] {
        let turned_away = self.turned_away.of_a_half(now);
        self.halve().map(|half| Self {
            turned_away: turned_away.clone(),
            ..half
        })
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

    fn shipment() -> Shipment {
        let lines = Lines {
            count: 2,
            bytes: "{},\n{},\n".into(),
        };
        Shipment::new(vec![Part { first: 7, lines }])
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
