//! The files of purged segments that are kept to become new ones: their blocks were written before, so that a
//! sync moves no metadata. Pure; the log renames and removes.

use crate::folder::Entry;

/// The spare files, the one that was written last at the end: the system may still have it in memory.
#[derive(Debug)]
pub(super) struct Spares {
    files: Vec<Entry>,
    /// How many are of use, as far as the recent past tells.
    wanted: usize,
    /// Segments that were begun since it was last asked how many are of use.
    begun: usize,
    /// How often in a row fewer were begun than are thought to be of use.
    fewer: usize,
}

/// As many segments as were filled between two checkpoints are filled between some of the next ones: while
/// any are filled, one file fewer is of use when it was not so for so long. Letting go at once, at full speed
/// two files a second were removed and made anew, and each removal of 64 MiB held up everything for 15 to 24
/// ms.
const FEWER_BEFORE_FEWER: usize = 8;

impl Spares {
    pub(super) fn new(files: &[Entry]) -> Self {
        Self {
            files: files.to_vec(),
            wanted: 1,
            begun: 0,
            fewer: 0,
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

    /// Whether there are more than [`Self::reckon`] finds to be of use, sooner or later, should no more be
    /// begun than lately.
    pub(super) fn will_be_too_many(&self) -> bool {
        self.files.len() > self.begun.max(1)
    }

    /// Works out anew how many are of use: as many as were begun since the last time, or as before. At full
    /// speed several segments are filled between two checkpoints, and as many are purged at the second one,
    /// or at the third. When none was begun, three of four: then nobody waits while one is removed.
    pub(super) fn reckon(&mut self) {
        let begun = std::mem::take(&mut self.begun);
        self.fewer = if (1..self.wanted).contains(&begun) {
            self.fewer + 1
        } else {
            0
        };
        let wanted = match begun {
            0 => self.wanted * 3 / 4,
            _ if self.fewer == FEWER_BEFORE_FEWER => {
                self.fewer = 0;
                self.wanted - 1
            }
            _ => self.wanted.max(begun),
        };
        self.wanted = wanted.max(1);
    }

    /// Whether files of this length are of use for segments of that one: large writes leave the end of a
    /// segment unwritten, and it may have been configured anew.
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
        (0..4).for_each(|_| spares.note_begun());
        spares.reckon();
        (2..=4).for_each(|number| spares.keep(file(number)));
        for left in [3, 2, 1] {
            assert!(spares.will_be_too_many() && !spares.are_too_many());
            spares.reckon();
            assert!(spares.are_too_many());
            spares.take();
            assert_eq!(spares.bytes(), 64 * left);
        }
        spares.reckon();
        assert!(!spares.will_be_too_many() && !spares.are_too_many());
    }

    #[test]
    fn while_segments_are_filled_files_are_let_go_slowly() {
        let mut spares = Spares::new(&[]);
        (0..3).for_each(|number| spares.keep(file(number)));
        (0..3).for_each(|_| spares.note_begun());
        spares.reckon();
        for _ in 0..FEWER_BEFORE_FEWER {
            assert!(!spares.are_too_many());
            spares.note_begun();
            spares.reckon();
        }
        assert!(spares.are_too_many());
    }

    #[test]
    fn what_varies_changes_nothing() {
        let mut spares = Spares::new(&[]);
        (0..6).for_each(|number| spares.keep(file(number)));
        for begun in [6, 4, 5, 4, 6, 5, 4, 4, 5, 6, 4] {
            (0..begun).for_each(|_| spares.note_begun());
            spares.reckon();
            assert!(!spares.are_too_many());
        }
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
