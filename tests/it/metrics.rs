//! Metrics as they are scraped: exactly those of the table, with its types, and counts that agree with what was done.

use std::collections::BTreeSet;

use headgate::telemetry::MetricKind;
use headgate::telemetry::names::ALL;

use crate::support::client::{JSON, NDJSON, TEXT};
use crate::support::fake_broker::{FakeBroker, Reply};
use crate::support::keys;
use crate::support::test_app::TestApp;

#[tokio::test]
async fn every_metric_of_the_table_is_there_with_its_type_and_no_other() {
    let broker = FakeBroker::start();
    let app = TestApp::start_with(&broker, &keys::entry("web", "web-key", "")).await;
    let key = ("X-Api-Key", "web-key");
    app.post("/", &[JSON, key], "{}").await;
    app.post("/v1/events", &[JSON, key], "[{},5]").await;
    app.get("/v1/other").await;
    let page = app.admin_page("/metrics").await;
    let media_type = page.header("content-type").unwrap();
    assert!(
        media_type.starts_with("text/plain; version=0.0.4"),
        "{media_type}"
    );
    let samples = app.samples().await;
    // Without a certificate none expires: tls_files.rs has that.
    let expiry = "headgate_tls_certificate_expiry_timestamp_seconds";
    for metric in ALL.iter().filter(|metric| metric.name != expiry) {
        let kind = samples.types.get(metric.name).map(String::as_str);
        assert_eq!(kind, Some(metric.kind.as_str()), "{}", metric.name);
        assert_eq!(
            samples.help.get(metric.name).map(String::as_str),
            Some(metric.help)
        );
        let counted = match metric.kind {
            MetricKind::Histogram => format!("{}_count", metric.name),
            MetricKind::Counter | MetricKind::Gauge => metric.name.to_owned(),
        };
        let all_labels = samples.labels(&counted);
        assert!(!all_labels.is_empty(), "{counted} has no sample");
        for labels in all_labels {
            let is_by_source = metric.name == "headgate_source_events_total";
            let expected: BTreeSet<&str> = if is_by_source {
                ["application", "environment", "component"].into()
            } else {
                metric.labels.iter().map(|(name, _)| *name).collect()
            };
            let names: BTreeSet<&str> = labels.keys().map(String::as_str).collect();
            assert_eq!(names, expected, "{counted}");
        }
    }
    let known: BTreeSet<&str> = ALL.iter().map(|metric| metric.name).collect();
    for name in samples.names() {
        let parts = ["_bucket", "_sum", "_count"];
        let base = parts
            .iter()
            .find_map(|part| name.strip_suffix(part))
            .filter(|base| known.contains(base));
        assert!(
            known.contains(base.unwrap_or(name)),
            "{name} is in no table"
        );
    }
    app.finish().await;
}

