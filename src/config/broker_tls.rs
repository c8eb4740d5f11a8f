//! `[broker.tls]`: what TLS towards Brokers needs of files. Plain data.

use rustls::RootCertStore;
use rustls::crypto::CryptoProvider;
use serde::{Deserialize, Serialize};

use crate::config::tls_files::{TlsFile, TlsFiles};
use crate::config::{OwnCertificate, PemFile, TlsFileProblem, unset};

/// Whom to believe, and who to be, towards Brokers with `https` URLs.
#[derive(Debug, Clone, PartialEq, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct BrokerTls {
    /// PEM file of the only authorities that are believed; without it those of the system are.
    #[serde(with = "unset")]
    pub ca: Option<PemFile>,
    /// PEM file of the certificate that is shown to a Broker that asks for one, with its chain.
    #[serde(with = "unset")]
    pub client_certificate: Option<PemFile>,
    /// PEM file of its key.
    #[serde(with = "unset")]
    pub client_key: Option<PemFile>,
}

impl BrokerTls {
    pub(super) fn files(&self) -> TlsFiles<'_> {
        let file = |setting, file| TlsFile::new(setting, Option::map(file, PemFile::path));
        TlsFiles {
            authorities: file("broker.tls.ca", self.ca.as_ref()),
            certificate: file(
                "broker.tls.client_certificate",
                self.client_certificate.as_ref(),
            ),
            key: file("broker.tls.client_key", self.client_key.as_ref()),
        }
    }

    /// Remembers what the files hold, so that it is seen when they change.
    pub(super) fn note_files(&mut self) {
        let files = [
            &mut self.ca,
            &mut self.client_certificate,
            &mut self.client_key,
        ];
        files.into_iter().flatten().for_each(PemFile::note);
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
    pub fn own_certificate(
        &self,
        provider: &CryptoProvider,
    ) -> Result<Option<OwnCertificate>, TlsFileProblem> {
        self.files().own_certificate(provider)
    }
}
