//! `[broker.tls]`: what TLS towards Brokers needs of files. Plain data.

use std::path::PathBuf;
use std::sync::Arc;

use rustls::RootCertStore;
use rustls::crypto::CryptoProvider;
use rustls::sign::CertifiedKey;
use serde::{Deserialize, Serialize};

use crate::config::tls_files::{TlsFile, TlsFiles};
use crate::config::{TlsFileProblem, unset};

/// Whom to believe, and who to be, towards Brokers with `https` URLs.
#[derive(Debug, Clone, PartialEq, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct BrokerTls {
    /// PEM file of the only authorities that are believed; without it those of the system are.
    #[serde(with = "unset")]
    pub ca: Option<PathBuf>,
    /// PEM file of the certificate that is shown to a Broker that asks for one, with its chain.
    #[serde(with = "unset")]
    pub client_certificate: Option<PathBuf>,
    /// PEM file of its key.
    #[serde(with = "unset")]
    pub client_key: Option<PathBuf>,
}

impl BrokerTls {
    pub(super) fn files(&self) -> TlsFiles<'_> {
        let certificate = self.client_certificate.as_deref();
        TlsFiles {
            authorities: TlsFile::new("broker.tls.ca", self.ca.as_deref()),
            certificate: TlsFile::new("broker.tls.client_certificate", certificate),
            key: TlsFile::new("broker.tls.client_key", self.client_key.as_deref()),
        }
    }

    /// The authorities of `ca`; none where it is not set.
    ///
    /// # Errors
    /// A file that is not what it must be.
    pub fn authorities(&self) -> Result<Option<RootCertStore>, TlsFileProblem> {
        self.files().authorities()
    }

    /// The client's certificate with its key; none where they are not set.
    ///
    /// # Errors
    /// A file that is not what it must be, a key that does not fit.
    pub fn identity(
        &self,
        provider: &CryptoProvider,
    ) -> Result<Option<Arc<CertifiedKey>>, TlsFileProblem> {
        self.files().identity(provider)
    }
}
