//! Reading a request's body: each byte is counted against the budget as it arrives, and silence and slowness have
//! their limits.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use futures_util::FutureExt;
use http::request::Parts;
use http::{Version, header};
use http_body_util::BodyExt;
use hyper::body::{Body as _, Frame, Incoming};
use tokio::time::error::Elapsed;
use tokio::time::{Instant, timeout, timeout_at};

use super::gathered::Gathered;
use super::refusal::{Code, Refusal, overloaded};
use super::stream::{LINGER, LINGER_SILENCE};
use super::transport::read_limit;
use super::turns::{BEGINNING, Outlook, SILENCE, Turn, Turns};
use crate::budget::{ByteBudget, Exhausted, Reservation};
use crate::pipeline::DecodeError;
use crate::units::duration;

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
    gathered: Gathered,
    /// Whether it has a content coding.
    is_packed: bool,
    turn: TurnState,
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

/// What a body has of its turn.
enum TurnState {
    /// Nothing yet: most come whole before they would ask for it.
    NotAsked,
    Taken(Turn),
    /// It goes on without, or nothing more is to come.
    Over,
}

/// A piece of a body or its trailers, or why there is none.
type NextFrame = hyper::Result<Frame<Bytes>>;

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
            gathered: Gathered::default(),
            is_packed: false,
            turn: TurnState::NotAsked,
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

    /// Refuses by the declared length what cannot be taken, now or when those who have a turn are done, before a byte
    /// of it is read.
    pub(super) fn check_length(
        &self,
        limits: &BodyLimits,
        budget: &ByteBudget,
    ) -> Result<(), Refusal> {
        let declared = self.rest_at_least();
        if declared > limits.max_bytes as u64 {
            return Err(too_large(limits));
        }
        if budget.has_room_for(declared) || limits.turns.are_under_way() {
            Ok(())
        } else {
            Err(overloaded())
        }
    }

    /// Its turn, which is over when it is decoded.
    pub(super) fn take_turn(&mut self) -> Option<Turn> {
        match std::mem::replace(&mut self.turn, TurnState::Over) {
            TurnState::Taken(turn) => Some(turn),
            TurnState::NotAsked | TurnState::Over => None,
        }
    }

    /// Reads the body whole; `reservation` holds its bytes then. `is_packed` tells whether it has a content coding.
    pub(super) async fn read(
        &mut self,
        is_packed: bool,
        limits: &BodyLimits,
        reservation: &mut Reservation,
    ) -> Result<Bytes, Refusal> {
        self.is_packed = is_packed;
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
        let most = self.length().map_or(limits.max_bytes, |length| {
            usize::try_from(length).unwrap_or(limits.max_bytes)
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
        self.wait_for_turn(limits, reservation).await?;
        while self.state != State::Ended {
            // What has come already needs no timer.
            let frame = match self.incoming.frame().now_or_never() {
                Some(frame) => frame,
                None => {
                    let now = Instant::now();
                    let whole = *whole.get_or_insert(now + limits.whole);
                    let deadline = whole.min(now + limits.silence);
                    let frame = self.frame_until(deadline).await;
                    frame.map_err(|_| timed_out(limits, deadline == whole))?
                }
            };
            match frame {
                // hyper takes a stream that was reset without an error for one that has ended.
                None if self.is_multiplexed && !self.incoming.is_end_stream() => {
                    return Err(self.cut_short());
                }
                None => {
                    self.state = State::Ended;
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
        counted.map_err(exhausted)?;
        let outlook = self.outlook(reservation);
        if let TurnState::Taken(turn) = &mut self.turn
            && !turn.go_on(outlook)
        {
            self.turn = TurnState::Over;
        }
        Ok(())
    }

    /// Waits for its turn when it has begun to come, and has not come whole. A stream of HTTP/2 does not: what has
    /// come of it would take the window of all others of its connection meanwhile.
    async fn wait_for_turn(
        &mut self,
        limits: &BodyLimits,
        reservation: &Reservation,
    ) -> Result<(), Refusal> {
        let is_due = self.bytes >= BEGINNING && !self.incoming.is_end_stream();
        if is_due && matches!(self.turn, TurnState::NotAsked) && !self.is_multiplexed {
            self.turn = TurnState::Over;
            // In a box, for most bodies come whole.
            let turn = Box::pin(limits.turns.take(self.outlook(reservation))).await?;
            self.turn = turn.map_or(TurnState::Over, TurnState::Taken);
        }
        Ok(())
    }

    fn outlook(&self, reservation: &Reservation) -> Outlook {
        Outlook {
            came: self.bytes,
            length: self.length(),
            is_packed: self.is_packed,
            reserved: reservation.bytes(),
        }
    }

    /// What comes next. The turn is over where it does not come soon.
    async fn frame_until(&mut self, deadline: Instant) -> Result<Option<NextFrame>, Elapsed> {
        if matches!(self.turn, TurnState::Taken(_)) {
            let soon = deadline.min(Instant::now() + SILENCE);
            if let Ok(frame) = timeout_at(soon, self.incoming.frame()).await {
                return Ok(frame);
            }
            self.turn = TurnState::Over;
        }
        timeout_at(deadline, self.incoming.frame()).await
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
        self.state = State::Broken;
        Refusal::new(
            Code::MalformedBody,
            "The body ended before its length, or its chunks are malformed; nothing of it was kept.",
        )
    }

    /// Takes what a refusal has left of it where that is short, so that it does not cost the connection; whether
    /// nothing is still to come then. A client that waits for `100 Continue` is not asked for its body.
    pub(super) async fn take_short_rest(&mut self) -> bool {
        // Of a refused body it is in no budget any more, and what follows takes its time.
        self.gathered = Gathered::default();
        self.turn = TurnState::Over;
        if self.state != State::Coming || self.is_awaited {
            return self.state == State::Ended;
        }
        let is_multiplexed = self.is_multiplexed;
        let may_be_short = self.rest_at_least() <= SHORT_REST_BYTES;
        let taking = self.take_what_comes();
        if may_be_short && !is_multiplexed {
            let _in_time = timeout(REST_TIMEOUT, taking).await;
        } else {
            let _what_has_come = taking.now_or_never();
        }
        self.state == State::Ended
    }

    /// Takes what comes, a short rest at most.
    async fn take_what_comes(&mut self) {
        let mut bytes = 0;
        while self.state == State::Coming && bytes <= SHORT_REST_BYTES {
            match self.incoming.frame().await {
                None => self.state = State::Ended,
                Some(Ok(frame)) => bytes += frame.data_ref().map_or(0, |data| data.len() as u64),
                Some(Err(_)) => {
                    self.state = State::Broken;
                    return;
                }
            }
            if self.incoming.is_end_stream() {
                self.state = State::Ended;
            }
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
