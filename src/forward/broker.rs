//! One Broker as its workers see it: up, or resting after a failure until one of them has tried it again.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::Notify;
use tokio::time::Instant;
use url::Url;

use super::BrokerStatus;
use super::backoff::Backoff;
use crate::config;
use crate::telemetry::BrokerMetrics;
use crate::telemetry::events::{BrokerDown, BrokerUp};

/// So many rejections without a delivery between them speak of the Broker, not of the events.
const REJECTIONS_OF_A_BROKEN_BROKER: usize = 1000;

/// An HTTP delivery target.
pub(super) struct Broker {
    /// How it is called in metrics, logs and dead letters.
    pub(super) address: String,
    pub(super) metrics: BrokerMetrics,
    url: Url,
    backoff: Backoff,
    state: Mutex<State>,
    changed: Notify,
    in_flight: AtomicUsize,
    rejections: AtomicUsize,
}

#[derive(Default)]
struct State {
    /// In a row; 0 while it is up.
    failures: u32,
    /// Counts the failures that changed the state, so that requests that were under way together count as one.
    incident: u64,
    rest_until: Option<Instant>,
    is_being_tried: bool,
}

/// The leave to send one batch.
pub(super) struct Admission {
    incident: u64,
    is_trial: bool,
}

impl Broker {
    pub(super) fn new(url: &Url, config: &config::Broker, metrics: BrokerMetrics) -> Self {
        metrics.up.set(1.0);
        Self {
            address: address(url),
            metrics,
            url: url.clone(),
            backoff: Backoff {
                initial: config.retry_initial,
                max: config.retry_max,
            },
            state: Mutex::default(),
            changed: Notify::new(),
            in_flight: AtomicUsize::new(0),
            rejections: AtomicUsize::new(0),
        }
    }

    /// Where it is sent to.
    pub(super) fn url(&self) -> &Url {
        &self.url
    }

    /// Waits until the Broker may be sent to. While it is down only one at a time gets through, after the rest.
    pub(super) async fn admit(&self) -> Admission {
        loop {
            let changed = self.changed.notified();
            tokio::pin!(changed);
            changed.as_mut().enable();
            let rest_until = match self.try_admit() {
                Ok(admission) => return admission,
                Err(rest_until) => rest_until,
            };
            match rest_until {
                None => changed.await,
                Some(rest_until) => {
                    let _whichever_comes_first = tokio::time::timeout_at(rest_until, changed).await;
                }
            }
        }
    }

    fn try_admit(&self) -> Result<Admission, Option<Instant>> {
        let mut state = self.lock();
        if state.failures > 0 {
            if state.is_being_tried {
                return Err(None);
            }
            match state.rest_until {
                Some(rest_until) if rest_until > Instant::now() => return Err(Some(rest_until)),
                _ => state.is_being_tried = true,
            }
        }
        Ok(Admission {
            incident: state.incident,
            is_trial: state.failures > 0,
        })
    }

    /// Whether an admission still holds: the Broker has not failed since.
    pub(super) fn still_admits(&self, admission: &Admission) -> bool {
        self.lock().incident == admission.incident
    }

    /// The Broker took a batch, or answered that it does not want its events: either way it works.
    pub(super) fn works(&self) {
        let mut state = self.lock();
        if state.failures == 0 {
            return;
        }
        *state = State {
            incident: state.incident + 1,
            ..State::default()
        };
        drop(state);
        self.metrics.up.set(1.0);
        BrokerUp {
            broker: &self.address,
        }
        .emit();
        self.changed.notify_waiters();
    }

    /// The Broker failed: it is left alone for a growing while, or as long as it asks.
    pub(super) fn failed(&self, admission: &Admission, after: Option<Duration>, reason: &str) {
        let mut state = self.lock();
        if state.incident != admission.incident {
            return;
        }
        state.incident += 1;
        state.failures = state.failures.saturating_add(1);
        let pause = after.unwrap_or_else(|| self.backoff.pause(state.failures, fastrand::f64()));
        state.rest_until = Some(Instant::now() + pause);
        if admission.is_trial {
            state.is_being_tried = false;
        }
        let is_first = state.failures == 1;
        drop(state);
        self.metrics.up.set(0.0);
        if is_first {
            BrokerDown {
                broker: &self.address,
                reason,
            }
            .emit();
        }
        self.changed.notify_waiters();
    }

    /// Notes a rejection; true when there were so many that they speak of the Broker.
    pub(super) fn rejected_too_often(&self) -> bool {
        self.rejections.fetch_add(1, Ordering::Relaxed) >= REJECTIONS_OF_A_BROKEN_BROKER
    }

    /// Notes a delivery.
    pub(super) fn delivered(&self) {
        self.rejections.store(0, Ordering::Relaxed);
        self.works();
    }

    /// Counts a request under way as long as the guard lives.
    pub(super) fn in_flight(&self) -> InFlight<'_> {
        self.in_flight.fetch_add(1, Ordering::Relaxed);
        InFlight(self)
    }

    pub(super) fn status(&self) -> BrokerStatus {
        BrokerStatus {
            url: without_query(&self.url),
            up: self.lock().failures == 0,
            in_flight: self.in_flight.load(Ordering::Relaxed),
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A request under way.
pub(super) struct InFlight<'a>(&'a Broker);

impl Drop for InFlight<'_> {
    fn drop(&mut self) {
        self.0.in_flight.fetch_sub(1, Ordering::Relaxed);
    }
}

/// Host and port.
pub(super) fn address(url: &Url) -> String {
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
    use crate::telemetry::{Output, Telemetry};

    fn broker() -> Broker {
        let telemetry = Telemetry::new(vec![], 1, Output::Http);
        let config = Config::default().broker;
        let url = "http://127.0.0.1:9/in?secret=x".parse().unwrap();
        Broker::new(&url, &config, telemetry.broker("127.0.0.1:9"))
    }

    #[tokio::test(start_paused = true)]
    async fn while_it_is_down_one_at_a_time_tries_after_the_rest() {
        let broker = broker();
        let (one, other) = (broker.admit().await, broker.admit().await);
        broker.failed(&one, Some(Duration::from_secs(3)), "x");
        broker.failed(&other, Some(Duration::from_secs(60)), "x");
        assert!(!broker.status().up);
        assert!(!broker.still_admits(&other));
        let begun = Instant::now();
        let trial = broker.admit().await;
        assert_eq!(
            begun.elapsed().as_secs(),
            3,
            "what was under way together counts once"
        );
        let second = tokio::time::timeout(Duration::from_secs(600), broker.admit()).await;
        assert!(second.is_err(), "nobody else gets through during the trial");
        let (admitted, ()) = tokio::join!(broker.admit(), async {
            assert!(broker.still_admits(&trial));
            broker.delivered();
        });
        assert!(broker.still_admits(&admitted));
        assert!(broker.status().up);
    }

    #[test]
    fn the_status_shows_no_query() {
        assert_eq!(broker().status().url, "http://127.0.0.1:9/in");
    }

    #[tokio::test]
    async fn a_thousand_rejections_in_a_row_speak_of_the_broker() {
        let broker = broker();
        for _ in 0..1000 {
            assert!(!broker.rejected_too_often());
        }
        assert!(broker.rejected_too_often());
        broker.delivered();
        assert!(!broker.rejected_too_often());
    }
}
