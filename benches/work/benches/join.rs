//! What it costs to make the body of a request to a Broker of 1,000 events, from singles and from arrays of 100.
//!
//! `cargo bench --package headgate-bench-work --bench join`

use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use headgate::config::BrokerFormat;
use headgate_bench_work::{Decode, Join, array, typical_event};

fn join(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("join");
    for (from, envelopes, body) in [
        ("singles", 1000, typical_event()),
        ("arrays of 100", 10, array(100)),
    ] {
        let decode = Decode::new("application/json", body).expect("the defaults are good");
        for (name, format) in [
            ("json_batch", BrokerFormat::JsonBatch),
            ("json_lines", BrokerFormat::JsonLines),
        ] {
            let join =
                Join::new(envelopes, || decode.envelope(), format).expect("the input is good");
            group.throughput(Throughput::Elements(join.events() as u64));
            group.bench_function(BenchmarkId::new(name, from), |bencher| {
                bencher.iter(|| join.body_bytes());
            });
        }
    }
    group.finish();
}

criterion_group!(benches, join);
criterion_main!(benches);
