//! A request's body: how long it is and may be, and how far it has come. How it is read, and what becomes of one that
//! is refused before it has come, is below.

mod reading;
mod rest;

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::request::Parts;
use http::{Version, header};
use hyper::body::{Body as _, Incoming};

use super::refusal::{Code, Refusal, overloaded};
use super::transport::read_limit;
use super::turns::{Turn, Turns};
use crate::budget::{ByteBudget, Reservation};
use crate::lifecycle::Lifecycle;
use crate::units::duration;
use reading::Reading;
pub(super) use rest::{Rest, Rests};

/// What a client needs to know that may be waiting for what hyper does not send over HTTP/2.
const WITHHELD: &str =
    " Over HTTP/2 there is no `100 Continue` to wait for: leave `Expect` away, or use HTTP/1.1.";

/// The limits on a body.
#[derive(Debug)]
pub(super) struct BodyLimits {
    /// `ingest.max_content_length`.
    pub(super) max_bytes: usize,
    /// `server.body_read_timeout`.
    pub(super) silence: Duration,
    /// `server.body_timeout`.
    pub(super) whole: Duration,
    /// How many may come at once.
    pub(super) turns: Arc<Turns>,
    /// None is waited for at the end of the life.
    pub(super) lifecycle: Lifecycle,
}

impl BodyLimits {
    fn too_large(&self) -> Refusal {
        Refusal::new(
            Code::BodyTooLarge,
            format!(
                "The body is larger than {} bytes (ingest.max_content_length).",
                self.max_bytes
            ),
        )
    }

    fn silent_too_long(&self, is_withheld: bool) -> Refusal {
        let mut detail = format!(
            "Nothing of the body came for {} (server.body_read_timeout).",
            duration::format(self.silence)
        );
        if is_withheld {
            detail.push_str(WITHHELD);
        }
        Refusal::new(Code::BodyTimeout, detail)
    }

    fn took_too_long(&self) -> Refusal {
        Refusal::new(
            Code::BodyTimeout,
            format!(
                "The body was not complete after {} (server.body_timeout).",
                duration::format(self.whole)
            ),
        )
    }

    fn out_of_time(&self) -> Refusal {
        Refusal::new(
            Code::Draining,
            "The server stops before the body is complete, and keeps nothing of it; send the request to another one.",
        )
    }
}

/// A body and how much of it was taken.
pub(super) struct RequestBody {
    incoming: Incoming,
    state: State,
    /// Whether the client waits for `100 Continue` before it sends the body.
    is_awaited: bool,
    /// Whether it is one of a stream of HTTP/2.
    is_multiplexed: bool,
    /// Bytes read so far.
    pub(super) bytes: usize,
    /// The most that is read of it at once.
    read_limit: usize,
}

/// How far a body has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    Coming,
    /// All of it was taken.
    Ended,
    /// It ended too soon, or cannot be read on.
    Broken,
}

impl RequestBody {
    pub(super) fn new(incoming: Incoming, head: &Parts, has_large_buffers: bool) -> Self {
        let is_multiplexed = head.version == Version::HTTP_2;
        let declared = incoming.size_hint().exact();
        Self {
            state: if incoming.is_end_stream() {
                State::Ended
            } else {
                State::Coming
            },
            is_awaited: head.headers.contains_key(header::EXPECT),
            is_multiplexed,
            read_limit: read_limit(declared.filter(|_| !is_multiplexed), has_large_buffers),
            incoming,
            bytes: 0,
        }
    }

    /// The most bytes that its connection is to read of it at once.
    pub(super) fn read_limit(&self) -> usize {
        self.read_limit
    }

    /// The least that is still to come, by its declared length.
    pub(super) fn rest_at_least(&self) -> u64 {
        self.incoming.size_hint().lower()
    }

    /// How much of its declared length is still to come, if it has one.
    pub(super) fn rest(&self) -> Option<u64> {
        self.incoming.size_hint().exact()
    }

    /// Its declared length, if it has one.
    fn length(&self) -> Option<u64> {
        self.rest().map(|rest| self.bytes as u64 + rest)
    }

    /// Whether its client may be waiting for a `100 Continue` that never comes.
    fn is_withheld(&self) -> bool {
        self.is_awaited && self.is_multiplexed && self.bytes == 0
    }

    /// Refuses by the declared length what cannot be taken, now or when those who have a turn are done, before a byte
    /// of it is read.
    pub(super) fn check_length(
        &self,
        limits: &BodyLimits,
        budget: &ByteBudget,
    ) -> Result<(), Refusal> {
        let declared = self.rest_at_least();
        if declared > limits.max_bytes as u64 {
            return Err(limits.too_large());
        }
        if budget.has_room_for(declared) || limits.turns.are_under_way() {
            Ok(())
        } else {
            Err(overloaded())
        }
    }

    /// Reads the body whole; `reservation` holds its bytes then. `is_packed` tells whether it has a content coding. Where it
    /// has a turn still, that is to last until it is decoded.
    pub(super) async fn read(
        &mut self,
        is_packed: bool,
        limits: &BodyLimits,
        reservation: &mut Reservation,
    ) -> Result<(Bytes, Option<Turn>), Refusal> {
        let reading = Reading::new(self, is_packed, limits, reservation);
        reading.whole().await
    }
}
