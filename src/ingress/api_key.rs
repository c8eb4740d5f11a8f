//! One API key: what may be sent with it, from where, and what is counted of it.

use std::sync::Arc;

use http::{HeaderMap, header};
use tokio::time::Instant;

use super::buckets::{Buckets, Rates};
use super::cors::Origins;
use super::refusal::{Code, Refusal};
use crate::config;
use crate::telemetry::{KeyMetrics, Telemetry};

/// A key that a client may send.
pub(super) struct ApiKey {
    name: String,
    /// Where there are any, the key is a browser's.
    origins: Option<Origins>,
    buckets: Option<Arc<Buckets>>,
    metrics: KeyMetrics,
}

impl ApiKey {
    /// `previous` is the key of the same name before the configuration was read again. Limits that stay the
    /// same go on as they are: to read it again is no free refill.
    pub(super) fn new(
        config: &config::ApiKey,
        telemetry: &Telemetry,
        previous: Option<&Self>,
    ) -> Self {
        let rates = Rates {
            events: config.events_per_second,
            bytes: config.bytes_per_second,
        };
        let same = previous
            .and_then(|key| key.buckets.as_ref())
            .filter(|buckets| buckets.rates() == rates);
        let make = || match same {
            Some(buckets) => Arc::clone(buckets),
            None => Arc::new(Buckets::new(rates, Instant::now())),
        };
        Self {
            name: config.name.clone(),
            origins: Origins::new([&config.allowed_origins]),
            buckets: rates.are_limits().then(make),
            metrics: telemetry.key(&config.name),
        }
    }

    pub(super) fn name(&self) -> &str {
        &self.name
    }

    /// How much may be sent with it; none: as much as one likes.
    pub(super) fn buckets(&self) -> Option<&Buckets> {
        self.buckets.as_deref()
    }

    /// Whether it stands in web pages, where everybody can read it.
    pub(super) fn is_of_browsers(&self) -> bool {
        self.origins.is_some()
    }

    /// Refuses a browser's key with 403 where the request comes from no page that may use it.
    pub(super) fn check_origin(&self, headers: &HeaderMap) -> Result<(), Refusal> {
        let Some(origins) = &self.origins else {
            return Ok(());
        };
        if origins.allow(headers.get(header::ORIGIN)) {
            return Ok(());
        }
        Err(Refusal::new(
            Code::Forbidden,
            format!(
                "The key {:?} is for web pages of certain origins (allowed_origins in [[auth.keys]]), and the request's Origin is \
                 none of them.",
                self.name
            ),
        ))
    }

    /// Counts events that were taken.
    pub(super) fn took(&self, events: u64) {
        self.metrics.events.increment(events);
    }

    /// Counts a request that was refused.
    pub(super) fn refused(&self) {
        self.metrics.refused.increment(1);
    }
}
