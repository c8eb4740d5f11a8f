//! The delivery loop: as long as a Broker takes something, the next batch is given to one of them.

use std::sync::Arc;

use tokio::time::Instant;

use super::delivery::Delivery;
use crate::lifecycle::{Lifecycle, TaskGroup};

/// Delivers until the life has stopped. Each request runs in a task of its own.
pub(super) async fn run(delivery: Arc<Delivery>, tasks: TaskGroup) {
    let (batches, brokers) = (&delivery.batches, &delivery.brokers);
    loop {
        let admission = brokers.admission().await;
        batches.suspects().share(brokers.slots_up());
        let shipment = tokio::select! {
            shipment = batches.next(admission) => shipment,
            () = brokers.change(admission) => continue,
        };
        let Some(slot) = brokers.take() else {
            batches.give_back([shipment], Instant::now());
            continue;
        };
        let delivery = Arc::clone(&delivery);
        let run = async move { delivery.run(shipment, slot).await };
        tasks.spawn_until_stopped(run);
    }
}

/// Once no new events come, what waits is tried again at once: the life may end before the pauses and rests do.
pub(super) async fn hurry_at_closing(delivery: Arc<Delivery>, lifecycle: Lifecycle) {
    lifecycle.closing().await;
    delivery.batches.end_pauses();
    delivery.brokers.end_rests();
}
