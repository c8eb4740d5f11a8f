//! The Broker's server: it takes connections and answers each request as the state says.

use std::pin::{Pin, pin};
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll, ready};
use std::time::{Duration, SystemTime};

use bytes::Bytes;
use http::{Request, Response, StatusCode};
use http_body_util::BodyExt;
use hyper::body::{Frame, Incoming, SizeHint};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Notify, watch};
use tokio::task::JoinSet;
use tokio::time::{Sleep, sleep, timeout};
use tokio_rustls::TlsAcceptor;

use super::{Received, Reply, State, lock};

pub(super) async fn accept(
    listener: TcpListener,
    tls: Option<TlsAcceptor>,
    state: Arc<Mutex<State>>,
    gate: watch::Receiver<bool>,
) {
    let mut connections = JoinSet::new();
    loop {
        let Ok((stream, peer)) = listener.accept().await else {
            return;
        };
        let mut counted = lock(&state);
        counted.connections.insert(peer);
        counted.open_connections += 1;
        drop(counted);
        connections.spawn(greet(stream, tls.clone(), Arc::clone(&state), gate.clone()));
    }
}

async fn greet(
    stream: TcpStream,
    tls: Option<TlsAcceptor>,
    state: Arc<Mutex<State>>,
    gate: watch::Receiver<bool>,
) {
    stream.set_nodelay(true).unwrap();
    match tls {
        None => serve(stream, Arc::clone(&state), gate).await,
        Some(tls) => match tls.accept(stream).await {
            Ok(stream) => serve(stream, Arc::clone(&state), gate).await,
            // The client does not believe this Broker, or this Broker the client.
            Err(_refused) => {}
        },
    }
    lock(&state).open_connections -= 1;
}

async fn serve<S>(stream: S, state: Arc<Mutex<State>>, gate: watch::Receiver<bool>)
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    let answered = Notify::new();
    let service = service_fn(|request| {
        let answer = answer(request, Arc::clone(&state), gate.clone());
        async {
            let response = answer.await;
            answered.notify_one();
            response
        }
    });
    let connection = http1::Builder::new().serve_connection(TokioIo::new(stream), service);
    let mut connection = pin!(connection);
    loop {
        tokio::select! {
            // A cut is meant to end it with an error.
            _ended = connection.as_mut() => return,
            () = answered.notified() => {
                if lock(&state).closes {
                    // Time to write the answer.
                    let _written = timeout(Duration::from_millis(1), connection.as_mut()).await;
                    return;
                }
            }
        }
    }
}

/// The connection is to be cut.
#[derive(Debug, thiserror::Error)]
#[error("cut")]
struct Cut;

async fn answer(
    request: Request<Incoming>,
    state: Arc<Mutex<State>>,
    mut gate: watch::Receiver<bool>,
) -> Result<Response<LateBody>, Cut> {
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
    let busy = busy(&lock(&state));
    if busy.is_none() && gate.wait_for(|is_open| *is_open).await.is_err() {
        return Err(Cut);
    }
    let reply = busy.unwrap_or(reply);
    let (status, headers, body) = match reply {
        Reply::Answer(status, headers, body) => (status, headers, body),
        Reply::Cut => return Err(Cut),
        Reply::Hang => std::future::pending::<(u16, Vec<_>, &str)>().await,
    };
    lock(&state).requests[index].status = Some(status);
    let delay = lock(&state).delay;
    let mut response = Response::new(LateBody::new(body, delay));
    *response.status_mut() = StatusCode::from_u16(status).unwrap();
    for (name, value) in headers {
        response.headers_mut().insert(name, value.parse().unwrap());
    }
    Ok(response)
}

/// The body of an answer, which may come later than its head.
struct LateBody {
    text: Option<Bytes>,
    delay: Option<Pin<Box<Sleep>>>,
}

impl LateBody {
    fn new(text: &'static str, delay: Duration) -> Self {
        Self {
            text: (!text.is_empty()).then(|| Bytes::from_static(text.as_bytes())),
            delay: (!delay.is_zero()).then(|| Box::pin(sleep(delay))),
        }
    }
}

impl hyper::body::Body for LateBody {
    type Data = Bytes;
    type Error = Cut;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Cut>>> {
        if let Some(delay) = &mut self.delay {
            ready!(delay.as_mut().poll(context));
            self.delay = None;
        }
        Poll::Ready(self.text.take().map(|text| Ok(Frame::data(text))))
    }

    fn is_end_stream(&self) -> bool {
        self.text.is_none()
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::with_exact(self.text.as_ref().map_or(0, |text| text.len() as u64))
    }
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

/// What it does with the request that came last, if it has too many.
fn busy(state: &State) -> Option<Reply> {
    let (most, reply) = state.busy.clone()?;
    (state.under_way > most).then_some(reply)
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
