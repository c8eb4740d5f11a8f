//! The recorder of one server and the handles that are made of it.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use metrics::{Counter, Gauge, Histogram, Key, Label, Level, Metadata, Recorder, SharedString};
use metrics_exporter_prometheus::{Matcher, PrometheusBuilder, PrometheusRecorder};

use super::metric::{Metric, MetricKind};
use super::names;

const METADATA: Metadata<'static> = Metadata::new("headgate", Level::INFO, None);

/// From 50 µs to a minute: a synced answer takes a fraction of a millisecond, a hanging Broker the rest.
const DURATION_BUCKETS: [f64; 18] = [
    0.000_05, 0.000_1, 0.000_25, 0.000_5, 0.001, 0.002_5, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5,
    1.0, 2.5, 5.0, 15.0, 60.0,
];

/// A counter with one label of known values, which can also tell its sum.
pub(super) struct Family<V> {
    children: Vec<(V, Counter)>,
    sum: AtomicU64,
}

impl<V: Copy + PartialEq> Family<V> {
    /// With a counter for each of these values; `word` is what the label says of one.
    pub(super) fn new(
        recorder: &PrometheusRecorder,
        metric: &Metric,
        label: &'static str,
        values: impl IntoIterator<Item = V>,
        word: impl Fn(V) -> &'static str,
    ) -> Self {
        let child = |value| {
            let labels = vec![Label::new(label, word(value))];
            (value, counter(recorder, metric, labels))
        };
        Self {
            children: values.into_iter().map(child).collect(),
            sum: AtomicU64::new(0),
        }
    }

    pub(super) fn add(&self, value: V, events: u64) {
        let child = self.children.iter().find(|(known, _)| *known == value);
        let (_, counter) = child.expect("there is a counter for each value");
        counter.increment(events);
        self.sum.fetch_add(events, Ordering::Relaxed);
    }
}

impl Family<()> {
    /// With a single counter.
    pub(super) fn single(
        recorder: &PrometheusRecorder,
        metric: &Metric,
        labels: Vec<Label>,
    ) -> Self {
        Self {
            children: vec![((), counter(recorder, metric, labels))],
            sum: AtomicU64::new(0),
        }
    }
}

impl<V> Family<V> {
    pub(super) fn sum(&self) -> u64 {
        self.sum.load(Ordering::Relaxed)
    }
}

/// A gauge of 1 or 0, which can also tell which.
pub(super) struct Flag {
    gauge: Gauge,
    is_set: AtomicBool,
}

impl Flag {
    pub(super) fn new(recorder: &PrometheusRecorder, metric: &Metric, is_set: bool) -> Self {
        let flag = Self {
            gauge: gauge(recorder, metric, vec![]),
            is_set: AtomicBool::default(),
        };
        flag.set(is_set);
        flag
    }

    pub(super) fn set(&self, is_set: bool) {
        self.is_set.store(is_set, Ordering::Relaxed);
        self.gauge.set(f64::from(u8::from(is_set)));
    }

    pub(super) fn is_set(&self) -> bool {
        self.is_set.load(Ordering::Relaxed)
    }
}

/// A recorder that knows every metric's buckets.
pub(super) fn recorder() -> PrometheusRecorder {
    let mut builder = PrometheusBuilder::new();
    for metric in names::ALL {
        if metric.kind == MetricKind::Histogram {
            builder = builder
                .set_buckets_for_metric(Matcher::Full(metric.name.to_owned()), &DURATION_BUCKETS)
                .expect("there are buckets");
        }
    }
    builder.build_recorder()
}

/// Gives every metric its help.
pub(super) fn describe(recorder: &PrometheusRecorder) {
    for metric in names::ALL {
        let (name, help) = (metric.name.into(), metric.help.into());
        match metric.kind {
            MetricKind::Counter => recorder.describe_counter(name, None, help),
            MetricKind::Gauge => recorder.describe_gauge(name, None, help),
            MetricKind::Histogram => recorder.describe_histogram(name, None, help),
        }
    }
}

/// A label with a value from outside. The exporter takes a backslash before another one, or before a quote, for an escape
/// that is there already, so that values that differ would be one label, twice: it is given them escaped. A line end it
/// escapes itself, always.
pub(super) fn label(name: impl Into<SharedString>, value: &str) -> Label {
    let escaped = value.replace('\\', r"\\").replace('"', r#"\""#);
    Label::new(name, escaped)
}

pub(super) fn counter(
    recorder: &PrometheusRecorder,
    metric: &Metric,
    labels: Vec<Label>,
) -> Counter {
    recorder.register_counter(&Key::from_parts(metric.name, labels), &METADATA)
}

pub(super) fn gauge(recorder: &PrometheusRecorder, metric: &Metric, labels: Vec<Label>) -> Gauge {
    recorder.register_gauge(&Key::from_parts(metric.name, labels), &METADATA)
}

pub(super) fn histogram(
    recorder: &PrometheusRecorder,
    metric: &Metric,
    labels: Vec<Label>,
) -> Histogram {
    recorder.register_histogram(&Key::from_parts(metric.name, labels), &METADATA)
}
