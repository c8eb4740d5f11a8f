//! Reads brotli streams one after the other, as the other codings do; the crate's own reader stops after the first and
//! keeps what it read ahead. Pure.

use std::io::{self, Read};

use brotli_decompressor::{BrotliDecompressStream, BrotliResult, BrotliState, StandardAlloc};

/// Setting up for a stream costs more than reading a short one, and a stream can be one byte: so many are enough.
const MAX_STREAMS: usize = 1000;

type State = BrotliState<StandardAlloc, StandardAlloc, StandardAlloc>;

/// What is left of a body, and the stream that is being read.
pub(super) struct BrotliReader<'a> {
    rest: &'a [u8],
    state: Box<State>,
    streams: usize,
    has_ended: bool,
}

impl<'a> BrotliReader<'a> {
    pub(super) fn new(body: &'a [u8]) -> Self {
        Self {
            rest: body,
            state: new_state(),
            streams: 1,
            has_ended: false,
        }
    }
}

fn new_state() -> Box<State> {
    // Strict: without the large windows that RFC 7932 does not have.
    Box::new(BrotliState::new_strict(
        StandardAlloc::default(),
        StandardAlloc::default(),
        StandardAlloc::default(),
    ))
}

impl Read for BrotliReader<'_> {
    fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
        let mut written = 0;
        while written == 0 && !self.has_ended && !out.is_empty() {
            let (mut read, mut total) = (0, 0);
            let result = BrotliDecompressStream(
                &mut self.rest.len(),
                &mut read,
                self.rest,
                &mut out.len(),
                &mut written,
                out,
                &mut total,
                &mut self.state,
            );
            self.rest = &self.rest[read..];
            match result {
                BrotliResult::NeedsMoreOutput => {}
                BrotliResult::ResultSuccess if self.rest.is_empty() => self.has_ended = true,
                BrotliResult::ResultSuccess if self.streams < MAX_STREAMS => {
                    self.streams += 1;
                    self.state = new_state();
                }
                BrotliResult::ResultSuccess
                | BrotliResult::NeedsMoreInput
                | BrotliResult::ResultFailure => return Err(io::ErrorKind::InvalidData.into()),
            }
        }
        Ok(written)
    }
}
