//! Reading a request's body: each byte is counted against the budget as it arrives, and silence and slowness have
//! their limits.

use std::time::Duration;

use bytes::Bytes;
use futures_util::FutureExt;
use http::request::Parts;
use http::{Version, header};
use http_body_util::BodyExt;
use hyper::body::{Body as _, Incoming};
use tokio::time::{Instant, timeout, timeout_at};

use super::gathered::Gathered;
use super::refusal::{Code, Refusal, overloaded};
use super::stream::{LINGER, LINGER_SILENCE};
use super::transport::read_limit;
use crate::budget::{ByteBudget, Exhausted, Reservation};
use crate::pipeline::DecodeError;
use crate::units::duration;

/// The limits on a body.
#[derive(Clone, Copy, Debug)]
pub(super) struct BodyLimits {
    /// `ingest.max_content_length`.
    pub(super) max_bytes: usize,
    /// `server.body_read_timeout`.
    pub(super) silence: Duration,
    /// `server.body_timeout`.
    pub(super) whole: Duration,
}

/// A body and how much of it was taken.
pub(super) struct RequestBody {
    incoming: Incoming,
    has_ended: bool,
    /// Whether it ended too soon, or cannot be read on.
    is_broken: bool,
    /// Whether the client waits for `100 Continue` before it sends the body.
    is_awaited: bool,
    /// Whether it is one of a stream of HTTP/2.
    is_multiplexed: bool,
    /// Bytes read so far.
    pub(super) bytes: usize,
    /// The most that is read of it at once.
    read_limit: usize,
    gathered: Gathered,
}

/// So much of a body is still taken behind a refusal, so that it does not cost the connection.
const SHORT_REST_BYTES: u64 = 64 * 1024;

/// How long that rest may take to come: less than a new connection would.
const REST_TIMEOUT: Duration = Duration::from_millis(100);

/// What one read can bring over TLS, whatever its limit: two records.
const TLS_READ_BYTES: usize = 32 * 1024;

impl RequestBody {
    pub(super) fn new(incoming: Incoming, head: &Parts, has_large_buffers: bool) -> Self {
        let is_multiplexed = head.version == Version::HTTP_2;
        let declared = incoming.size_hint().exact();
        Self {
            has_ended: incoming.is_end_stream(),
            is_broken: false,
            is_awaited: head.headers.contains_key(header::EXPECT),
            is_multiplexed,
            read_limit: read_limit(declared.filter(|_| !is_multiplexed), has_large_buffers),
            incoming,
            bytes: 0,
            gathered: Gathered::default(),
        }
    }

    /// The most bytes that its connection is to read of it at once.
    pub(super) fn read_limit(&self) -> usize {
        self.read_limit
    }

    /// The least that the body has, by its declared length.
    pub(super) fn rest_at_least(&self) -> u64 {
        self.incoming.size_hint().lower()
    }

    /// How much of its declared length is still to come, if it has one.
    pub(super) fn rest(&self) -> Option<u64> {
        self.incoming.size_hint().exact()
    }

    /// The declared length that is to wait for its turn. A stream of HTTP/2 is not to: what has come of it would
    /// take the window of all others of its connection meanwhile.
    pub(super) fn length_for_turn(&self) -> u64 {
        if self.is_multiplexed {
            0
        } else {
            self.rest_at_least()
        }
    }

    /// Refuses by the declared length what is never taken, before a byte of it is read.
    pub(super) fn check_length(&self, limits: &BodyLimits) -> Result<(), Refusal> {
        if self.rest_at_least() > limits.max_bytes as u64 {
            Err(too_large(limits))
        } else {
            Ok(())
        }
    }

    /// The same for what cannot be taken now.
    pub(super) fn check_room(&self, budget: &ByteBudget) -> Result<(), Refusal> {
        if budget.has_room_for(self.rest_at_least()) {
            Ok(())
        } else {
            Err(overloaded())
        }
    }

    /// Reads the body whole; `reservation` holds its bytes then.
    pub(super) async fn read(
        &mut self,
        limits: &BodyLimits,
        reservation: &mut Reservation,
    ) -> Result<Bytes, Refusal> {
        let mut whole = None;
        let Some(first) = self.next(limits, &mut whole, reservation).await? else {
            return Ok(Bytes::new());
        };
        if self.is_multiplexed && !self.incoming.is_end_stream() {
            // Kept as it is, a byte would hold all that came with it, of other streams too.
            self.gather(&[first], limits, reservation)?;
        } else {
            let Some(second) = self.next(limits, &mut whole, reservation).await? else {
                // Mostly the body came in one piece, and need not be copied.
                return Ok(first);
            };
            self.gather(&[first, second], limits, reservation)?;
        }
        while let Some(piece) = self.next(limits, &mut whole, reservation).await? {
            self.gather(&[piece], limits, reservation)?;
        }
        Ok(std::mem::take(&mut self.gathered).into_bytes())
    }

    fn gather(
        &mut self,
        pieces: &[Bytes],
        limits: &BodyLimits,
        reservation: &mut Reservation,
    ) -> Result<(), Refusal> {
        let whole = self.rest().map(|rest| self.bytes as u64 + rest);
        let most = whole.map_or(limits.max_bytes, |whole| {
            usize::try_from(whole).unwrap_or(limits.max_bytes)
        });
        let pushed = self.gathered.push(pieces, most, reservation);
        pushed.map_err(exhausted)
    }

