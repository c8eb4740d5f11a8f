//! The buffers of an envelope: grown within the byte budget, and what becomes of them at the end. Pure.

use bytes::Bytes;

use crate::budget::Reservation;
use crate::event::{LINE_END, Lines};
use crate::pipeline::DecodeError;

/// Lines under way: events, or dead letters.
#[derive(Default)]
pub(super) struct LineBuffer {
    /// Their text. All of its capacity is reserved.
    pub(super) bytes: Vec<u8>,
    count: usize,
}

/// How far lines had come.
#[derive(Clone, Copy, Debug)]
pub(super) struct LinesMark {
    bytes: usize,
    count: usize,
}

/// The most that the buffers of an envelope may hold together.
#[derive(Clone, Copy)]
pub(super) struct Bound {
    pub(super) max_bytes: usize,
    /// Bytes in the other buffers.
    pub(super) elsewhere: usize,
}

impl LineBuffer {
    /// Whole lines.
    pub(super) fn count(&self) -> usize {
        self.count
    }

    /// Bytes of text.
    pub(super) fn len(&self) -> usize {
        self.bytes.len()
    }

    /// Ends the event that stands at the end.
    pub(super) fn end_event(&mut self) {
        self.bytes.extend_from_slice(LINE_END);
        self.count_line();
    }

    /// Counts a line that was written with its end.
    pub(super) fn count_line(&mut self) {
        self.count += 1;
    }

    /// Makes sure that `more` bytes fit without growing, and that what the buffer holds is reserved.
    pub(super) fn make_room(
        &mut self,
        more: usize,
        bound: Bound,
        reservation: &mut Reservation,
    ) -> Result<(), DecodeError> {
        let Bound {
            max_bytes,
            elsewhere,
        } = bound;
        let needed = self.bytes.len() + more;
        if needed.saturating_add(elsewhere) > max_bytes {
            return Err(DecodeError::EnvelopeTooLarge { max_bytes });
        }
        let capacity = self.bytes.capacity();
        if needed <= capacity {
            return Ok(());
        }
        let doubled = (2 * capacity).clamp(needed, max_bytes);
        let mut enlarge = |capacity| reservation.enlarge(&mut self.bytes, capacity);
        enlarge(doubled).or_else(|_| enlarge(needed))?;
        Ok(())
    }

    pub(super) fn mark(&self) -> LinesMark {
        LinesMark {
            bytes: self.bytes.len(),
            count: self.count,
        }
    }

    /// Forgets all lines since the mark.
    pub(super) fn roll_back(&mut self, mark: LinesMark) {
        self.bytes.truncate(mark.bytes);
        self.count = mark.count;
    }

    /// The lines; what they do not need is given back.
    pub(super) fn into_lines(mut self, reservation: &mut Reservation) -> Lines {
        // The guess can be far off, and an envelope may wait in the spool for long.
        if self.bytes.capacity() - self.bytes.len() > self.bytes.len() / 4 + 256 {
            let guessed = self.bytes.capacity();
            self.bytes.shrink_to_fit();
            reservation.shrink(guessed - self.bytes.capacity());
        }
        Lines {
            count: self.count,
            bytes: Bytes::from(self.bytes),
        }
    }
}
