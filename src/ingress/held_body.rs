//! An answer's body that keeps the request's part of the byte budget until it is sent: a client that does not read its
//! answer holds memory like one that does not send its body.

use std::convert::Infallible;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use bytes::Bytes;
use hyper::body::{Body, Frame, SizeHint};

use crate::budget::Reservation;

/// The body in one piece.
pub(super) struct HeldBody {
    piece: Option<Bytes>,
    _reservation: Arc<Reservation>,
}

impl HeldBody {
    pub(super) fn new(body: Vec<u8>, reservation: Arc<Reservation>) -> Self {
        Self {
            piece: Some(body.into()),
            _reservation: reservation,
        }
    }
}

impl Body for HeldBody {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        self: Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        let piece = self.get_mut().piece.take();
        Poll::Ready(piece.map(|piece| Ok(Frame::data(piece))))
    }

    fn is_end_stream(&self) -> bool {
        self.piece.is_none()
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::with_exact(self.piece.as_ref().map_or(0, |piece| piece.len() as u64))
    }
}
