//! A small HTTP/1 client over a bare connection: sends the bytes that it is given, reads answers and nothing more.

use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use serde_json::Value;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::{TcpSocket, TcpStream};

use super::in_time;

/// An answer, as it came.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    /// Names in lower case.
    pub(crate) headers: Vec<(String, String)>,
    pub(crate) body: Vec<u8>,
}

impl Answer {
    /// The value of a header that is there once at most.
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        let mut values = self.headers.iter().filter(|(known, _)| known == name);
        let value = values.next().map(|(_, value)| value.as_str());
        assert!(values.next().is_none(), "{name} twice in {self:?}");
        value
    }

    pub(crate) fn text(&self) -> &str {
        std::str::from_utf8(&self.body).unwrap()
    }

    pub(crate) fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap()
    }

    /// The code of a refusal, which is then worded as every refusal is.
    pub(crate) fn problem_code(&self) -> String {
        let problem = self.json();
        assert_eq!(
            self.header("content-type"),
            Some("application/problem+json"),
            "{self:?}"
        );
        assert_eq!(problem["status"], self.status, "{self:?}");
        problem["code"].as_str().unwrap().to_owned()
    }
}

/// One connection to the server.
pub(crate) struct Connection<S = TcpStream> {
    stream: S,
    unread: Vec<u8>,
}

impl Connection {
    pub(crate) async fn open(address: SocketAddr) -> Self {
        let stream = in_time("a connection", TcpStream::connect(address)).await;
        Self::over_tcp(stream.unwrap())
    }

    /// One from another address of this machine.
    pub(crate) async fn open_from(own: IpAddr, address: SocketAddr) -> Self {
        let socket = TcpSocket::new_v4().unwrap();
        socket.bind((own, 0).into()).unwrap();
        let stream = in_time("a connection", socket.connect(address)).await;
        Self::over_tcp(stream.unwrap())
    }

    fn over_tcp(stream: TcpStream) -> Self {
        stream.set_nodelay(true).unwrap();
        Self::over(stream)
    }

    /// Whether the server has said something, or closed, before a moment has passed.
    pub(crate) async fn has_bytes(&mut self) -> bool {
        let moment = Duration::from_millis(2);
        tokio::time::timeout(moment, self.stream.readable())
            .await
            .is_ok()
    }

