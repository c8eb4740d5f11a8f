//! Large bodies take turns: as many come at once as the byte budget has room for to their end, with the envelopes
//! made of them. Without turns a thousand clients all begin, the budget is full when each has sent half, and most
//! are refused with that half in vain: the server is busy with reading what it throws away.
//!
//! A turn is a promise of room and not room itself. Who is slow loses it, so that nobody can hold up the others
//! by a length that is declared and never sent.

use std::pin::pin;
use std::sync::Arc;
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

/// What a body takes at most while it is decoded, in times its length: itself, and an envelope nearly twice as
/// large.
const TIMES_BODY: u64 = 3;

/// Logs are compressed to a tenth.
const TIMES_PACKED: u64 = 10;

/// What turns are counted in: the semaphore's numbers have 32 bits.
const UNIT: u64 = 1024;

/// The turns that are to be had.
pub(super) struct Turns {
    budget: ByteBudget,
    free: Arc<Semaphore>,
    all: u32,
}

/// The turn of one body, or that it has none.
#[derive(Default)]
pub(super) struct Turn {
    permit: Option<OwnedSemaphorePermit>,
}

impl Turns {
    pub(super) fn new(budget: ByteBudget) -> Self {
        let all = units(budget.limit() as u64);
        Self {
            budget,
            free: Arc::new(Semaphore::new(all as usize)),
            all,
        }
    }

    /// Waits for the turn of a body of this length.
    ///
    /// # Errors
    /// The refusal when it does not come in time, and there is no room either: where those who have a turn make
    /// no use of it, there is.
    pub(super) async fn take(&self, length: u64, is_packed: bool) -> Result<Turn, Refusal> {
        if length <= SMALL_BODY {
            return Ok(Turn::default());
        }
        let times = if is_packed {
            TIMES_BODY * TIMES_PACKED
        } else {
            TIMES_BODY
        };
        let wanted = units(length.saturating_mul(times)).min(self.all);
        let free = Arc::clone(&self.free);
        match timeout(PATIENCE, free.acquire_many_owned(wanted)).await {
            Ok(permit) => Ok(Turn {
                permit: Some(permit.expect("turns are never closed")),
            }),
            Err(_) if self.budget.has_room_for(self.budget.limit() as u64 / 2) => {
                Ok(Turn::default())
            }
            Err(_) => Err(overloaded()),
        }
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

fn units(bytes: u64) -> u32 {
    u32::try_from(bytes.div_ceil(UNIT)).unwrap_or(u32::MAX)
}
