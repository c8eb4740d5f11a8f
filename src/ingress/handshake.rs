//! The beginning of a connection that is to speak TLS: the wait for its first byte, the handshake, and what becomes of
//! it when it fails.

use std::io;
use std::net::IpAddr;

use rustls::Error;
use tokio::io::AsyncWriteExt;
use tokio::time::Instant;

use super::prefixed::Prefixed;
use super::stream::close_lingering;
use super::tls::Tls;
use super::transport::Transport;
use super::waiting::{WaitLimits, bytes_come};
use crate::telemetry::events::HandshakeFailed;
use crate::telemetry::{HandshakeFailure, TlsMetrics};

/// What every record of a handshake begins with (RFC 8446, 5.1). No method of HTTP does.
const HANDSHAKE: u8 = 22;

/// The answer to plain HTTP, and to what is neither.
const SPEAKS_TLS: &[u8] = b"HTTP/1.1 400 Bad Request\r\n\
    connection: close\r\n\
    content-type: text/plain\r\n\
    content-length: 38\r\n\
    \r\n\
    This port speaks TLS: use an https URL";

/// Agrees upon TLS with a client. None when that has failed: the connection has been closed then, and the failure
/// counted. The first byte may be as long in coming as that of any request; the handshake has the time of a head.
pub(super) async fn secure(
    stream: Prefixed,
    client_ip: IpAddr,
    tls: &Tls,
    metrics: &TlsMetrics,
    waiting: WaitLimits<'_>,
) -> Option<Transport> {
    let mut first = [0];
    if !bytes_come(stream.peek(&mut first), Instant::now(), waiting).await {
        return None;
    }
    let failed = |failure, reason: &dyn std::fmt::Display| {
        metrics.handshake_failed(failure);
        HandshakeFailed {
            client_ip,
            failure,
            reason,
        }
        .emit();
    };
    if first != [HANDSHAKE] {
        failed(HandshakeFailure::NotTls, &"what came is no TLS");
        waiting.lifecycle.unless_stopped(tell(stream)).await;
        return None;
    }
    let handshake = tls.acceptor().accept(stream).into_fallible();
    match waiting.before_request(handshake).await? {
        Ok(Ok(stream)) => Some(Transport::Tls(Box::new(stream))),
        Ok(Err((error, stream))) => {
            failed(failure(&error), &error);
            // So that the alert, which says why, can be read.
            let close = close_lingering(Transport::Tcp(stream));
            waiting.lifecycle.unless_stopped(close).await;
            None
        }
        Err(elapsed) => {
            failed(HandshakeFailure::Timeout, &elapsed);
            None
        }
    }
}

/// Tells a client that does not speak TLS.
async fn tell(mut stream: Prefixed) {
    // Some hundred bytes: they fit into the buffer of a new connection.
    if stream.write_all(SPEAKS_TLS).await.is_ok() {
        close_lingering(Transport::Tcp(stream)).await;
    }
}

fn failure(error: &io::Error) -> HandshakeFailure {
    let inner = error.get_ref().and_then(|inner| inner.downcast_ref());
    match inner {
        None => HandshakeFailure::Closed,
        Some(Error::NoCertificatesPresented | Error::InvalidCertificate(_)) => {
            HandshakeFailure::ClientCertificate
        }
        Some(Error::PeerIncompatible(_) | Error::NoApplicationProtocol) => {
            HandshakeFailure::Incompatible
        }
        Some(Error::AlertReceived(_)) => HandshakeFailure::Refused,
        Some(_) => HandshakeFailure::Faulty,
    }
}

#[cfg(test)]
mod tests {
    use rustls::{AlertDescription, CertificateError, InvalidMessage, PeerIncompatible};

    use super::*;

    #[test]
    fn each_error_is_one_kind_of_failure() {
        for (error, expected) in [
            (
                Error::NoCertificatesPresented,
                HandshakeFailure::ClientCertificate,
            ),
            (
                Error::InvalidCertificate(CertificateError::UnknownIssuer),
                HandshakeFailure::ClientCertificate,
            ),
            (
                Error::PeerIncompatible(PeerIncompatible::NoCipherSuitesInCommon),
                HandshakeFailure::Incompatible,
            ),
            (Error::NoApplicationProtocol, HandshakeFailure::Incompatible),
            (
                Error::AlertReceived(AlertDescription::UnknownCA),
                HandshakeFailure::Refused,
            ),
            (
                Error::InvalidMessage(InvalidMessage::MessageTooLarge),
                HandshakeFailure::Faulty,
            ),
        ] {
            let wrapped = io::Error::new(io::ErrorKind::InvalidData, error.clone());
            assert_eq!(failure(&wrapped), expected, "{error}");
        }
        let cut = io::Error::from(io::ErrorKind::UnexpectedEof);
        assert_eq!(failure(&cut), HandshakeFailure::Closed);
    }
}
