//! A slot: the leave to send one request at a time to one Broker, and what is noted of what comes of it.

use std::sync::{Arc, MutexGuard};

use tokio::time::Instant;

use super::{Broker, State};
use crate::forward::circuit_breaker::{Change, Ticket, Trip};
use crate::forward::client::BrokerClient;
use crate::forward::encode::encode;
use crate::forward::outcome::{Failure, Outcome};
use crate::forward::shipment::Shipment;
use crate::forward::suspicion::Blame;
use crate::telemetry::events::{BrokerDown, BrokerUp};

/// The leave to send one request at a time to one Broker. Free again when dropped.
pub(in crate::forward) struct Slot {
    broker: Arc<Broker>,
    client: BrokerClient,
    ticket: Ticket,
}

impl Slot {
    pub(super) fn new(broker: Arc<Broker>, client: BrokerClient, ticket: Ticket) -> Self {
        Self {
            broker,
            client,
            ticket,
        }
    }

    pub(in crate::forward) fn broker(&self) -> &Broker {
        &self.broker
    }

    /// Sends a batch and waits for what comes of it.
    pub(in crate::forward) async fn send(&self, shipment: &Shipment) -> Outcome {
        let begun = Instant::now();
        let body = encode(&shipment.batch, self.broker.format);
        let metrics = &self.broker.metrics;
        let sending = self.client.send(shipment.id, body, &metrics.errored);
        let outcome = sending.await;
        let took = begun.elapsed();
        metrics.duration.record(took.as_secs_f64());
        match outcome {
            Outcome::Delivered => metrics.delivered.increment(1),
            Outcome::Rejected(_) => metrics.rejected.increment(1),
            Outcome::Errored(_) => metrics.errored.increment(1),
        }
        // One that fails at once is not a quick one.
        if !matches!(outcome, Outcome::Errored(_)) {
            let mut state = self.broker.lock();
            state.latency.observe(took, Instant::now());
        }
        outcome
    }

    /// The Broker took a batch; whether it came up with that.
    pub(in crate::forward) fn note_delivery(&self) -> bool {
        let mut state = self.broker.lock();
        state.rejections.end();
        state.record.taken += 1;
        if state.window.note_taken() {
            self.tell_window(&state);
            // This slot may go on with the rest of its batch for long.
            self.broker.changed.notify_one();
        }
        self.note_success(state)
    }

    /// The Broker has rejected a batch.
    pub(in crate::forward) fn note_rejection(&self, shipment: &Shipment) -> Blame {
        let events = shipment.batch.events();
        self.broker.lock().rejections.note(events)
    }

    /// Whether the Broker is down because it rejects everything.
    pub(in crate::forward) fn rejects_all(&self) -> bool {
        self.broker.lock().rejections.blame() == Blame::Broker
    }

    /// A batch has failed.
    pub(in crate::forward) fn note_failure(
        &self,
        shipment: &mut Shipment,
        failure: &Failure,
    ) -> Blame {
        let mut state = self.broker.lock();
        if failure.is_busy {
            let in_flight = state.in_flight();
            state.window.note_busy(in_flight);
            self.tell_window(&state);
        }
        if !failure.may_be_the_events {
            return Blame::Broker;
        }
        let record = state.record;
        state.record.failed += 1;
        drop(state);
        shipment
            .suspicion
            .note_failure(self.broker.identity.index, record)
    }

    /// The Broker answers as it should; whether it came up with that.
    pub(in crate::forward) fn note_working(&self) -> bool {
        self.note_success(self.broker.lock())
    }

    fn note_success(&self, mut state: MutexGuard<'_, State>) -> bool {
        if state.circuit_breaker.note_success(self.ticket) != Change::CameUp {
            return false;
        }
        // Under the lock, or it could be said in another order than it happened.
        self.broker.metrics.up.set(1.0);
        if state.notices.note_up() {
            BrokerUp {
                broker: &self.broker.identity.label,
            }
            .emit();
        }
        drop(state);
        self.broker.changed.notify_one();
        true
    }

    fn tell_window(&self, state: &State) {
        self.broker.metrics.window.set(state.window.width() as f64);
    }

    /// The Broker failed.
    pub(in crate::forward) fn note_broker_failure(&self, trip: Trip, reason: &str) {
        let mut state = self.broker.lock();
        let (now, random) = (Instant::now(), fastrand::f64());
        let change = state
            .circuit_breaker
            .note_failure(self.ticket, trip, now, random);
        if change == Change::WentDown {
            self.broker.metrics.up.set(0.0);
        }
        let until = state.circuit_breaker.rests_until().unwrap_or(now);
        if state.circuit_breaker.is_down_for_a_while()
            && let Some(untold) = state.notices.note_down(now, until)
        {
            BrokerDown {
                broker: &self.broker.identity.label,
                reason,
                untold,
            }
            .emit();
        }
        drop(state);
        self.broker.changed.notify_one();
    }

    /// Whether another request may be sent in this slot; not when the Broker went down meanwhile.
    pub(in crate::forward) fn goes_on(&mut self) -> bool {
        let ticket = self.broker.lock().circuit_breaker.begin(Instant::now());
        ticket.inspect(|ticket| self.ticket = *ticket).is_some()
    }
}

impl Drop for Slot {
    fn drop(&mut self) {
        let client = self.client.clone();
        let mut state = self.broker.lock();
        if client.has_connection() {
            state.free.push(client);
        } else {
            state.free.insert(0, client);
        }
        drop(state);
        self.broker.changed.notify_one();
    }
}
