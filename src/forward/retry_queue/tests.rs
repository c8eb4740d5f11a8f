//! What is next, in which order.

use bytes::Bytes;

use super::*;
use crate::event::Lines;
use crate::forward::suspicion::Record;
use crate::forward::turned_away::TurnedAway;
use crate::spool::Part;

const PAUSE: Duration = Duration::from_secs(1);

fn shipment(first: Position) -> Shipment {
    shipment_of(first, 4)
}

fn shipment_of(first: Position, bytes: usize) -> Shipment {
    let lines = Lines {
        count: 1,
        bytes: (" ".repeat(bytes - 4) + "{},\n").into(),
    };
    Shipment::new(vec![Part { first, lines }])
}

fn suspect(first: Position, failures: u32) -> Shipment {
    let mut shipment = shipment(first);
    for _ in 0..failures {
        shipment.suspicion.note_failure(0, Record::default());
    }
    shipment
}

fn tried(first: Position, rounds: u32) -> Shipment {
    Shipment {
        rounds,
        turned_away: TurnedAway::after(rounds),
        ..shipment(first)
    }
}

fn sent(choice: Choice) -> Option<Position> {
    match choice {
        Choice::Send(shipment) => Some(shipment.first()),
        Choice::Lease(_) | Choice::Wait(_) => None,
    }
}

#[test]
fn what_is_due_comes_before_new_events_and_in_order() {
    let now = Instant::now();
    let mut waiting = RetryQueue::new(8);
    waiting.add(shipment(9), now);
    waiting.add(shipment(5), now);
    waiting.add(shipment(1), now + PAUSE);
    let mut choose = |now| waiting.choose(Admission::Free, true, now);
    assert_eq!(sent(choose(now)), Some(5));
    assert_eq!(sent(choose(now)), Some(9));
    assert!(matches!(choose(now), Choice::Lease(Some(next)) if next == now + PAUSE));
    assert_eq!(sent(choose(now + PAUSE)), Some(1));
    assert!(matches!(choose(now), Choice::Lease(None)));
}

#[test]
fn a_batch_that_waits_holds_a_slot_so_that_one_slot_keeps_order() {
    let now = Instant::now();
    for slots in [1, 3] {
        let mut waiting = RetryQueue::new(slots);
        for first in 0..slots {
            let choice = waiting.choose(Admission::Free, true, now);
            assert!(matches!(choice, Choice::Lease(_)));
            waiting.add(shipment(first as Position), now + PAUSE);
        }
        let choice = waiting.choose(Admission::Free, true, now);
        assert!(matches!(choice, Choice::Wait(Some(next)) if next == now + PAUSE));
    }
}

#[test]
fn where_order_is_kept_what_is_due_waits_for_what_came_before() {
    let now = Instant::now();
    for (slots, next) in [(1, None), (2, Some(2))] {
        let mut waiting = RetryQueue::new(slots);
        waiting.add(shipment(1), now + PAUSE);
        waiting.add(shipment(2), now);
        let choice = waiting.choose(Admission::Free, true, now);
        if slots == 1 {
            assert!(matches!(choice, Choice::Wait(Some(next)) if next == now + PAUSE));
        }
        assert_eq!(sent(choice), next);
    }
}

#[test]
fn a_probe_is_made_with_the_batch_that_was_tried_least_whatever_its_pause() {
    let now = Instant::now();
    let mut waiting = RetryQueue::new(8);
    waiting.add(tried(9, 1), now + PAUSE);
    waiting.add(tried(5, 2), now + 2 * PAUSE);
    waiting.add(tried(3, 3), now + 2 * PAUSE);
    let mut probe = |has_new| waiting.choose(Admission::Probe, has_new, now);
    assert!(matches!(probe(true), Choice::Lease(Some(_))));
    assert_eq!(sent(probe(false)), Some(9));
    assert_eq!(sent(probe(false)), Some(5));
    waiting.end_pauses(now);
    assert_eq!(sent(waiting.choose(Admission::Free, true, now)), Some(3));
}

