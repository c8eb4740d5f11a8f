//! One Broker: what is known of it, and the slots in which requests are under way to it. Acts on what
//! [`circuit_breaker`](super::circuit_breaker) and [`balancer`](super::balancer) say.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::Notify;
use tokio::time::Instant;
use url::Url;

use super::BrokerStatus;
use super::backoff::Backoff;
use super::balancer::{self, Latency};
use super::circuit_breaker::{Admits, Change, CircuitBreaker, Ticket, Trip};
use super::client::BrokerClient;
use super::encode::encode;
use super::outcome::{Failure, Outcome};
use super::shipment::Shipment;
use super::suspicion::{Blame, Record, Rejections};
use crate::config::{self, BrokerFormat};
use crate::telemetry::BrokerMetrics;
use crate::telemetry::events::{BrokerDown, BrokerUp};

/// An HTTP delivery target.
pub(super) struct Broker {
    /// Its place among the others.
    pub(super) index: usize,
    /// How it is called in metrics, logs and dead letters.
    pub(super) label: String,
    url: Url,
    format: BrokerFormat,
    slots: usize,
    metrics: BrokerMetrics,
    state: Mutex<State>,
    /// Told when it may admit what it did not admit before.
    changed: Arc<Notify>,
}

struct State {
    circuit_breaker: CircuitBreaker,
    latency: Latency,
    record: Record,
    /// Whether the operator was told that it is down.
    is_told: bool,
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
    pub(super) fn new(
        index: usize,
        label: String,
        url: &Url,
        config: &config::Broker,
        metrics: BrokerMetrics,
        clients: Vec<BrokerClient>,
        changed: Arc<Notify>,
    ) -> Self {
        metrics.up.set(1.0);
        Self {
            index,
            label,
            url: url.clone(),
            format: config.format,
            slots: clients.len(),
            metrics,
            state: Mutex::new(State {
                circuit_breaker: CircuitBreaker::new(Backoff::of(config)),
                latency: Latency::default(),
                record: Record::default(),
                is_told: false,
                rejections: Rejections::default(),
                free: clients,
            }),
            changed,
        }
    }

    /// What a request would meet now.
    pub(super) fn offer(&self, now: Instant) -> Offer {
        let state = self.lock();
        let has_room = !state.free.is_empty();
        match state.circuit_breaker.admits(now) {
            Admits::Freely if has_room => Offer::Slot {
                cost: balancer::cost(state.latency, self.slots - state.free.len(), now),
            },
            Admits::Probe if has_room => Offer::Probe,
            Admits::NotBefore(moment) => Offer::NotBefore(moment),
            Admits::Freely | Admits::Probe | Admits::AfterProbe => Offer::None,
        }
    }

    /// The requests that may be under way to it while it is up.
    pub(super) fn slots_up(&self) -> usize {
        if self.lock().circuit_breaker.is_up() {
            self.slots
        } else {
            0
        }
    }

    /// Takes a slot, if there still is one.
    pub(super) fn take(self: &Arc<Self>, now: Instant) -> Option<Slot> {
        let mut state = self.lock();
        state.free.last()?;
        let ticket = state.circuit_breaker.begin(now)?;
        Some(Slot {
            broker: Arc::clone(self),
            client: state.free.pop()?,
            ticket,
        })
    }

