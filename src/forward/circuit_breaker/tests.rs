//! When a Broker is left alone, and for how long.

use super::*;

const INITIAL: Duration = Duration::from_millis(100);
const MAX: Duration = Duration::from_secs(2);
/// The longest pauses.
const RANDOM: f64 = 1.0;

fn closed() -> CircuitBreaker {
    CircuitBreaker::new(Backoff {
        initial: INITIAL,
        max: MAX,
    })
}

fn fail(breaker: &mut CircuitBreaker, now: Instant) -> Change {
    let ticket = breaker.begin(now).unwrap();
    breaker.note_failure(ticket, Trip::default(), now, RANDOM)
}

fn go_down(breaker: &mut CircuitBreaker, now: Instant) {
    while fail(breaker, now) != Change::WentDown {}
}

#[test]
fn five_failures_in_a_row_open_it_and_a_success_between_them_does_not() {
    let now = Instant::now();
    let mut breaker = closed();
    for _ in 0..4 {
        assert_eq!(fail(&mut breaker, now), Change::Nothing);
    }
    let ticket = breaker.begin(now).unwrap();
    assert_eq!(breaker.note_success(ticket), Change::Nothing);
    for _ in 0..4 {
        assert_eq!(fail(&mut breaker, now), Change::Nothing);
    }
    assert_eq!(fail(&mut breaker, now), Change::WentDown);
    assert_eq!(breaker.admits(now), Admits::NotBefore(now + INITIAL));
}

#[test]
fn a_rest_can_be_ended_unless_it_was_asked_for() {
    let now = Instant::now();
    let mut breaker = closed();
    breaker.end_rest(now);
    assert_eq!(breaker.admits(now), Admits::Freely);
    go_down(&mut breaker, now);
    breaker.end_rest(now);
    assert_eq!(breaker.admits(now), Admits::Probe);
    let asking = Trip {
        retry_after: Some(MAX),
        ..Trip::default()
    };
    let [mut first, mut late] = [closed(), closed()];
    let early = late.begin(now).unwrap();
    let ticket = first.begin(now).unwrap();
    first.note_failure(ticket, asking, now, RANDOM);
    go_down(&mut late, now);
    late.note_failure(early, asking, now, RANDOM);
    for breaker in [&mut first, &mut late] {
        breaker.end_rest(now);
        assert_eq!(breaker.admits(now), Admits::NotBefore(now + MAX));
    }
}

#[test]
fn a_batch_that_failed_again_and_again_opens_nothing_and_closes_nothing() {
    let mut now = Instant::now();
    let mut breaker = closed();
    let suspect = Trip {
        evidence: Evidence::NoNews,
        ..Trip::default()
    };
    let fail_as = |breaker: &mut CircuitBreaker, trip, now| {
        let ticket = breaker.begin(now).unwrap();
        breaker.note_failure(ticket, trip, now, RANDOM)
    };
    for _ in 0..20 {
        assert_eq!(fail_as(&mut breaker, suspect, now), Change::Nothing);
    }
    go_down(&mut breaker, now);
    now += INITIAL;
    fail_as(&mut breaker, suspect, now);
    assert_eq!(breaker.admits(now), Admits::NotBefore(now + 2 * INITIAL));
    now += 2 * INITIAL;
    let ticket = breaker.begin(now).unwrap();
    breaker.note_success(ticket);
    let asks_for_rest = Trip {
        retry_after: Some(MAX),
        ..suspect
    };
    assert_eq!(
        fail_as(&mut breaker, asks_for_rest, now),
        Change::WentDown,
        "it says itself that it wants none"
    );
}

#[test]
fn after_the_rest_one_probe_decides() {
    let mut now = Instant::now();
    let mut breaker = closed();
    go_down(&mut breaker, now);
    now += INITIAL;
    assert_eq!(breaker.admits(now), Admits::Probe);
    let probe = breaker.begin(now).unwrap();
    assert_eq!(breaker.admits(now + MAX), Admits::AfterProbe);
    assert!(breaker.begin(now).is_none(), "one at a time");
    assert_eq!(
        breaker.note_failure(probe, Trip::default(), now, RANDOM),
        Change::Nothing
    );
    assert_eq!(breaker.admits(now), Admits::NotBefore(now + 2 * INITIAL));
    now += 2 * INITIAL;
    let probe = breaker.begin(now).unwrap();
    assert_eq!(breaker.note_success(probe), Change::CameUp);
    assert_eq!(breaker.admits(now), Admits::Freely);
}

