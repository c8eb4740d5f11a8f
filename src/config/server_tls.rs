//! `[server.tls]`: TLS on the public listener. Plain data.

use rustls::RootCertStore;
use rustls::crypto::CryptoProvider;
use serde::{Deserialize, Serialize};
use std::path::PathBuf;

use crate::config::tls_files::{TlsFile, TlsFiles};
use crate::config::{OwnCertificate, TlsFileProblem, unset};

/// Who the public listener is, and whom it asks for a certificate. Without a certificate it speaks plain HTTP.
#[derive(Debug, Clone, PartialEq, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct ServerTls {
    /// PEM file of the certificate, with its chain.
    #[serde(with = "unset")]
    pub certificate: Option<PathBuf>,
    /// PEM file of its key.
    #[serde(with = "unset")]
    pub key: Option<PathBuf>,
    /// PEM file of the authorities that must have signed the certificate of a client.
    #[serde(with = "unset")]
    pub client_ca: Option<PathBuf>,
    /// Whether clients are asked for a certificate.
    pub client_auth: ClientAuth,
}

/// Whether clients are asked for a certificate.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum ClientAuth {
    /// No client is asked.
    None,
    /// A client that shows one must show a good one.
    Optional,
    /// A client without a good one is refused.
    Required,
}

impl ServerTls {
    /// Whether the public listener speaks TLS.
    pub const fn is_on(&self) -> bool {
        self.certificate.is_some()
    }

    pub(super) fn files(&self) -> TlsFiles<'_> {
        TlsFiles {
            authorities: TlsFile::new("server.tls.client_ca", self.client_ca.as_deref()),
            certificate: TlsFile::new("server.tls.certificate", self.certificate.as_deref()),
            key: TlsFile::new("server.tls.key", self.key.as_deref()),
        }
    }

    /// The paths of all files.
    pub fn paths(&self) -> Vec<PathBuf> {
        let paths = [&self.certificate, &self.key, &self.client_ca];
        paths.into_iter().flatten().cloned().collect()
    }

    /// The certificate with its key; none where they are not set.
    ///
    /// # Errors
    /// A file that is not what it must be, a key that does not fit.
    pub fn own_certificate(
        &self,
        provider: &CryptoProvider,
    ) -> Result<Option<OwnCertificate>, TlsFileProblem> {
        self.files().own_certificate(provider)
    }

    /// The authorities of `client_ca`; none where it is not set.
    ///
    /// # Errors
    /// A file that is not what it must be.
    pub fn client_authorities(&self) -> Result<Option<RootCertStore>, TlsFileProblem> {
        self.files().authorities()
    }
}
