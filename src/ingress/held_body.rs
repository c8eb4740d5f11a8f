//! An answer's body that keeps its part of the byte budget, or its clock, until the last byte is sent: a client that does
//! not read its answer holds memory like one that does not send its body.

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use axum::body::Body;
use bytes::Bytes;
use hyper::body::{Frame, SizeHint};

use super::activity::AnswerGuard;
use crate::budget::Reservation;

/// Text of a body, and what watches it. That lives as long as any slice of the text, wherever it waits.
struct Watched<T, W> {
    text: T,
    _watch: Arc<W>,
}

impl<T: AsRef<[u8]>, W> AsRef<[u8]> for Watched<T, W> {
    fn as_ref(&self) -> &[u8] {
        self.text.as_ref()
    }
}

/// A body whose text stays counted until it is sent.
pub(super) fn held_body(text: Vec<u8>, reservation: Arc<Reservation>) -> Body {
    Body::from(Bytes::from_owner(Watched {
        text,
        _watch: reservation,
    }))
}

/// The body, with a guard that is dropped when the client has taken all of it.
pub(super) fn guarded_body(body: Body, guard: AnswerGuard) -> Body {
    let guard = Arc::new(guard);
    Body::new(Guarded { body, guard })
}

/// A body each piece of which bears the guard. What the library offers for such tells no length.
struct Guarded {
    body: Body,
    guard: Arc<AnswerGuard>,
}

impl hyper::body::Body for Guarded {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        let this = self.get_mut();
        let frame = ready!(Pin::new(&mut this.body).poll_frame(cx));
        let watched = |text| {
            Bytes::from_owner(Watched {
                text,
                _watch: Arc::clone(&this.guard),
            })
        };
        Poll::Ready(frame.map(|frame| frame.map(|frame| frame.map_data(watched))))
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}
