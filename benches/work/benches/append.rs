//! What an append to the log costs without its sync: records made, with their checksums, and written, to memory and to
//! files.
//!
//! `cargo bench --package headgate-bench-work --bench append`

use std::sync::Arc;

use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use headgate_bench_work::{Append, typical_event};
use seglog::testing::MemoryFolder;
use seglog::{DiskFolder, Folder};

fn append(criterion: &mut Criterion) {
    let place = tempfile::tempdir().expect("there is room for files");
    let mut group = criterion.benchmark_group("append");
    for records in [1, 64] {
        let folders: [(&str, Arc<dyn Folder>); 2] = [
            ("memory", Arc::new(MemoryFolder::default())),
            (
                "disk",
                Arc::new(DiskFolder::new(place.path().join(records.to_string()))),
            ),
        ];
        for (name, folder) in folders {
            let payload = typical_event().into_bytes();
            let mut append =
                Append::new(&folder, records, payload).expect("the folder can be written");
            group.throughput(Throughput::Bytes(append.group_bytes() as u64));
            group.bench_function(BenchmarkId::new(name, records), |bencher| {
                bencher.iter(|| append.group().expect("the folder can be written"));
            });
        }
    }
    group.finish();
}

criterion_group!(benches, append);
criterion_main!(benches);