    /// Breaks the connection with a reset.
    pub(crate) fn reset(self) {
        self.stream.set_zero_linger().unwrap();
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> Connection<S> {
    /// One that is open already.
    pub(crate) fn over(stream: S) -> Self {
        Self {
            stream,
            unread: Vec::new(),
        }
    }

    /// What carries it.
    pub(crate) fn stream(&mut self) -> &mut S {
        &mut self.stream
    }

    /// Sends these bytes and nothing else.
    pub(crate) async fn send(&mut self, bytes: impl AsRef<[u8]>) {
        let sending = self.stream.write_all(bytes.as_ref());
        in_time("bytes to be taken", sending).await.unwrap();
    }

    /// Sends as long as the server takes it; false when the connection broke before all was sent.
    pub(crate) async fn try_send(&mut self, bytes: impl AsRef<[u8]>) -> bool {
        let sending = self.stream.write_all(bytes.as_ref());
        in_time("bytes to be taken or refused", sending)
            .await
            .is_ok()
    }

    /// Says that nothing more comes, and goes on reading.
    pub(crate) async fn half_close(&mut self) {
        self.stream.shutdown().await.unwrap();
    }

    /// Sends a request, its length counted.
    pub(crate) async fn request(
        &mut self,
        method: &str,
        target: &str,
        headers: &[(&str, &str)],
        body: impl AsRef<[u8]>,
    ) -> Answer {
        let head = head(method, target, headers, body.as_ref().len());
        self.send([head.as_bytes(), body.as_ref()].concat()).await;
        if method == "HEAD" {
            self.answer_to_head().await
        } else {
            self.answer().await
        }
    }

    /// Sends a request; none when the connection broke before its answer had come whole.
    pub(crate) async fn try_request(
        &mut self,
        target: &str,
        headers: &[(&str, &str)],
        body: impl AsRef<[u8]>,
    ) -> Option<Answer> {
        let head = head("POST", target, headers, body.as_ref().len());
        let is_sent = self.try_send([head.as_bytes(), body.as_ref()].concat());
        if !is_sent.await {
            return None;
        }
        while !self.has_whole_answer() {
            let reading = self.stream.read_buf(&mut self.unread);
            match in_time("bytes from the server", reading).await {
                Ok(bytes) if bytes > 0 => {}
                Ok(_) | Err(_) => return None,
            }
        }
        Some(self.answer().await)
    }

    fn has_whole_answer(&self) -> bool {
        let Some(end) = memchr::memmem::find(&self.unread, b"\r\n\r\n") else {
            return false;
        };
        let head = String::from_utf8_lossy(&self.unread[..end]).to_ascii_lowercase();
        let length = head.split_once("\r\ncontent-length:");
        let length = length.map(|(_, rest)| rest.split("\r\n").next().unwrap().trim());
        let length: usize = length.map_or(0, |length| length.parse().unwrap());
        self.unread.len() >= end + 4 + length
    }

    /// The next answer with its body.
    pub(crate) async fn answer(&mut self) -> Answer {
        let mut answer = self.answer_to_head().await;
        if (100..200).contains(&answer.status) || answer.status == 204 {
            return answer;
        }
        let length = answer.header("content-length").map(str::parse::<usize>);
        let length = length.expect("answers bear their length").unwrap();
        while self.unread.len() < length {
            assert!(self.read_more().await, "the body is cut: {answer:?}");
        }
        answer.body = self.unread.drain(..length).collect();
        answer
    }

    /// The next answer, which has no body.
    pub(crate) async fn answer_to_head(&mut self) -> Answer {
        let end = loop {
            let end = memchr::memmem::find(&self.unread, b"\r\n\r\n");
            match end {
                Some(end) => break end,
                None => assert!(
                    self.read_more().await,
                    "closed instead of an answer, after {:?}",
                    String::from_utf8_lossy(&self.unread)
                ),
            }
        };
        let head: Vec<u8> = self.unread.drain(..end + 4).collect();
        let head = String::from_utf8(head).unwrap();
        let mut lines = head.trim_end().split("\r\n");
        let status = lines.next().and_then(|line| line.split(' ').nth(1));
        let headers = lines.map(|line| line.split_once(':').unwrap());
        Answer {
            status: status.unwrap().parse().unwrap(),
            headers: headers
                .map(|(name, value)| (name.to_ascii_lowercase(), value.trim().to_owned()))
                .collect(),
            body: Vec::new(),
        }
    }

    /// Everything up to the end that the server makes.
    pub(crate) async fn rest(&mut self) -> Vec<u8> {
        while self.read_more().await {}
        std::mem::take(&mut self.unread)
    }

    /// Everything up to the end that the server makes, be it a reset.
    pub(crate) async fn rest_or_reset(&mut self) -> Vec<u8> {
        loop {
            let reading = self.stream.read_buf(&mut self.unread);
            match in_time("bytes from the server", reading).await {
                Ok(bytes) if bytes > 0 => {}
                Ok(_) | Err(_) => return std::mem::take(&mut self.unread),
            }
        }
    }

    /// Fails unless the server has closed the connection without another byte.
    pub(crate) async fn expect_closed(&mut self) {
        let rest = self.rest().await;
        assert_eq!(String::from_utf8_lossy(&rest), "", "bytes before the close");
    }

    /// Waits for bytes or the end; whether the server has closed the connection, in order or with a reset,
    /// before the first byte of an answer.
    pub(crate) async fn is_closed_unanswered(&mut self) -> bool {
        let reading = self.stream.read_buf(&mut self.unread);
        let read = in_time("bytes from the server, or the end", reading).await;
        self.unread.is_empty() && !matches!(read, Ok(1..))
    }

    /// False at the end of the stream.
    async fn read_more(&mut self) -> bool {
        let reading = self.stream.read_buf(&mut self.unread);
        match in_time("bytes from the server", reading).await {
            Ok(bytes) => bytes > 0,
            Err(error) => panic!("the connection broke: {error}"),
        }
    }
}

/// A request's head that declares a body of `length` bytes.
pub(crate) fn head(method: &str, target: &str, headers: &[(&str, &str)], length: usize) -> String {
    let more = headers
        .iter()
        .map(|(name, value)| format!("{name}: {value}\r\n"));
    let more: String = more.collect();
    format!("{method} {target} HTTP/1.1\r\nHost: test\r\n{more}Content-Length: {length}\r\n\r\n")
}

/// The header of JSON.
pub(crate) const JSON: (&str, &str) = ("Content-Type", "application/json");
/// The header of JSON, an event a line.
pub(crate) const NDJSON: (&str, &str) = ("Content-Type", "application/x-ndjson");
/// The header of plain text.
pub(crate) const TEXT: (&str, &str) = ("Content-Type", "text/plain");
