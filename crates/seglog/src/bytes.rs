//! Little-endian numbers at fixed places of a block of bytes. Pure.

/// A block that is filled in place.
pub(crate) struct Block<const BYTES: usize>([u8; BYTES]);

impl<const BYTES: usize> Block<BYTES> {
    pub(crate) fn zeroed() -> Self {
        Self([0; BYTES])
    }

    pub(crate) fn put(&mut self, at: usize, value: &[u8]) {
        self.0[at..at + value.len()].copy_from_slice(value);
    }

    /// Puts the CRC-32 of the bytes `of` at `at`.
    pub(crate) fn put_checksum(&mut self, at: usize, of: std::ops::Range<usize>) {
        let checksum = crc32fast::hash(&self.0[of]);
        self.put(at, &checksum.to_le_bytes());
    }

    pub(crate) fn into_bytes(self) -> [u8; BYTES] {
        self.0
    }
}

/// The number at `at`.
pub(crate) fn u32_at(bytes: &[u8], at: usize) -> u32 {
    u32::from_le_bytes(array_at(bytes, at))
}

/// The number at `at`.
pub(crate) fn u64_at(bytes: &[u8], at: usize) -> u64 {
    u64::from_le_bytes(array_at(bytes, at))
}

/// Whether the CRC-32 at `at` is that of the bytes `of`.
pub(crate) fn checksum_holds(bytes: &[u8], at: usize, of: std::ops::Range<usize>) -> bool {
    u32_at(bytes, at) == crc32fast::hash(&bytes[of])
}

fn array_at<const BYTES: usize>(bytes: &[u8], at: usize) -> [u8; BYTES] {
    let mut array = [0; BYTES];
    array.copy_from_slice(&bytes[at..at + BYTES]);
    array
}
