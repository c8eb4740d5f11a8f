//! How much a log may grow: the sum of its files against the limit. Pure.

/// Bytes of files against a limit.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Room {
    limit: u64,
    used: u64,
}

impl Room {
    pub(crate) fn new(limit: u64) -> Self {
        Self { limit, used: 0 }
    }

    pub(crate) fn left(&self) -> u64 {
        self.limit.saturating_sub(self.used)
    }

    /// Whether the files are longer than they may be.
    pub(crate) fn is_exceeded(&self) -> bool {
        self.used > self.limit
    }

    /// A file came, went, or changed its length.
    pub(crate) fn replace(&mut self, before: u64, now: u64) {
        self.used = (self.used + now).saturating_sub(before);
    }
}