#[test]
fn rests_grow_up_to_the_limit_and_begin_anew_after_a_success() {
    let mut now = Instant::now();
    let mut breaker = closed();
    go_down(&mut breaker, now);
    for rest in [100, 200, 400, 800, 1600, 2000, 2000] {
        let rest = Duration::from_millis(rest);
        assert_eq!(breaker.admits(now), Admits::NotBefore(now + rest));
        now += rest;
        fail(&mut breaker, now);
    }
    now += MAX;
    let probe = breaker.begin(now).unwrap();
    breaker.note_success(probe);
    go_down(&mut breaker, now);
    assert_eq!(breaker.admits(now), Admits::NotBefore(now + INITIAL));
}

#[test]
fn one_that_asks_for_no_rest_and_fails_on_gets_one() {
    let now = Instant::now();
    let mut breaker = closed();
    let at_once = Trip {
        retry_after: Some(Duration::ZERO),
        ..Trip::default()
    };
    for _ in 1..FAILURES_THAT_OPEN {
        let ticket = breaker.begin(now).unwrap();
        assert_eq!(
            breaker.note_failure(ticket, at_once, now, RANDOM),
            Change::Nothing
        );
    }
    let ticket = breaker.begin(now).unwrap();
    assert_eq!(
        breaker.note_failure(ticket, at_once, now, RANDOM),
        Change::WentDown
    );
    assert_eq!(breaker.admits(now), Admits::NotBefore(now + INITIAL));
}

#[test]
fn a_late_answer_can_ask_for_a_longer_rest_and_not_for_a_shorter_one() {
    let now = Instant::now();
    let mut breaker = closed();
    let tickets = [(); 3].map(|()| breaker.begin(now).unwrap());
    let seconds = |after| Trip {
        retry_after: Some(Duration::from_secs(after)),
        ..Trip::default()
    };
    for (ticket, after, rest) in [
        (tickets[0], 5, 5),
        (tickets[1], 120, 120),
        (tickets[2], 1, 120),
    ] {
        breaker.note_failure(ticket, seconds(after), now, RANDOM);
        let until = now + Duration::from_secs(rest);
        assert_eq!(breaker.admits(now), Admits::NotBefore(until));
    }
}

#[test]
fn the_first_rest_goes_on_where_the_pauses_of_its_batch_were() {
    let now = Instant::now();
    let mut breaker = closed();
    for round in 1..=5 {
        let ticket = breaker.begin(now).unwrap();
        let trip = Trip {
            round,
            ..Trip::default()
        };
        breaker.note_failure(ticket, trip, now, RANDOM);
    }
    assert_eq!(breaker.admits(now), Admits::NotBefore(now + 16 * INITIAL));
}

#[test]
fn a_broker_that_asks_to_be_left_alone_is() {
    let now = Instant::now();
    let mut breaker = closed();
    let (one, other) = (breaker.begin(now).unwrap(), breaker.begin(now).unwrap());
    let after = Duration::from_secs(60);
    let trip = Trip {
        retry_after: Some(after),
        ..Trip::default()
    };
    assert_eq!(
        breaker.note_failure(one, trip, now, RANDOM),
        Change::WentDown
    );
    assert_eq!(breaker.note_success(other), Change::Nothing);
    assert_eq!(breaker.admits(now), Admits::NotBefore(now + after));
    let mut busy_for_no_time = closed();
    let ticket = busy_for_no_time.begin(now).unwrap();
    let trip = Trip {
        retry_after: Some(Duration::ZERO),
        ..Trip::default()
    };
    busy_for_no_time.note_failure(ticket, trip, now, RANDOM);
    assert_eq!(busy_for_no_time.admits(now), Admits::Freely);
}

