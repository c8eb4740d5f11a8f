//! What an operator sees of a server, in this process or another: the pages of its admin listener.

use std::net::SocketAddr;
use std::time::Duration;

use serde_json::Value;

use super::client::{Answer, Connection};
use super::eventually;
use super::samples::Samples;

/// Between two looks at the books. They cost as much as a few events, which would wait for them where there is little of a core.
const REST: Duration = Duration::from_millis(50);

/// An admin listener.
pub(crate) struct Operator {
    address: SocketAddr,
}

impl Operator {
    pub(crate) fn new(address: SocketAddr) -> Self {
        Self { address }
    }

    pub(crate) async fn page(&self, target: &str) -> Answer {
        let mut connection = Connection::open(self.address).await;
        connection.request("GET", target, &[], "").await
    }

    pub(crate) async fn status(&self) -> Value {
        self.page("/status").await.json()
    }

    pub(crate) async fn samples(&self) -> Samples {
        Samples::parse(self.page("/metrics").await.text())
    }

    /// The value of a metric without labels.
    pub(crate) async fn metric(&self, name: &str) -> f64 {
        self.samples().await.value(name, &[]).unwrap()
    }

    /// One number of the books.
    pub(crate) async fn book(&self, name: &str) -> u64 {
        self.status().await["books"][name].as_u64().unwrap()
    }

    /// Waits until one number of the books is this.
    pub(crate) async fn until_book(&self, name: &str, expected: u64) {
        let what = format!("books.{name} = {expected}");
        let is_so = async || {
            if self.book(name).await == expected {
                return Some(());
            }
            tokio::time::sleep(REST).await;
            None
        };
        eventually(&what, is_so).await;
    }

    /// Waits until so many events lie in the spool.
    pub(crate) async fn until_spooled(&self, events: u64) {
        eventually("events in the spool", async || {
            (self.status().await["spool"]["events"] == events).then_some(())
        })
        .await;
    }

    /// Waits until everything is delivered and the books say so.
    pub(crate) async fn until_all_done(&self) {
        self.until_spooled(0).await;
        eventually("the books to balance", async || {
            (self.status().await["books"]["balanced"] == true).then_some(())
        })
        .await;
    }
}
