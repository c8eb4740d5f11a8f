//! What the memory spool promises, step by step.

use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;

use super::queue::ENTRY_BYTES;
use crate::config::OutputType;
use crate::event::SourceCount;
use crate::spool::samples::envelope;
use crate::spool::{Acknowledge, AppendError, LeaseLimits, Spool};
use crate::telemetry::{Gauges, Telemetry};

fn spool(max_bytes: usize, acknowledge: Acknowledge) -> (Spool, Arc<Telemetry>) {
    let telemetry = Arc::new(Telemetry::new(vec![], 1, OutputType::Http));
    (
        Spool::in_memory(max_bytes, acknowledge, Arc::clone(&telemetry)),
        telemetry,
    )
}

async fn append(spool: &Spool, live: &[&str]) -> Result<(), AppendError> {
    spool.append(envelope(live, &[]), in_a_while()).await
}

fn limits(max_events: usize, max_bytes: usize) -> LeaseLimits {
    LeaseLimits {
        max_events,
        max_bytes,
        linger: Duration::ZERO,
    }
}

fn in_a_while() -> Instant {
    Instant::now() + Duration::from_secs(5)
}

#[tokio::test]
async fn leases_keep_the_order_and_obey_the_limits() {
    let (spool, _) = spool(100_000, Acknowledge::Queued);
    for live in [&["1", "2", "3"][..], &["4"], &["5", "6"]] {
        append(&spool, live).await.unwrap();
    }
    let mut seen = Vec::new();
    for expected in [2, 2, 2] {
        let parts = spool.lease(limits(2, 1000)).await;
        assert_eq!(
            parts.iter().map(|part| part.lines.count).sum::<usize>(),
            expected
        );
        for part in &parts {
            seen.extend(part.lines.iter().map(<[u8]>::to_vec));
        }
        spool.ack(&parts);
    }
    assert_eq!(seen.concat(), b"123456");
    assert_eq!(spool.status().events, 0);
    assert_eq!(spool.status().bytes, 0);
}

#[tokio::test]
async fn a_lease_never_exceeds_its_bytes_but_for_one_event_alone() {
    let (spool, _) = spool(100_000, Acknowledge::Queued);
    append(&spool, &["1", "22222222", "3"]).await.unwrap();
    for expected in [&b"1,\n"[..], b"22222222,\n", b"3,\n"] {
        let parts = spool.lease(limits(10, 6)).await;
        let bytes: Vec<u8> = parts
            .iter()
            .flat_map(|part| part.lines.bytes.to_vec())
            .collect();
        assert_eq!(bytes, expected);
    }
}

#[tokio::test]
async fn full_refuses_until_there_is_room_again() {
    let (spool, _) = spool(ENTRY_BYTES + 10, Acknowledge::Queued);
    append(&spool, &["12345"]).await.unwrap();
    let refused = append(&spool, &["12345"]).await;
    assert!(matches!(refused, Err(AppendError::Full { .. })));
    assert!(spool.status().full);
    let parts = spool.lease(limits(10, 100)).await;
    spool.ack(&parts);
    assert!(!spool.status().full);
    append(&spool, &["12345"]).await.unwrap();
    let too_large = append(&spool, &["123456789"]).await;
    assert_eq!(
        too_large,
        Err(AppendError::TooLarge {
            bytes: ENTRY_BYTES + 11,
            max_bytes: ENTRY_BYTES + 10,
            key: "spool.memory_bytes",
        })
    );
}

#[tokio::test]
async fn delivered_is_answered_when_events_and_letters_are_acked() {
    let (spool, telemetry) = spool(100_000, Acknowledge::Delivered);
    let append = spool.append(envelope(&["1", "2"], &["letter"]), in_a_while());
    let deliver = async {
        let letter = spool.lease_letters(limits(10, 1000)).await.remove(0);
        spool.ack(&[letter]);
        for _ in 0..2 {
            assert_eq!(telemetry.books().accepted, 0);
            let parts = spool.lease(limits(1, 100)).await;
            spool.ack(&parts);
        }
    };
    let (answer, ()) = tokio::join!(append, deliver);
    assert_eq!(answer, Ok(()));
    assert_eq!(telemetry.books().accepted, 3);
}

#[tokio::test(start_paused = true)]
async fn a_timeout_withdraws_what_is_not_under_way() {
    let (spool, telemetry) = spool(100_000, Acknowledge::Delivered);
    let soon = Instant::now() + Duration::from_secs(1);
    let known = |source: &str| telemetry.sources.number(source.as_bytes(), Vec::new);
    let count = |source, events| SourceCount { source, events };
    let mut envelope = envelope(&["1", "2", "3"], &["letter"]);
    envelope.sources = vec![count(known("a"), 2), count(known("b"), 2)];
    let append = spool.append(envelope, soon);
    let (answer, leased) = tokio::join!(append, spool.lease(limits(1, 100)));
    assert_eq!(answer, Err(AppendError::NotDelivered));
    assert_eq!(spool.status().events, 1);
    assert_eq!(telemetry.books().accepted, 1);
    assert_eq!(telemetry.books().received, 1);
    let samples = telemetry.render(Gauges::default());
    assert!(
        samples.contains("headgate_source_events_total 1\n"),
        "{samples}"
    );
    spool.ack(&leased);
    assert_eq!(spool.status(), crate::spool::SpoolStatus::default());
    assert_eq!(telemetry.books().accepted, 1);
}