#[test]
fn what_was_sent_before_a_change_says_nothing_about_the_time_after_it() {
    let now = Instant::now();
    let mut breaker = closed();
    let under_way: Vec<_> = (0..8).map(|_| breaker.begin(now).unwrap()).collect();
    let changes: Vec<_> = under_way
        .into_iter()
        .map(|ticket| breaker.note_failure(ticket, Trip::default(), now, RANDOM))
        .collect();
    let went_down = changes
        .iter()
        .position(|change| *change == Change::WentDown);
    assert_eq!(went_down, Some(4));
    assert_eq!(
        breaker.admits(now),
        Admits::NotBefore(now + INITIAL),
        "what fails together makes one rest"
    );
}

#[test]
fn what_the_first_probe_ends_is_not_worth_a_word() {
    let mut now = Instant::now();
    let mut breaker = closed();
    go_down(&mut breaker, now);
    assert!(!breaker.is_up() && !breaker.is_down_for_a_while());
    now += INITIAL;
    fail(&mut breaker, now);
    assert!(breaker.is_down_for_a_while());
    now += MAX;
    let probe = breaker.begin(now).unwrap();
    assert!(breaker.is_down_for_a_while(), "until the probe has ended");
    breaker.note_success(probe);
    assert!(!breaker.is_down_for_a_while());
}

#[test]
fn a_first_rest_is_worth_a_word_where_it_is_long_or_the_failure_certain() {
    let now = Instant::now();
    let asked_for = |retry_after| Trip {
        retry_after: Some(retry_after),
        ..Trip::default()
    };
    let certain = Trip {
        evidence: Evidence::Enough,
        ..Trip::default()
    };
    let shorter = LASTING - Duration::from_millis(1);
    for (trip, is_told) in [
        (asked_for(shorter), false),
        (asked_for(LASTING), true),
        (certain, true),
    ] {
        let mut breaker = closed();
        let ticket = breaker.begin(now).unwrap();
        breaker.note_failure(ticket, trip, now, RANDOM);
        assert_eq!(breaker.is_down_for_a_while(), is_told, "{trip:?}");
        let mut breaker = closed();
        let late = breaker.begin(now).unwrap();
        go_down(&mut breaker, now);
        breaker.note_failure(late, trip, now, RANDOM);
        let is_told = trip.retry_after == Some(LASTING);
        assert_eq!(breaker.is_down_for_a_while(), is_told, "late: {trip:?}");
    }
}

/// Requests of a minute to a Broker that fails them all, after the first ten seconds.
fn requests_of_a_minute(seed: u64) -> usize {
    let mut random = fastrand::Rng::with_seed(seed);
    let begun = Instant::now();
    let mut breaker = CircuitBreaker::new(Backoff {
        initial: INITIAL,
        max: Duration::from_secs(30),
    });
    let mut now = begun;
    let mut requests = 0;
    while now < begun + Duration::from_secs(60) {
        match breaker.admits(now) {
            Admits::NotBefore(moment) => now = moment,
            Admits::Freely | Admits::Probe => {
                requests += usize::from(now > begun + Duration::from_secs(10));
                let ticket = breaker.begin(now).unwrap();
                breaker.note_failure(ticket, Trip::default(), now, random.f64());
                now += Duration::from_millis(1);
            }
            Admits::AfterProbe => unreachable!("each probe has ended"),
        }
    }
    requests
}

#[test]
fn one_that_fails_for_a_minute_is_asked_less_than_once_a_second() {
    for seed in 0..1000 {
        let requests = requests_of_a_minute(seed);
        assert!(requests < 50, "seed {seed}: {requests} in fifty seconds");
    }
}

#[test]
fn a_certain_failure_opens_it_at_once() {
    let now = Instant::now();
    let mut breaker = closed();
    let ticket = breaker.begin(now).unwrap();
    let trip = Trip {
        evidence: Evidence::Enough,
        ..Trip::default()
    };
    assert_eq!(
        breaker.note_failure(ticket, trip, now, RANDOM),
        Change::WentDown
    );
}
