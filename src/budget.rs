//! The byte budget: one bound for all request bodies and rendered envelopes in memory. Counters, and
//! buffers that are grown within it.
//!
//! A reservation grows as bytes arrive and is given back when it is dropped, whatever the reason, so
//! nothing can leak from a request that is cut, refused or times out.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

/// Bytes that requests may hold together.
#[derive(Clone, Debug)]
pub struct ByteBudget {
    limit: usize,
    used: Arc<AtomicUsize>,
}

/// The budget has no room for what was asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Exhausted {
    /// Not now: others hold what is missing.
    #[error("the byte budget is used up by other requests")]
    ByOthers,
    /// Never: it is more than the whole budget.
    #[error("more than the whole byte budget")]
    Alone,
}

impl ByteBudget {
    /// A budget of `limit` bytes, all free.
    pub fn new(limit: usize) -> Self {
        Self {
            limit,
            used: Arc::default(),
        }
    }

    /// The bytes that there are in all.
    pub fn limit(&self) -> usize {
        self.limit
    }

    /// Bytes reserved at this moment.
    pub fn used(&self) -> usize {
        self.used.load(Ordering::Relaxed)
    }

    /// Whether `bytes` more would fit now. Nothing is reserved.
    pub fn has_room_for(&self, bytes: u64) -> bool {
        bytes <= self.limit.saturating_sub(self.used()) as u64
    }

    /// An empty reservation.
    pub fn reservation(&self) -> Reservation {
        Reservation {
            budget: self.clone(),
            bytes: 0,
        }
    }
}

/// A part of the budget that one request holds.
#[derive(Debug)]
pub struct Reservation {
    budget: ByteBudget,
    bytes: usize,
}

impl Reservation {
    /// Takes `bytes` more.
    ///
    /// # Errors
    /// [`Exhausted`] when they do not fit; what was held before stays held.
    pub fn grow(&mut self, bytes: usize) -> Result<(), Exhausted> {
        let limit = self.budget.limit;
        self.budget
            .used
            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, |used| {
                used.checked_add(bytes).filter(|sum| *sum <= limit)
            })
            .map_err(|_| match self.bytes.checked_add(bytes) {
                Some(sum) if sum <= limit => Exhausted::ByOthers,
                _ => Exhausted::Alone,
            })?;
        self.bytes += bytes;
        Ok(())
    }

    /// Gives `bytes` back, at most what is held.
    pub fn shrink(&mut self, bytes: usize) {
        let bytes = bytes.min(self.bytes);
        self.bytes -= bytes;
        self.budget.used.fetch_sub(bytes, Ordering::Relaxed);
    }

    /// Takes `bytes` of it apart, at most what is held.
    pub fn split_off(&mut self, bytes: usize) -> Self {
        let bytes = bytes.min(self.bytes);
        self.bytes -= bytes;
        Self {
            budget: self.budget.clone(),
            bytes,
        }
    }

    /// Takes `more` bytes for a buffer, which `enlarge` moves to a larger block: until the `held` bytes in it
    /// are copied they are there twice, and count twice. Where only that is more than the whole budget they
    /// count once.
    ///
    /// # Errors
    /// [`Exhausted`]; nothing was taken then, and `enlarge` was not called.
    pub fn moving(
        &mut self,
        held: usize,
        more: usize,
        enlarge: impl FnOnce(),
    ) -> Result<(), Exhausted> {
        let twice = match self.grow(held.saturating_add(more)) {
            Ok(()) => held,
            Err(Exhausted::Alone) => {
                self.grow(more)?;
                0
            }
            Err(by_others) => return Err(by_others),
        };
        enlarge();
        self.shrink(twice);
        Ok(())
    }

    /// Makes a buffer larger, all of whose capacity is held, and takes what it grows by; as [`Self::moving`].
    ///
    /// # Errors
    /// [`Exhausted`]; the buffer is as it was then.
    pub fn enlarge(&mut self, buffer: &mut Vec<u8>, capacity: usize) -> Result<(), Exhausted> {
        let (held, before) = (buffer.len(), buffer.capacity());
        self.moving(held, capacity - before, || {
            buffer.reserve_exact(capacity - held);
        })
    }

    /// Bytes held.
    pub fn bytes(&self) -> usize {
        self.bytes
    }
}

impl Drop for Reservation {
    fn drop(&mut self) {
        self.shrink(self.bytes);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_reservation_grows_to_the_limit_and_gives_all_back() {
        let budget = ByteBudget::new(100);
        let mut first = budget.reservation();
        let mut second = budget.reservation();
        assert_eq!(first.grow(60), Ok(()));
        assert_eq!(second.grow(41), Err(Exhausted::ByOthers));
        assert_eq!(second.grow(40), Ok(()));
        assert!(!budget.has_room_for(1));
        assert_eq!(second.grow(usize::MAX), Err(Exhausted::Alone));
        first.shrink(10);
        assert_eq!(budget.used(), 90);
        assert!(budget.has_room_for(10));
        let part = first.split_off(20);
        assert_eq!((first.bytes(), part.bytes(), budget.used()), (30, 20, 90));
        drop(part);
        assert_eq!(budget.used(), 70);
        assert_eq!(first.split_off(31).bytes(), 30);
        drop((first, second));
        assert_eq!(budget.used(), 0);
    }

    #[test]
    fn what_moves_counts_twice_where_there_can_be_room_for_that() {
        let budget = ByteBudget::new(100);
        let mut own = budget.reservation();
        own.grow(40).unwrap();
        own.moving(40, 10, || assert_eq!(budget.used(), 90))
            .unwrap();
        assert_eq!(own.bytes(), 50);
        own.moving(50, 10, || assert_eq!(budget.used(), 60))
            .unwrap();
        let mut other = budget.reservation();
        other.grow(30).unwrap();
        let refused = own.moving(20, 1, || panic!("there is no room for it now"));
        assert_eq!(refused, Err(Exhausted::ByOthers));
        assert_eq!((own.bytes(), budget.used()), (60, 90));
    }
}
