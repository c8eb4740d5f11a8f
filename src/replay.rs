//! Does what the command line asks of a server about dead letters: sends them the normal way again, from their shelf
//! through the rules into the spool, or removes them. Never sees a client or an output.
//!
//! A letter goes from its shelf only once the spool has its event: whatever happens between, it is sent twice at
//! worst and never lost.

mod course;
#[cfg(test)]
mod tests;

use std::fmt::Display;
use std::io;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwap;

use crate::config::Config;
use crate::dead_letters::{
    Action, DeadLetters, QueuedRequest, Request, remove_request, set_request_aside,
};
use crate::lifecycle::{Lifecycle, Phase, TaskGroup, blocking};
use crate::pipeline::Pipeline;
use crate::spool::Spool;
use crate::telemetry::Telemetry;
use crate::telemetry::events::{
    LettersRequested, PurgeEnded, RequestStays, RequestUnreadable, RequestWaits, RequestsUnseen,
};
use course::Course;

/// Between two looks for requests, and before what failed is tried again.
const PAUSE: Duration = Duration::from_secs(1);

/// What others may do with the replays of a running server.
pub struct Replays {
    shared: Arc<Shared>,
}

/// Looks for requests and does what they ask, one after the other.
struct Replayer {
    shared: Arc<Shared>,
    /// Requests that are done with and cannot be removed.
    passed_over: Vec<PathBuf>,
    /// Whether it was told that the folder cannot be read.
    has_failed: bool,
}

struct Shared {
    /// Loaded once a piece.
    pipeline: ArcSwap<Pipeline>,
    spool: Spool,
    dead_letters: DeadLetters,
    telemetry: Arc<Telemetry>,
    lifecycle: Lifecycle,
    /// What is not taken for so long is told.
    told_after: Duration,
}

/// The server's life ends before the request is fulfilled: that is for the next start.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Interrupted;

impl Replays {
    /// Starts the task, which ends with the life of its group.
    pub fn start(
        config: &Config,
        spool: Spool,
        dead_letters: DeadLetters,
        telemetry: Arc<Telemetry>,
        tasks: &TaskGroup,
    ) -> Self {
        let shared = Arc::new(Shared {
            pipeline: ArcSwap::from_pointee(Pipeline::new(config)),
            spool,
            dead_letters,
            telemetry,
            lifecycle: tasks.lifecycle().clone(),
            told_after: config.server.request_timeout,
        });
        let replayer = Replayer {
            shared: Arc::clone(&shared),
            passed_over: Vec::new(),
            has_failed: false,
        };
        tasks.spawn(replayer.run());
        Self { shared }
    }

    /// Takes all further letters by the rules that are configured now.
    pub fn reload(&self, config: &Config) {
        self.shared.pipeline.store(Arc::new(Pipeline::new(config)));
    }
}

impl Replayer {
    async fn run(mut self) {
        while self.fulfil_all().await.is_ok() && self.shared.pause().await.is_ok() {}
    }

    /// Does what is asked for by now.
    async fn fulfil_all(&mut self) -> Result<(), Interrupted> {
        while let Some(waiting) = self.next().await {
            match waiting.request {
                Ok(request) => {
                    self.shared.fulfil(request).await?;
                    self.remove(waiting.path).await;
                }
                Err(reason) => self.set_aside(waiting.path, &reason).await,
            }
        }
        Ok(())
    }

    async fn next(&mut self) -> Option<QueuedRequest> {
        let passed_over = self.passed_over.clone();
        let look = move |letters: &DeadLetters| letters.next_request(&passed_over);
        let outcome = self.shared.with_letters(look).await;
        if let Err(error) = &outcome
            && !self.has_failed
        {
            RequestsUnseen { reason: error }.emit();
        }
        self.has_failed = outcome.is_err();
        outcome.unwrap_or_default()
    }

    async fn remove(&mut self, path: PathBuf) {
        let done = path.clone();
        if let Err(error) = blocking(move || remove_request(&done)).await {
            self.pass_over(path, &error);
        }
    }

    async fn set_aside(&mut self, path: PathBuf, reason: &(dyn Display + Sync)) {
        RequestUnreadable {
            path: &path,
            reason,
        }
        .emit();
        let unreadable = path.clone();
        if let Err(error) = blocking(move || set_request_aside(&unreadable)).await {
            self.pass_over(path, &error);
        }
    }

    /// A request that stays where it is must not be taken up again and again.
    fn pass_over(&mut self, path: PathBuf, error: &io::Error) {
        RequestStays { reason: error }.emit();
        self.passed_over.push(path);
    }
}

impl Shared {
    async fn fulfil(self: &Arc<Self>, request: Request) -> Result<(), Interrupted> {
        LettersRequested {
            action: request.action.as_str(),
            named: request.named(),
        }
        .emit();
        match request.action {
            Action::Replay => Course::new(Arc::clone(self), request).run().await,
            Action::Purge => self.purge(request).await,
        }
    }

    async fn purge(&self, request: Request) -> Result<(), Interrupted> {
        let purge = move |letters: &DeadLetters| letters.purge(&request);
        let purged = self.until_done(purge).await?;
        // Only then the request goes: a loss of power could bring back letters that are told to be gone.
        self.until_done(DeadLetters::sync).await?;
        PurgeEnded { purged }.emit();
        Ok(())
    }

    /// Does something with the letters until it succeeds. The first failure is logged.
    async fn until_done<T: Send + 'static>(
        &self,
        work: impl Fn(&DeadLetters) -> io::Result<T> + Clone + Send + 'static,
    ) -> Result<T, Interrupted> {
        let mut has_failed = false;
        loop {
            match self.with_letters(work.clone()).await {
                Ok(value) => return Ok(value),
                Err(error) if !has_failed => RequestWaits { reason: &error }.emit(),
                Err(_) => {}
            }
            has_failed = true;
            self.pause().await?;
        }
    }

    /// Does something with the letters, on a thread where it may block.
    async fn with_letters<T: Send + 'static>(
        &self,
        work: impl FnOnce(&DeadLetters) -> T + Send + 'static,
    ) -> T {
        let letters = self.dead_letters.clone();
        blocking(move || work(&letters)).await
    }

    async fn pause(&self) -> Result<(), Interrupted> {
        let pause = tokio::time::sleep(PAUSE);
        let passed = self.lifecycle.unless_closing(pause).await;
        passed.ok_or(Interrupted)
    }

    /// Nothing new is begun once the server drains: what it would send may find no output any more.
    fn may_go_on(&self) -> Result<(), Interrupted> {
        if self.lifecycle.phase() < Phase::Draining {
            Ok(())
        } else {
            Err(Interrupted)
        }
    }
}
