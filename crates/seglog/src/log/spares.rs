//! The files of purged segments that are kept to become new ones: their blocks were written before, so that a sync moves
//! no metadata. Pure; the log renames and removes.

use crate::folder::Entry;

/// The spare files, the one that was written last at the end: the system may still have it in memory.
#[derive(Debug)]
pub(super) struct Spares {
    files: Vec<Entry>,
    /// How many are of use, as far as the recent past tells.
    wanted: usize,
    /// Segments that were begun since it was last asked how many are of use.
    begun: usize,
}

impl Spares {
    pub(super) fn new(files: &[Entry]) -> Self {
        Self {
            files: files.to_vec(),
            wanted: 1,
            begun: 0,
        }
    }

    /// Bytes of all.
    pub(super) fn bytes(&self) -> u64 {
        self.files.iter().map(|file| file.bytes).sum()
    }

    /// The one that is to be used next.
    pub(super) fn next(&self) -> Option<&Entry> {
        self.files.last()
    }

    /// Takes away the one that is to be used next.
    pub(super) fn take(&mut self) -> Option<Entry> {
        self.files.pop()
    }

    /// One more.
    pub(super) fn keep(&mut self, file: Entry) {
        self.files.push(file);
    }

    /// A segment was begun, of a spare file or a new one.
    pub(super) fn note_begun(&mut self) {
        self.begun += 1;
    }

    /// Whether there are more than are of use.
    pub(super) fn are_too_many(&self) -> bool {
        self.files.len() > self.wanted
    }

    /// Whether there are more than [`Self::reckon`] would find to be of use.
    pub(super) fn will_be_too_many(&self) -> bool {
        self.files.len() > self.reckoned()
    }

    /// Works out anew how many are of use.
    pub(super) fn reckon(&mut self) {
        self.wanted = self.reckoned();
        self.begun = 0;
    }

    /// As many as were begun since the last time, and at least three of four that were of use then. At full speed several
    /// segments are filled between two checkpoints, and as many are purged at the second one, or at the third.
    fn reckoned(&self) -> usize {
        self.begun.max(self.wanted * 3 / 4).max(1)
    }

    /// Whether files of this length are of use for segments of that one: large writes leave the end of a segment unwritten,
    /// and it may have been configured anew.
    pub(super) fn are_of_use(bytes: u64, segment_bytes: u64) -> bool {
        (segment_bytes / 2..=segment_bytes).contains(&bytes)
    }

    /// Takes away those that are of no use for segments of this length; their names.
    pub(super) fn drain_useless(&mut self, segment_bytes: u64) -> Vec<String> {
        let is_useless = |file: &mut Entry| !Self::are_of_use(file.bytes, segment_bytes);
        let useless = self.files.extract_if(.., is_useless);
        useless.map(|file| file.name).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn file(number: u64) -> Entry {
        Entry {
            name: number.to_string(),
            bytes: 64,
        }
    }

    #[test]
    fn as_many_are_of_use_as_were_begun_lately() {
        let mut spares = Spares::new(&[]);
        spares.keep(file(1));
        assert!(!spares.will_be_too_many());
        (0..5).for_each(|_| spares.note_begun());
        spares.reckon();
        (2..=5).for_each(|number| spares.keep(file(number)));
        assert!(!spares.are_too_many());
        for left in [3, 2, 1] {
            assert!(spares.will_be_too_many() && !spares.are_too_many());
            spares.reckon();
            while spares.are_too_many() {
                spares.take();
            }
            assert_eq!(spares.bytes(), 64 * left);
        }
        assert!(!spares.will_be_too_many());
    }

    #[test]
    fn files_that_are_too_long_or_much_too_short_are_of_no_use() {
        let of = |bytes| Entry {
            bytes,
            ..file(bytes)
        };
        let mut spares = Spares::new(&[of(31), of(32), of(65), of(64)]);
        assert_eq!(spares.drain_useless(64), ["31", "65"]);
        assert_eq!(spares.bytes(), 32 + 64);
    }
}
