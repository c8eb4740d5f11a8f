//! From a batch to the body of a request: the stored bytes as they lie, wherever the format allows.

use std::collections::VecDeque;
use std::convert::Infallible;
use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::Bytes;
use hyper::body::{Frame, SizeHint};

use super::batch::Batch;
use crate::config::BrokerFormat;
use crate::event::LINE_END;

/// The media type of a format.
pub(super) const fn media_type(format: BrokerFormat) -> &'static str {
    match format {
        BrokerFormat::JsonBatch | BrokerFormat::Json => "application/json",
        BrokerFormat::JsonLines => "application/x-ndjson",
    }
}

/// A request's body: pieces that lie ready, sent one after the other, of a known length.
#[derive(Clone, Debug)]
pub(super) struct Pieces {
    pieces: VecDeque<Bytes>,
    bytes: u64,
}

/// Encodes a batch. With `json` it holds one event.
pub(super) fn encode(batch: &Batch, format: BrokerFormat) -> Pieces {
    match format {
        BrokerFormat::JsonBatch => json_array(batch),
        BrokerFormat::JsonLines => Pieces::from(json_lines(batch)),
        BrokerFormat::Json => Pieces::from(without_line_end(batch)),
    }
}

/// A bracket, the stored bytes, a bracket: only the last line end is left out.
fn json_array(batch: &Batch) -> Pieces {
    let mut pieces = VecDeque::with_capacity(batch.parts().len() + 2);
    pieces.push_back(Bytes::from_static(b"["));
    pieces.extend(batch.parts().iter().map(|part| part.lines.bytes.clone()));
    if let Some(last) = pieces.back_mut() {
        last.truncate(last.len().saturating_sub(LINE_END.len()));
    }
    pieces.push_back(Bytes::from_static(b"]"));
    Pieces::from(pieces)
}

/// One event a line, without the commas.
pub(super) fn json_lines(batch: &Batch) -> Bytes {
    let mut lines = Vec::with_capacity(batch.bytes());
    for event in batch.parts().iter().flat_map(|part| part.lines.iter()) {
        lines.extend_from_slice(event);
        lines.push(b'\n');
    }
    Bytes::from(lines)
}

fn without_line_end(batch: &Batch) -> Bytes {
    let mut event = batch.parts()[0].lines.bytes.clone();
    event.truncate(event.len().saturating_sub(LINE_END.len()));
    event
}

impl Pieces {
    /// Bytes altogether.
    pub(super) const fn bytes(&self) -> u64 {
        self.bytes
    }

    /// The pieces, in order.
    pub(super) fn pieces(&self) -> impl Iterator<Item = &Bytes> {
        self.pieces.iter()
    }
}

impl From<Bytes> for Pieces {
    fn from(piece: Bytes) -> Self {
        Self::from(VecDeque::from([piece]))
    }
}

impl From<VecDeque<Bytes>> for Pieces {
    fn from(pieces: VecDeque<Bytes>) -> Self {
        Self {
            bytes: pieces.iter().map(|piece| piece.len() as u64).sum(),
            pieces,
        }
    }
}

impl hyper::body::Body for Pieces {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        self: Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        let this = self.get_mut();
        let piece = this.pieces.pop_front();
        Poll::Ready(piece.map(|piece| {
            this.bytes -= piece.len() as u64;
            Ok(Frame::data(piece))
        }))
    }

    fn is_end_stream(&self) -> bool {
        self.pieces.is_empty()
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::with_exact(self.bytes)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::event::Lines;
    use crate::spool::Part;

    #[test]
    fn each_format_has_its_text() {
        let part = |text: &'static str, count| Part {
            first: 0,
            lines: Lines {
                count,
                bytes: Bytes::from_static(text.as_bytes()),
            },
        };
        let two = Batch::new(vec![part("{\"a\":1},\n{\"a\":2},\n", 2), part("{},\n", 1)]);
        let one = Batch::new(vec![part("{\"a\":1},\n", 1)]);
        for (batch, format, text) in [
            (
                &two,
                BrokerFormat::JsonBatch,
                "[{\"a\":1},\n{\"a\":2},\n{}]",
            ),
            (&two, BrokerFormat::JsonLines, "{\"a\":1}\n{\"a\":2}\n{}\n"),
            (&one, BrokerFormat::JsonBatch, "[{\"a\":1}]"),
            (&one, BrokerFormat::Json, "{\"a\":1}"),
        ] {
            let body = encode(batch, format);
            assert_eq!(body.bytes, text.len() as u64);
            let sent: Vec<u8> = body.pieces.iter().flatten().copied().collect();
            assert_eq!(sent, text.as_bytes());
        }
    }
}
