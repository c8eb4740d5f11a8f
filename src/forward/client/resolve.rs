//! From the name of a Broker to its addresses.

use std::io;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError};

use futures_util::FutureExt;
use futures_util::future::{BoxFuture, Shared};

use super::Network;
use crate::lifecycle::TaskGroup;

/// Finds the addresses of a name. Asked whenever a connection is opened, so an implementation answers with what holds now.
pub trait Resolve: Send + Sync {
    /// The addresses of `host`, those to be preferred first.
    fn resolve<'a>(
        &'a self,
        host: &'a str,
        port: u16,
    ) -> BoxFuture<'a, io::Result<Vec<SocketAddr>>>;
}

/// Asks the operating system, which knows the hosts file as well as DNS.
#[derive(Clone, Copy, Debug, Default)]
pub struct SystemResolver;

impl Resolve for SystemResolver {
    fn resolve<'a>(
        &'a self,
        host: &'a str,
        port: u16,
    ) -> BoxFuture<'a, io::Result<Vec<SocketAddr>>> {
        async move { Ok(tokio::net::lookup_host((host, port)).await?.collect()) }.boxed()
    }
}

/// What a lookup came to, for all who waited for it.
type Answer = Result<Vec<SocketAddr>, Arc<io::Error>>;

/// Looks up the name of one Broker, once at a time: whoever asks meanwhile gets the same answer. The system holds a thread
/// for each lookup until it has an answer, also when nobody waits any more; where name servers do not answer, the
/// slots together would take all threads there are.
pub(super) struct Lookup {
    name: String,
    port: u16,
    resolver: Arc<dyn Resolve>,
    tasks: TaskGroup,
    /// The last one, which may be over.
    last: Mutex<Option<Shared<BoxFuture<'static, Answer>>>>,
}

impl Lookup {
    pub(super) fn new(name: String, port: u16, network: &Network) -> Self {
        Self {
            name,
            port,
            resolver: Arc::clone(&network.resolver),
            tasks: network.tasks.clone(),
            last: Mutex::default(),
        }
    }

    /// The addresses that the name has now.
    pub(super) async fn addresses(&self) -> Answer {
        self.under_way().await
    }

    fn under_way(&self) -> Shared<BoxFuture<'static, Answer>> {
        let mut last = self.last.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(under_way) = last.as_ref().filter(|last| last.peek().is_none()) {
            return under_way.clone();
        }
        let (resolver, name, port) = (Arc::clone(&self.resolver), self.name.clone(), self.port);
        let lookup = async move { resolver.resolve(&name, port).await.map_err(Arc::new) };
        let lookup = lookup.boxed().shared();
        // It ends by itself: else an answer that comes when nobody waits any more would be kept for the next who asks,
        // however much later that is.
        self.tasks.spawn_until_stopped(lookup.clone());
        last.insert(lookup).clone()
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use futures_util::future::join_all;
    use tokio::sync::Semaphore;
    use tokio::time::{sleep, timeout};

    use super::*;
    use crate::lifecycle::Lifecycle;

    /// Name servers that answer when they are told to. The port of an answer says how often they were asked.
    struct SlowNames {
        asked: Mutex<u16>,
        answers: Semaphore,
    }

    impl Resolve for SlowNames {
        fn resolve<'a>(
            &'a self,
            _host: &'a str,
            _port: u16,
        ) -> BoxFuture<'a, io::Result<Vec<SocketAddr>>> {
            async {
                let asked = {
                    let mut asked = self.asked.lock().unwrap();
                    *asked += 1;
                    *asked
                };
                self.answers.acquire().await.unwrap().forget();
                Ok(vec![SocketAddr::from(([127, 0, 0, 1], asked))])
            }
            .boxed()
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_name_is_looked_up_once_at_a_time_and_anew_for_who_comes_later() {
        let names = Arc::new(SlowNames {
            asked: Mutex::new(0),
            answers: Semaphore::new(0),
        });
        let network = Network {
            tls: None,
            resolver: Arc::clone(&names) as _,
            tasks: Lifecycle::new().task_group(),
        };
        let lookup = Lookup::new("broker".into(), 80, &network);
        let ask_all = || join_all((0..64).map(|_| lookup.addresses()));
        let port = |answer: Answer| answer.unwrap()[0].port();
        for _ in 0..3 {
            assert!(timeout(Duration::from_secs(5), ask_all()).await.is_err());
        }
        assert_eq!(*names.asked.lock().unwrap(), 1);
        let (answers, ()) = tokio::join!(ask_all(), async { names.answers.add_permits(1) });
        assert!(answers.into_iter().all(|answer| port(answer) == 1));
        // The second answer comes when nobody waits for it any more.
        assert!(timeout(Duration::from_secs(5), ask_all()).await.is_err());
        names.answers.add_permits(1);
        sleep(Duration::from_secs(1)).await;
        names.answers.add_permits(1);
        assert_eq!(port(lookup.addresses().await), 3);
    }
}