    pub(super) fn status(&self) -> BrokerStatus {
        let state = self.lock();
        BrokerStatus {
            url: without_query(&self.url),
            up: state.circuit_breaker.is_up(),
            in_flight: self.slots - state.free.len(),
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The leave to send one request at a time to one Broker. Free again when dropped.
pub(super) struct Slot {
    broker: Arc<Broker>,
    client: BrokerClient,
    ticket: Ticket,
}

impl Slot {
    pub(super) fn broker(&self) -> &Broker {
        &self.broker
    }

    /// Sends a batch and waits for what comes of it.
    pub(super) async fn send(&self, shipment: &Shipment) -> Outcome {
        let begun = Instant::now();
        let body = encode(&shipment.batch, self.broker.format);
        let outcome = self.client.send(shipment.id, body).await;
        let took = begun.elapsed();
        let metrics = &self.broker.metrics;
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
    pub(super) fn note_delivery(&self) -> bool {
        let mut state = self.broker.lock();
        state.rejections.end();
        state.record.taken += 1;
        self.note_success(state)
    }

    /// The Broker has rejected a batch.
    pub(super) fn note_rejection(&self, shipment: &Shipment) -> Blame {
        let events = shipment.batch.events();
        self.broker.lock().rejections.note(events)
    }

    /// Whether the Broker is down because it rejects everything.
    pub(super) fn rejects_all(&self) -> bool {
        self.broker.lock().rejections.blame() == Blame::Broker
    }

    /// A batch has failed.
    pub(super) fn note_failure(&self, shipment: &mut Shipment, failure: &Failure) -> Blame {
        shipment.turned_away += u32::from(failure.reached_a_broker());
        if !failure.may_be_the_events {
            return Blame::Broker;
        }
        let mut state = self.broker.lock();
        let record = state.record;
        state.record.failed += 1;
        drop(state);
        shipment.suspicion.note_failure(self.broker.index, record)
    }

    /// The Broker answers as it should; whether it came up with that.
    pub(super) fn note_working(&self) -> bool {
        self.note_success(self.broker.lock())
    }

    fn note_success(&self, mut state: MutexGuard<'_, State>) -> bool {
        if state.circuit_breaker.note_success(self.ticket) != Change::CameUp {
            return false;
        }
        let was_told = std::mem::take(&mut state.is_told);
        // Under the lock, or it could be said in another order than it happened.
        self.broker.metrics.up.set(1.0);
        drop(state);
        if was_told {
            BrokerUp {
                broker: &self.broker.label,
            }
            .emit();
        }
        self.broker.changed.notify_one();
        true
    }

    /// The Broker failed.
    pub(super) fn note_broker_failure(&self, trip: Trip, reason: &str) {
        let mut state = self.broker.lock();
        let (now, random) = (Instant::now(), fastrand::f64());
        let change = state
            .circuit_breaker
            .note_failure(self.ticket, trip, now, random);
        let is_to_be_told = state.circuit_breaker.is_down_for_a_while() && !state.is_told;
        state.is_told |= is_to_be_told;
        if change == Change::WentDown {
            self.broker.metrics.up.set(0.0);
        }
        drop(state);
        if is_to_be_told {
            BrokerDown {
                broker: &self.broker.label,
                reason,
            }
            .emit();
        }
        self.broker.changed.notify_one();
    }

    /// Whether another request may be sent in this slot; not when the Broker went down meanwhile.
    pub(super) fn goes_on(&mut self) -> bool {
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

/// How each of these is called: by its address, and by its path too where another has the same address. Never by its
/// query, which may hold a secret: those that differ in nothing else are numbered.
pub(super) fn labels(urls: &[Url]) -> Vec<String> {
    let addresses: Vec<String> = urls.iter().map(address).collect();
    let label = |(url, address): (&Url, &String)| {
        let are_several = addresses.iter().filter(|other| *other == address).count() > 1;
        let path = if are_several { url.path() } else { "" };
        format!("{address}{path}")
    };
    let labels: Vec<String> = std::iter::zip(urls, &addresses).map(label).collect();
    let numbered = |(index, label): (usize, &String)| {
        let before = labels[..index].iter().filter(|other| *other == label);
        match before.count() {
            0 => label.clone(),
            earlier => format!("{label}#{}", earlier + 1),
        }
    };
    labels.iter().enumerate().map(numbered).collect()
}

/// Host and port.
fn address(url: &Url) -> String {
    let host = url.host_str().unwrap_or_default();
    let port = url.port_or_known_default().unwrap_or_default();
    format!("{host}:{port}")
}

/// The query may hold a secret.
fn without_query(url: &Url) -> String {
    let mut url = url.clone();
    url.set_query(None);
    url.to_string()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Config;
    use crate::config::OutputType;
    use crate::forward::circuit_breaker::Evidence;
    use crate::telemetry::Telemetry;

    fn broker() -> Arc<Broker> {
        let telemetry = Telemetry::new(vec![], 1, OutputType::Http);
        let mut config = Config::default().broker;
        config.max_in_flight = 2;
        let url = "http://127.0.0.1:9/in?secret=x".parse().unwrap();
        let metrics = telemetry.broker("127.0.0.1:9");
        let clients = BrokerClient::unconnected(&url, &config);
        Arc::new(Broker::new(
            0,
            "127.0.0.1:9".to_owned(),
            &url,
            &config,
            metrics,
            clients,
            Arc::default(),
        ))
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
            ..Trip::default()
        };
        other.note_broker_failure(trip, "x");
        assert!(!broker.status().up);
        assert!(!one.goes_on());
        assert!(matches!(broker.offer(now), Offer::NotBefore(_)));
    }

    #[test]
    fn the_path_tells_brokers_with_one_address_apart() {
        let labels = |urls: &[&str]| {
            let urls: Vec<Url> = urls.iter().map(|url| url.parse().unwrap()).collect();
            labels(&urls)
        };
        assert_eq!(
            labels(&[
                "http://lb:8080/a?secret=x",
                "http://lb:8080/b",
                "http://lb/a"
            ]),
            ["lb:8080/a", "lb:8080/b", "lb:80"]
        );
        assert_eq!(
            labels(&["https://lb", "http://lb:443/b", "http://lb"]),
            ["lb:443/", "lb:443/b", "lb:80"]
        );
        assert_eq!(
            labels(&[
                "http://lb/in?shard=1",
                "http://lb/in?shard=2",
                "http://lb/",
                "http://lb/in?shard=3"
            ]),
            ["lb:80/in", "lb:80/in#2", "lb:80/", "lb:80/in#3"]
        );
    }

    #[test]
    fn the_status_shows_no_query() {
        assert_eq!(broker().status().url, "http://127.0.0.1:9/in");
    }
}
