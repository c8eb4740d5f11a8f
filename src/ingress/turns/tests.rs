//! Who is let in, who waits, and how a turn ends. Time is the tests' own.

use futures_util::FutureExt;

use super::*;

const KB: usize = 1_000;
const BUDGET: usize = 4_000 * KB;

fn turns() -> Arc<Turns> {
    Arc::new(Turns::new(ByteBudget::new(BUDGET)))
}

/// A plain body of which so much has come that all of it is trusted.
fn body(length: usize) -> Outlook {
    Outlook {
        came: 10 * KB,
        length: Some(length as u64),
        is_packed: false,
        reserved: 0,
    }
}

async fn take(turns: &Arc<Turns>, body: Outlook) -> Option<Turn> {
    let turn = turns.take(body).await;
    turn.unwrap_or_else(|_| panic!("{body:?} was refused"))
}

/// Its turn, if it comes at once.
fn at_once(turns: &Arc<Turns>, body: Outlook) -> Option<Turn> {
    turns.take(body).now_or_never()?.ok().flatten()
}

#[tokio::test(start_paused = true)]
async fn as_many_come_at_once_as_there_is_room_for_to_their_end() {
    let turns = turns();
    let mut others: Vec<Turn> = (0..12)
        .filter_map(|_| at_once(&turns, body(60 * KB)))
        .collect();
    assert_eq!(others.len(), 12);
    assert!(at_once(&turns, body(30 * KB)).is_some());
    assert!(at_once(&turns, body(31 * KB)).is_none());
    // Packed to a tenth it is as large inside.
    let packed = |length| Outlook {
        is_packed: true,
        ..body(length)
    };
    assert!(at_once(&turns, packed(3 * KB)).is_some());
    assert!(at_once(&turns, packed(4 * KB)).is_none());
    others.pop();
    assert!(at_once(&turns, body(60 * KB)).is_some());
    // What is in use is nobody's to promise.
    let mut reservation = turns.budget.reservation();
    reservation.grow(200 * KB).unwrap();
    assert!(at_once(&turns, body(60 * KB)).is_none());
    drop((others, reservation));
    assert_eq!(turns.promised.load(Ordering::Relaxed), 0);
}

#[tokio::test(start_paused = true)]
async fn no_more_is_promised_than_what_has_come_is_trusted_for() {
    let turns = turns();
    let promised = |came, length| {
        let outlook = Outlook {
            came,
            length,
            ..body(0)
        };
        at_once(&turns, outlook).map(|turn| turn.most)
    };
    assert_eq!(promised(10 * KB, Some(100_000)), Some(400 * KB));
    assert_eq!(promised(KB, Some(1_000_000)), Some(256 * KB));
    assert_eq!(promised(KB, None), Some(128 * KB));
    assert_eq!(promised(usize::MAX, Some(u64::MAX)), Some(BUDGET / SHARE));
}

#[tokio::test(start_paused = true)]
async fn what_is_reserved_is_promised_no_more() {
    let turns = turns();
    let promised = || turns.promised.load(Ordering::Relaxed);
    let mut turn = take(&turns, body(100 * KB)).await.unwrap();
    for (reserved, left) in [(50, 350), (200, 200), (80, 200), (500, 0)] {
        let goes_on = turn.go_on(Outlook {
            reserved: reserved * KB,
            ..body(100 * KB)
        });
        assert_eq!((goes_on, promised()), (true, left * KB));
    }
}

#[tokio::test(start_paused = true)]
async fn a_body_that_comes_too_slowly_loses_its_turn() {
    let turns = turns();
    for (seconds, came, goes_on) in [
        (1, 0, true),
        (3, 9 * KB, false),
        (3, 11 * KB, true),
        (29, 96 * KB, false),
    ] {
        let mut turn = take(&turns, body(100 * KB)).await.unwrap();
        tokio::time::advance(Duration::from_secs(seconds)).await;
        let outlook = Outlook {
            came,
            ..body(100 * KB)
        };
        assert_eq!(turn.go_on(outlook), goes_on, "{came} in {seconds} s");
    }
}

#[tokio::test(start_paused = true)]
async fn who_came_first_is_next() {
    let turns = turns();
    let all: Vec<_> = (0..12).map(|_| at_once(&turns, body(60 * KB))).collect();
    let order = Mutex::new(Vec::new());
    let waits = async |name, length| {
        let _turn = take(&turns, body(length)).await;
        order.lock().await.push(name);
    };
    let leave = async {
        assert_eq!(turns.waiting(), 3);
        drop(all);
    };
    // A small one does not pass one that waits, though there would be room.
    let first = waits("first", 60 * KB);
    tokio::join!(
        first,
        waits("small", 10 * KB),
        waits("last", 60 * KB),
        leave
    );
    assert_eq!(order.into_inner(), ["first", "small", "last"]);
    assert_eq!(turns.waiting(), 0);
}

#[tokio::test(start_paused = true)]
async fn one_goes_on_though_others_use_all_that_there_is() {
    let turns = turns();
    let mut reservation = turns.budget.reservation();
    reservation.grow(BUDGET - KB).unwrap();
    for length in [60 * KB, BUDGET] {
        let only = at_once(&turns, body(length));
        assert!(only.is_some());
        assert!(at_once(&turns, body(60 * KB)).is_none());
        assert!(at_once(&turns, body(BUDGET)).is_none());
    }
}

#[tokio::test(start_paused = true)]
async fn who_waits_in_vain_is_refused_unless_the_room_is_not_used() {
    let turns = turns();
    let _unused: Vec<_> = (0..12).map(|_| at_once(&turns, body(60 * KB))).collect();
    let began = Instant::now();
    assert!(take(&turns, body(60 * KB)).await.is_none());
    assert_eq!(began.elapsed(), PATIENCE);
    let mut used = turns.budget.reservation();
    used.grow(BUDGET - 239 * KB).unwrap();
    assert!(turns.take(body(60 * KB)).await.is_err());
}
