//! One Broker: what is known of it, and what it offers a batch. Acts on what
//! [`circuit_breaker`](super::circuit_breaker) and [`balancer`](super::balancer) say.

mod identity;
mod notices;
mod slot;

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::Notify;
use tokio::time::Instant;

use super::BrokerStatus;
use super::backoff::Backoff;
use super::balancer::{self, Latency};
use super::circuit_breaker::{Admits, CircuitBreaker};
use super::client::BrokerClient;
use super::suspicion::{Record, Rejections};
use super::window::Window;
use crate::config::{self, BrokerFormat};
#[cfg(test)]
use crate::config::{Config, OutputType};
use crate::telemetry::BrokerMetrics;
#[cfg(test)]
use crate::telemetry::Telemetry;
pub(super) use identity::{Identity, identities};
use notices::Notices;
pub(super) use slot::Slot;

/// An HTTP delivery target.
pub(super) struct Broker {
    pub(super) identity: Identity,
    format: BrokerFormat,
    metrics: BrokerMetrics,
    state: Mutex<State>,
    changed: Arc<Notify>,
}

struct State {
    slots: usize,
    circuit_breaker: CircuitBreaker,
    latency: Latency,
    window: Window,
    record: Record,
    notices: Notices,
    rejections: Rejections,
    /// A client for each slot that is free. The one used last is used first, so that others may idle and be
    /// closed; but one without a connection after all that have one, for there may be no file handle for
    /// another.
    free: Vec<BrokerClient>,
}

/// What a Broker says when it is asked for a slot.
#[derive(Clone, Copy, Debug)]
pub(super) enum Offer {
    /// There is one, and this is its cost.
    Slot { cost: f64 },
    /// There is one for a probe.
    Probe,
    /// There is none before this moment.
    NotBefore(Instant),
    /// There is none before it changes.
    None,
}

impl Broker {
    /// One that is up, with a slot for each client. `changed` is told when it may admit what it did not admit before.
    pub(super) fn new(
        identity: Identity,
        config: &config::Broker,
        metrics: BrokerMetrics,
        clients: Vec<BrokerClient>,
        changed: Arc<Notify>,
    ) -> Self {
        metrics.up.set(1.0);
        metrics.window.set(clients.len() as f64);
        Self {
            identity,
            format: config.format,
            metrics,
            state: Mutex::new(State {
                slots: clients.len(),
                circuit_breaker: CircuitBreaker::new(Backoff::of(config)),
                latency: Latency::default(),
                window: Window::new(clients.len()),
                record: Record::default(),
                notices: Notices::default(),
                rejections: Rejections::default(),
                free: clients,
            }),
            changed,
        }
    }

    /// One that nothing is sent to.
    #[cfg(test)]
    pub(super) fn unconnected(identity: Identity, slots: usize, changed: Arc<Notify>) -> Arc<Self> {
        let telemetry = Telemetry::new(vec![], 1, OutputType::Http);
        let metrics = telemetry.broker(&identity.label);
        let config = config::Broker {
            max_in_flight: slots,
            ..Config::default().broker
        };
        let clients = BrokerClient::unconnected(&identity.url, &config);
        Arc::new(Self::new(identity, &config, metrics, clients, changed))
    }

    /// What a request would meet now.
    pub(super) fn offer(&self, now: Instant) -> Offer {
        let state = self.lock();
        match state.circuit_breaker.admits(now) {
            Admits::Freely if state.has_room() => Offer::Slot {
                cost: balancer::cost(state.latency, state.in_flight(), now),
            },
            Admits::Probe if !state.free.is_empty() => Offer::Probe,
            Admits::NotBefore(moment) => Offer::NotBefore(moment),
            Admits::Freely | Admits::Probe | Admits::AfterProbe => Offer::None,
        }
    }

    /// The requests that may be under way to it while it is up.
    pub(super) fn slots_up(&self) -> usize {
        let state = self.lock();
        if state.circuit_breaker.is_up() {
            state.window.width()
        } else {
            0
        }
    }

    /// Takes a slot, if there still is one.
    pub(super) fn take(self: &Arc<Self>, now: Instant) -> Option<Slot> {
        let mut state = self.lock();
        // What was sent before a rest and hangs is no reason to put off the probe.
        if state.circuit_breaker.is_up() && !state.has_room() {
            return None;
        }
        state.free.last()?;
        let ticket = state.circuit_breaker.begin(now)?;
        Some(Slot::new(Arc::clone(self), state.free.pop()?, ticket))
    }

