//! Every metric and log event of the program. Handles are made once, here; other rooms call methods and
//! never name a metric.
//!
//! The recorder belongs to the instance and is not installed globally, so several servers in one process
//! (as in the tests) keep separate books.

mod broker;
mod certificates;
pub mod events;
mod labels;
mod letters;
pub mod logging;
mod metric;
pub mod names;
mod output;
mod proxy_headers;
mod recorder;
mod reloads;
mod senders;
mod sources;
mod spell;
mod spool;
#[cfg(test)]
mod tests;
mod tls;

use std::sync::OnceLock;
use std::time::Duration;

use jiff::Timestamp;
use metrics::{Counter, Gauge, Histogram, Label};
use metrics_exporter_prometheus::PrometheusRecorder;
use serde::Serialize;

use crate::config::OutputType;
use crate::event::{Origin, SourceCount, ViolationCode};
pub use broker::BrokerMetrics;
use certificates::Certificates;
pub use labels::{DeathReason, Route};
use letters::LetterMetrics;
pub use metric::{Metric, MetricKind};
use output::OutputMetrics;
pub use proxy_headers::{ProxyHeaderFault, ProxyHeaders};
use recorder::{Family, counter, describe, gauge, histogram, recorder};
pub use reloads::Reloads;
pub use senders::{KeyMetrics, RateLimit, Refusals};
pub use sources::Sources;
pub use spell::Spell;
use spool::SpoolMetrics;
pub use tls::{HandshakeFailure, TlsMetrics};

/// Counts since the start: the books of `/status`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Books {
    /// Events decoded from bodies that were not refused as a whole.
    pub received: u64,
    /// Of these, those taken.
    pub accepted: u64,
    /// Of these, those that the client was told are not taken.
    pub rejected: u64,
    /// Events that the output has taken.
    pub delivered: u64,
    /// Events kept as dead letters.
    pub dead_lettered: u64,
    /// Events that lay in the spool at the start.
    pub spooled_at_start: u64,
    /// Events that were in the spool and cannot be read any more.
    pub lost: u64,
}

/// What is read off other rooms when metrics are asked for.
#[derive(Clone, Copy, Debug, Default)]
pub struct Gauges {
    /// Bytes in the spool.
    pub spool_bytes: usize,
    /// Whether the disk has no room for the spool.
    pub spool_disk_full: bool,
    /// Events in the spool.
    pub spool_events: usize,
    /// Age of the oldest event in the spool.
    pub spool_oldest_age: Duration,
    /// Bytes that requests hold of the budget.
    pub in_flight_bytes: usize,
    /// Large bodies that wait for their turn.
    pub bodies_waiting: usize,
    /// Open connections on the public listener.
    pub connections: usize,
}

/// The bounds of what [`Gauges`] tell.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// Bytes in the spool.
    pub spool_bytes: u64,
    /// Bytes on each shelf of dead letters.
    pub letter_bytes: u64,
    /// Bytes that requests hold of the budget.
    pub in_flight_bytes: u64,
    /// Open connections on the public listener.
    pub connections: u64,
}

/// All handles of one server.
pub struct Telemetry {
    recorder: PrometheusRecorder,
    routes: [RouteMetrics; 4],
    rate_limited: Family<RateLimit>,
    received: Family<Origin>,
    accepted: Family<()>,
    rejected: Family<ViolationCode>,
    dead_lettered: Family<DeathReason>,
    delivered: Family<()>,
    letters: LetterMetrics,
    output: OutputMetrics,
    spool: SpoolMetrics,
    gauges: GaugeHandles,
    log_lines_lost: Counter,
    /// Events by source, see `metrics.source_fields`.
    pub sources: Sources,
    /// How the configuration was read again.
    pub reloads: Reloads,
    /// Refused PROXY headers.
    pub proxy_headers: ProxyHeaders,
    /// TLS on the public listener.
    pub tls: TlsMetrics,
    certificates: Certificates,
}

struct RouteMetrics {
    statuses: Vec<OnceLock<Counter>>,
    duration: Histogram,
    body_bytes: Counter,
}

struct GaugeHandles {
    spool_bytes: Gauge,
    spool_disk_full: Gauge,
    spool_events: Gauge,
    spool_oldest_age: Gauge,
    in_flight_bytes: Gauge,
    bodies_waiting: Gauge,
    connections: Gauge,
}

impl Telemetry {
    /// Makes every handle. `source_labels` are the label names of `headgate_source_events_total`,
    /// `max_sources` how many sources are told apart; `output` is where events are delivered.
    pub fn new(source_labels: Vec<String>, max_sources: usize, output: OutputType) -> Self {
        let recorder = recorder();
        describe(&recorder);
        let output = Label::new("output", output.as_str());
        gauge(
            &recorder,
            &names::BUILD_INFO,
            vec![Label::new("version", env!("CARGO_PKG_VERSION"))],
        )
        .set(1.0);
        gauge(&recorder, &names::PROCESS_START_TIME, vec![])
            .set(Timestamp::now().as_duration().as_secs_f64());
        Self {
            routes: Route::ALL.map(|route| RouteMetrics::new(&recorder, route)),
            rate_limited: Family::new(
                &recorder,
                &names::REQUESTS_RATE_LIMITED,
                "limit",
                RateLimit::ALL,
                RateLimit::as_str,
            ),
            received: Family::new(
                &recorder,
                &names::EVENTS_RECEIVED,
                "codec",
                Origin::ALL,
                Origin::as_str,
            ),
            accepted: Family::single(&recorder, &names::EVENTS_ACCEPTED, vec![]),
            rejected: Family::new(
                &recorder,
                &names::EVENTS_REJECTED,
                "reason",
                ViolationCode::ALL,
                ViolationCode::as_str,
            ),
            dead_lettered: Family::new(
                &recorder,
                &names::EVENTS_DEAD_LETTERED,
                "reason",
                DeathReason::all(),
                DeathReason::as_str,
            ),
            delivered: Family::single(&recorder, &names::EVENTS_DELIVERED, vec![output]),
            letters: LetterMetrics::new(&recorder),
            output: OutputMetrics::new(&recorder),
            spool: SpoolMetrics::new(&recorder),
            gauges: GaugeHandles::new(&recorder),
            log_lines_lost: counter(&recorder, &names::LOG_LINES_LOST, vec![]),
            sources: Sources::new(source_labels, max_sources),
            reloads: Reloads::new(&recorder),
            proxy_headers: ProxyHeaders::new(&recorder),
            tls: TlsMetrics::new(&recorder),
            certificates: Certificates::default(),
            recorder,
        }
    }

