//! HTTP/2 frame by frame: what no honest client sends. Encodes what it is given; of what comes back it tells the kinds
//! of frames and the streams.

use std::net::SocketAddr;
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use super::in_time;

pub(crate) const DATA: u8 = 0;
pub(crate) const HEADERS: u8 = 1;
pub(crate) const PRIORITY: u8 = 2;
pub(crate) const RST_STREAM: u8 = 3;
pub(crate) const SETTINGS: u8 = 4;
pub(crate) const PUSH_PROMISE: u8 = 5;
pub(crate) const PING: u8 = 6;
pub(crate) const GOAWAY: u8 = 7;
pub(crate) const WINDOW_UPDATE: u8 = 8;
pub(crate) const CONTINUATION: u8 = 9;

pub(crate) const END_STREAM: u8 = 1;
pub(crate) const ACK: u8 = 1;
pub(crate) const END_HEADERS: u8 = 4;
pub(crate) const PADDED: u8 = 8;

/// One frame, its length counted.
pub(crate) fn frame(kind: u8, flags: u8, stream: u32, payload: &[u8]) -> Vec<u8> {
    let mut bytes = u32::try_from(payload.len()).unwrap().to_be_bytes()[1..].to_vec();
    bytes.extend([kind, flags]);
    bytes.extend(stream.to_be_bytes());
    bytes.extend(payload);
    bytes
}

/// The block of these headers, each written out.
pub(crate) fn block<N: AsRef<[u8]>, V: AsRef<[u8]>>(headers: &[(N, V)]) -> Vec<u8> {
    let mut bytes = Vec::new();
    for (name, value) in headers {
        bytes.push(0);
        push_text(&mut bytes, name.as_ref());
        push_text(&mut bytes, value.as_ref());
    }
    bytes
}

/// A length with a prefix of seven bits, and the text as it is (RFC 7541, 5).
pub(crate) fn push_text(bytes: &mut Vec<u8>, text: &[u8]) {
    if text.len() < 127 {
        bytes.push(text.len() as u8);
    } else {
        bytes.push(127);
        let mut rest = text.len() - 127;
        while rest >= 128 {
            bytes.push((rest % 128) as u8 | 128);
            rest /= 128;
        }
        bytes.push(rest as u8);
    }
    bytes.extend(text);
}

/// The pseudo-headers of a POST.
pub(crate) const POST: [(&str, &str); 4] = [
    (":method", "POST"),
    (":scheme", "http"),
    (":authority", "logs.example"),
    (":path", "/"),
];

/// A frame that the server sent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Frame {
    pub(crate) kind: u8,
    pub(crate) flags: u8,
    pub(crate) stream: u32,
    pub(crate) payload: Vec<u8>,
}

impl Frame {
    /// The error code of a `RST_STREAM` or `GOAWAY`.
    pub(crate) fn error_code(&self) -> u32 {
        let at = if self.kind == GOAWAY { 4 } else { 0 };
        u32::from_be_bytes(self.payload[at..at + 4].try_into().unwrap())
    }

    /// Whether it is the head of an answer with the status 400, which stands in HPACK's own table.
    pub(crate) fn says_bad_request(&self) -> bool {
        self.kind == HEADERS && self.payload.first() == Some(&(0x80 | 12))
    }
}

/// One connection that has said its preface.
pub(crate) struct FrameClient {
    stream: TcpStream,
    unread: Vec<u8>,
}

impl FrameClient {
    /// Connects, and sends these settings: identifiers and values.
    pub(crate) async fn open(address: SocketAddr, settings: &[(u16, u32)]) -> Self {
        let stream = in_time("a connection", TcpStream::connect(address)).await;
        let mut client = Self {
            stream: stream.unwrap(),
            unread: Vec::new(),
        };
        client.stream.set_nodelay(true).unwrap();
        let mut payload = Vec::new();
        for (identifier, value) in settings {
            payload.extend(identifier.to_be_bytes());
            payload.extend(value.to_be_bytes());
        }
        let mut preface = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n".to_vec();
        preface.extend(frame(SETTINGS, 0, 0, &payload));
        client.send(preface).await;
        client
    }

    /// Sends these bytes; false when the connection broke before all was sent.
    pub(crate) async fn send(&mut self, bytes: impl AsRef<[u8]>) -> bool {
        let sending = self.stream.write_all(bytes.as_ref());
        in_time("bytes to be taken or refused", sending)
            .await
            .is_ok()
    }

    /// Sends as much as the server takes without waiting for it; false when the connection broke.
    pub(crate) fn send_now(&mut self, bytes: &[u8]) -> bool {
        match self.stream.try_write(bytes) {
            Ok(_) => true,
            Err(error) => error.kind() == std::io::ErrorKind::WouldBlock,
        }
    }

    /// The next frame; none at the end of the connection.
    pub(crate) async fn next(&mut self) -> Option<Frame> {
        loop {
            if let Some(frame) = self.take_frame() {
                return Some(frame);
            }
            let reading = self.stream.read_buf(&mut self.unread);
            match in_time("a frame from the server", reading).await {
                Ok(bytes) if bytes > 0 => {}
                Ok(_) | Err(_) => return None,
            }
        }
    }

    /// Reads frames up to one that fits; none when the connection ends before.
    pub(crate) async fn until(&mut self, mut fits: impl FnMut(&Frame) -> bool) -> Option<Frame> {
        while let Some(frame) = self.next().await {
            if fits(&frame) {
                return Some(frame);
            }
        }
        None
    }

    /// Reads up to what ends this stream: its answer's last frame, a reset of it, or a `GOAWAY` with an error.
    pub(crate) async fn end_of(&mut self, stream: u32) -> Option<Frame> {
        self.until(|frame| match frame.kind {
            HEADERS | DATA => frame.stream == stream && frame.flags & END_STREAM != 0,
            RST_STREAM => frame.stream == stream,
            GOAWAY => frame.error_code() != 0,
            _ => false,
        })
        .await
    }

    /// What became of this stream: the head of its answer, a reset of it, or a `GOAWAY` with an error.
    pub(crate) async fn outcome_of(&mut self, stream: u32) -> Option<Frame> {
        self.until(|frame| match frame.kind {
            HEADERS | RST_STREAM => frame.stream == stream,
            GOAWAY => frame.error_code() != 0,
            _ => false,
        })
        .await
    }

    /// Whether a frame of this kind has come, or comes within a moment; an end of the connection counts too.
    pub(crate) async fn has_said(&mut self, kind: u8) -> bool {
        let moment = Duration::from_millis(2);
        loop {
            match tokio::time::timeout(moment, self.next()).await {
                Ok(Some(frame)) if frame.kind != kind => {}
                Ok(_) => return true,
                Err(_) => return false,
            }
        }
    }

    fn take_frame(&mut self) -> Option<Frame> {
        let head: [u8; 9] = self.unread.get(..9)?.try_into().unwrap();
        let length = u32::from_be_bytes([0, head[0], head[1], head[2]]) as usize;
        let payload = self.unread.get(9..9 + length)?.to_vec();
        self.unread.drain(..9 + length);
        Some(Frame {
            kind: head[3],
            flags: head[4],
            stream: u32::from_be_bytes([head[5], head[6], head[7], head[8]]),
            payload,
        })
    }
}