#[test]
fn a_broker_that_is_not_reached_is_probed_with_what_waits() {
    let now = Instant::now();
    let mut waiting = RetryQueue::new(8);
    let unsent = Shipment {
        turned_away: TurnedAway::default(),
        ..tried(5, 9)
    };
    waiting.add(unsent, now + PAUSE);
    waiting.add(tried(7, 1), now + PAUSE);
    assert_eq!(sent(waiting.choose(Admission::Probe, true, now)), Some(7));
    assert_eq!(sent(waiting.choose(Admission::Probe, true, now)), Some(5));
}

#[test]
fn where_order_is_kept_a_probe_is_made_with_the_oldest_batch() {
    let now = Instant::now();
    let mut waiting = RetryQueue::new(1);
    waiting.add(tried(5, 9), now + PAUSE);
    assert_eq!(sent(waiting.choose(Admission::Probe, true, now)), Some(5));
}

#[test]
fn new_batches_for_probes_are_bounded() {
    let now = Instant::now();
    let mut waiting = RetryQueue::new(2);
    for first in 0..2 * MAX_IN_ORDER as Position {
        let choice = waiting.choose(Admission::Probe, true, now);
        assert!(matches!(choice, Choice::Lease(_)), "{first}");
        waiting.add(tried(first, 1), now + PAUSE);
    }
    assert_eq!(sent(waiting.choose(Admission::Probe, true, now)), Some(0));
}

#[test]
fn what_failed_for_any_reason_lets_others_pass_and_comes_one_by_one() {
    let now = Instant::now();
    let mut waiting = RetryQueue::new(2);
    for first in 0..4 {
        waiting.add(tried(first, FAILURES_OF_A_SUSPECT), now + PAUSE);
    }
    let choice = waiting.choose(Admission::Free, true, now);
    assert!(matches!(choice, Choice::Lease(_)));
    waiting.end_pauses(now);
    assert_eq!(sent(waiting.choose(Admission::Free, true, now)), Some(0));
    let choice = waiting.choose(Admission::Free, true, now);
    assert!(matches!(choice, Choice::Lease(_)));
    waiting.end_next_pause(now);
    assert_eq!(sent(waiting.choose(Admission::Free, true, now)), Some(1));
}

#[tokio::test(start_paused = true)]
async fn where_order_is_kept_a_batch_that_may_be_to_blame_lets_others_pass() {
    let now = Instant::now();
    for (failures, passes) in [(9, false), (10, true)] {
        let mut waiting = RetryQueue::new(1);
        waiting.add(suspect(1, failures), now + PAUSE);
        let choice = waiting.choose(Admission::Probe, true, now);
        assert_eq!(matches!(choice, Choice::Lease(_)), passes, "{failures}");
    }
    let mut waiting = RetryQueue::new(1);
    waiting.add(suspect(1, 10), now + PAUSE);
    assert_eq!(sent(waiting.choose(Admission::Probe, false, now)), Some(1));
    waiting.add(suspect(1, 10), now);
    assert_eq!(sent(waiting.choose(Admission::Free, true, now)), Some(1));
}

#[test]
fn suspects_hold_half_of_the_slots_and_keep_no_new_batches_waiting() {
    let now = Instant::now();
    let mut waiting = RetryQueue::new(4);
    for first in 0..4 {
        waiting.add(suspect(first, 1), now);
    }
    waiting.add(suspect(4, FAILURES_OF_A_SUSPECT), now);
    let mut choose = || waiting.choose(Admission::Free, true, now);
    let (Choice::Send(under_way), Choice::Send(other)) = (choose(), choose()) else {
        panic!("two of four slots are for suspects");
    };
    assert_eq!((under_way.first(), other.first()), (0, 1));
    assert!(matches!(choose(), Choice::Lease(None)));
    drop(under_way);
    assert_eq!(sent(choose()), Some(2));
    waiting.add(shipment(9), now);
    let choice = waiting.choose(Admission::Free, true, now);
    assert_eq!(sent(choice), Some(3), "the one before is over");
    drop(other);
}