    /// Says what bounds the gauges.
    pub fn set_limits(&self, limits: Limits) {
        for (metric, limit) in [
            (&names::SPOOL_LIMIT, limits.spool_bytes),
            (&names::DEAD_LETTERS_LIMIT, limits.letter_bytes),
            (&names::IN_FLIGHT_LIMIT, limits.in_flight_bytes),
            (&names::CONNECTIONS_LIMIT, limits.connections),
        ] {
            gauge(&self.recorder, metric, vec![]).set(limit as f64);
        }
    }

    /// A request of the public listener was answered. `body_bytes` as they came over the wire.
    pub fn request(&self, route: Route, status: u16, took: Duration, body_bytes: u64) {
        let metrics = &self.routes[route as usize];
        if let Some(slot) = metrics
            .statuses
            .get(usize::from(status.saturating_sub(100)))
        {
            slot.get_or_init(|| {
                let labels = vec![
                    Label::new("route", route.as_str()),
                    Label::new("status", status.to_string()),
                ];
                counter(&self.recorder, &names::REQUESTS, labels)
            })
            .increment(1);
        }
        metrics.duration.record(took.as_secs_f64());
        if body_bytes > 0 {
            metrics.body_bytes.increment(body_bytes);
        }
    }

    /// `events` of one envelope are received and accepted: they can no longer be withdrawn.
    pub fn accepted(&self, origin: Origin, events: u64) {
        self.received.add(origin, events);
        self.accepted.add((), events);
    }

    /// The sources of accepted events.
    pub fn source_events<'a>(&self, counts: impl IntoIterator<Item = &'a SourceCount>) {
        self.sources.count(&self.recorder, counts);
    }

    /// One event is received, and rejected to the client's face.
    pub fn rejected(&self, origin: Origin, code: ViolationCode) {
        self.received.add(origin, 1);
        self.rejected.add(code, 1);
    }

    /// An event was kept as a dead letter.
    pub fn dead_lettered(&self, reason: DeathReason) {
        self.dead_lettered.add(reason, 1);
    }

    /// The output has taken `events`.
    pub fn delivered(&self, events: u64) {
        self.delivered.add((), events);
    }

    /// The counts since the start.
    pub fn books(&self) -> Books {
        Books {
            received: self.received.sum(),
            accepted: self.accepted.sum(),
            rejected: self.rejected.sum(),
            delivered: self.delivered.sum(),
            dead_lettered: self.dead_lettered.sum(),
            spooled_at_start: self.spool.events_at_start(),
            lost: self.spool.events_lost(),
        }
    }

    /// The Prometheus text, with `gauges` as they are now.
    pub fn render(&self, gauges: Gauges) -> String {
        let handles = &self.gauges;
        handles.spool_bytes.set(gauges.spool_bytes as f64);
        let disk_full = u8::from(gauges.spool_disk_full);
        handles.spool_disk_full.set(f64::from(disk_full));
        handles.spool_events.set(gauges.spool_events as f64);
        handles
            .spool_oldest_age
            .set(gauges.spool_oldest_age.as_secs_f64());
        handles.in_flight_bytes.set(gauges.in_flight_bytes as f64);
        handles.bodies_waiting.set(gauges.bodies_waiting as f64);
        handles.connections.set(gauges.connections as f64);
        self.log_lines_lost.absolute(logging::lost_lines());
        self.recorder.handle().render()
    }

    /// Moves observations of histograms into their buckets, so that they do not pile up unscraped.
    /// To be called every few seconds.
    pub fn upkeep(&self) {
        self.recorder.handle().run_upkeep();
    }
}

impl GaugeHandles {
    fn new(recorder: &PrometheusRecorder) -> Self {
        let gauge = |metric| gauge(recorder, metric, vec![]);
        Self {
            spool_bytes: gauge(&names::SPOOL_BYTES),
            spool_disk_full: gauge(&names::SPOOL_DISK_FULL),
            spool_events: gauge(&names::SPOOL_EVENTS),
            spool_oldest_age: gauge(&names::SPOOL_OLDEST_AGE),
            in_flight_bytes: gauge(&names::IN_FLIGHT_BYTES),
            bodies_waiting: gauge(&names::BODIES_WAITING),
            connections: gauge(&names::CONNECTIONS),
        }
    }
}

impl RouteMetrics {
    fn new(recorder: &PrometheusRecorder, route: Route) -> Self {
        let labels = || vec![Label::new("route", route.as_str())];
        Self {
            statuses: std::iter::repeat_with(OnceLock::new).take(500).collect(),
            duration: histogram(recorder, &names::REQUEST_DURATION, labels()),
            body_bytes: counter(recorder, &names::REQUEST_BODY_BYTES, labels()),
        }
    }
}
