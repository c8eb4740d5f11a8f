//! Reading a request's body: each byte is counted against the budget as it arrives, a large one waits for its turn, and
//! silence and slowness have their limits.

use bytes::Bytes;
use futures_util::FutureExt;
use http_body_util::BodyExt;
use hyper::body::{Body as _, Frame};
use tokio::time::error::Elapsed;
use tokio::time::{Instant, timeout_at};

use super::{BodyLimits, RequestBody, State};
use crate::budget::Reservation;
use crate::ingress::gathered::Gathered;
use crate::ingress::refusal::{Code, Refusal};
use crate::ingress::turns::{BEGINNING, Outlook, SILENCE, Turn};
use crate::pipeline::DecodeError;

/// What one read can bring over TLS, whatever its limit: two records.
const TLS_READ_BYTES: usize = 32 * 1024;

/// A piece of a body or its trailers, or why there is none.
type NextFrame = hyper::Result<Frame<Bytes>>;

/// A body while it is read.
pub(super) struct Reading<'a> {
    body: &'a mut RequestBody,
    limits: &'a BodyLimits,
    reservation: &'a mut Reservation,
    gathered: Gathered,
    /// Whether it has a content coding.
    is_packed: bool,
    turn: TurnState,
    /// When all of it has to be there; set when it is first waited for.
    whole_by: Option<Instant>,
}

/// What a body has of its turn.
enum TurnState {
    /// Nothing yet: most come whole before they would ask for it.
    NotAsked,
    Taken(Turn),
    /// It goes on without.
    Over,
}

impl<'a> Reading<'a> {
    pub(super) fn new(
        body: &'a mut RequestBody,
        is_packed: bool,
        limits: &'a BodyLimits,
        reservation: &'a mut Reservation,
    ) -> Self {
        Self {
            body,
            limits,
            reservation,
            gathered: Gathered::default(),
            is_packed,
            turn: TurnState::NotAsked,
            whole_by: None,
        }
    }

    /// Reads all of it; the reservation holds its bytes then. Its turn goes on.
    pub(super) async fn whole(mut self) -> Result<(Bytes, Option<Turn>), Refusal> {
        let bytes = self.bytes().await?;
        let turn = match self.turn {
            TurnState::Taken(turn) => Some(turn),
            TurnState::NotAsked | TurnState::Over => None,
        };
        Ok((bytes, turn))
    }

    async fn bytes(&mut self) -> Result<Bytes, Refusal> {
        let Some(first) = self.next().await? else {
            return Ok(Bytes::new());
        };
        if self.body.is_multiplexed && !self.body.incoming.is_end_stream() {
            // Kept as it is, a byte would hold all that came with it, of other streams too.
            self.gather(&[first])?;
        } else {
            let Some(second) = self.next().await? else {
                // Mostly the body came in one piece, and need not be copied.
                return Ok(first);
            };
            self.gather(&[first, second])?;
        }
        while let Some(piece) = self.next().await? {
            self.gather(&[piece])?;
        }
        Ok(std::mem::take(&mut self.gathered).into_bytes())
    }

    fn gather(&mut self, pieces: &[Bytes]) -> Result<(), Refusal> {
        let max_bytes = self.limits.max_bytes;
        let most = self.body.length().map_or(max_bytes, |length| {
            usize::try_from(length).unwrap_or(max_bytes)
        });
        let pushed = self.gathered.push(pieces, most, self.reservation);
        Ok(pushed.map_err(DecodeError::from)?)
    }

    /// The next piece, counted.
    async fn next(&mut self) -> Result<Option<Bytes>, Refusal> {
        self.wait_for_turn().await?;
        while self.body.state != State::Ended {
            // What has come already needs no timer.
            let frame = match self.body.incoming.frame().now_or_never() {
                Some(frame) => frame,
                None => self.wait_for_frame().await?,
            };
            match frame {
                // hyper takes a stream that was reset without an error for one that has ended.
                None if self.body.is_multiplexed && !self.body.incoming.is_end_stream() => {
                    return Err(self.cut_short());
                }
                None => {
                    self.body.state = State::Ended;
                    self.gathered.end(self.reservation);
                }
                Some(Err(_)) => return Err(self.cut_short()),
                Some(Ok(frame)) => {
                    // Trailers say nothing that matters here.
                    if let Ok(piece) = frame.into_data() {
                        self.count(piece.len())?;
                        return Ok(Some(piece));
                    }
                }
            }
        }
        Ok(None)
    }

