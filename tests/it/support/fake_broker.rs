//! A Broker that does as it is told: it answers, keeps silent, cuts the connection, or refuses what is poison to it,
//! and remembers all that it was sent.

use std::collections::{HashSet, VecDeque};
use std::io;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::SystemTime;

use bytes::Bytes;
use http::{HeaderMap, Request, Response, StatusCode};
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use serde_json::Value;
use tokio::net::{TcpListener, TcpSocket, TcpStream};
use tokio::sync::watch;
use tokio::task::JoinSet;

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

    pub(crate) fn url(&self) -> String {
        format!("http://{}/in", self.socket.local_addr().unwrap())
    }

    /// Its label in metrics.
    pub(crate) fn label(&self) -> String {
        self.socket.local_addr().unwrap().to_string()
    }

    /// Comes up.
    pub(crate) fn up(self) -> FakeBroker {
        FakeBroker::on(self.socket.listen(128))
    }
}

impl FakeBroker {
    /// A Broker that takes everything.
    pub(crate) fn start() -> Self {
        DownBroker::new().up()
    }

    fn on(listener: io::Result<TcpListener>) -> Self {
        let listener = listener.unwrap();
        let state = Arc::new(Mutex::new(State {
            script: VecDeque::new(),
            usual: Reply::status(200),
            poison: None,
            requests: Vec::new(),
            connections: HashSet::new(),
            open_connections: 0,
            under_way: 0,
            most_under_way: 0,
        }));
        let (is_open, gate) = watch::channel(true);
        let address = listener.local_addr().unwrap();
        let mut serving = JoinSet::new();
        serving.spawn(accept(listener, Arc::clone(&state), gate));
        Self {
            address,
            state,
            is_open,
            _serving: serving,
        }
    }

    pub(crate) fn url(&self) -> String {
        format!("http://{}/in", self.address)
    }

    pub(crate) fn address(&self) -> SocketAddr {
        self.address
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

async fn accept(listener: TcpListener, state: Arc<Mutex<State>>, gate: watch::Receiver<bool>) {
    let mut connections = JoinSet::new();
    loop {
        let Ok((stream, peer)) = listener.accept().await else {
            return;
        };
        let mut counted = lock(&state);
        counted.connections.insert(peer);
        counted.open_connections += 1;
        drop(counted);
        connections.spawn(serve(stream, Arc::clone(&state), gate.clone()));
    }
}

async fn serve(stream: TcpStream, state: Arc<Mutex<State>>, gate: watch::Receiver<bool>) {
    stream.set_nodelay(true).unwrap();
    let service = service_fn(|request| answer(request, Arc::clone(&state), gate.clone()));
    let connection = http1::Builder::new().serve_connection(TokioIo::new(stream), service);
    // A cut is meant to end it with an error.
    let _ended = connection.await;
    lock(&state).open_connections -= 1;
}

/// The connection is to be cut.
#[derive(Debug, thiserror::Error)]
#[error("cut")]
struct Cut;

async fn answer(
    request: Request<Incoming>,
    state: Arc<Mutex<State>>,
    mut gate: watch::Receiver<bool>,
) -> Result<Response<Full<Bytes>>, Cut> {
    let (parts, body) = request.into_parts();
    // The sender may give up in the middle.
    let body = body.collect().await.map_err(|_| Cut)?.to_bytes();
    let received = Received {
        target: parts.uri.to_string(),
        headers: parts.headers,
        body,
        status: None,
        at: SystemTime::now(),
    };
    let (index, reply) = take(&mut lock(&state), received);
    let _under_way = UnderWay::new(&state);
    if gate.wait_for(|is_open| *is_open).await.is_err() {
        return Err(Cut);
    }
    let (status, headers, body) = match reply {
        Reply::Answer(status, headers, body) => (status, headers, body),
        Reply::Cut => return Err(Cut),
        Reply::Hang => std::future::pending::<(u16, Vec<_>, &str)>().await,
    };
    lock(&state).requests[index].status = Some(status);
    let mut response = Response::new(Full::from(body));
    *response.status_mut() = StatusCode::from_u16(status).unwrap();
    for (name, value) in headers {
        response.headers_mut().insert(name, value.parse().unwrap());
    }
    Ok(response)
}

/// Remembers a request and decides on it.
fn take(state: &mut State, received: Received) -> (usize, Reply) {
    let poison = state.poison.clone();
    let reply = match state.script.pop_front() {
        Some(reply) => reply,
        None => poison
            .filter(|(is_poison, _)| received.events().iter().any(|event| is_poison(event)))
            .map_or_else(|| state.usual.clone(), |(_, reply)| reply),
    };
    state.requests.push(received);
    (state.requests.len() - 1, reply)
}

/// Counts a request as long as it lives.
struct UnderWay<'a>(&'a Mutex<State>);

impl<'a> UnderWay<'a> {
    fn new(state: &'a Mutex<State>) -> Self {
        let mut counted = lock(state);
        counted.under_way += 1;
        counted.most_under_way = counted.most_under_way.max(counted.under_way);
        drop(counted);
        Self(state)
    }
}

impl Drop for UnderWay<'_> {
    fn drop(&mut self) {
        lock(self.0).under_way -= 1;
    }
}

fn lock(state: &Mutex<State>) -> MutexGuard<'_, State> {
    state.lock().unwrap()
}
