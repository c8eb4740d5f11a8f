//! The buffers of an envelope: grown within the byte budget, and what becomes of them at the end. Pure.

use bytes::Bytes;

use crate::budget::Reservation;
use crate::event::Lines;
use crate::pipeline::DecodeError;

/// The events of a full buffer; what it does not need is given back.
pub(super) fn lines(mut bytes: Vec<u8>, count: usize, reservation: &mut Reservation) -> Lines {
    // The guess can be far off, and an envelope may wait in the spool for long.
    if bytes.capacity() - bytes.len() > bytes.len() / 4 + 256 {
        let guessed = bytes.capacity();
        bytes.shrink_to_fit();
        reservation.shrink(guessed - bytes.capacity());
    }
    Lines {
        count,
        bytes: Bytes::from(bytes),
    }
}

/// The most that the buffers of an envelope may hold together.
#[derive(Clone, Copy)]
pub(super) struct Bound {
    pub(super) max_bytes: usize,
    /// Bytes in the other buffers.
    pub(super) elsewhere: usize,
}

/// Makes sure that `more` bytes fit without growing, and that what the buffer holds is reserved.
pub(super) fn make_room(
    buffer: &mut Vec<u8>,
    more: usize,
    bound: Bound,
    reservation: &mut Reservation,
) -> Result<(), DecodeError> {
    let Bound {
        max_bytes,
        elsewhere,
    } = bound;
    let needed = buffer.len() + more;
    if needed.saturating_add(elsewhere) > max_bytes {
        return Err(DecodeError::EnvelopeTooLarge { max_bytes });
    }
    if needed <= buffer.capacity() {
        return Ok(());
    }
    let (held, before) = (buffer.len(), buffer.capacity());
    let mut enlarge = |capacity: usize| {
        reservation.moving(held, capacity - before, || {
            buffer.reserve_exact(capacity - held);
        })
    };
    let doubled = (2 * before).clamp(needed, max_bytes);
    enlarge(doubled).or_else(|_| enlarge(needed))?;
    Ok(())
}
