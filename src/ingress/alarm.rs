//! Deadlines that change all the while, kept by a timer that is moved as rarely as can be.

use std::pin::Pin;
use std::task::{Context, Waker};
use std::time::Duration;

use tokio::time::{Instant, Sleep, sleep_until};

/// A timer far enough away to mean never.
const FAR: Duration = Duration::from_secs(24 * 3600);

/// The timer of an [`Alarm`] that is still to be set.
pub(super) fn far_away() -> Sleep {
    sleep_until(Instant::now() + FAR)
}

/// Wakes a task when its deadline has passed, which may be another one each time that it is asked.
pub(super) struct Alarm<'a> {
    timer: Pin<&'a mut Sleep>,
    /// Whom the timer wakes as it is set now. As long as that does not change, there is no need to poll it,
    /// which takes a lock.
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
