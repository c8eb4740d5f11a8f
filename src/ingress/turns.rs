//! Large bodies take turns: as many come at once as the byte budget has room for to their end, with the envelopes
//! made of them (of the largest, to a part of that). Without turns a thousand clients all begin, the budget is full
//! when each has sent half, and most are refused with that half in vain: the server is busy with reading what it
//! throws away.
//!
//! A turn is a promise of room and not room itself. It is asked for when a body has begun to come, is worth no
//! more than so many times what has come, and is over when nothing comes for a second or it comes too slowly. So
//! whoever wants to hold up others has to send something, about as much as for holding the budget itself.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use tokio::sync::Mutex;
use tokio::time::{Instant, sleep, timeout};

use super::refusal::{Refusal, overloaded};
use crate::budget::ByteBudget;

/// When so much of a body has come, it asks for its turn.
pub(super) const BEGINNING: usize = 8 * 1024;

/// Within this time the next bytes come, or the turn is over.
pub(super) const SILENCE: Duration = Duration::from_secs(1);

/// How long a turn is waited for. A client that is told to come back sends all of it again; one that waits longer
/// than this may have given up.
const PATIENCE: Duration = Duration::from_secs(2);

/// A body that would take longer than this to come, at its pace so far, has no turn.
const WHOLE: Duration = Duration::from_secs(30);

/// What a body takes until it is decoded, in times its length: itself, an envelope nearly twice as large, and what is
/// there twice while a buffer moves.
const TIMES_BODY: usize = 4;

/// Logs are packed to a tenth.
const TIMES_PACKED: usize = 10;

/// How many times as long as what has come a body whose length is not declared is thought to become.
const TIMES_UNDECLARED: usize = 32;

/// So many times what has come is promised at most: to a large body a part of what it needs, for all others would wait
/// until there is room for the whole.
const TRUST: usize = 256;

/// And no more than this part of the budget.
const SHARE: usize = 4;

/// This part of the budget is not promised: it is for small bodies, and for envelopes that are larger than was thought.
const NOT_PROMISED: usize = 4;

/// How often the next in turn looks whether there is room. Nobody tells it, for those who give room back are all
/// requests, and most have nothing to do with turns.
const LOOK_EVERY: Duration = Duration::from_millis(2);

/// The turns that are to be had.
#[derive(Debug)]
pub(super) struct Turns {
    budget: ByteBudget,
    /// Bytes of the budget that are promised and not reserved.
    promised: AtomicUsize,
    /// Locked by who is next, for as long as it waits for room. The others wait for it, in the order in which they came.
    next: Mutex<()>,
    waiting: AtomicUsize,
}

/// What is known of a body that has begun to come.
#[derive(Clone, Copy, Debug)]
pub(super) struct Outlook {
    /// Bytes that have come.
    pub(super) came: usize,
    /// Its whole length, where it is declared.
    pub(super) length: Option<u64>,
    /// Whether it has a content coding.
    pub(super) is_packed: bool,
    /// Bytes that it has reserved.
    pub(super) reserved: usize,
}

/// The turn of one body, as long as it lives.
#[derive(Debug)]
pub(super) struct Turn {
    began: Instant,
    /// What it was promised in all, with what it had reserved then.
    most: usize,
    promise: Promise,
}

/// Bytes that are promised to somebody, as long as it lives.
#[derive(Debug)]
struct Promise {
    turns: Arc<Turns>,
    bytes: usize,
}

impl Turns {
    /// The turns to use this budget.
    pub(super) fn new(budget: ByteBudget) -> Self {
        Self {
            budget,
            promised: AtomicUsize::new(0),
            next: Mutex::default(),
            waiting: AtomicUsize::new(0),
        }
    }

    /// Bodies that wait for their turn.
    pub(super) fn waiting(&self) -> usize {
        self.waiting.load(Ordering::Relaxed)
    }

    /// Whether there is anybody who has a turn, and will leave room before long.
    pub(super) fn are_under_way(&self) -> bool {
        self.promised.load(Ordering::Relaxed) > 0
    }

    /// Waits for the turn of a body. There is none where those who have one make no use of it: then there is room.
    ///
    /// # Errors
    /// The refusal when there is no room in time.
    pub(super) async fn take(self: &Arc<Self>, body: Outlook) -> Result<Option<Turn>, Refusal> {
        let most = body.most().min(self.budget.limit() / SHARE);
        let bytes = most.saturating_sub(body.reserved);
        let _waiting = Waiting::new(&self.waiting);
        match timeout(PATIENCE, self.promise(bytes)).await {
            Ok(promise) => Ok(Some(Turn {
                began: Instant::now(),
                most,
                promise,
            })),
            Err(_) if self.budget.has_room_for(bytes as u64) => Ok(None),
            Err(_) => Err(overloaded()),
        }
    }

    /// Promises so many bytes once there are as many beside what is in use and what others were promised.
    async fn promise(self: &Arc<Self>, bytes: usize) -> Promise {
        let _next = self.next.lock().await;
        while !self.has_room_for(bytes) {
            sleep(LOOK_EVERY).await;
        }
        Promise::new(self, bytes)
    }

    /// Whether so many bytes can be promised beside what is in use and promised. Where nobody has a turn they are promised
    /// in any case: what is in use may be held by those who wait.
    fn has_room_for(&self, bytes: usize) -> bool {
        // With the Release of `shrink_to`: what is promised no more is in use by now, and is seen there.
        let promised = self.promised.load(Ordering::Acquire);
        let all = promised.saturating_add(bytes);
        let with_the_rest = all.saturating_add(self.budget.limit() / NOT_PROMISED);
        promised == 0 || self.budget.has_room_for(with_the_rest as u64)
    }
}

impl Outlook {
    /// What it takes at most, as far as what has come can be trusted.
    fn most(&self) -> usize {
        let length = match self.length {
            Some(length) => usize::try_from(length).unwrap_or(usize::MAX),
            None => self.came.saturating_mul(TIMES_UNDECLARED),
        };
        let unpacked = if self.is_packed { TIMES_PACKED } else { 1 };
        length
            .saturating_mul(unpacked * TIMES_BODY)
            .min(self.came.saturating_mul(TRUST))
    }

    /// Whether it comes so slowly that it is not done in time.
    fn is_slow(&self, elapsed: Duration) -> bool {
        let expected = self.length.unwrap_or(0) as f64 * elapsed.div_duration_f64(WHOLE);
        elapsed > SILENCE && (self.came as f64) < expected
    }
}

impl Turn {
    /// More has come: what is reserved now is promised no more. Whether the turn goes on.
    pub(super) fn go_on(&mut self, body: Outlook) -> bool {
        let left = self.most.saturating_sub(body.reserved);
        self.promise.shrink_to(left);
        !body.is_slow(self.began.elapsed())
    }
}

impl Promise {
    fn new(turns: &Arc<Turns>, bytes: usize) -> Self {
        turns.promised.fetch_add(bytes, Ordering::Relaxed);
        Self {
            turns: Arc::clone(turns),
            bytes,
        }
    }

    /// Leaves so many bytes of it at most.
    fn shrink_to(&mut self, bytes: usize) {
        let given_up = self.bytes.saturating_sub(bytes);
        self.turns.promised.fetch_sub(given_up, Ordering::Release);
        self.bytes -= given_up;
    }
}

impl Drop for Promise {
    fn drop(&mut self) {
        self.shrink_to(0);
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

#[cfg(test)]
mod tests;
