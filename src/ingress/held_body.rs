//! An answer's body that keeps its part of the byte budget until the last byte is sent: a client that does not read its
//! answer holds memory like one that does not send its body.

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use axum::body::Body;
use bytes::Bytes;
use hyper::body::{Frame, SizeHint};

use super::activity::AnswerGuard;
use crate::budget::Reservation;

/// The text of a body, and what counts it. It lives as long as any slice of the text, wherever that waits.
struct Held {
    text: Vec<u8>,
    _reservation: Arc<Reservation>,
}

impl AsRef<[u8]> for Held {
    fn as_ref(&self) -> &[u8] {
        &self.text
    }
}

/// A body whose text stays counted until it is sent.
pub(super) fn held_body(text: Vec<u8>, reservation: Arc<Reservation>) -> Body {
    Body::from(Bytes::from_owner(Held {
        text,
        _reservation: reservation,
    }))
}

/// A piece of a body on its way to the client.
struct OnItsWay {
    piece: Bytes,
    _guard: Arc<AnswerGuard>,
}

impl AsRef<[u8]> for OnItsWay {
    fn as_ref(&self) -> &[u8] {
        &self.piece
    }
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
        let on_its_way = |piece| {
            Bytes::from_owner(OnItsWay {
                piece,
                _guard: Arc::clone(&this.guard),
            })
        };
        Poll::Ready(frame.map(|frame| frame.map(|frame| frame.map_data(on_its_way))))
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}
