//! What the scanner costs: a typical log event, one that is full of what costs, and a long nested one.
//!
//! `cargo bench --bench scan`. With `HEADGATE_BENCH_DOCUMENTS` naming a file of JSON documents, one a
//! line, the first of them is measured too.

use std::hint::black_box;

use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use headgate::pipeline::scan::Scanner;
use serde::de::IgnoredAny;
use serde_json::{Value, json};

/// Ten members, all strings, 500 bytes: what an application's log library posts.
fn typical_event() -> String {
    let event = json!({
        "@timestamp": "2024-05-17T09:21:44.318Z",
        "level": "INFO",
        "logger": "com.example.checkout.OrderService",
        "thread": "http-nio-8080-exec-7",
        "service": "checkout",
        "environment": "production",
        "trace_id": "4bf92f3577b34da6a3ce929d0e0e4736",
        "span_id": "00f067aa0ba902b7",
        "message": "order 7712093 accepted for customer 55120, 3 items, total 149.90 EUR, paid by card, \
            shipped from warehouse 4 in Rotterdam with the carrier of choice, expected on Tuesday \
            between nine and noon",
        "user_agent": "Mozilla/5.0 (X11; Linux)",
    });
    event.to_string()
}

/// Escapes, Cyrillic, numbers, nesting and white space, as a stack trace from a desktop brings them.
fn nasty_event() -> String {
    let frames: String = (0..4)
        .map(|frame| format!("\n\tat com.example.Part{frame}.run(Part{frame}.java:{frame})"))
        .collect();
    let event = json!({
        "message": "Заказ принят: \"оплата картой\"",
        "error": {
            "type": "java.lang.IllegalStateException",
            "stack": format!("java.lang.IllegalStateException: \"closed\"{frames}"),
            "path": r"C:\Program Files\Example\example.exe",
        },
        "numbers": [1, -2.5e3, 0, true, null, { "a": { "b": [[], {}] } }],
        "handled": false,
    });
    serde_json::to_string_pretty(&event).expect("a value can be written")
}

/// About 5.5 kB like the status that nginx reports: small objects of short keys and numbers.
fn nested_document() -> String {
    let zone = |seed: u64| {
        json!({
            "processing": seed % 3,
            "requests": seed * 205_543,
            "responses": {
                "1xx": 0, "2xx": seed * 179_026, "3xx": seed * 12_627, "4xx": seed * 2_828,
                "5xx": seed * 1_895, "total": seed * 196_376,
            },
            "discarded": seed * 9_167, "received": seed * 64_355_461, "sent": seed * 6_490_717_598,
        })
    };
    let peer = |seed: u64| {
        json!({
            "id": seed, "server": format!("10.0.0.{seed}:8080"), "backup": seed.is_multiple_of(2), "weight": 1,
            "state": "up", "active": 0, "requests": seed * 667_231, "fails": 0, "unavail": 0,
            "health_checks": { "checks": seed * 26_214, "fails": 0, "unhealthy": 0, "last_passed": true },
            "downtime": 0, "downstart": 0, "selected": 1_446_249_499_000_u64 + seed,
        })
    };
    let zones: Vec<Value> = (1..=10).map(zone).collect();
    let peers: Vec<Value> = (1..=14).map(peer).collect();
    json!({ "version": 6, "address": "192.0.2.1", "zones": zones, "peers": peers }).to_string()
}

fn scan(criterion: &mut Criterion) {
    let mut documents = vec![
        ("typical event", typical_event()),
        ("nasty event", nasty_event()),
        ("nested document", nested_document()),
    ];
    if let Some(path) = std::env::var_os("HEADGATE_BENCH_DOCUMENTS") {
        let file =
            std::fs::read_to_string(path).expect("HEADGATE_BENCH_DOCUMENTS names a UTF-8 file");
        documents.push((
            "document given",
            file.lines().next().unwrap_or_default().to_owned(),
        ));
    }

    let mut group = criterion.benchmark_group("scan");
    for (name, text) in &documents {
        group.throughput(Throughput::Bytes(text.len() as u64));
        group.bench_with_input(
            BenchmarkId::new("headgate", name),
            text.as_bytes(),
            |bencher, text| {
                let mut scanner = Scanner::default();
                bencher.iter(|| {
                    let mut key_bytes = 0;
                    let scanned =
                        scanner.value(black_box(text), 0, |member| key_bytes += member.key.len());
                    (scanned.map(|scanned| scanned.span.end), key_bytes)
                });
            },
        );
        // The same check without the members, as the yardstick.
        group.bench_with_input(
            BenchmarkId::new("serde_json", name),
            text,
            |bencher, text| {
                bencher.iter(|| serde_json::from_str::<IgnoredAny>(black_box(text)).is_ok());
            },
        );
    }
    group.finish();
}

criterion_group!(benches, scan);
criterion_main!(benches);
