//! Who owns the tasks of HTTP/2 streams.

use crate::lifecycle::{Lifecycle, TaskGroup};

/// hyper serves each stream of an HTTP/2 connection as a task of its own; these have an owner and an end too.
#[derive(Clone, Debug)]
pub(super) struct StreamTasks {
    tasks: TaskGroup,
    lifecycle: Lifecycle,
}

impl StreamTasks {
    pub(super) fn new(tasks: TaskGroup, lifecycle: Lifecycle) -> Self {
        Self { tasks, lifecycle }
    }
}

impl<F> hyper::rt::Executor<F> for StreamTasks
where
    F: Future + Send + 'static,
    F::Output: Send,
{
    fn execute(&self, stream: F) {
        self.tasks.spawn_until_stopped(&self.lifecycle, stream);
    }
}
