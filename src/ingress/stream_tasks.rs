//! Who owns the tasks of HTTP/2 streams.

use crate::lifecycle::TaskGroup;

/// hyper serves each stream of an HTTP/2 connection as a task of its own; these have an owner and an end too.
#[derive(Clone, Debug)]
pub(super) struct StreamTasks(pub(super) TaskGroup);

impl<F> hyper::rt::Executor<F> for StreamTasks
where
    F: Future + Send + 'static,
    F::Output: Send,
{
    fn execute(&self, stream: F) {
        self.0.spawn_until_stopped(stream);
    }
}
