//! The places that the listener has for connections. When all are taken, a new connection gets that of the one which has
//! asked for nothing for the longest time: silence keeps no operator out.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::{Notify, OwnedSemaphorePermit, Semaphore};

/// All places; clones are handles to the same ones.
#[derive(Clone, Debug)]
pub(super) struct Places {
    free: Arc<Semaphore>,
    /// Of each connection what takes its place away; the one that asked longest ago comes first.
    taken: Arc<Mutex<Vec<Arc<Notify>>>>,
}

/// The place of one connection; free again when dropped.
#[derive(Debug)]
pub(super) struct Place {
    places: Places,
    taken_away: Arc<Notify>,
    _permit: OwnedSemaphorePermit,
}

impl Places {
    /// So many.
    pub(super) fn new(count: usize) -> Self {
        Self {
            free: Arc::new(Semaphore::new(count)),
            taken: Arc::default(),
        }
    }

    /// A place for a new connection, as soon as the one that loses its own has given it up. To be asked by one task.
    pub(super) async fn take(&self) -> Place {
        if self.free.available_permits() == 0 {
            self.take_one_away();
        }
        let permit = Arc::clone(&self.free).acquire_owned().await;
        let taken_away = Arc::new(Notify::new());
        self.taken().push(Arc::clone(&taken_away));
        Place {
            places: self.clone(),
            taken_away,
            _permit: permit.expect("nobody closes the semaphore"),
        }
    }

    fn take_one_away(&self) {
        let mut taken = self.taken();
        if !taken.is_empty() {
            taken.remove(0).notify_one();
        }
    }

    fn taken(&self) -> MutexGuard<'_, Vec<Arc<Notify>>> {
        self.taken.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Place {
    /// Its connection asks for something: of all it is now the last to lose its place.
    pub(super) fn asked(&self) {
        let mut taken = self.places.taken();
        if let Some(position) = self.position(&taken) {
            taken[position..].rotate_left(1);
        }
    }

    /// Resolves when another connection is to have the place.
    pub(super) async fn taken_away(&self) {
        self.taken_away.notified().await;
    }

    /// None once it is taken away.
    fn position(&self, taken: &[Arc<Notify>]) -> Option<usize> {
        taken
            .iter()
            .position(|other| Arc::ptr_eq(other, &self.taken_away))
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut taken = self.places.taken();
        if let Some(position) = self.position(&taken) {
            taken.remove(position);
        }
    }
}

#[cfg(test)]
mod tests {
    use futures_util::FutureExt;

    use super::*;

    fn is_taken_away(place: &Place) -> bool {
        place.taken_away().now_or_never().is_some()
    }

    #[tokio::test]
    async fn a_new_connection_gets_the_place_of_the_one_that_asked_longest_ago() {
        let places = Places::new(3);
        let first = places.take().await;
        let (second, third) = (places.take().await, places.take().await);
        first.asked();
        let mut taking = Box::pin(places.take());
        assert!(taking.as_mut().now_or_never().is_none());
        let lost = [&first, &second, &third].map(is_taken_away);
        assert_eq!(lost, [false, true, false]);

        // Asking is too late for it now.
        second.asked();
        drop(second);
        let fourth = taking.await;
        assert!(places.take().now_or_never().is_none());
        let lost = [&first, &third, &fourth].map(is_taken_away);
        assert_eq!(lost, [false, true, false]);
    }

    #[tokio::test]
    async fn a_place_that_is_free_again_is_taken_first() {
        let places = Places::new(2);
        let (first, second) = (places.take().await, places.take().await);
        drop(second);
        let third = places.take().await;
        assert!(![&first, &third].into_iter().any(is_taken_away));
    }
}
