//! A client that speaks TLS to the public listener.

use std::net::SocketAddr;
use std::sync::Arc;

use rustls::pki_types::ServerName;
use rustls::version::{TLS12, TLS13};
use rustls::{ClientConfig, SupportedProtocolVersion};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

use super::certificates::{Authority, Identity};
use super::client::Connection;
use super::in_time;

/// The name that the tests' server has in its certificate.
pub(crate) const NAME: &str = "logs.test";

pub(crate) static ONLY_12: &[&SupportedProtocolVersion] = &[&TLS12];
pub(crate) static ONLY_13: &[&SupportedProtocolVersion] = &[&TLS13];

/// How a client speaks TLS. Clones resume each other's sessions.
#[derive(Clone)]
pub(crate) struct TlsClient {
    config: Arc<ClientConfig>,
}

/// What a client wants.
pub(crate) struct Wants<'a> {
    pub(crate) versions: &'static [&'static SupportedProtocolVersion],
    pub(crate) protocols: &'a [&'a str],
    pub(crate) certificate: Option<&'a Identity>,
}

impl Default for Wants<'_> {
    fn default() -> Self {
        Self {
            versions: rustls::ALL_VERSIONS,
            protocols: &[],
            certificate: None,
        }
    }
}

impl TlsClient {
    /// One that believes this authority.
    pub(crate) fn new(authority: &Authority, wants: &Wants<'_>) -> Self {
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let builder = ClientConfig::builder_with_provider(provider)
            .with_protocol_versions(wants.versions)
            .unwrap()
            .with_root_certificates(authority.roots());
        let mut config = match wants.certificate {
            None => builder.with_no_client_auth(),
            Some(identity) => builder
                .with_client_auth_cert(identity.chain(), identity.private_key())
                .unwrap(),
        };
        config.alpn_protocols = wants
            .protocols
            .iter()
            .map(|name| name.as_bytes().to_vec())
            .collect();
        Self {
            config: Arc::new(config),
        }
    }

    /// Agrees upon TLS.
    pub(crate) async fn try_open(
        &self,
        address: SocketAddr,
    ) -> std::io::Result<TlsStream<TcpStream>> {
        let stream = in_time("a connection", TcpStream::connect(address)).await?;
        let connector = TlsConnector::from(Arc::clone(&self.config));
        let name = ServerName::try_from(NAME).unwrap();
        in_time("a handshake", connector.connect(name, stream)).await
    }

    pub(crate) async fn open(&self, address: SocketAddr) -> TlsStream<TcpStream> {
        self.try_open(address).await.unwrap()
    }

    pub(crate) async fn connect(&self, address: SocketAddr) -> Connection<TlsStream<TcpStream>> {
        Connection::over(self.open(address).await)
    }
}