#[tokio::test]
async fn counts_agree_with_what_was_done() {
    let broker = FakeBroker::start();
    let toml = "[validate]\nrequired = ['a']";
    let app = TestApp::start_with(&broker, toml).await;
    app.post("/", &[JSON], "[{\"a\":1},{}]").await;
    app.post("/", &[NDJSON], "{\"a\":1}\n{\"a\":1}\n").await;
    app.post("/", &[TEXT], "text").await;
    app.post("/v1/events", &[TEXT], "[{\"a\":1},{},5]").await;
    app.post("/v1/events", &[TEXT], "oops").await;
    broker.script([Reply::status(503), Reply::status(400)]);
    app.post("/", &[JSON], "{\"a\":2}").await;
    app.until_book("dead_lettered", 3).await;
    let samples = app.samples().await;
    let label = broker.label();
    for (name, labels, value) in [
        (
            "headgate_requests_total",
            vec![("route", "logstash"), ("status", "200")],
            4.0,
        ),
        (
            "headgate_requests_total",
            vec![("route", "events"), ("status", "207")],
            1.0,
        ),
        (
            "headgate_requests_total",
            vec![("route", "events"), ("status", "400")],
            1.0,
        ),
        (
            "headgate_request_duration_seconds_count",
            vec![("route", "logstash")],
            4.0,
        ),
        (
            "headgate_request_body_bytes_total",
            vec![("route", "events")],
            18.0,
        ),
        (
            "headgate_events_received_total",
            vec![("codec", "json")],
            3.0,
        ),
        (
            "headgate_events_received_total",
            vec![("codec", "json_lines")],
            2.0,
        ),
        (
            "headgate_events_received_total",
            vec![("codec", "plain")],
            1.0,
        ),
        (
            "headgate_events_received_total",
            vec![("codec", "auto")],
            3.0,
        ),
        ("headgate_events_accepted_total", vec![], 7.0),
        (
            "headgate_events_rejected_total",
            vec![("reason", "required")],
            1.0,
        ),
        (
            "headgate_events_rejected_total",
            vec![("reason", "not_an_object")],
            1.0,
        ),
        (
            "headgate_events_dead_lettered_total",
            vec![("reason", "required")],
            2.0,
        ),
        (
            "headgate_events_dead_lettered_total",
            vec![("reason", "rejected_by_broker")],
            1.0,
        ),
        (
            "headgate_events_delivered_total",
            vec![("output", "http")],
            4.0,
        ),
        (
            "headgate_broker_requests_total",
            vec![("broker", label.as_str()), ("outcome", "delivered")],
            3.0,
        ),
        (
            "headgate_broker_requests_total",
            vec![("broker", label.as_str()), ("outcome", "errored")],
            1.0,
        ),
        (
            "headgate_broker_requests_total",
            vec![("broker", label.as_str()), ("outcome", "rejected")],
            1.0,
        ),
        (
            "headgate_broker_request_duration_seconds_count",
            vec![("broker", label.as_str())],
            5.0,
        ),
        ("headgate_spool_events", vec![], 0.0),
        ("headgate_spool_bytes", vec![], 0.0),
        ("headgate_spool_oldest_event_age_seconds", vec![], 0.0),
        (
            "headgate_build_info",
            vec![("version", env!("CARGO_PKG_VERSION"))],
            1.0,
        ),
    ] {
        assert_eq!(
            samples.value(name, &labels),
            Some(value),
            "{name} {labels:?}"
        );
    }
    app.finish().await;
}

#[tokio::test]
async fn sources_are_told_apart_up_to_a_limit() {
    let broker = FakeBroker::start();
    let toml = "[metrics]\nsource_fields = ['App', '[at][env]']\nmax_sources = 2";
    let app = TestApp::start_with(&broker, toml).await;
    let body = r#"
        {"App":"a","at":{"env":"x"}}
        {"App":"\u0061","at":{"env":"x","more":1}}
        {"App":7,"at":[]}
        {"App":"c","at":{"env":"x"}}
        {"App":"d"}
        {"App":"a","at":{"env":"x"}}"#;
    app.post("/v1/events", &[TEXT], body).await;
    let samples = app.samples().await;
    let value = |app, env| {
        samples.value(
            "headgate_source_events_total",
            &[("app", app), ("at_env", env)],
        )
    };
    assert_eq!(value("a", "x"), Some(3.0));
    assert_eq!(value("7", ""), Some(1.0));
    assert_eq!(value("other", "other"), Some(2.0));
    assert_eq!(samples.labels("headgate_source_events_total").len(), 3);
    app.finish().await;
}

#[tokio::test]
async fn refusals_are_counted_by_their_problem_code() {
    let app = TestApp::start("[ingest]\nmax_content_length = '1KiB'").await;
    app.post("/v1/events", &[JSON], "{").await;
    app.post("/v1/events", &[JSON], "[5]").await;
    app.post("/v1/events", &[JSON], " ".repeat(2000)).await;
    app.get("/v1/other").await;
    app.get("/v1/other").await;
    app.post("/", &[JSON], "{}").await;
    let samples = app.samples().await;
    let name = "headgate_requests_refused_total";
    let counted = samples.labels(name);
    let counted = counted.iter().filter_map(|labels| {
        let code = labels["code"].as_str();
        let count = samples.value(name, &[("code", code)]).unwrap();
        (count > 0.0).then_some((code, count))
    });
    let expected = [
        ("body_too_large", 1.0),
        ("invalid_events", 1.0),
        ("malformed_body", 1.0),
        ("not_found", 2.0),
    ];
    let mut counted: Vec<(&str, f64)> = counted.collect();
    counted.sort_by_key(|(code, _)| *code);
    assert_eq!(counted, expected);
    app.finish().await;
}
