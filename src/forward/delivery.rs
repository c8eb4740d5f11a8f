//! One batch on its way: sent, and sent again, until it is delivered, dead, or back among those that wait. Acts on
//! outcomes and holds no policy of its own.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use bytes::Bytes;
use tokio::time::Instant;

use super::Shared;
use super::backoff::Backoff;
use super::batches::Batches;
use super::broker::Slot;
use super::brokers::Brokers;
use super::circuit_breaker::{Evidence, Trip};
use super::outcome::{Failure, Outcome, Refused};
use super::shipment::Shipment;
use super::suspicion::{Blame, FAILURES_OF_A_SUSPECT, REJECTIONS_OF_A_BROKEN_BROKER};
use super::turned_away::Intake;
use crate::dead_letters::UndeliverableEvent;
use crate::event::Position;
use crate::telemetry::DeathReason;

/// What all deliveries share.
pub(super) struct Delivery {
    pub(super) batches: Batches,
    pub(super) brokers: Arc<Brokers>,
    pub(super) backoff: Backoff,
    pub(super) shared: Shared,
    pub(super) intake: Mutex<Intake>,
}

/// Why events die, should their batch be down to one.
struct DeathCause {
    reason: DeathReason,
    status: Option<u16>,
    message: String,
}

impl Delivery {
    /// Sends a batch. If it is due to its events that it is not taken, its halves, and so on down to the culprits.
    pub(super) async fn run(&self, mut shipment: Shipment, slot: Slot) {
        let _under_way = shipment.under_way.take();
        let mut slot = slot;
        let mut to_send = vec![shipment];
        while let Some(mut shipment) = to_send.pop() {
            match slot.send(&shipment).await {
                Outcome::Delivered => self.delivered(&shipment, &slot),
                Outcome::Rejected(refused) => match slot.note_rejection(&shipment) {
                    Blame::Events => {
                        let cause = DeathCause::rejected(&refused);
                        self.divide(shipment, &cause, &slot, &mut to_send).await;
                    }
                    Blame::Broker => {
                        to_send.push(shipment);
                        return self.put_off(to_send, &slot, refused.status);
                    }
                },
                Outcome::Errored(failure) => match self.blame(&mut shipment, &slot, &failure) {
                    Blame::Events => {
                        let cause = DeathCause::poison(&failure);
                        self.divide(shipment, &cause, &slot, &mut to_send).await;
                    }
                    Blame::Broker => {
                        note_broker_failure(&mut shipment, &slot, &failure);
                        let Some(other) = self.brokers.take_but(&shipment.failed_at) else {
                            self.end_round(shipment, &failure);
                            return self.interrupt(to_send, &slot);
                        };
                        slot = other;
                        to_send.push(shipment);
                    }
                },
            }
            if !to_send.is_empty() && !slot.goes_on() {
                return self.interrupt(to_send, &slot);
            }
        }
    }

    fn delivered(&self, shipment: &Shipment, slot: &Slot) {
        if slot.note_delivery() {
            self.batches.end_pauses();
        }
        if shipment.rounds > 0 {
            self.batches.end_next_pause();
        }
        self.batches.recall();
        self.intake().note_taken(&shipment.turned_away);
        let events = shipment.batch.events() as u64;
        self.shared.telemetry.delivered(events);
        self.shared.spool.ack(shipment.batch.parts());
    }

    /// Whose fault a failure is.
    fn blame(&self, shipment: &mut Shipment, slot: &Slot, failure: &Failure) -> Blame {
        if failure.reached_a_broker() {
            self.intake().note_turned_away(&mut shipment.turned_away);
        }
        slot.note_failure(shipment, failure)
    }

    fn intake(&self) -> MutexGuard<'_, Intake> {
        self.intake.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// It failed at every Broker that had room. Where others are taken all the while, its halves are tried: the
    /// Broker may say of itself what is due to one event, and the others would wait with that one.
    fn end_round(&self, mut shipment: Shipment, failure: &Failure) {
        let intake = *self.intake();
        shipment.asks_for_rest = failure.retry_after.is_some_and(|after| !after.is_zero());
        let is_in_the_way = shipment.turned_away.is_in_the_way(intake);
        if is_in_the_way && shipment.batch.events() > 1 && !self.batches.keeps_order() {
            for half in shipment.halve_turned_away(intake) {
                self.give_back(half, failure);
            }
        } else {
            self.give_back(shipment, failure);
        }
    }

