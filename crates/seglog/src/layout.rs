//! What all files of the log share: the preamble that tells magic and version, and the names. Pure.
//!
//! The first 16 bytes of every file mean the same in every version, so that a program can tell a newer format from a
//! damaged file: magic (8), version (4), CRC-32 of the 12 bytes before (4).

use crate::bytes::{Block, checksum_holds, u32_at};

/// The version of the format that this crate writes; it reads this one and all before it.
pub const VERSION: u32 = 2;

/// Bytes of the preamble.
pub(crate) const PREAMBLE_BYTES: usize = 16;

/// Generations, positions and sequences are below this, so that no sum of two can overflow. A file that tells of a
/// higher one is not sound, whatever its checksum says.
pub(crate) const NUMBER_LIMIT: u64 = 1 << 63;

/// The file that is locked as long as a log is open.
pub(crate) const LOCK: &str = "lock";

/// The two files that take turns in holding the checkpoint.
pub(crate) const CHECKPOINTS: [&str; 2] = ["checkpoint-a", "checkpoint-b"];

/// The file that is written to find out whether a full disk has room again.
pub(crate) const PROBE: &str = "probe";

const SEGMENT_SUFFIX: &str = ".seg";
const SPARE_SUFFIX: &str = ".spare";

/// What the spare file was called when only one was kept.
const ONLY_SPARE: &str = "spare";

const DAMAGE_PREFIX: &str = "damaged-";

/// Which kind of file a preamble begins.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    Segment,
    Checkpoint,
    Lock,
}

impl Kind {
    pub(crate) const fn magic(self) -> &'static [u8; 8] {
        match self {
            Self::Segment => b"HGSEGLOG",
            Self::Checkpoint => b"HGCHECKP",
            Self::Lock => b"HGSPOOLK",
        }
    }

    /// The kind of a file of this name; none for files that are not the log's.
    pub(crate) fn of(name: &str) -> Option<Self> {
        if name == LOCK {
            Some(Self::Lock)
        } else if CHECKPOINTS.contains(&name) {
            Some(Self::Checkpoint)
        } else if is_spare(name) || generation_of(name).is_some() {
            Some(Self::Segment)
        } else {
            None
        }
    }
}

/// Writes a preamble of [`VERSION`] into the beginning of a block.
pub(crate) fn put_preamble<const BYTES: usize>(block: &mut Block<BYTES>, kind: Kind) {
    block.put(0, kind.magic());
    block.put(8, &VERSION.to_le_bytes());
    block.put_checksum(12, 0..12);
}

/// The version that a file's beginning tells; none where it is no whole preamble of this kind.
pub(crate) fn version_in(beginning: &[u8], kind: Kind) -> Option<u32> {
    let preamble = beginning.get(..PREAMBLE_BYTES)?;
    let holds = preamble.starts_with(kind.magic()) && checksum_holds(preamble, 12, 0..12);
    holds.then(|| u32_at(preamble, 8))
}

/// The name of a segment. Names sort as generations do.
pub(crate) fn segment_name(generation: u64) -> String {
    format!("{generation:020}{SEGMENT_SUFFIX}")
}

/// The name of a segment that was purged, and whose file is kept to become a new one.
pub(crate) fn spare_name(generation: u64) -> String {
    format!("{generation:020}{SPARE_SUFFIX}")
}

/// Whether a file is kept to become a segment.
pub(crate) fn is_spare(name: &str) -> bool {
    let generation = name.strip_suffix(SPARE_SUFFIX).and_then(generation_in);
    generation.is_some() || name == ONLY_SPARE
}

/// The generation that a segment's name tells.
pub(crate) fn generation_of(name: &str) -> Option<u64> {
    name.strip_suffix(SEGMENT_SUFFIX).and_then(generation_in)
}

fn generation_in(digits: &str) -> Option<u64> {
    let is_number = digits.len() == 20 && digits.bytes().all(|byte| byte.is_ascii_digit());
    is_number.then(|| number_in(digits)).flatten()
}

fn number_in(digits: &str) -> Option<u64> {
    let number = digits.parse().ok();
    number.filter(|number| *number < NUMBER_LIMIT)
}

/// The name of the file that a damaged stretch is set aside in.
pub(crate) fn damage_name(generation: u64, offset: u64) -> String {
    format!("{DAMAGE_PREFIX}{generation:020}-{offset}")
}

/// The generation of the segment that a damaged stretch was in, as the name of the file tells that it was set aside in.
pub(crate) fn damage_generation(name: &str) -> Option<u64> {
    let rest = name.strip_prefix(DAMAGE_PREFIX)?;
    rest.split('-').next().and_then(number_in)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_tell_their_generation_and_sort_by_it() {
        let generations = [0, 9, 10, NUMBER_LIMIT - 1];
        let names = generations.map(segment_name);
        assert!(names.is_sorted());
        for (generation, name) in generations.into_iter().zip(names) {
            assert_eq!(generation_of(&name), Some(generation));
        }
        for other in [
            "1.seg",
            "00000000000000000001.spare",
            "0000000000000000000x.seg",
            "99999999999999999999.seg",
            "18446744073709551615.seg",
        ] {
            assert_eq!(generation_of(other), None, "{other}");
            assert_eq!(is_spare(other), other.ends_with("1.spare"), "{other}");
        }
    }

    #[test]
    fn a_version_is_told_only_by_a_whole_preamble() {
        let mut block = Block::<PREAMBLE_BYTES>::zeroed();
        put_preamble(&mut block, Kind::Lock);
        let sound = block.into_bytes();
        assert_eq!(version_in(&sound, Kind::Lock), Some(VERSION));
        assert_eq!(version_in(&sound, Kind::Segment), None);
        assert_eq!(version_in(&sound[..15], Kind::Lock), None);
        for at in 0..PREAMBLE_BYTES {
            let mut bad = sound;
            bad[at] ^= 1;
            assert_eq!(version_in(&bad, Kind::Lock), None, "byte {at}");
        }
    }
}
