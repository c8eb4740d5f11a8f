//! Random lives of a spool against a list of what was acknowledged.

use std::collections::BTreeSet;

use proptest::prelude::*;

use super::*;

#[derive(Clone, Debug)]
enum Step {
    /// Events and dead letters of one request, and bytes of each.
    Append(usize, usize, usize),
    /// Leases at most so many events, and acks them or keeps them.
    Lease(usize, bool),
    Letters(usize, bool),
    AckKept,
    /// A clean end and a new start.
    Restart,
    /// The machine loses power, and starts again.
    PowerLoss(u64),
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let step = prop_oneof![
        6 => (0_usize..6, 0_usize..3, 1_usize..900).prop_map(|(live, dead, bytes)| Step::Append(live, dead, bytes)),
        5 => (1_usize..9, any::<bool>()).prop_map(|(most, acks)| Step::Lease(most, acks)),
        2 => (1_usize..9, any::<bool>()).prop_map(|(most, acks)| Step::Letters(most, acks)),
        2 => Just(Step::AckKept),
        1 => Just(Step::Restart),
        1 => any::<u64>().prop_map(Step::PowerLoss),
    ];
    proptest::collection::vec(step, 1..80)
}

/// What must be, and what was seen.
#[derive(Default)]
struct Model {
    next: usize,
    acknowledged: BTreeSet<String>,
    acked: BTreeSet<String>,
    kept: Vec<Part>,
    /// Since the last start: each comes once, in order.
    leased: Vec<usize>,
}

impl Model {
    fn name(&mut self, bytes: usize) -> String {
        self.next += 1;
        format!("{:08} {}", self.next, "x".repeat(bytes))
    }

    async fn append(&mut self, opened: &Opened, live: usize, dead: usize, bytes: usize) {
        let live: Vec<String> = (0..live).map(|_| self.name(bytes)).collect();
        let dead: Vec<String> = (0..dead).map(|_| self.name(bytes)).collect();
        let texts = |of: &[String]| of.to_vec();
        let (live_texts, dead_texts) = (texts(&live), texts(&dead));
        let live: Vec<&str> = live.iter().map(String::as_str).collect();
        let dead: Vec<&str> = dead.iter().map(String::as_str).collect();
        if opened.append(&live, &dead).await.is_ok() {
            self.acknowledged.extend(live_texts);
            self.acknowledged.extend(dead_texts);
        }
    }

    fn take(&mut self, opened: &Opened, parts: Vec<Part>, acks: bool) {
        if acks {
            self.ack(opened, &parts);
        } else {
            self.kept.extend(parts);
        }
    }

    fn ack(&mut self, opened: &Opened, parts: &[Part]) {
        opened.spool.ack(parts);
        self.acked.extend(texts(parts));
    }

    fn start_again(&mut self) {
        self.kept.clear();
        self.leased.clear();
    }
}

async fn live(steps: Vec<Step>, tail_bytes: usize) {
    let folder = MemoryFolder::default();
    let options = SpoolOptions {
        tail_bytes,
        ..OPTIONS
    };
    let mut opened = open_with(&folder, options);
    let mut model = Model::default();
    for step in steps {
        match step {
            Step::Append(live, dead, bytes) => model.append(&opened, live, dead, bytes).await,
            Step::Lease(most, acks) if opened.spool.has_events_to_lease() => {
                let limits = LeaseLimits {
                    max_events: most,
                    ..ALL
                };
                // What is left on the disk may all have been done before.
                let lease = opened.spool.lease(limits);
                let Ok(parts) = tokio::time::timeout(Duration::from_millis(200), lease).await
                else {
                    continue;
                };
                model.leased.extend(
                    texts(&parts)
                        .iter()
                        .map(|text| text[..8].parse::<usize>().unwrap()),
                );
                assert!(model.leased.is_sorted(), "out of order: {:?}", model.leased);
                model.take(&opened, parts, acks);
            }
            Step::Lease(..) => {}
            Step::Letters(most, acks) => {
                let limits = LeaseLimits {
                    max_events: most,
                    ..ALL
                };
                let lease = opened.spool.lease_letters(limits);
                if let Ok(parts) = tokio::time::timeout(Duration::from_millis(5), lease).await {
                    model.take(&opened, parts, acks);
                }
            }
            Step::AckKept => {
                let kept = std::mem::take(&mut model.kept);
                model.ack(&opened, &kept);
            }
            Step::Restart | Step::PowerLoss(_) => {
                if let Step::PowerLoss(seed) = step {
                    folder.lose_power(seed);
                }
                opened.spool.close().await;
                folder.kill();
                opened = open_with(&folder, options);
                model.start_again();
            }
        }
    }
    finish(&opened, &mut model).await;
    opened.spool.close().await;
}

/// Everything that was acknowledged has been acked once, or comes now.
async fn finish(opened: &Opened, model: &mut Model) {
    let kept = std::mem::take(&mut model.kept);
    model.ack(opened, &kept);
    while opened.spool.status().events > 0 {
        tokio::select! {
            parts = opened.spool.lease(ALL) => model.ack(opened, &parts),
            parts = opened.spool.lease_letters(ALL) => model.ack(opened, &parts),
        }
    }
    let missing: Vec<_> = model.acknowledged.difference(&model.acked).collect();
    assert!(missing.is_empty(), "{missing:?}");
    assert_eq!(opened.telemetry.books().lost, 0, "no crash is damage");
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 48, ..ProptestConfig::default() })]

    #[test]
    fn acknowledged_events_come_out_over_restarts_and_losses_of_power(
        steps in steps(),
        tail_bytes in prop_oneof![Just(1_usize), Just(2000), Just(1_000_000)],
    ) {
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
        runtime.block_on(live(steps, tail_bytes));
    }
}
