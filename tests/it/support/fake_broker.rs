//! A Broker that does as it is told: it answers, in one piece or two, keeps silent, cuts the connection, or
//! refuses what is poison to it, over TLS or without, and remembers all that it was sent.

mod server;

use std::collections::{HashSet, VecDeque};
use std::io;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::{Duration, SystemTime};

use bytes::Bytes;
use http::HeaderMap;
use rustls::ServerConfig;
use serde_json::Value;
use tokio::net::{TcpListener, TcpSocket};
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio_rustls::TlsAcceptor;

use super::eventually;

/// What the Broker does with a request.
#[derive(Clone, Debug)]
pub(crate) enum Reply {
    /// It answers with this status, these headers and this body.
    Answer(u16, Vec<(&'static str, String)>, &'static str),
    /// It closes the connection without a word.
    Cut,
    /// It never answers.
    Hang,
}

impl Reply {
    /// An answer of nothing but a status.
    pub(crate) fn status(status: u16) -> Self {
        Self::Answer(status, vec![], "")
    }
}

/// One request, as it came.
#[derive(Clone, Debug)]
pub(crate) struct Received {
    pub(crate) target: String,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Bytes,
    /// The status that it was answered with; none when it was not.
    pub(crate) status: Option<u16>,
    /// When its last byte had come.
    pub(crate) at: SystemTime,
}

impl Received {
    /// The text of each event, whichever way the body holds them.
    pub(crate) fn events(&self) -> Vec<Value> {
        let documents = serde_json::Deserializer::from_slice(&self.body).into_iter::<Value>();
        let documents = documents.map(Result::unwrap);
        documents
            .flat_map(|document| match document {
                Value::Array(events) => events,
                event => vec![event],
            })
            .collect()
    }
}

type Poison = Arc<dyn Fn(&Value) -> bool + Send + Sync>;

struct State {
    script: VecDeque<Reply>,
    usual: Reply,
    poison: Option<(Poison, Reply)>,
    /// What it does with a request when so many are under way already.
    busy: Option<(usize, Reply)>,
    /// Of the body of an answer, after its head.
    delay: Duration,
    /// Whether each connection is closed after its first answer, without a word of it before.
    closes: bool,
    requests: Vec<Received>,
    /// Addresses that a connection came from.
    connections: HashSet<SocketAddr>,
    open_connections: usize,
    under_way: usize,
    most_under_way: usize,
}

/// The Broker; ends when dropped.
pub(crate) struct FakeBroker {
    address: SocketAddr,
    scheme: &'static str,
    state: Arc<Mutex<State>>,
    is_open: watch::Sender<bool>,
    _serving: JoinSet<()>,
}

/// A Broker that is down: its address is taken, and every connection to it refused.
pub(crate) struct DownBroker {
    socket: TcpSocket,
}

impl DownBroker {
    pub(crate) fn new() -> Self {
        let socket = TcpSocket::new_v4().unwrap();
        socket.bind("127.0.0.1:0".parse().unwrap()).unwrap();
        Self { socket }
    }

    pub(crate) fn address(&self) -> SocketAddr {
        self.socket.local_addr().unwrap()
    }

    pub(crate) fn url(&self) -> String {
        format!("http://{}/in", self.address())
    }

    /// Its label in metrics.
    pub(crate) fn label(&self) -> String {
        self.address().to_string()
    }

    /// Comes up.
    pub(crate) fn up(self) -> FakeBroker {
        FakeBroker::on(self.socket.listen(128), None)
    }
}

impl FakeBroker {
    /// A Broker that takes everything.
    pub(crate) fn start() -> Self {
        DownBroker::new().up()
    }

    /// A Broker that takes everything over TLS.
    pub(crate) fn start_tls(config: ServerConfig) -> Self {
        let acceptor = TlsAcceptor::from(Arc::new(config));
        Self::on(DownBroker::new().socket.listen(128), Some(acceptor))
    }

