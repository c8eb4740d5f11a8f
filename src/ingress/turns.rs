//! Large bodies whose length is declared take turns: as many come at once as the byte budget has room for to their end, with the envelopes
//! made of them. Without turns a thousand clients all begin, the budget is full when each has sent half, and most
//! are refused with that half in vain: the server is busy with reading what it throws away.
//!
//! A turn is a promise of room and not room itself. Who is slow loses it, so that nobody can hold up the others
//! by a length that is declared and never sent.

use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::timeout;

use super::refusal::{Refusal, overloaded};
use crate::budget::ByteBudget;

/// A smaller body comes in one read or two, and needs no turn.
const SMALL_BODY: u64 = 16 * 1024;

/// How long a turn is waited for. A client that is told to come back sends all of it again; one that waits longer
/// than this may have given up.
const PATIENCE: Duration = Duration::from_secs(2);

/// How long a body may take to come before its turn is over: half a megabyte over 5 Mbit/s.
const QUICK: Duration = Duration::from_secs(1);

/// What a body takes while it is decoded, in times its length: itself, and an envelope nearly twice as large.
const TIMES_BODY: u64 = 3;

/// Logs are packed to a tenth.
const TIMES_PACKED: u64 = 10;

/// What turns are counted in: the semaphore takes numbers of 32 bits.
const UNIT: u64 = 1024;

/// The turns that are to be had.
pub(super) struct Turns {
    budget: ByteBudget,
    free: Arc<Semaphore>,
    /// How much is free when nobody has a turn.
    all: u32,
    waiting: AtomicUsize,
}

/// The turn of one body, or that it has none.
#[derive(Default)]
pub(super) struct Turn {
    permit: Option<OwnedSemaphorePermit>,
}

impl Turns {
    /// The turns to use this budget.
    pub(super) fn new(budget: ByteBudget) -> Self {
        let all = units(budget.limit() as u64);
        Self {
            budget,
            free: Arc::new(Semaphore::new(all as usize)),
            all,
            waiting: AtomicUsize::new(0),
        }
    }

    /// Bodies that wait for their turn.
    pub(super) fn waiting(&self) -> usize {
        self.waiting.load(Ordering::Relaxed)
    }

    /// Waits for the turn of a body of this length, in bytes.
    ///
    /// # Errors
    /// The refusal when it does not come in time and half of the budget is in use. Where it is not, those who have
    /// a turn do nothing with it, and need not be waited for.
    pub(super) async fn take(&self, length: u64, is_packed: bool) -> Result<Turn, Refusal> {
        if length <= SMALL_BODY {
            return Ok(Turn::default());
        }
        let _waiting = Waiting::new(&self.waiting);
        let free = Arc::clone(&self.free);
        let acquiring = free.acquire_many_owned(self.units_of(length, is_packed));
        match timeout(PATIENCE, acquiring).await {
            Ok(permit) => Ok(Turn {
                permit: Some(permit.expect("nobody closes the semaphore")),
            }),
            Err(_) if self.budget.has_room_for(self.budget.limit() as u64 / 2) => {
                Ok(Turn::default())
            }
            Err(_) => Err(overloaded()),
        }
    }

    fn units_of(&self, length: u64, is_packed: bool) -> u32 {
        let times = if is_packed {
            TIMES_BODY * TIMES_PACKED
        } else {
            TIMES_BODY
        };
        // What is larger than the budget comes alone.
        units(length.saturating_mul(times)).min(self.all)
    }
}

impl Turn {
    /// Reads the body. The turn is over when that takes long.
    pub(super) async fn during<T>(&mut self, reading: impl Future<Output = T>) -> T {
        let mut reading = pin!(reading);
        if self.permit.is_some() {
            if let Ok(read) = timeout(QUICK, reading.as_mut()).await {
                return read;
            }
            self.permit = None;
        }
        reading.await
    }
}

/// Counted among those that wait as long as it lives.
struct Waiting<'a>(&'a AtomicUsize);

impl<'a> Waiting<'a> {
    fn new(waiting: &'a AtomicUsize) -> Self {
        waiting.fetch_add(1, Ordering::Relaxed);
        Self(waiting)
    }
}

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

fn units(bytes: u64) -> u32 {
    u32::try_from(bytes.div_ceil(UNIT)).unwrap_or(u32::MAX)
}

#[cfg(test)]
mod tests {
    use futures_util::FutureExt;
    use tokio::time::Instant;

    use super::*;

    const BUDGET: usize = 1024 * 1024;
    const ALL: u64 = BUDGET as u64;

    fn turns() -> Turns {
        Turns::new(ByteBudget::new(BUDGET))
    }

    async fn take(turns: &Turns, length: u64) -> Turn {
        let turn = turns.take(length, false).await;
        turn.unwrap_or_else(|_| panic!("a body of {length} bytes was refused"))
    }

    /// Whether the turn comes at once.
    fn comes(turns: &Turns, length: u64, is_packed: bool) -> bool {
        turns.take(length, is_packed).now_or_never().is_some()
    }

    #[tokio::test(start_paused = true)]
    async fn as_many_come_at_once_as_there_is_room_for_to_their_end() {
        let turns = turns();
        let first = take(&turns, 200_000).await;
        assert!(comes(&turns, 140_000, false));
        assert!(!comes(&turns, 160_000, false));
        assert!(comes(&turns, SMALL_BODY, false));
        // Packed to a tenth it is as large inside.
        assert!(!comes(&turns, 20_000, true));
        drop(first);
        assert!(comes(&turns, 340_000, false));
        // What never fits does not wait for ever.
        assert!(comes(&turns, u64::MAX, true));
    }

    #[tokio::test(start_paused = true)]
    async fn who_is_slow_loses_the_turn() {
        let turns = turns();
        let mut slow = take(&turns, ALL).await;
        let began = Instant::now();
        let reading = slow.during(std::future::pending::<()>());
        tokio::select! {
            () = reading => {}
            _next = take(&turns, ALL) => assert_eq!(began.elapsed(), QUICK),
        }
        assert_eq!(slow.during(async { 7 }).await, 7);
    }

    #[tokio::test(start_paused = true)]
    async fn who_waits_in_vain_is_refused_unless_the_room_is_not_used() {
        let turns = turns();
        let _unused = take(&turns, ALL).await;
        let began = Instant::now();
        assert!(take(&turns, ALL).await.permit.is_none());
        assert_eq!(began.elapsed(), PATIENCE);
        let mut used = turns.budget.reservation();
        used.grow(BUDGET / 2 + 1).unwrap();
        let refused = turns.take(ALL, false);
        let (refused, waiting) = tokio::join!(refused, async { turns.waiting() });
        assert!(refused.is_err());
        assert_eq!((waiting, turns.waiting()), (1, 0));
    }
}
