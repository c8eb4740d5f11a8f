//! The books, the samples and the page about them agree.

use super::*;

/// Set it to write the page instead of comparing it.
const WRITE_DOCS: &str = "HEADGATE_WRITE_DOCS";

#[test]
fn the_metrics_page_is_generated_from_the_table() {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/docs/METRICS.md");
    if std::env::var_os(WRITE_DOCS).is_some() {
        std::fs::write(path, metrics_page()).unwrap();
    }
    assert!(
        std::fs::read_to_string(path).unwrap() == metrics_page(),
        "docs/METRICS.md is stale: run the tests once with {WRITE_DOCS}=1"
    );
}

#[test]
fn alerts_and_panels_speak_of_metrics_that_there_are() {
    let rules = include_str!("../../examples/prometheus-alerts.yml");
    let tests = include_str!("../../tests/alerts.yml");
    let panels = include_str!("../../examples/grafana-dashboard.json");
    let is_word = |letter: char| letter.is_ascii_alphanumeric() || letter == '_';
    for text in [rules, tests, panels] {
        let words = text.split(|letter| !is_word(letter));
        for name in words.filter(|word| word.starts_with("headgate_")) {
            let whole = name.strip_suffix("_count");
            let whole = whole.or_else(|| name.strip_suffix("_bucket"));
            let name = whole.unwrap_or(name);
            let is_there = names::ALL.iter().any(|metric| metric.name == name);
            assert!(is_there, "there is no {name}");
        }
    }
}

#[test]
fn every_alert_has_its_row_and_its_test() {
    let rules = include_str!("../../examples/prometheus-alerts.yml");
    let tests = include_str!("../../tests/alerts.yml");
    let manual = include_str!("../../docs/OPERATIONS.md");
    for alert in rules
        .lines()
        .filter_map(|line| line.split_once("- alert: "))
    {
        let row = format!("\n| `{}` |", alert.1);
        assert!(manual.contains(&row), "no row of {}", alert.1);
        assert!(tests.contains(alert.1), "no test of {}", alert.1);
    }
}

#[test]
fn books_and_samples_agree() {
    let telemetry = Telemetry::new(vec!["application".into()], 10, OutputType::Http);
    telemetry.accepted(Origin::Json, 3);
    telemetry.rejected(Origin::Json, ViolationCode::Required);
    telemetry.dead_lettered(DeathReason::RejectedByBroker);
    telemetry.delivered(2);
    let books = telemetry.books();
    assert_eq!((books.received, books.accepted, books.rejected), (4, 3, 1));
    let text = telemetry.render(Gauges::default());
    for sample in [
        r#"headgate_events_received_total{codec="json"} 4"#,
        r#"headgate_events_rejected_total{reason="required"} 1"#,
        r#"headgate_events_dead_lettered_total{reason="rejected_by_broker"} 1"#,
        r#"headgate_events_delivered_total{output="http"} 2"#,
    ] {
        assert!(text.contains(sample), "{sample} is missing in:\n{text}");
    }
}

#[test]
fn values_that_differ_are_labels_that_differ() {
    let telemetry = Telemetry::new(vec!["application".into()], 100, OutputType::Http);
    let values = [
        (r"\", r"\\"),
        (r"\\", r"\\\\"),
        (r"\\\", r"\\\\\\"),
        (r#"a"b"#, r#"a\"b"#),
        (r#"a\"b"#, r#"a\\\"b"#),
        ("a\nb", r"a\nb"),
        (r"a\nb", r"a\\nb"),
        ("a\\\nb", r"a\\\nb"),
    ];
    for (value, _) in values {
        telemetry.key(value).events.increment(1);
        let source = telemetry
            .sources
            .number(value.as_bytes(), || vec![value.to_owned()]);
        telemetry.source_events(&[SourceCount { source, events: 1 }]);
    }
    let text = telemetry.render(Gauges::default());
    for (value, escaped) in values {
        for sample in [
            format!("headgate_source_events_total{{application=\"{escaped}\"}} 1\n"),
            format!("headgate_key_events_total{{key=\"{escaped}\"}} 1\n"),
        ] {
            assert_eq!(text.matches(&sample).count(), 1, "{value:?}: {sample}");
        }
    }
}

#[test]
fn every_reason_is_known_by_its_word() {
    for reason in DeathReason::all() {
        assert_eq!(DeathReason::from_word(reason.as_str().as_bytes()), reason);
    }
    assert_eq!(DeathReason::from_word(b"newer"), DeathReason::Unknown);
}

/// The text of docs/METRICS.md.
fn metrics_page() -> String {
    let mut text = String::from(
        "# Metrics\n\nServed as Prometheus text at `/metrics` of the admin listener. This page is generated from \
         the table in `src/telemetry/names.rs`; a test holds it to that.\n\n\
         | metric | type | labels | meaning |\n|---|---|---|---|\n",
    );
    for metric in names::ALL {
        let labels: Vec<String> = metric
            .labels
            .iter()
            .map(|(name, values)| format!("`{name}`: {values}"))
            .collect();
        text += &format!(
            "| `{}` | {} | {} | {} |\n",
            metric.name,
            metric.kind.as_str(),
            labels.join("; "),
            metric.help
        );
    }
    text += "\nThe books balance at rest:\n\n\
             - `received = accepted + rejected`\n\
             - `accepted + spooled at start = delivered + dead_lettered + spooled now + lost`\n";
    text
}
