//! Serves a connection by hyper for as long as there is something to serve, and keeps its time limits.

use std::future::poll_fn;
use std::pin::{Pin, pin};
use std::task::{Context, Poll};
use std::time::Duration;

use hyper_util::server::graceful::GracefulConnection;
use tokio::time::Instant;

use super::activity::{Activity, Doing, TimeLimits};
use super::alarm::{Alarm, far_away};
use super::waiting::{GOODBYE, WaitLimits};
use crate::lifecycle::Phase;

/// How long one that takes no further request may go on, for a client that goes on talking without one.
const LONGEST_GOODBYE: Duration = Duration::from_secs(30);

/// What serving a connection came to.
pub(super) enum Outcome {
    /// It has been idle for as long as is to be waited, and nothing of a request is on its way through hyper, for that has
    /// just been polled.
    Quiet,
    Ended(End),
}

/// How serving a connection came to its end.
pub(super) enum End {
    /// In order, from one side or the other.
    Served,
    /// What came was no HTTP, or the stream broke; hyper has answered what can be answered.
    Faulty,
    /// It took too long over this.
    TooLong(Doing),
    /// The server has stopped.
    Stopped,
}

/// Serves a connection and keeps its time limits, until it ends, or has been idle for as long as `quiet`. The timer is
/// only moved when a deadline comes nearer, which is rare: a request that is served in one turn never touches
/// it.
pub(super) async fn supervise(
    conn: &mut (impl GracefulConnection + Unpin),
    activity: &Activity,
    quiet: Option<Duration>,
    waiting: WaitLimits<'_>,
) -> Outcome {
    let timer = pin!(far_away());
    let mut alarm = Alarm::new(timer);
    let mut supervised = Supervised {
        conn,
        activity,
        quiet,
        waiting,
        ending_since: None,
        closing_since: None,
    };
    let mut is_registered = false;
    poll_fn(|cx| {
        if !is_registered {
            waiting.registration.wake_with(cx.waker());
            is_registered = true;
        }
        supervised.poll(&mut alarm, cx)
    })
    .await
}

/// A connection, and what is known of its end.
struct Supervised<'a, C> {
    conn: &'a mut C,
    activity: &'a Activity,
    quiet: Option<Duration>,
    waiting: WaitLimits<'a>,
    /// Since when the server closes.
    ending_since: Option<Instant>,
    /// Since when it takes no further request.
    closing_since: Option<Instant>,
}

impl<C: GracefulConnection + Unpin> Supervised<'_, C> {
    fn poll(&mut self, alarm: &mut Alarm<'_>, cx: &mut Context<'_>) -> Poll<Outcome> {
        let phase = self.waiting.lifecycle.phase();
        if phase >= Phase::Stopped {
            return Poll::Ready(Outcome::Ended(End::Stopped));
        }
        loop {
            match Pin::new(&mut *self.conn).poll(cx) {
                Poll::Ready(Ok(())) => return Poll::Ready(Outcome::Ended(End::Served)),
                Poll::Ready(Err(_)) => return Poll::Ready(Outcome::Ended(End::Faulty)),
                Poll::Pending => {}
            }
            // Not before what has come was looked at: a request among it gets its answer, and so does one that has begun.
            let is_dismissed = self.activity.is_dismissed();
            let is_to_end = phase >= Phase::Closing || is_dismissed;
            let doing = self.activity.doing();
            if is_to_end
                && doing != Doing::Head
                && self.closing_since.is_none()
                && (is_dismissed || !self.is_to_answer_first(alarm, cx))
            {
                self.close();
                continue;
            }
            let limits = self.waiting.limits();
            let quiet = self.quiet.filter(|quiet| *quiet < limits.idle);
            if !alarm.is_overdue(self.deadline(doing, quiet, limits), cx) {
                return Poll::Pending;
            }
            let is_silent = doing == Doing::Idle && self.closing_since.is_none();
            if is_silent && quiet.is_some() {
                return Poll::Ready(Outcome::Quiet);
            }
            if !is_silent || self.activity.is_answer_overdue(limits) {
                return Poll::Ready(Outcome::Ended(End::TooLong(doing)));
            }
            self.close();
        }
    }

    /// Whether answers are under way over HTTP/2, which have a moment: many clients take the farewell for the end of
    /// these too.
    fn is_to_answer_first(&mut self, alarm: &mut Alarm<'_>, cx: &mut Context<'_>) -> bool {
        let since = *self.ending_since.get_or_insert_with(Instant::now);
        self.activity.has_streams() && !alarm.is_overdue(Some(since + GOODBYE), cx)
    }

    fn close(&mut self) {
        Pin::new(&mut *self.conn).graceful_shutdown();
        self.closing_since = Some(Instant::now());
    }

    /// When something is to be done about the connection, should it go on like this.
    fn deadline(
        &self,
        doing: Doing,
        quiet: Option<Duration>,
        limits: &TimeLimits,
    ) -> Option<Instant> {
        match (doing, self.closing_since, quiet) {
            (Doing::Idle, Some(since), _) => {
                let of_answer = self.activity.answer_deadline(limits);
                of_answer.or_else(|| Some(self.goodbye(since)))
            }
            (Doing::Idle, None, Some(quiet)) => Some(self.activity.last_sign() + quiet),
            _ => self.activity.deadline(limits),
        }
    }

    /// Until when a connection that takes no further request since then may idle: for a moment after its last
    /// sign, but for one of the reserve.
    fn goodbye(&self, since: Instant) -> Instant {
        if self.waiting.is_reserve() {
            since + GOODBYE
        } else {
            (since.max(self.activity.last_sign()) + GOODBYE).min(since + LONGEST_GOODBYE)
        }
    }
}
