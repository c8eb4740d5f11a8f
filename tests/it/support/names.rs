//! Names that lead where a test says.

use std::io;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};

use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use headgate::forward::Resolve;

use super::fake_broker::FakeBroker;

/// A URL whose name [`Names`] resolves.
pub(crate) const URL: &str = "http://broker.test/in";

/// Every name leads to the same addresses.
#[derive(Default)]
pub(crate) struct Names(Mutex<Vec<SocketAddr>>);

impl Names {
    /// Names that lead to these Brokers.
    pub(crate) fn of(brokers: &[&FakeBroker]) -> Arc<Self> {
        let names = Arc::new(Self::default());
        names.lead_to(brokers);
        names
    }

    /// From now on they lead to these.
    pub(crate) fn lead_to(&self, brokers: &[&FakeBroker]) {
        self.lead_to_addresses(brokers.iter().map(|broker| broker.address()));
    }

    pub(crate) fn lead_to_addresses(&self, addresses: impl IntoIterator<Item = SocketAddr>) {
        *self.0.lock().unwrap() = addresses.into_iter().collect();
    }
}

impl Resolve for Names {
    fn resolve<'a>(
        &'a self,
        _host: &'a str,
        _port: u16,
    ) -> BoxFuture<'a, io::Result<Vec<SocketAddr>>> {
        let addresses = self.0.lock().unwrap().clone();
        async move { Ok(addresses) }.boxed()
    }
}
