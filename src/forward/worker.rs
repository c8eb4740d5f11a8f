//! The delivery loop: one request slot of one Broker. It acts on outcomes and holds no policy of its own.

use std::sync::Arc;

use bytes::Bytes;
use tokio::time::Instant;

use super::Shared;
use super::batch::Batch;
use super::batches::Batches;
use super::broker::{Admission, Broker};
use super::client::BrokerClient;
use super::encode::encode;
use super::letters::until_kept;
use super::outcome::Outcome;
use crate::config::{self, BrokerFormat};
use crate::dead_letters::RejectedEvent;
use crate::event::Position;

/// One slot.
pub(super) struct Worker {
    broker: Arc<Broker>,
    batches: Arc<Batches>,
    client: BrokerClient,
    format: BrokerFormat,
    shared: Shared,
}

impl Worker {
    pub(super) fn new(
        broker: Arc<Broker>,
        batches: Arc<Batches>,
        client: BrokerClient,
        config: &config::Broker,
        shared: Shared,
    ) -> Self {
        Self {
            broker,
            batches,
            client,
            format: config.format,
            shared,
        }
    }

    /// Delivers for ever.
    pub(super) async fn run(self) {
        loop {
            let admission = self.broker.admit().await;
            let batch = self.batches.next().await;
            if self.broker.still_admits(&admission) {
                self.deliver(batch, &admission).await;
            } else {
                self.batches.give_back(std::iter::once(batch));
            }
        }
    }

    /// Sends a batch. If the Broker does not want it, its halves, and so on down to the events that it is about.
    async fn deliver(&self, batch: Batch, admission: &Admission) {
        let mut to_send = vec![batch];
        while let Some(batch) = to_send.pop() {
            match self.send(&batch).await {
                Outcome::Delivered => {
                    self.broker.metrics.delivered.increment(1);
                    self.broker.delivered();
                    self.batches.recall();
                    self.shared.telemetry.delivered(batch.events() as u64);
                    self.shared.spool.ack(&batch.parts);
                }
                Outcome::Errored { after, reason } => {
                    self.broker.metrics.errored.increment(1);
                    self.broker.failed(admission, after, &reason);
                    to_send.push(batch);
                    self.batches.give_back(to_send.into_iter().rev());
                    return;
                }
                Outcome::Rejected { status, answer } => {
                    self.broker.metrics.rejected.increment(1);
                    if self.broker.rejected_too_often() {
                        let reason = format!(
                            "it answered {status} a thousand times in a row: that speaks of the Broker, not of the events"
                        );
                        self.broker.failed(admission, None, &reason);
                        to_send.push(batch);
                        self.batches.put_off(to_send.into_iter().rev());
                        return;
                    }
                    self.broker.works();
                    match batch.single() {
                        Some((position, event)) => {
                            self.bury(position, event, status, answer).await;
                            self.shared.spool.ack(&batch.parts);
                        }
                        None => {
                            let (left, right) = batch.halve();
                            to_send.extend([right, left]);
                        }
                    }
                }
            }
        }
    }

    async fn send(&self, batch: &Batch) -> Outcome {
        let _in_flight = self.broker.in_flight();
        let begun = Instant::now();
        let outcome = self.client.send(encode(batch, self.format)).await;
        self.broker
            .metrics
            .duration
            .record(begun.elapsed().as_secs_f64());
        outcome
    }

    /// The one event that the Broker does not want becomes a dead letter.
    async fn bury(&self, position: Position, event: Bytes, status: u16, answer: String) {
        let (dead_letters, broker) = (self.shared.dead_letters.clone(), Arc::clone(&self.broker));
        until_kept(move || {
            dead_letters.keep_rejected(&RejectedEvent {
                position,
                event: &event,
                broker: &broker.address,
                status,
                answer: &answer,
            })
        })
        .await;
    }
}
