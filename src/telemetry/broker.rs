//! The metrics of one Broker.

use metrics::{Counter, Gauge, Histogram, Label};

use super::recorder::{counter, gauge, histogram};
use super::{Telemetry, names};

/// The handles of one Broker.
pub struct BrokerMetrics {
    /// Requests whose events it took.
    pub delivered: Counter,
    /// Requests to be tried again.
    pub errored: Counter,
    /// Requests whose events it refused for good.
    pub rejected: Counter,
    /// Seconds from sending to the answer.
    pub duration: Histogram,
    /// 1 or 0.
    pub up: Gauge,
    /// Requests that may be under way.
    pub window: Gauge,
}

impl Telemetry {
    /// The handles of one Broker; `address` is its label.
    pub fn broker(&self, address: &str) -> BrokerMetrics {
        let label = |name, value: &str| Label::new(name, value.to_owned());
        let outcome = |word| {
            let labels = vec![label("broker", address), label("outcome", word)];
            counter(&self.recorder, &names::BROKER_REQUESTS, labels)
        };
        let broker = vec![label("broker", address)];
        BrokerMetrics {
            delivered: outcome("delivered"),
            errored: outcome("errored"),
            rejected: outcome("rejected"),
            duration: histogram(
                &self.recorder,
                &names::BROKER_REQUEST_DURATION,
                broker.clone(),
            ),
            up: gauge(&self.recorder, &names::BROKER_UP, broker.clone()),
            window: gauge(&self.recorder, &names::BROKER_WINDOW, broker),
        }
    }
}
