//! An HTTP/2 client with prior knowledge: one connection, any number of streams.

use std::net::SocketAddr;

use bytes::Bytes;
use http::{Request, Response};
use http_body_util::{BodyExt, Full};
use hyper::client::conn::http2::{SendRequest, handshake};
use hyper_util::rt::{TokioExecutor, TokioIo};
use tokio::io::{AsyncRead, AsyncWrite, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::task::JoinSet;

use super::client::Answer;
use super::in_time;

/// One connection. Clones of [`Http2Client::sender`] send on it at the same time.
pub(crate) struct Http2Client {
    sender: SendRequest<Full<Bytes>>,
    /// Drives the connection; ends with the client.
    _driving: JoinSet<()>,
}

impl Http2Client {
    pub(crate) async fn open(address: SocketAddr) -> Self {
        Self::open_behind(address, b"").await
    }

    /// Opens a connection that begins with these bytes.
    pub(crate) async fn open_behind(address: SocketAddr, first: &[u8]) -> Self {
        let mut stream = TcpStream::connect(address).await.unwrap();
        stream.write_all(first).await.unwrap();
        Self::over(stream).await
    }

    /// On a stream that is open already.
    pub(crate) async fn over(stream: impl AsyncRead + AsyncWrite + Send + Unpin + 'static) -> Self {
        let (sender, connection) = handshake(TokioExecutor::new(), TokioIo::new(stream))
            .await
            .unwrap();
        let mut driving = JoinSet::new();
        driving.spawn(async move {
            // How it ends is seen by the requests.
            let _ended = connection.await;
        });
        Self {
            sender,
            _driving: driving,
        }
    }

    pub(crate) fn sender(&self) -> SendRequest<Full<Bytes>> {
        self.sender.clone()
    }

    /// Sends a request and reads its answer.
    pub(crate) async fn request(&self, request: Request<Full<Bytes>>) -> Answer {
        send(self.sender(), request).await.unwrap()
    }

    /// Whether the server has closed the connection.
    pub(crate) fn is_closed(&self) -> bool {
        self.sender.is_closed()
    }
}

/// Sends one request on a connection that others may use too.
pub(crate) async fn send(
    mut sender: SendRequest<Full<Bytes>>,
    request: Request<Full<Bytes>>,
) -> hyper::Result<Answer> {
    in_time("an HTTP/2 stream", sender.ready()).await?;
    let response = in_time("an answer", sender.send_request(request)).await?;
    read(response).await
}

async fn read(response: Response<hyper::body::Incoming>) -> hyper::Result<Answer> {
    let (parts, body) = response.into_parts();
    let body = in_time("a body", body.collect()).await?.to_bytes();
    let headers = parts.headers.iter().map(|(name, value)| {
        let value = value.to_str().unwrap();
        (name.to_string(), value.to_owned())
    });
    Ok(Answer {
        status: parts.status.as_u16(),
        headers: headers.collect(),
        body: body.into(),
    })
}

/// A request with a body, or with none where it is empty.
pub(crate) fn post(target: &str, media_type: &str, body: impl Into<Bytes>) -> Request<Full<Bytes>> {
    Request::post(format!("http://logs.example:8080{target}"))
        .header("content-type", media_type)
        .body(Full::new(body.into()))
        .unwrap()
}
