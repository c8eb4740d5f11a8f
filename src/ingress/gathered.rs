//! What has come of a body, gathered in one buffer where it comes in pieces, and counted against the byte
//! budget. Of a small buffer all counts, not just what is filled: the allocator gives out pages that were
//! used before, and they are memory from the beginning. Those of a large one are memory only when they are
//! filled.

use bytes::Bytes;

use crate::budget::{Exhausted, Reservation};

/// From this size on the allocator gives pages back as soon as they are free (the settings of
/// `headgate-heap`), so those of a new buffer are not there before they are written to.
const LARGE: usize = 1024 * 1024;

/// A small buffer may become so many times as large as what has come, on the word of a `Content-Length`
/// alone: whoever wants to hold the budget has to send a fourth of it.
const TRUST: usize = 4;

/// What has come of a body.
#[derive(Debug, Default)]
pub(super) struct Gathered {
    buffer: Vec<u8>,
    /// Bytes that have come.
    came: usize,
    /// Bytes that are counted.
    counted: usize,
}

impl Gathered {
    /// A piece has come, and so many bytes more may be read before it is asked for them. They go into the
    /// buffer as far as there is room in it.
    ///
    /// # Errors
    /// [`Exhausted`] when what has come does not fit into the budget.
    pub(super) fn count(
        &mut self,
        piece: usize,
        ahead: usize,
        reservation: &mut Reservation,
    ) -> Result<(), Exhausted> {
        self.came += piece;
        let wanted = counted_room(self.buffer.capacity()).max(self.came + ahead);
        match self.recount(wanted, reservation) {
            // The body itself may still fit.
            Err(Exhausted::Alone) => self.recount(self.came, reservation),
            outcome => outcome,
        }
    }

    /// Takes the pieces that have come since the last call. `most`: how long the body can become.
    ///
    /// # Errors
    /// [`Exhausted::ByOthers`] where a larger buffer is needed.
    pub(super) fn push(
        &mut self,
        pieces: &[Bytes],
        most: usize,
        reservation: &mut Reservation,
    ) -> Result<(), Exhausted> {
        if self.came > self.buffer.capacity() {
            self.enlarge(capacity(self.came, most), reservation)?;
        }
        for piece in pieces {
            self.buffer.extend_from_slice(piece);
        }
        Ok(())
    }

    fn enlarge(&mut self, capacity: usize, reservation: &mut Reservation) -> Result<(), Exhausted> {
        match self.recount(counted_room(capacity).max(self.counted), reservation) {
            // The body itself may still fit.
            Ok(()) | Err(Exhausted::Alone) => {}
            Err(by_others) => return Err(by_others),
        }
        let (held, buffer) = (self.buffer.len(), &mut self.buffer);
        let mut is_made = false;
        reservation.moving(held, 0, || {
            is_made = buffer.try_reserve_exact(capacity - held).is_ok();
        })?;
        // The system has no room: others hold it.
        if is_made {
            Ok(())
        } else {
            Err(Exhausted::ByOthers)
        }
    }

    /// Nothing more is read: what counts from now on is what has come.
    pub(super) fn end(&mut self, reservation: &mut Reservation) {
        let surplus = self.counted.saturating_sub(self.came);
        reservation.shrink(surplus);
        self.counted -= surplus;
    }

    /// All that was pushed.
    pub(super) fn into_bytes(mut self) -> Bytes {
        self.buffer.shrink_to_fit();
        Bytes::from(self.buffer)
    }

    fn recount(&mut self, bytes: usize, reservation: &mut Reservation) -> Result<(), Exhausted> {
        match bytes.checked_sub(self.counted) {
            Some(more) => reservation.grow(more)?,
            None => reservation.shrink(self.counted - bytes),
        }
        self.counted = bytes;
        Ok(())
    }
}

/// How much of a buffer counts though it is not filled.
fn counted_room(capacity: usize) -> usize {
    if capacity < LARGE { capacity } else { 0 }
}

/// How large a buffer to make when `came` bytes have come, and there can be `most`. A large one has room for
/// all of them: it never moves, which would take as much memory again.
fn capacity(came: usize, most: usize) -> usize {
    let trusted = came.saturating_mul(TRUST);
    let wanted = if trusted < LARGE { trusted } else { most };
    wanted.min(most).max(came)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::budget::ByteBudget;

    const PIECE: usize = 10_000;

    /// A piece comes, and nothing is read ahead.
    fn push(
        gathered: &mut Gathered,
        most: usize,
        reservation: &mut Reservation,
    ) -> Result<(), Exhausted> {
        gathered.count(PIECE, 0, reservation)?;
        gathered.push(&[Bytes::from(vec![b'x'; PIECE])], most, reservation)
    }

    #[test]
    fn all_of_a_small_buffer_counts_and_of_a_large_one_what_is_filled() {
        for most in [290_000, 900_000, 100_000_000] {
            let budget = ByteBudget::new(4 << 20);
            let mut reservation = budget.reservation();
            let mut gathered = Gathered::default();
            for pieces in 1..=29 {
                push(&mut gathered, most, &mut reservation).unwrap();
                let capacity = gathered.buffer.capacity();
                if capacity < LARGE {
                    assert_eq!(budget.used(), capacity);
                    assert!(capacity <= TRUST * gathered.buffer.len());
                } else {
                    assert_eq!((budget.used(), capacity), (pieces * PIECE, most));
                }
            }
            gathered.end(&mut reservation);
            assert_eq!(budget.used(), 290_000);
            let body = gathered.into_bytes();
            assert_eq!(body, vec![b'x'; 290_000]);
            assert_eq!(Vec::from(body).capacity(), 290_000);
        }
    }

    #[test]
    fn what_is_read_ahead_counts_beyond_the_room_for_it() {
        let budget = ByteBudget::new(1 << 20);
        let mut reservation = budget.reservation();
        let mut gathered = Gathered::default();
        let mut count = |gathered: &mut Gathered, ahead| {
            gathered.count(PIECE, ahead, &mut reservation).unwrap();
            let piece = Bytes::from(vec![b'x'; PIECE]);
            let before = budget.used();
            gathered.push(&[piece], 100_000, &mut reservation).unwrap();
            (before, budget.used())
        };
        assert_eq!(count(&mut gathered, 20_000), (30_000, 40_000));
        assert_eq!(count(&mut gathered, 20_000), (40_000, 40_000));
        assert_eq!(count(&mut gathered, 20_000), (50_000, 50_000));
    }

    #[test]
    fn a_body_that_just_fits_into_the_budget_is_taken() {
        for most in [1_300_000, 100_000_000] {
            let budget = ByteBudget::new(1_300_000);
            let mut reservation = budget.reservation();
            let mut gathered = Gathered::default();
            for _ in 0..130 {
                push(&mut gathered, most, &mut reservation).unwrap();
            }
            gathered.end(&mut reservation);
            let length = gathered.into_bytes().len();
            assert_eq!((length, budget.used()), (1_300_000, 1_300_000));
        }
    }

    #[test]
    fn where_others_hold_the_budget_there_is_no_larger_buffer() {
        let budget = ByteBudget::new(100_000);
        let mut other = budget.reservation();
        other.grow(70_000).unwrap();
        let mut reservation = budget.reservation();
        let mut gathered = Gathered::default();
        let refused = push(&mut gathered, 60_000, &mut reservation);
        assert_eq!(refused, Err(Exhausted::ByOthers));
        drop(reservation);
        assert_eq!(budget.used(), 70_000);
    }
}
