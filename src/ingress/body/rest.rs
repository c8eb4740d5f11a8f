//! What is left of a body whose request was refused: taken where it is short, or thrown away for a while.

use std::sync::Arc;
use std::time::Duration;

use futures_util::FutureExt;
use http_body_util::BodyExt;
use hyper::body::{Body as _, Incoming};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::timeout;

use super::{RequestBody, State};
use crate::ingress::stream::{LINGER, LINGER_SILENCE};

/// So much of a body is still taken behind a refusal, so that it does not cost the connection.
const SHORT_REST_BYTES: u64 = 64 * 1024;

/// How long that rest may take to come: less than a new connection would.
const REST_TIMEOUT: Duration = Duration::from_millis(100);

/// Bodies that are thrown away at once. Each holds a stream for a few seconds, of which the byte budget knows
/// nothing; 8 KiB, about.
const MAX_RESTS: usize = 4096;

/// How many bodies are thrown away at this moment.
pub(in crate::ingress) struct Rests(Arc<Semaphore>);

impl Rests {
    pub(in crate::ingress) fn new() -> Self {
        Self(Arc::new(Semaphore::new(MAX_RESTS)))
    }

    /// What is to be thrown away of a body; nothing where there is too much of that already.
    pub(in crate::ingress) fn rest_of(&self, body: RequestBody) -> Option<Box<Rest>> {
        let permit = Arc::clone(&self.0).try_acquire_owned().ok()?;
        Some(Box::new(Rest {
            incoming: body.incoming,
            _permit: permit,
        }))
    }
}

/// What is left of a body that its connection outlives.
pub(in crate::ingress) struct Rest {
    incoming: Incoming,
    _permit: OwnedSemaphorePermit,
}

impl Rest {
    /// Takes what is still to come and throws it away, for a while: with HTTP/2 an answer is lost on many
    /// clients when their body is not taken any more, and some proxies stop for all.
    pub(in crate::ingress) async fn throw_away(mut self) {
        let taking = async {
            while let Ok(Some(Ok(_))) = timeout(LINGER_SILENCE, self.incoming.frame()).await {}
        };
        let _the_rest_is_the_clients_loss = timeout(LINGER, taking).await;
    }
}

impl RequestBody {
    /// Takes what a refusal has left of it where that is short, so that it does not cost the connection; whether
    /// nothing is still to come then. A client that waits for `100 Continue` is not asked for its body.
    pub(in crate::ingress) async fn take_short_rest(&mut self) -> bool {
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
}
