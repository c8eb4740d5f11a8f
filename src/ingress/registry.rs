//! Which connections are open. Counts them, and wakes their tasks when the server closes: asking a shared signal
//! at every turn of every connection would cost more than this does.

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::Waker;

/// A connection that comes when so many are open is read in small pieces whatever it sends: large buffers take 16 MiB, all
/// together.
const MAX_LARGE_BUFFERS: usize = 250;

/// All open connections.
#[derive(Debug, Default)]
pub(super) struct Registry {
    open: Mutex<Open>,
}

#[derive(Debug, Default)]
struct Open {
    next: u64,
    tasks: HashMap<u64, Option<Waker>>,
}

/// One open connection; leaves the registry when dropped.
#[derive(Debug)]
pub(super) struct Registration {
    registry: Arc<Registry>,
    number: u64,
}

/// Whether a connection is one of the few beyond `server.max_connections`. It is so only as long as there are
/// that many: others may have been closing while it came.
#[derive(Debug)]
pub(super) struct Standing {
    registry: Arc<Registry>,
    max_connections: usize,
    was_reserve: AtomicBool,
    has_large_buffers: bool,
}

impl Standing {
    /// That of a connection that is the last of so many `open` ones.
    pub(super) fn new(registry: &Arc<Registry>, open: usize, max_connections: usize) -> Self {
        Self {
            registry: Arc::clone(registry),
            max_connections,
            was_reserve: AtomicBool::new(open > max_connections),
            has_large_buffers: open <= MAX_LARGE_BUFFERS,
        }
    }

    /// Whether a short body may be read from it in one piece.
    pub(super) fn has_large_buffers(&self) -> bool {
        self.has_large_buffers
    }

    /// Whether it is there for health checks only.
    pub(super) fn is_reserve(&self) -> bool {
        if !self.was_reserve.load(Ordering::Relaxed) {
            return false;
        }
        let is_reserve = self.registry.len() > self.max_connections;
        self.was_reserve.store(is_reserve, Ordering::Relaxed);
        is_reserve
    }
}

impl Registry {
    /// Enters a connection; also tells how many are open with it.
    pub(super) fn enter(self: &Arc<Self>) -> (Registration, usize) {
        let mut open = self.lock();
        let number = open.next;
        open.next += 1;
        open.tasks.insert(number, None);
        let registration = Registration {
            registry: Arc::clone(self),
            number,
        };
        (registration, open.tasks.len())
    }

    pub(super) fn len(&self) -> usize {
        self.lock().tasks.len()
    }

    /// Makes every connection's task look at the phase again.
    pub(super) fn wake_all(&self) {
        for waker in self.lock().tasks.values().flatten() {
            waker.wake_by_ref();
        }
    }

    fn lock(&self) -> MutexGuard<'_, Open> {
        self.open.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Registration {
    /// Has this waker woken by [`Registry::wake_all`].
    pub(super) fn wake_with(&self, waker: &Waker) {
        self.registry
            .lock()
            .tasks
            .insert(self.number, Some(waker.clone()));
    }
}

impl Drop for Registration {
    fn drop(&mut self) {
        self.registry.lock().tasks.remove(&self.number);
    }
}
