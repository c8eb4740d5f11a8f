//! The buffers of an envelope: grown within the byte budget, and what becomes of them at the end. Pure.

use bytes::Bytes;

use crate::budget::Reservation;
use crate::event::Lines;
use crate::pipeline::DecodeError;

/// The events of a full buffer.
pub(super) fn lines(mut bytes: Vec<u8>, count: usize) -> Lines {
    // The guess can be far off, and an envelope may wait in the spool for long.
    if bytes.capacity() - bytes.len() > bytes.len() / 4 + 256 {
        bytes.shrink_to_fit();
    }
    Lines {
        count,
        bytes: Bytes::from(bytes),
    }
}

/// Makes sure that `more` bytes fit without growing, and that what the buffer holds is reserved.
pub(super) fn make_room(
    buffer: &mut Vec<u8>,
    more: usize,
    max_bytes: usize,
    reservation: &mut Reservation,
) -> Result<(), DecodeError> {
    let needed = buffer.len() + more;
    if needed <= buffer.capacity() {
        return Ok(());
    }
    if needed > max_bytes {
        return Err(DecodeError::EnvelopeTooLarge { max_bytes });
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
