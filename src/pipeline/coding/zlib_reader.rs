//! Reads zlib streams one after the other, as the other codings do; the crate's own reader stops after the first. Pure.

use std::io::{self, Read};

use flate2::bufread::ZlibDecoder;

/// What is left of a body, and the stream that is being read.
pub(super) struct ZlibReader<'a>(ZlibDecoder<&'a [u8]>);

impl<'a> ZlibReader<'a> {
    pub(super) fn new(body: &'a [u8]) -> Self {
        Self(ZlibDecoder::new(body))
    }

    /// What stands behind the last stream.
    pub(super) fn into_rest(self) -> &'a [u8] {
        self.0.into_inner()
    }
}

impl Read for ZlibReader<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        loop {
            let bytes = self.0.read(buffer)?;
            let rest = *self.0.get_ref();
            if bytes > 0 || buffer.is_empty() || !has_header(rest) {
                return Ok(bytes);
            }
            self.0.reset(rest);
        }
    }
}

/// Whether a text begins as a zlib stream does (RFC 1950, 2.2).
pub(super) fn has_header(text: &[u8]) -> bool {
    matches!(text, [method, flags, ..]
        if method & 0x0f == 8 && u16::from_be_bytes([*method, *flags]) % 31 == 0)
}
