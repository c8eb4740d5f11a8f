//! Serves a connection by hyper for as long as there is something to serve, and keeps its time limits.

use std::future::poll_fn;
use std::pin::{Pin, pin};
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use hyper::server::conn::{http1, http2};
use hyper_util::rt::TokioIo;
use tokio::time::{Instant, Sleep, sleep_until};

use super::activity::{Activity, Doing};
use super::connection::Waiting;
use super::stream::ClientStream;
use super::stream_tasks::StreamTasks;
use crate::lifecycle::Phase;

/// How long a connection that was told to end may idle, so that a request that is on its way still gets its answer.
pub(super) const GOODBYE: Duration = Duration::from_secs(1);

/// Longest such wait, for a client that goes on talking without a request.
const LONGEST_GOODBYE: Duration = Duration::from_secs(30);

/// A timer far enough away to mean never.
const FAR: Duration = Duration::from_secs(24 * 3600);

/// A connection that hyper serves.
pub(super) trait Serve {
    /// Serves on; ready at the end.
    fn poll_serve(&mut self, cx: &mut Context<'_>) -> Poll<hyper::Result<()>>;
    /// Takes no further request.
    fn close(&mut self);
}

impl<S> Serve for http1::Connection<TokioIo<ClientStream>, S>
where
    S: hyper::service::HttpService<hyper::body::Incoming, ResBody = axum::body::Body> + Unpin,
    S::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
{
    fn poll_serve(&mut self, cx: &mut Context<'_>) -> Poll<hyper::Result<()>> {
        Pin::new(self).poll(cx)
    }

    fn close(&mut self) {
        Pin::new(self).graceful_shutdown();
    }
}

impl<S> Serve for http2::Connection<TokioIo<ClientStream>, S, StreamTasks>
where
    S: hyper::service::HttpService<hyper::body::Incoming, ResBody = axum::body::Body> + Unpin,
    S::Future: Send + 'static,
    S::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
    StreamTasks: hyper::rt::bounds::Http2ServerConnExec<S::Future, axum::body::Body>,
{
    fn poll_serve(&mut self, cx: &mut Context<'_>) -> Poll<hyper::Result<()>> {
        Pin::new(self).poll(cx)
    }

    fn close(&mut self) {
        Pin::new(self).graceful_shutdown();
    }
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

/// Serves a connection and keeps its time limits, until it ends; none when it has been idle for as long as `quiet`, and nothing of a
/// request is on its way through hyper, for that has just been polled. The timer is only moved when a deadline comes nearer,
/// which is rare: a request that is served in one turn never touches it.
pub(super) async fn supervise(
    conn: &mut impl Serve,
    activity: &Activity,
    quiet: Option<Duration>,
    waiting: Waiting<'_>,
) -> Option<End> {
    let Waiting {
        lifecycle,
        registration,
        ..
    } = waiting;
    let timer = pin!(far_away());
    let mut alarm = Alarm::new(timer);
    let mut closing_since: Option<Instant> = None;
    let mut is_registered = false;
    poll_fn(|cx| {
        if !is_registered {
            registration.wake_with(cx.waker());
            is_registered = true;
        }
        let phase = lifecycle.phase();
        if phase >= Phase::Stopped {
            return Poll::Ready(Some(End::Stopped));
        }
        loop {
            match conn.poll_serve(cx) {
                Poll::Ready(Ok(())) => return Poll::Ready(Some(End::Served)),
                Poll::Ready(Err(_)) => return Poll::Ready(Some(End::Faulty)),
                Poll::Pending => {}
            }
            // Not before what has come was looked at: a request among it gets its answer.
            let is_to_end = phase >= Phase::Closing || activity.is_dismissed();
            if is_to_end && closing_since.is_none() {
                conn.close();
                closing_since = Some(Instant::now());
                continue;
            }
            let limits = waiting.limits();
            let quiet = quiet.filter(|quiet| *quiet < limits.idle());
            let doing = activity.doing();
            let deadline = match (doing, closing_since) {
                (Doing::Idle, Some(since)) => activity
                    .answer_deadline(limits)
                    .or_else(|| Some(goodbye(since, activity.last_sign(), waiting))),
                (Doing::Idle, None) if let Some(quiet) = quiet => {
                    Some(activity.last_sign() + quiet)
                }
                _ => activity.deadline(limits),
            };
            match (alarm.is_overdue(deadline, cx), closing_since) {
                (false, _) => return Poll::Pending,
                (true, None) if doing == Doing::Idle && quiet.is_some() => {
                    return Poll::Ready(None);
                }
                (true, None) if doing == Doing::Idle && !activity.is_answer_overdue(limits) => {
                    conn.close();
                    closing_since = Some(Instant::now());
                }
                (true, _) => return Poll::Ready(Some(End::TooLong(doing))),
            }
        }
    })
    .await
}

/// Until when a connection that was told to end may idle: for a moment after its last sign, but for one of the reserve.
fn goodbye(since: Instant, last_sign: Instant, waiting: Waiting<'_>) -> Instant {
    if waiting.is_reserve() {
        since + GOODBYE
    } else {
        (since.max(last_sign) + GOODBYE).min(since + LONGEST_GOODBYE)
    }
}

/// The timer of an [`Alarm`] that is still to be set.
pub(super) fn far_away() -> Sleep {
    sleep_until(Instant::now() + FAR)
}

/// Wakes a task when its deadline has passed, which may be another one each time that it is asked.
pub(super) struct Alarm<'a> {
    timer: Pin<&'a mut Sleep>,
    /// Whom the timer wakes as it is set now. As long as that does not change, there is no need to poll it, which takes a lock.
    wakes: Option<Waker>,
}

impl<'a> Alarm<'a> {
    pub(super) fn new(timer: Pin<&'a mut Sleep>) -> Self {
        Self { timer, wakes: None }
    }

    /// Whether a deadline has passed; if not, the timer wakes the task in time.
    pub(super) fn is_overdue(&mut self, deadline: Option<Instant>, cx: &mut Context<'_>) -> bool {
        let Some(deadline) = deadline else {
            // Should the timer wake the task meanwhile, there is nothing to do.
            return false;
        };
        if deadline < self.timer.deadline() {
            self.timer.as_mut().reset(deadline);
            self.wakes = None;
        }
        let wakes_us = |waker: &Waker| waker.will_wake(cx.waker());
        if self.wakes.as_ref().is_some_and(wakes_us) && !self.timer.is_elapsed() {
            return false;
        }
        while self.timer.as_mut().poll(cx).is_ready() {
            if deadline <= Instant::now() {
                return true;
            }
            self.timer.as_mut().reset(deadline);
        }
        self.wakes = Some(cx.waker().clone());
        false
    }
}
