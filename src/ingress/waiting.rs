//! Waiting for a connection's client: how long, and what ends it before.

use std::convert::Infallible;
use std::future::{pending, poll_fn};
use std::io;
use std::pin::pin;
use std::sync::Arc;
use std::task::Poll;
use std::time::Duration;

use tokio::time::Instant;
use tokio::time::error::Elapsed;

use super::activity::TimeLimits;
use super::alarm::{Alarm, far_away};
use super::registry::{Registration, Standing};
use crate::lifecycle::{Lifecycle, Phase};

/// How long a connection that was told to end may idle, so that a request that is on its way still gets its answer.
pub(super) const GOODBYE: Duration = Duration::from_secs(1);

/// What bounds all waiting for a connection's client.
#[derive(Clone, Copy)]
pub(super) struct WaitLimits<'a> {
    pub(super) usual_limits: &'a TimeLimits,
    pub(super) reserve_limits: &'a TimeLimits,
    pub(super) standing: &'a Arc<Standing>,
    pub(super) lifecycle: &'a Lifecycle,
    pub(super) registration: &'a Registration,
}

impl<'a> WaitLimits<'a> {
    /// Whether the connection is one of the reserve now.
    pub(super) fn is_reserve(&self) -> bool {
        self.standing.is_reserve()
    }

    /// The time limits: those of the reserve are short, or silence would use it up.
    pub(super) fn limits(&self) -> &'a TimeLimits {
        if self.is_reserve() {
            self.reserve_limits
        } else {
            self.usual_limits
        }
    }

    /// What comes before a request and begins with a byte of the client's: it has the time of a head. None where the
    /// server closes and a moment has passed since: a request may be on its way behind it.
    pub(super) async fn before_request<T>(
        self,
        begun: impl Future<Output = T>,
    ) -> Option<Result<T, Elapsed>> {
        let in_time = tokio::time::timeout(self.limits().head, begun);
        let goodbye = async {
            self.lifecycle.unless_closing(pending::<Infallible>()).await;
            tokio::time::sleep(GOODBYE).await;
        };
        tokio::select! {
            outcome = in_time => Some(outcome),
            () = goodbye => None,
        }
    }
}

/// Whether `reading` gives any bytes; false when nothing comes in the time for silence, which began at
/// `since`, or the server closes a moment after. A connection that is none of the reserve any more has more
/// time.
pub(super) async fn bytes_come(
    reading: impl Future<Output = io::Result<usize>>,
    since: Instant,
    waiting: WaitLimits<'_>,
) -> bool {
    let mut reading = pin!(reading);
    let timer = pin!(far_away());
    let mut alarm = Alarm::new(timer);
    poll_fn(|cx| {
        waiting.registration.wake_with(cx.waker());
        if let Poll::Ready(outcome) = reading.as_mut().poll(cx) {
            return Poll::Ready(matches!(outcome, Ok(1..)));
        }
        // A request may be on its way on a connection that has just been opened.
        let patience = if waiting.lifecycle.phase() >= Phase::Closing {
            GOODBYE
        } else {
            waiting.limits().idle
        };
        if alarm.is_overdue(Some(since + patience), cx) {
            Poll::Ready(false)
        } else {
            Poll::Pending
        }
    })
    .await
}