    /// The next piece, counted. `whole` is the deadline of the whole body, set when first waited for.
    async fn next(
        &mut self,
        limits: &BodyLimits,
        whole: &mut Option<Instant>,
        reservation: &mut Reservation,
    ) -> Result<Option<Bytes>, Refusal> {
        while !self.has_ended {
            // What has come already needs no timer.
            let frame = match self.incoming.frame().now_or_never() {
                Some(frame) => frame,
                None => {
                    let now = Instant::now();
                    let whole = *whole.get_or_insert(now + limits.whole);
                    let deadline = whole.min(now + limits.silence);
                    timeout_at(deadline, self.incoming.frame())
                        .await
                        .map_err(|_| timed_out(limits, deadline == whole))?
                }
            };
            match frame {
                // hyper takes a stream that was reset without an error for one that has ended.
                None if self.is_multiplexed && !self.incoming.is_end_stream() => {
                    return Err(self.cut_short());
                }
                None => {
                    self.has_ended = true;
                    self.gathered.end(reservation);
                }
                Some(Err(_)) => return Err(self.cut_short()),
                Some(Ok(frame)) => {
                    // Trailers say nothing that matters here.
                    if let Ok(piece) = frame.into_data() {
                        self.count(piece.len(), limits, reservation)?;
                        return Ok(Some(piece));
                    }
                }
            }
        }
        Ok(None)
    }

    fn count(
        &mut self,
        bytes: usize,
        limits: &BodyLimits,
        reservation: &mut Reservation,
    ) -> Result<(), Refusal> {
        self.bytes += bytes;
        if self.bytes > limits.max_bytes {
            return Err(too_large(limits));
        }
        let ahead = self.read_ahead();
        let counted = self.gathered.count(bytes, ahead, reservation);
        counted.map_err(exhausted)
    }

    /// What the connection may read now that nobody has asked for yet. No more than has come, whatever length
    /// is declared: whoever wants to hold the budget has to send something.
    fn read_ahead(&self) -> usize {
        if self.incoming.is_end_stream() {
            return 0;
        }
        let rest = self.rest().unwrap_or(u64::MAX);
        let rest = usize::try_from(rest).unwrap_or(usize::MAX);
        rest.min(self.bytes)
            .min(self.read_limit.max(TLS_READ_BYTES))
    }

    fn cut_short(&mut self) -> Refusal {
        self.is_broken = true;
        Refusal::new(
            Code::MalformedBody,
            "The body ended before its length, or its chunks are malformed; nothing of it was kept.",
        )
    }

    /// Whether nothing of it is still to come. Where a refusal came first a short rest is taken now, so that
    /// it does not cost the connection. A client that waits for `100 Continue` is not asked for its body.
    pub(super) async fn is_taken(&mut self) -> bool {
        // Of a refused body it is in no budget any more, and what follows takes its time.
        self.gathered = Gathered::default();
        if self.has_ended || self.is_awaited || self.is_broken {
            return self.has_ended;
        }
        let is_multiplexed = self.is_multiplexed;
        let may_be_short = self.rest_at_least() <= SHORT_REST_BYTES;
        let taking = self.take_rest();
        if may_be_short && !is_multiplexed {
            let _in_time = timeout(REST_TIMEOUT, taking).await;
        } else {
            let _what_has_come = taking.now_or_never();
        }
        self.has_ended
    }

    /// Takes what comes, a short rest at most.
    async fn take_rest(&mut self) {
        let mut bytes = 0;
        while !self.has_ended && bytes <= SHORT_REST_BYTES {
            match self.incoming.frame().await {
                None => self.has_ended = true,
                Some(Ok(frame)) => bytes += frame.data_ref().map_or(0, |data| data.len() as u64),
                Some(Err(_)) => {
                    self.is_broken = true;
                    return;
                }
            }
            self.has_ended |= self.incoming.is_end_stream();
        }
    }

    /// Takes what is still to come and throws it away, for a while: with HTTP/2 an answer is lost on many
    /// clients when their body is not taken any more, and some proxies stop for all.
    pub(super) async fn throw_away(self) {
        let mut incoming = self.incoming;
        let taking = async {
            while let Ok(Some(Ok(_))) = timeout(LINGER_SILENCE, incoming.frame()).await {}
        };
        let _the_rest_is_the_clients_loss = timeout(LINGER, taking).await;
    }
}

fn exhausted(exhausted: Exhausted) -> Refusal {
    match exhausted {
        Exhausted::ByOthers => overloaded(),
        Exhausted::Alone => DecodeError::NeverRoom.into(),
    }
}

fn too_large(limits: &BodyLimits) -> Refusal {
    Refusal::new(
        Code::BodyTooLarge,
        format!(
            "The body is larger than {} bytes (ingest.max_content_length).",
            limits.max_bytes
        ),
    )
}

fn timed_out(limits: &BodyLimits, is_whole: bool) -> Refusal {
    let detail = if is_whole {
        format!(
            "The body was not complete after {} (server.body_timeout).",
            duration::format(limits.whole)
        )
    } else {
        format!(
            "Nothing of the body came for {} (server.body_read_timeout).",
            duration::format(limits.silence)
        )
    };
    Refusal::new(Code::BodyTimeout, detail)
}
