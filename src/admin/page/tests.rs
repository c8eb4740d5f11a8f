//! The page shows what it is given, as text, and needs nothing from elsewhere.

use super::*;
use crate::admin::{
    Books, BrokerSummary, CertificateSummary, ConfigSummary, ListenerStatus, SpoolSummary,
};
use crate::lifecycle::Phase;
use crate::telemetry;

fn status() -> Status {
    let counts = telemetry::Books {
        received: 1_234_567,
        accepted: 1_234_560,
        rejected: 7,
        delivered: 1_234_000,
        dead_lettered: 3,
        spooled_at_start: 43,
        lost: 0,
    };
    Status {
        version: "1.2.3",
        phase: Phase::Serving,
        uptime_seconds: 7260,
        config: ConfigSummary {
            loaded_at: "2026-01-02T03:04:05.678Z".to_owned(),
            refused: false,
            certificate_refused: false,
        },
        listeners: vec![ListenerStatus {
            name: "public",
            address: "127.0.0.1:8080".to_owned(),
        }],
        spool: SpoolSummary {
            bytes: 1536,
            events: 600,
            oldest_event_age_seconds: 45.0,
            full: false,
            disk_full: false,
            failed: false,
            checkpoint_failing: false,
        },
        dead_letters_failing: false,
        dead_letters_dropped: 0,
        output_failing: false,
        certificates: vec![CertificateSummary {
            setting: "server.tls.certificate",
            expires_at: Some("2026-02-03T04:05:06.000Z".to_owned()),
            expired: false,
        }],
        brokers: vec![broker("http://a/", true), broker("http://b/", true)],
        books: Books::new(counts, 600),
    }
}

fn broker(url: &str, up: bool) -> BrokerSummary {
    BrokerSummary {
        url: url.to_owned(),
        up,
        in_flight: 5,
    }
}

#[test]
fn every_value_is_there() {
    let page = render(&status());
    assert!(!page.contains("{{") && !page.contains("}}"), "{page}");
    for value in [
        "1,234,567",
        "1,234,560",
        "1,234,000",
        "1,234,603",
        "value=\"1234567\"",
        "value=\"1234000\"",
        ">600 <",
        "1.5 KiB",
        "45 s",
        "serving, for 2 h 1 min",
        "http://a/",
        "127.0.0.1:8080",
        "2026-01-02 03:04:05 UTC",
        "1.2.3",
        "All is well",
        "The books balance",
    ] {
        assert!(page.contains(value), "{value} in {page}");
    }
}

#[test]
fn what_comes_from_outside_is_text() {
    let mut status = status();
    status.brokers = vec![broker(
        "http://h/\"><script>alert('{{version}}')</script>&",
        true,
    )];
    let page = render(&status);
    let shown = "http://h/&quot;&gt;&lt;script&gt;alert(&#39;{{version}}&#39;)&lt;/script&gt;&amp;";
    assert!(page.contains(shown), "{page}");
    assert_eq!(page.matches("<script>").count(), 1);
}

#[test]
fn the_worst_is_told_first() {
    type Spoil = fn(&mut Status);
    let cases: [(&str, &str, Spoil); 17] = [
        ("ok", "all is well", |_| {}),
        ("bad", "the spool has failed", |status| {
            status.spool.failed = true;
        }),
        ("bad", "the spool is full", |status| {
            status.spool.full = true;
        }),
        ("warn", "1 of 2 brokers down", |status| {
            status.brokers[1].up = false;
        }),
        ("bad", "all brokers are down", |status| {
            status.brokers[0].up = false;
            status.brokers[1].up = false;
            status.config.refused = true;
        }),
        ("bad", "the broker is down", |status| {
            status.brokers = vec![broker("http://a/", false)];
        }),
        ("warn", "events have waited for 1,234 seconds", |status| {
            status.spool.oldest_event_age_seconds = 1234.5;
        }),
        ("warn", "1 of 2 brokers down", |status| {
            status.spool.oldest_event_age_seconds = 1234.5;
            status.brokers[1].up = false;
        }),
        ("bad", "dead letters cannot be written", |status| {
            status.dead_letters_failing = true;
            status.spool.oldest_event_age_seconds = 1234.5;
        }),
        (
            "warn",
            "the spool's checkpoint cannot be written",
            |status| status.spool.checkpoint_failing = true,
        ),
        ("bad", "the output cannot be written", |status| {
            status.brokers = vec![];
            status.output_failing = true;
            status.spool.oldest_event_age_seconds = 1234.5;
        }),
        (
            "bad",
            "the certificate of server.tls.certificate has expired",
            |status| status.certificates[0].expired = true,
        ),
        ("warn", "draining", |status| status.phase = Phase::Closing),
        ("warn", "1,000 events lost", |status| {
            status.books.counts.lost = 1000;
        }),
        ("warn", "1,000 dead letters dropped", |status| {
            status.dead_letters_dropped = 1000;
        }),
        ("warn", "a changed configuration was refused", |status| {
            status.config.refused = true;
        }),
        ("warn", "a changed certificate was refused", |status| {
            status.config.certificate_refused = true;
        }),
    ];
    for (severity, title, spoil) in cases {
        let mut status = status();
        spoil(&mut status);
        let verdict = Verdict::on(&status);
        assert_eq!(
            (verdict.severity(), verdict.title().as_str()),
            (severity, title)
        );
        let page = render(&status);
        assert!(
            page.contains(&format!("<title>Headgate: {title}</title>")),
            "{page}"
        );
        assert!(page.contains(&format!("class=\"{severity}\"")), "{page}");
    }
}

#[test]
fn the_page_is_small_and_brings_all_that_it_needs() {
    assert!(TEMPLATE.len() < 10_000, "{}", TEMPLATE.len());
    for tag in ["script", "style"] {
        let (start, end) = (format!("<{tag}"), format!("</{tag}>"));
        assert_eq!(TEMPLATE.matches(&start).count(), 1, "{tag}");
        assert_eq!(TEMPLATE.matches(&end).count(), 1, "{tag}");
        let text = element(tag).unwrap();
        // What is hashed is what is sent.
        assert!(!text.is_empty() && !text.contains("{{") && !text.contains("}}"));
    }
    for foreign in [" src=", " style=", " onclick=", "@import", "https://"] {
        assert!(!TEMPLATE.contains(foreign), "{foreign}");
    }
}
