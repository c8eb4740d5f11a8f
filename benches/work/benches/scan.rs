//! What the scanner costs: a typical log event, one that is full of what costs, and a long nested one.
//!
//! `cargo bench --package headgate-bench-work --bench scan`. With `HEADGATE_BENCH_DOCUMENTS` naming a file of JSON
//! documents, one a line, the first of them is measured too.

use std::hint::black_box;

use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use headgate_bench_work::{nasty_event, nested_document, scan, typical_event};
use serde::de::IgnoredAny;

fn scanning(criterion: &mut Criterion) {
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
                bencher.iter(|| scan(black_box(text)));
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

criterion_group!(benches, scanning);
criterion_main!(benches);