    /// Ends a rest that it did not ask for.
    pub(super) fn end_rest(&self) {
        self.lock().circuit_breaker.end_rest(Instant::now());
        self.changed.notify_one();
    }

    pub(super) fn status(&self) -> BrokerStatus {
        let state = self.lock();
        BrokerStatus {
            url: self.identity.url_without_query(),
            up: state.circuit_breaker.is_up(),
            in_flight: state.in_flight(),
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn in_flight(&self) -> usize {
        self.slots - self.free.len()
    }

    fn has_room(&self) -> bool {
        self.in_flight() < self.window.width()
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use futures_util::FutureExt;

    use super::*;
    use crate::event::Lines;
    use crate::forward::circuit_breaker::{Evidence, Trip};
    use crate::forward::outcome::Failure;
    use crate::forward::shipment::Shipment;
    use crate::spool::Part;

    fn broker() -> Arc<Broker> {
        let url = "http://127.0.0.1:9/in?secret=x".parse().unwrap();
        let [identity] = identities(&[url]).try_into().ok().unwrap();
        Broker::unconnected(identity, 2, Arc::default())
    }

    fn shipment() -> Shipment {
        let lines = Lines {
            count: 1,
            bytes: "{},\n".into(),
        };
        Shipment::new(vec![Part { first: 0, lines }])
    }

    fn busy() -> Failure {
        Failure {
            retry_after: None,
            reason: String::new(),
            refused: None,
            may_be_the_events: false,
            is_busy: true,
        }
    }

    #[test]
    fn a_slot_is_free_again_when_it_is_dropped() {
        let broker = broker();
        let now = Instant::now();
        let slots = [broker.take(now), broker.take(now)].map(Option::unwrap);
        assert!(broker.take(now).is_none());
        assert!(matches!(broker.offer(now), Offer::None));
        assert_eq!(broker.status().in_flight, 2);
        drop(slots);
        assert!(matches!(broker.offer(now), Offer::Slot { .. }));
        assert_eq!(broker.status().in_flight, 0);
    }

    #[test]
    fn a_slot_ends_with_the_failure_of_its_broker() {
        let broker = broker();
        let now = Instant::now();
        let [mut one, other] = [broker.take(now), broker.take(now)].map(Option::unwrap);
        assert!(one.goes_on());
        let trip = Trip {
            evidence: Evidence::Enough,
            retry_after: Some(Duration::from_secs(60)),
            ..Trip::default()
        };
        other.note_broker_failure(trip, "x");
        assert!(!broker.status().up);
        assert!(!one.goes_on());
        assert!(matches!(broker.offer(now), Offer::NotBefore(_)));
    }

    #[test]
    fn a_busy_one_has_less_room_but_for_a_probe() {
        let broker = broker();
        let now = Instant::now();
        let [hangs, turned_away] = [broker.take(now), broker.take(now)].map(Option::unwrap);
        turned_away.note_failure(&mut shipment(), &busy());
        assert!(matches!(broker.offer(now), Offer::None));
        drop(turned_away);
        assert!(matches!(broker.offer(now), Offer::None));
        assert!(broker.take(now).is_none());
        let trip = Trip {
            evidence: Evidence::Enough,
            ..Trip::default()
        };
        hangs.note_broker_failure(trip, "x");
        let later = now + Duration::from_secs(3600);
        assert!(matches!(broker.offer(later), Offer::Probe));
        assert!(broker.take(later).is_some());
    }

    #[test]
    fn more_room_is_told_though_the_slot_goes_on() {
        let broker = broker();
        let now = Instant::now();
        let [goes_on, turned_away] = [broker.take(now), broker.take(now)].map(Option::unwrap);
        turned_away.note_failure(&mut shipment(), &busy());
        drop(turned_away);
        let is_told = || broker.changed.notified().now_or_never().is_some();
        assert!(is_told());
        while !matches!(broker.offer(now), Offer::Slot { .. }) {
            assert!(!is_told());
            goes_on.note_delivery();
        }
        assert!(is_told());
    }

    #[test]
    fn the_status_shows_no_query() {
        assert_eq!(broker().status().url, "http://127.0.0.1:9/in");
    }
}