#[tokio::test(start_paused = true)]
async fn linger_waits_for_a_fuller_batch_and_no_longer() {
    let (spool, _) = spool(100_000, Acknowledge::Queued);
    let begun = Instant::now();
    let lingering = LeaseLimits {
        linger: Duration::from_millis(5),
        ..limits(2, 1000)
    };
    append(&spool, &["1"]).await.unwrap();
    assert_eq!(spool.lease(lingering).await.len(), 1);
    assert!(begun.elapsed() >= Duration::from_millis(5));
    let begun = Instant::now();
    let filling = async {
        append(&spool, &["1"]).await.unwrap();
        append(&spool, &["2"]).await.unwrap();
    };
    let (parts, ()) = tokio::join!(spool.lease(lingering), filling);
    assert_eq!(parts.len(), 2);
    assert!(begun.elapsed() < Duration::from_millis(5));
}

#[tokio::test]
async fn drained_resolves_when_the_last_event_is_acked() {
    let (spool, _) = spool(100_000, Acknowledge::Queued);
    spool.drained().await;
    append(&spool, &["1"]).await.unwrap();
    let parts = spool.lease(limits(1, 100)).await;
    let (_, ()) = tokio::join!(spool.drained(), async { spool.ack(&parts) });
}

#[tokio::test(start_paused = true)]
async fn a_lease_is_never_empty_even_if_all_is_withdrawn_while_it_lingers() {
    let (spool, _) = spool(100_000, Acknowledge::Delivered);
    let lingering = LeaseLimits {
        linger: Duration::from_millis(5),
        ..limits(10, 1000)
    };
    let withdrawn = async {
        let soon = Instant::now() + Duration::from_millis(1);
        let answer = spool.append(envelope(&["1"], &[]), soon).await;
        assert_eq!(answer, Err(AppendError::NotDelivered));
        tokio::time::sleep(Duration::from_secs(1)).await;
        let soon = Instant::now() + Duration::from_secs(1);
        spool.append(envelope(&["2"], &[]), soon).await
    };
    let deliver = async {
        let parts = spool.lease(lingering).await;
        assert_eq!(parts[0].lines.iter().next(), Some(&b"2"[..]));
        spool.ack(&parts);
    };
    let (answer, ()) = tokio::join!(withdrawn, deliver);
    assert_eq!(answer, Ok(()));
}

#[tokio::test(start_paused = true)]
async fn an_ack_at_the_deadline_is_a_delivery_and_counts_once() {
    for is_older_one_open in [false, true] {
        let (spool, telemetry) = spool(100_000, Acknowledge::Delivered);
        let older = envelope(if is_older_one_open { &["0"] } else { &[] }, &[]);
        let older = spool.append(older, in_a_while());
        let deadline = Instant::now() + Duration::from_secs(1);
        let append = spool.append(envelope(&["1"], &[]), deadline);
        let deliver = async {
            let parts = spool.lease(limits(10, 100)).await;
            // Both are due in the same moment; whichever is seen first, the events are delivered.
            tokio::time::sleep_until(deadline).await;
            spool.ack(&parts[parts.len() - 1..]);
            spool.ack(&parts[..parts.len() - 1]);
        };
        let (older, answer, ()) = tokio::join!(older, append, deliver);
        assert_eq!(older, Ok(()));
        let events = 1 + usize::from(is_older_one_open);
        assert_eq!(telemetry.books().accepted, events as u64);
        assert_eq!(spool.status().events, 0);
        assert!(matches!(answer, Ok(()) | Err(AppendError::NotDelivered)));
    }
}

#[tokio::test(start_paused = true)]
async fn withdrawn_envelopes_leave_nothing_behind_while_an_older_one_is_leased() {
    let (spool, _) = spool(100_000, Acknowledge::Delivered);
    let older = spool.append(
        envelope(&["0"], &[]),
        Instant::now() + Duration::from_secs(3600),
    );
    let withdrawn = async {
        let leased = spool.lease(limits(10, 100)).await;
        for _ in 0..100 {
            let soon = Instant::now() + Duration::from_secs(1);
            let answer = spool.append(envelope(&["1"], &[]), soon).await;
            assert_eq!(answer, Err(AppendError::NotDelivered));
        }
        assert_eq!(spool.entries(), 1);
        spool.ack(&leased);
    };
    let (older, ()) = tokio::join!(older, withdrawn);
    assert_eq!(older, Ok(()));
    assert_eq!(spool.entries(), 0);
}
