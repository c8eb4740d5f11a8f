//! What decoding costs with the default enrichment: from a request's body to its envelope.
//!
//! `cargo bench --package headgate-bench-work --bench splice`

use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use headgate_bench_work::{Decode, array, nasty_event, ndjson, typical_event};

const JSON: &str = "application/json";
const NDJSON: &str = "application/x-ndjson";

fn splice(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("splice");
    for (name, media_type, body) in [
        ("single", JSON, typical_event()),
        ("array of 100", JSON, array(100)),
        ("nasty event", JSON, nasty_event()),
        ("NDJSON of 100", NDJSON, ndjson(100)),
    ] {
        let decode = Decode::new(media_type, body).expect("the defaults are good");
        group.throughput(Throughput::Bytes(decode.body_bytes() as u64));
        group.bench_function(BenchmarkId::from_parameter(name), |bencher| {
            bencher.iter(|| decode.envelope().expect("the input is good"));
        });
    }
    group.finish();
}

criterion_group!(benches, splice);
criterion_main!(benches);
