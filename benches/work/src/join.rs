//! A batch to the body of a request to a Broker.

use std::pin::pin;
use std::task::{Context, Poll, Waker};

use anyhow::Result;
use headgate::config::BrokerFormat;
use headgate::event::Envelope;
use headgate::forward;
use headgate::spool::Part;
use hyper::body::Body;

/// Leased events.
pub struct Join {
    parts: Vec<Part>,
    format: BrokerFormat,
}

impl Join {
    /// A batch of so many envelopes.
    ///
    /// # Errors
    /// See [`crate::Decode::envelope`].
    pub fn new(
        envelopes: usize,
        envelope: impl Fn() -> Result<Envelope>,
        format: BrokerFormat,
    ) -> Result<Self> {
        let part = |_| {
            let lines = envelope()?.live;
            Ok(Part { first: 0, lines })
        };
        let parts = (0..envelopes).map(part).collect::<Result<_>>()?;
        Ok(Self { parts, format })
    }

    /// Events of the batch.
    pub fn events(&self) -> usize {
        self.parts.iter().map(|part| part.lines.count).sum()
    }

    /// Makes the body and takes all of its pieces; their bytes.
    pub fn body_bytes(&self) -> usize {
        let mut body = pin!(forward::body_of(self.parts.clone(), self.format));
        let mut context = Context::from_waker(Waker::noop());
        let mut bytes = 0;
        while let Poll::Ready(Some(Ok(frame))) = body.as_mut().poll_frame(&mut context) {
            bytes += frame.data_ref().map_or(0, bytes::Bytes::len);
        }
        bytes
    }
}
