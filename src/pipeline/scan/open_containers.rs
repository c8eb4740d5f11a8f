//! The containers that are open at one place of a text, one bit each.

use super::Kind;

/// Levels that fit into one word.
const LEVELS_PER_WORD: usize = u64::BITS as usize;

/// A stack of objects and arrays. Up to 64 levels, as any event of good sense has, it is one word
/// and allocates nothing; a million levels take 125 kB.
#[derive(Debug, Default)]
pub(super) struct OpenContainers {
    /// The innermost levels, the lowest bit being the innermost of all: 1 is an object.
    innermost: u64,
    /// Words that filled up, outermost first.
    outer: Vec<u64>,
    depth: usize,
}

impl OpenContainers {
    #[inline]
    pub(super) fn depth(&self) -> usize {
        self.depth
    }

    /// What kind of container is the innermost one, if any is open.
    #[inline]
    pub(super) fn innermost(&self) -> Option<Kind> {
        let kind = if self.innermost & 1 == 1 {
            Kind::Object
        } else {
            Kind::Array
        };
        (self.depth > 0).then_some(kind)
    }

    #[inline]
    pub(super) fn push(&mut self, container: Kind) {
        if self.depth > 0 && self.depth.is_multiple_of(LEVELS_PER_WORD) {
            self.outer.push(self.innermost);
        }
        self.innermost = self.innermost << 1 | u64::from(container == Kind::Object);
        self.depth += 1;
    }

    /// Closes the innermost container; one must be open.
    #[inline]
    pub(super) fn pop(&mut self) {
        self.depth -= 1;
        self.innermost >>= 1;
        if self.depth.is_multiple_of(LEVELS_PER_WORD) {
            self.innermost = self.outer.pop().unwrap_or_default();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ordinary_depth_takes_no_memory() {
        let mut open = OpenContainers::default();
        for _ in 0..LEVELS_PER_WORD {
            open.push(Kind::Array);
        }
        assert_eq!(open.outer.capacity(), 0);
    }
}