    fn on(listener: io::Result<TcpListener>, tls: Option<TlsAcceptor>) -> Self {
        let listener = listener.unwrap();
        let state = Arc::new(Mutex::new(State {
            script: VecDeque::new(),
            usual: Reply::status(200),
            poison: None,
            busy: None,
            delay: Duration::ZERO,
            closes: false,
            requests: Vec::new(),
            connections: HashSet::new(),
            open_connections: 0,
            under_way: 0,
            most_under_way: 0,
        }));
        let (is_open, gate) = watch::channel(true);
        let address = listener.local_addr().unwrap();
        let scheme = if tls.is_some() { "https" } else { "http" };
        let mut serving = JoinSet::new();
        serving.spawn(server::accept(listener, tls, Arc::clone(&state), gate));
        Self {
            address,
            scheme,
            state,
            is_open,
            _serving: serving,
        }
    }

    pub(crate) fn address(&self) -> SocketAddr {
        self.address
    }

    pub(crate) fn url(&self) -> String {
        format!("{}://{}/in", self.scheme, self.address)
    }

    /// Its label in metrics.
    pub(crate) fn label(&self) -> String {
        self.address.to_string()
    }

    /// What it does with the next requests, one reply each; then as usual.
    pub(crate) fn script(&self, replies: impl IntoIterator<Item = Reply>) {
        lock(&self.state).script.extend(replies);
    }

    /// What it does with every request that nothing else is said of.
    pub(crate) fn usually(&self, reply: Reply) {
        lock(&self.state).usual = reply;
    }

    /// What it does with a request that holds an event of this kind.
    pub(crate) fn poison(
        &self,
        reply: Reply,
        is_poison: impl Fn(&Value) -> bool + Send + Sync + 'static,
    ) {
        lock(&self.state).poison = Some((Arc::new(is_poison), reply));
    }

    /// What it does with a request when so many others are under way.
    pub(crate) fn takes_at_a_time(&self, most: usize, reply: Reply) {
        lock(&self.state).busy = Some((most, reply));
    }

    /// From now on the body of an answer comes so long after its head.
    pub(crate) fn delay_bodies(&self, delay: Duration) {
        lock(&self.state).delay = delay;
    }

    /// From now on each connection is closed as soon as one request was answered on it, without a word of it before.
    pub(crate) fn close_after_answers(&self) {
        lock(&self.state).closes = true;
    }

    /// From now on requests are received and not answered.
    pub(crate) fn hold(&self) {
        self.is_open.send_replace(false);
    }

    /// Answers what was held, and all to come.
    pub(crate) fn release(&self) {
        self.is_open.send_replace(true);
    }

    /// All requests so far.
    pub(crate) fn requests(&self) -> Vec<Received> {
        lock(&self.state).requests.clone()
    }

    /// The events of all requests that were answered with 2xx, in order of arrival.
    pub(crate) fn delivered(&self) -> Vec<Value> {
        let requests = self.requests();
        let taken = requests
            .iter()
            .filter(|request| request.status.is_some_and(|status| status < 300));
        taken.flat_map(Received::events).collect()
    }

    /// The only event that was delivered.
    pub(crate) fn only_event(&self) -> Value {
        let events = self.delivered();
        assert_eq!(events.len(), 1, "{events:#?}");
        events.into_iter().next().unwrap()
    }

    /// Waits for this many requests, answered or not.
    pub(crate) async fn until_requests(&self, count: usize) -> Vec<Received> {
        eventually("requests at the Broker", async || {
            let requests = self.requests();
            (requests.len() >= count).then_some(requests)
        })
        .await
    }

    /// Waits for this many events, in however many requests: who is quick finds several in one.
    pub(crate) async fn until_delivered(&self, events: usize) {
        eventually("events at the Broker", async || {
            (self.delivered().len() >= events).then_some(())
        })
        .await;
    }

    /// Connections that were ever opened.
    pub(crate) fn connections(&self) -> usize {
        lock(&self.state).connections.len()
    }

    /// Waits until nobody is connected: everything that was sent has been received.
    pub(crate) async fn until_unconnected(&self) {
        eventually("connections to the Broker to end", async || {
            (lock(&self.state).open_connections == 0).then_some(())
        })
        .await;
    }

    /// The most requests that were under way at once.
    pub(crate) fn most_under_way(&self) -> usize {
        lock(&self.state).most_under_way
    }
}

fn lock(state: &Mutex<State>) -> MutexGuard<'_, State> {
    state.lock().unwrap()
}