    fn count(&mut self, bytes: usize) -> Result<(), Refusal> {
        self.body.bytes += bytes;
        if self.body.bytes > self.limits.max_bytes {
            return Err(self.limits.too_large());
        }
        let ahead = self.read_ahead();
        let counted = self.gathered.count(bytes, ahead, self.reservation);
        counted.map_err(DecodeError::from)?;
        let outlook = self.outlook();
        if let TurnState::Taken(turn) = &mut self.turn
            && !turn.go_on(outlook)
        {
            self.turn = TurnState::Over;
        }
        Ok(())
    }

    /// Waits for its turn when it has begun to come, and has not come whole. A stream of HTTP/2 does not: what has
    /// come of it would take the window of all others of its connection meanwhile.
    async fn wait_for_turn(&mut self) -> Result<(), Refusal> {
        let is_due = self.body.bytes >= BEGINNING && !self.body.incoming.is_end_stream();
        if is_due && matches!(self.turn, TurnState::NotAsked) && !self.body.is_multiplexed {
            self.turn = TurnState::Over;
            // In a box, for most bodies come whole.
            let turn = Box::pin(self.limits.turns.take(self.outlook())).await?;
            self.turn = turn.map_or(TurnState::Over, TurnState::Taken);
        }
        Ok(())
    }

    fn outlook(&self) -> Outlook {
        Outlook {
            came: self.body.bytes,
            length: self.body.length(),
            is_packed: self.is_packed,
            reserved: self.reservation.bytes(),
        }
    }

    /// Waits for what comes next, as long as the limits allow.
    async fn wait_for_frame(&mut self) -> Result<Option<NextFrame>, Refusal> {
        let now = Instant::now();
        let whole_by = *self.whole_by.get_or_insert(now + self.limits.whole);
        let silence_until = now + self.limits.silence;
        let limits = self.limits;
        let frame = self.frame_until(whole_by.min(silence_until));
        let Some(frame) = limits.lifecycle.unless_out_of_time(frame).await else {
            return Err(limits.out_of_time());
        };
        frame.map_err(|_| {
            if whole_by <= silence_until {
                self.limits.took_too_long()
            } else {
                self.limits.silent_too_long(self.body.is_withheld())
            }
        })
    }

    /// What comes next. The turn is over where it does not come soon.
    async fn frame_until(&mut self, deadline: Instant) -> Result<Option<NextFrame>, Elapsed> {
        if matches!(self.turn, TurnState::Taken(_)) {
            let soon = deadline.min(Instant::now() + SILENCE);
            if let Ok(frame) = timeout_at(soon, self.body.incoming.frame()).await {
                return Ok(frame);
            }
            self.turn = TurnState::Over;
        }
        timeout_at(deadline, self.body.incoming.frame()).await
    }

    /// What the connection may read now that nobody has asked for yet. No more than has come, whatever length
    /// is declared: whoever wants to hold the budget has to send something.
    fn read_ahead(&self) -> usize {
        if self.body.incoming.is_end_stream() {
            return 0;
        }
        let rest = self.body.rest().unwrap_or(u64::MAX);
        let rest = usize::try_from(rest).unwrap_or(usize::MAX);
        rest.min(self.body.bytes)
            .min(self.body.read_limit.max(TLS_READ_BYTES))
    }

    fn cut_short(&mut self) -> Refusal {
        self.body.state = State::Broken;
        Refusal::new(
            Code::MalformedBody,
            "The body ended before its length, or its chunks are malformed; nothing of it was kept.",
        )
    }
}
