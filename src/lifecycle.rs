//! The phases of the server's life, and the group that owns every task. Knows nothing of
//! what the tasks do.

use std::future::Future;
use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering};

use serde::Serialize;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

/// Where the server stands between start and end. Phases only move on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
#[repr(u8)]
pub enum Phase {
    /// Not yet listening.
    Starting,
    /// In service.
    Serving,
    /// Told to stop: not ready any more, still serving, so that a load balancer can turn away.
    Draining,
    /// No new connections; what is in flight is finished.
    Closing,
    /// Nothing goes on any more.
    Stopped,
}

impl Phase {
    /// The word in `/health` and `/status`.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Starting => "starting",
            Self::Serving => "serving",
            Self::Draining => "draining",
            Self::Closing => "closing",
            Self::Stopped => "stopped",
        }
    }

    fn from_number(number: u8) -> Self {
        match number {
            0 => Self::Starting,
            1 => Self::Serving,
            2 => Self::Draining,
            3 => Self::Closing,
            _ => Self::Stopped,
        }
    }
}

/// The one view of the phase that all rooms share. Clones are handles to the same life.
#[derive(Clone, Debug)]
pub struct Lifecycle {
    phase: Arc<AtomicU8>,
    closing: CancellationToken,
    out_of_time: CancellationToken,
    stopped: CancellationToken,
}

impl Lifecycle {
    /// A life that begins: [`Phase::Starting`].
    #[expect(
        clippy::new_without_default,
        reason = "a life is begun on purpose, in one place"
    )]
    pub fn new() -> Self {
        Self {
            phase: Arc::new(AtomicU8::new(Phase::Starting as u8)),
            closing: CancellationToken::new(),
            out_of_time: CancellationToken::new(),
            stopped: CancellationToken::new(),
        }
    }

    /// The phase at this moment.
    pub fn phase(&self) -> Phase {
        Phase::from_number(self.phase.load(Ordering::Acquire))
    }

    /// Moves on to `phase`; a step back does nothing.
    pub fn enter(&self, phase: Phase) {
        self.phase.fetch_max(phase as u8, Ordering::AcqRel);
        if phase >= Phase::Closing {
            self.closing.cancel();
        }
        if phase >= Phase::Stopped {
            self.stopped.cancel();
        }
    }

    /// A group for tasks of this life.
    pub fn task_group(&self) -> TaskGroup {
        TaskGroup {
            tracker: TaskTracker::new(),
            lifecycle: self.clone(),
        }
    }

    /// What a future gives, unless the end comes first.
    pub async fn unless_stopped<T>(&self, future: impl Future<Output = T>) -> Option<T> {
        self.stopped.run_until_cancelled(future).await
    }

    /// Resolves when no new work is to be begun any more.
    pub async fn closing(&self) {
        self.closing.cancelled().await;
    }

    /// Nobody is to wait for a client any more.
    pub fn end_waits(&self) {
        self.out_of_time.cancel();
    }

    /// What a client gives, unless nobody is to wait for it any more.
    pub async fn unless_out_of_time<T>(&self, future: impl Future<Output = T>) -> Option<T> {
        self.out_of_time.run_until_cancelled(future).await
    }

    /// What a future gives, unless no new work is to be begun before.
    pub async fn unless_closing<T>(&self, future: impl Future<Output = T>) -> Option<T> {
        self.closing.run_until_cancelled(future).await
    }
}

/// The group of all tasks of one kind in one life; the only place that spawns, so that nothing runs unowned. Clones are
/// handles to the same group.
#[derive(Clone, Debug)]
pub struct TaskGroup {
    tracker: TaskTracker,
    lifecycle: Lifecycle,
}

impl TaskGroup {
    /// The life that its tasks belong to.
    pub fn lifecycle(&self) -> &Lifecycle {
        &self.lifecycle
    }

    /// Runs `task` in the background until it ends by itself.
    #[expect(
        clippy::disallowed_methods,
        reason = "the one place where tasks are spawned"
    )]
    pub fn spawn<F>(&self, task: F)
    where
        F: Future<Output = ()> + Send + 'static,
    {
        tokio::spawn(self.tracker.track_future(task));
    }

    /// As [`Self::spawn`], but no longer than until the life has stopped.
    pub fn spawn_until_stopped<F>(&self, task: F)
    where
        F: Future + Send + 'static,
        F::Output: Send,
    {
        let lifecycle = self.lifecycle.clone();
        self.spawn(async move {
            lifecycle.unless_stopped(task).await;
        });
    }

    /// Resolves when all tasks have ended. None may be spawned afterwards.
    pub async fn ended(&self) {
        self.tracker.close();
        self.tracker.wait().await;
    }
}

/// Runs work that blocks, on a thread where it may, and gives what it gives. A panic in it goes on here.
#[expect(
    clippy::disallowed_methods,
    reason = "the one place where blocking work is spawned"
)]
pub async fn blocking<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> T {
    match tokio::task::spawn_blocking(work).await {
        Ok(value) => value,
        Err(error) => match error.try_into_panic() {
            Ok(panic) => std::panic::resume_unwind(panic),
            // The runtime is going down, and this task with it.
            Err(_cancelled) => std::future::pending().await,
        },
    }
}

#[cfg(test)]
mod tests {
    use std::future::pending;

    use super::*;

    #[tokio::test]
    async fn phases_move_on_and_never_back() {
        let life = Lifecycle::new();
        assert_eq!(life.phase(), Phase::Starting);
        life.enter(Phase::Serving);
        life.enter(Phase::Closing);
        life.enter(Phase::Draining);
        assert_eq!(life.phase(), Phase::Closing);
        assert_eq!(life.unless_closing(pending::<()>()).await, None);
        life.enter(Phase::Stopped);
        assert_eq!(life.unless_stopped(pending::<()>()).await, None);
    }
}