#[tokio::test(start_paused = true)]
async fn suspects_hold_a_single_slot_half_of_the_time() {
    let took = 30 * PAUSE;
    for slots in [1, 2] {
        let mut waiting = RetryQueue::new(slots);
        // Of two Brokers one is down.
        waiting.suspects().share(1);
        for first in 0..2 {
            waiting.add(suspect(first, 10), Instant::now());
        }
        let mut choose = || waiting.choose(Admission::Free, true, Instant::now());
        let Choice::Send(under_way) = choose() else {
            panic!("nothing else was sent yet");
        };
        tokio::time::advance(took).await;
        drop(under_way);
        let until = Instant::now() + took;
        assert!(
            matches!(choose(), Choice::Lease(Some(next)) if next == until),
            "the other one would keep new events waiting"
        );
        tokio::time::advance(took).await;
        assert_eq!(sent(choose()), Some(1));
    }
}

#[test]
fn what_lets_others_pass_keeps_nothing_else_in_memory() {
    let now = Instant::now();
    let mut waiting = RetryQueue::new(8);
    let large = Bytes::from(" ".repeat(999_996) + "{},\n");
    let lines = Lines {
        count: 1,
        bytes: large.slice(999_900..),
    };
    waiting.put_off(Shipment::new(vec![Part { first: 1, lines }]), now);
    let kept = &waiting.passed[0].shipment.batch.parts()[0].lines.bytes;
    assert_eq!(kept.len(), 100);
    assert!(kept.is_unique(), "the rest of its envelope is not held");
}

#[test]
fn what_is_put_off_is_bounded_and_takes_turns() {
    let now = Instant::now();
    let mut waiting = RetryQueue::new(8);
    for first in 0..4 {
        let choice = waiting.choose(Admission::Probe, true, now);
        assert!(matches!(choice, Choice::Lease(_)));
        waiting.put_off(shipment_of(first, MAX_PASSED_BYTES / 4), now);
    }
    for expected in [0, 1] {
        let Choice::Send(shipment) = waiting.choose(Admission::Probe, true, now) else {
            panic!("it is full");
        };
        assert_eq!(shipment.first(), expected);
        waiting.put_off(shipment, now);
    }
    assert!(waiting.recall(now));
    assert_eq!(sent(waiting.choose(Admission::Free, true, now)), Some(0));
    waiting.put_off(shipment(0), now);
    let choice = waiting.choose(Admission::Probe, true, now);
    assert!(matches!(choice, Choice::Lease(_)), "all are put off again");
    assert_eq!(sent(waiting.choose(Admission::Probe, false, now)), Some(1));
    assert!(waiting.recall(now));
    assert!(!waiting.recall(now), "once is enough");
}

#[test]
fn a_recall_leaves_what_else_lets_others_pass() {
    let now = Instant::now();
    let mut waiting = RetryQueue::new(8);
    waiting.add(tried(1, FAILURES_OF_A_SUSPECT), now + PAUSE);
    waiting.put_off(shipment(2), now + PAUSE);
    assert!(waiting.recall(now));
    let mut choose = |now| sent(waiting.choose(Admission::Free, true, now));
    assert_eq!(choose(now), Some(2));
    assert_eq!(choose(now), None);
    assert_eq!(choose(now + PAUSE), Some(1));
}

#[test]
fn a_suspect_that_waits_again_holds_no_slot() {
    let now = Instant::now();
    let mut waiting = RetryQueue::new(2);
    for first in 0..3 {
        waiting.add(suspect(first, 1), now);
    }
    let send = |waiting: &mut RetryQueue| match waiting.choose(Admission::Free, true, now) {
        Choice::Send(shipment) => shipment,
        Choice::Lease(_) | Choice::Wait(_) => panic!("there is no slot"),
    };
    let first = send(&mut waiting);
    waiting.add(first, now + PAUSE);
    let second = send(&mut waiting);
    assert_eq!(second.first(), 1);
    waiting.put_off(second, now + PAUSE);
    assert_eq!(send(&mut waiting).first(), 2);
}

#[test]
fn what_made_a_broker_ask_for_a_rest_waits_for_the_end_of_its_own_pause() {
    let now = Instant::now();
    let mut waiting = RetryQueue::new(8);
    let unwelcome = Shipment {
        asks_for_rest: true,
        ..tried(1, FAILURES_OF_A_SUSPECT)
    };
    waiting.add(unwelcome, now + PAUSE);
    waiting.add(tried(2, FAILURES_OF_A_SUSPECT), now + PAUSE);
    waiting.end_next_pause(now);
    assert_eq!(sent(waiting.choose(Admission::Free, true, now)), Some(2));
}
