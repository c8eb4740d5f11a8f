//! What has come of a body, gathered in one buffer where it comes in pieces, and counted against the byte budget. All of the
//! buffer counts, not just what is filled: the allocator gives out pages that were used before, and they are memory from the
//! beginning.

use bytes::Bytes;

use crate::budget::{Exhausted, Reservation};

/// The buffer may become so many times as large as what has come, on the word of a `Content-Length` alone: whoever wants to
/// hold the budget has to send a fourth of it.
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
    /// A piece has come, and so many bytes more may be read before it is asked for them. They go into the buffer as far as there
    /// is room in it.
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
        let wanted = self.buffer.capacity().max(self.came + ahead);
        match self.recount(wanted, reservation) {
            // The body itself may still fit.
            Err(Exhausted::Alone) => self.recount(self.came, reservation),
            outcome => outcome,
        }
    }

    /// Takes the pieces that have come since the last call. `whole`: how long the body is to be, if that is known.
    ///
    /// # Errors
    /// [`Exhausted::ByOthers`] where a larger buffer is needed.
    pub(super) fn push(
        &mut self,
        pieces: &[Bytes],
        whole: Option<u64>,
        reservation: &mut Reservation,
    ) -> Result<(), Exhausted> {
        if self.came > self.buffer.capacity() {
            self.enlarge(capacity(self.came, whole), reservation)?;
        }
        for piece in pieces {
            self.buffer.extend_from_slice(piece);
        }
        Ok(())
    }

    fn enlarge(&mut self, capacity: usize, reservation: &mut Reservation) -> Result<(), Exhausted> {
        match self.recount(capacity.max(self.counted), reservation) {
            Ok(()) | Err(Exhausted::Alone) => {}
            Err(by_others) => return Err(by_others),
        }
        let (held, buffer) = (self.buffer.len(), &mut self.buffer);
        reservation.moving(held, || buffer.reserve_exact(capacity - held))
    }

    /// Nothing more is read: what counts from now on is what has come.
    pub(super) fn end(&mut self, reservation: &mut Reservation) {
        let surplus = self.counted.saturating_sub(self.came);
        reservation.shrink(surplus);
        self.counted -= surplus;
    }

    /// All that was pushed.
    pub(super) fn into_bytes(self) -> Bytes {
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

/// How large a buffer to make when `came` bytes of so many have come.
fn capacity(came: usize, whole: Option<u64>) -> usize {
    let wanted = whole.map_or(came.saturating_mul(2), |whole| {
        usize::try_from(whole).unwrap_or(usize::MAX)
    });
    wanted.clamp(came, came.saturating_mul(TRUST))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::budget::ByteBudget;

    const PIECE: usize = 10_000;

    /// A piece comes, and nothing is read ahead.
    fn push(
        gathered: &mut Gathered,
        whole: Option<u64>,
        reservation: &mut Reservation,
    ) -> Result<(), Exhausted> {
        gathered.count(PIECE, 0, reservation)?;
        gathered.push(&[Bytes::from(vec![b'x'; PIECE])], whole, reservation)
    }

    #[test]
    fn the_whole_buffer_counts() {
        for whole in [Some(290_000), None] {
            let budget = ByteBudget::new(1 << 20);
            let mut reservation = budget.reservation();
            let mut gathered = Gathered::default();
            for _ in 0..29 {
                push(&mut gathered, whole, &mut reservation).unwrap();
                assert_eq!(budget.used(), gathered.buffer.capacity());
                assert!(gathered.buffer.capacity() <= TRUST * gathered.buffer.len());
            }
            gathered.end(&mut reservation);
            assert_eq!(budget.used(), 290_000);
            assert_eq!(gathered.into_bytes(), vec![b'x'; 290_000]);
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
            gathered
                .push(&[piece], Some(100_000), &mut reservation)
                .unwrap();
            (before, budget.used())
        };
        assert_eq!(count(&mut gathered, 20_000), (30_000, 40_000));
        assert_eq!(count(&mut gathered, 20_000), (40_000, 40_000));
        assert_eq!(count(&mut gathered, 20_000), (50_000, 50_000));
    }

    #[test]
    fn a_body_that_just_fits_into_the_budget_is_taken() {
        let budget = ByteBudget::new(100_000);
        let mut reservation = budget.reservation();
        let mut gathered = Gathered::default();
        for whole in [Some(100_000), None].into_iter().cycle().take(10) {
            push(&mut gathered, whole, &mut reservation).unwrap();
        }
        gathered.end(&mut reservation);
        assert_eq!(
            (gathered.into_bytes().len(), budget.used()),
            (100_000, 100_000)
        );
    }

    #[test]
    fn where_others_hold_the_budget_there_is_no_larger_buffer() {
        let budget = ByteBudget::new(100_000);
        let mut other = budget.reservation();
        other.grow(70_000).unwrap();
        let mut reservation = budget.reservation();
        let mut gathered = Gathered::default();
        let refused = push(&mut gathered, Some(60_000), &mut reservation);
        assert_eq!(refused, Err(Exhausted::ByOthers));
        drop(reservation);
        assert_eq!(budget.used(), 70_000);
    }
}