    /// Lets it wait. What a Broker asks for is kept by that Broker's rest: another one may take the batch before.
    fn give_back(&self, mut shipment: Shipment, failure: &Failure) {
        shipment.begin_round();
        let pause = self.backoff.pause(shipment.rounds, fastrand::f64());
        let pause = failure.retry_after.map_or(pause, |after| after.min(pause));
        self.batches.give_back([shipment], Instant::now() + pause);
    }

    /// The Broker is down: what is left of a batch, the last part first, waits. It becomes one again, unless
    /// the Broker rejects all: with a culprit among them nothing that is joined can show that it takes
    /// others.
    fn interrupt(&self, rest: Vec<Shipment>, slot: &Slot) {
        let rest = rest.into_iter().rev();
        if slot.rejects_all() {
            self.batches.put_off(rest);
        } else {
            self.batches
                .give_back(rest.reduce(Shipment::join), Instant::now());
        }
    }

    /// The Broker has wanted nothing for so long that this speaks of itself.
    fn put_off(&self, shipments: Vec<Shipment>, slot: &Slot, status: u16) {
        let trip = Trip {
            evidence: Evidence::Enough,
            ..Trip::default()
        };
        let reason = format!(
            "it answered {status} to more than {REJECTIONS_OF_A_BROKEN_BROKER} events in a row: that speaks of the Broker, not of the events"
        );
        slot.note_broker_failure(trip, &reason);
        self.interrupt(shipments, slot);
    }

    /// The Broker works, and it is due to the events: halves the batch for the culprits to be found;
    /// one event that is left over is one.
    async fn divide(
        &self,
        shipment: Shipment,
        cause: &DeathCause,
        slot: &Slot,
        to_send: &mut Vec<Shipment>,
    ) {
        if slot.note_working() {
            self.batches.end_pauses();
        }
        match shipment.batch.single() {
            Some((position, event)) => {
                self.dead_letter(position, event, cause, slot).await;
                self.shared.spool.ack(shipment.batch.parts());
            }
            None => {
                let [left, right] = shipment.halve();
                to_send.extend([right, left]);
            }
        }
    }

    async fn dead_letter(&self, position: Position, event: Bytes, cause: &DeathCause, slot: &Slot) {
        let dead_letters = self.shared.dead_letters.clone();
        let broker = slot.broker().identity.label.clone();
        let (reason, status) = (cause.reason, cause.status);
        let message = cause.message.clone();
        let write = move || {
            dead_letters.keep_undeliverable(&UndeliverableEvent {
                position,
                event: &event,
                broker: &broker,
                reason,
                status,
                message: &message,
            })
        };
        self.shared.letter_writes.until_kept(write).await;
    }
}

/// The Broker of this slot has failed with this batch.
fn note_broker_failure(shipment: &mut Shipment, slot: &Slot, failure: &Failure) {
    let broker = slot.broker().identity.index;
    shipment.failed_at.push(broker);
    let is_no_news = failure.may_be_the_events && shipment.suspicion.is_no_news(broker);
    let round = if failure.is_busy {
        // It works, and its window sees to it that batches wait.
        0
    } else {
        // What is tried for ever must not make the Broker rest longer and longer for what it does take.
        (shipment.rounds + 1).min(FAILURES_OF_A_SUSPECT)
    };
    let trip = Trip {
        retry_after: failure.retry_after,
        round,
        evidence: if is_no_news {
            Evidence::NoNews
        } else {
            Evidence::OneOfSeveral
        },
    };
    slot.note_broker_failure(trip, &failure.reason);
}

impl DeathCause {
    fn rejected(refused: &Refused) -> Self {
        Self {
            reason: DeathReason::RejectedByBroker,
            status: Some(refused.status),
            message: refused.in_words(),
        }
    }

    fn poison(failure: &Failure) -> Self {
        let last = match &failure.refused {
            Some(refused) => refused.in_words(),
            None => failure.reason.clone(),
        };
        Self {
            reason: DeathReason::Poison,
            status: failure.refused.as_ref().map(|refused| refused.status),
            message: format!("it failed again and again while the Broker took others: {last}"),
        }
    }
}
