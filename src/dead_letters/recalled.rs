//! What a crash makes come again: events whose letter was written, and whose ack was not yet in the checkpoint. A
//! letter's id is its event's position, so the letter is not written twice.

use std::collections::HashSet;
use std::sync::{Mutex, PoisonError};

use crate::event::Position;

/// The ids of letters that are on a shelf and may come again. Empty but for a while after a crash.
#[derive(Default)]
pub(super) struct Recalled {
    ids: Mutex<HashSet<Position>>,
}

impl Recalled {
    pub(super) fn add(&self, id: Position) {
        self.lock().insert(id);
    }

    /// Those of these ids that are on a shelf already.
    pub(super) fn among(&self, ids: impl Iterator<Item = Position>) -> HashSet<Position> {
        let known = self.lock();
        if known.is_empty() {
            return HashSet::new();
        }
        ids.filter(|id| known.contains(id)).collect()
    }

    /// They have come; they do not come a third time.
    pub(super) fn forget(&self, come: &HashSet<Position>) {
        let mut known = self.lock();
        for id in come {
            known.remove(id);
        }
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, HashSet<Position>> {
        self.ids.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
