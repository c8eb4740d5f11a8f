//! Cores for bodies that are decoded beside the runtime: of the long ones one waits for a core, and the others for that.

use std::sync::Arc;

use tokio::sync::{Mutex, OwnedSemaphorePermit, Semaphore};
use tokio::time::{Instant, timeout_at};

use super::refusal::{Code, Refusal};

/// As many bodies are decoded at once as there are cores.
pub(super) struct Cores {
    free: Arc<Semaphore>,
    /// Locked by the long body that is next.
    next_long: Mutex<()>,
}

impl Cores {
    /// All of the machine, or of what the process may use of it.
    pub(super) fn new() -> Self {
        let cores = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
        Self {
            free: Arc::new(Semaphore::new(cores)),
            next_long: Mutex::default(),
        }
    }

    /// Waits for one; it is free again when what is returned is dropped.
    pub(super) async fn one(&self, deadline: Instant) -> Result<OwnedSemaphorePermit, Refusal> {
        let core = in_time(deadline, Arc::clone(&self.free).acquire_owned()).await?;
        Ok(core.expect("nobody closes the semaphore"))
    }

    /// Waits for one behind the other long bodies.
    pub(super) async fn one_for_long(
        &self,
        deadline: Instant,
    ) -> Result<OwnedSemaphorePermit, Refusal> {
        let _next = in_time(deadline, self.next_long.lock()).await?;
        self.one(deadline).await
    }

    /// Takes all of them.
    #[cfg(test)]
    pub(super) async fn all(&self) -> tokio::sync::SemaphorePermit<'_> {
        let cores = self.free.available_permits() as u32;
        self.free.acquire_many(cores).await.unwrap()
    }
}

async fn in_time<T>(deadline: Instant, turn: impl Future<Output = T>) -> Result<T, Refusal> {
    timeout_at(deadline, turn).await.map_err(|_| {
        Refusal::new(
            Code::Timeout,
            "Too many large bodies are being decoded; nothing of this one was kept.",
        )
    })
}
