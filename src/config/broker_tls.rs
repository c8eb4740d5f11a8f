//! `[broker.tls]`: what TLS towards Brokers needs of files. Data, and the reading of these files.

use std::path::PathBuf;
use std::sync::Arc;

use rustls::crypto::CryptoProvider;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, pem};
use rustls::sign::CertifiedKey;
use rustls::{Error, RootCertStore};
use serde::{Deserialize, Serialize};
use thiserror::Error;

use crate::config::unset;

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

/// A file of `[broker.tls]` is not what it must be. Neither path nor contents are part of the words: someone may have
/// written a key itself where its file belongs.
#[derive(Debug, Error)]
pub enum TlsFileProblem {
    /// `ca` cannot be used.
    #[error("the path of a PEM file with certificates of authorities: this one {0}")]
    Ca(FileFault),
    /// `client_certificate` cannot be used.
    #[error("the path of a PEM file with a certificate: this one {0}")]
    Certificate(FileFault),
    /// `client_key` cannot be used.
    #[error("the path of a PEM file with an unencrypted private key: this one {0}")]
    Key(FileFault),
}

/// What is wrong with a file.
#[derive(Debug, Error)]
pub enum FileFault {
    /// It cannot be read.
    #[error("cannot be read ({0})")]
    Unreadable(std::io::Error),
    /// It has no section of the kind.
    #[error("holds none")]
    Empty,
    /// It has one that is broken.
    #[error("is damaged")]
    Damaged,
    /// It has one that cannot be used.
    #[error("cannot be used ({0})")]
    Unusable(Error),
    /// The key is that of another certificate.
    #[error("is not the key of broker.tls.client_certificate")]
    OtherKey,
}

impl TlsFileProblem {
    /// The setting that is at fault.
    pub(super) const fn setting(&self) -> &'static str {
        match self {
            Self::Ca(_) => "broker.tls.ca",
            Self::Certificate(_) => "broker.tls.client_certificate",
            Self::Key(_) => "broker.tls.client_key",
        }
    }
}

impl BrokerTls {
    /// The settings that are set.
    pub(super) fn settings(&self) -> Vec<&'static str> {
        [
            ("broker.tls.ca", &self.ca),
            ("broker.tls.client_certificate", &self.client_certificate),
            ("broker.tls.client_key", &self.client_key),
        ]
        .into_iter()
        .filter_map(|(setting, path)| path.is_some().then_some(setting))
        .collect()
    }

    /// The authorities of `ca`; none where it is not set.
    ///
    /// # Errors
    /// A file that is not what it must be.
    pub fn authorities(&self) -> Result<Option<RootCertStore>, TlsFileProblem> {
        let Some(path) = &self.ca else {
            return Ok(None);
        };
        let mut roots = RootCertStore::empty();
        for certificate in certificates(path).map_err(TlsFileProblem::Ca)? {
            let added = roots.add(certificate);
            added.map_err(|error| TlsFileProblem::Ca(FileFault::Unusable(error)))?;
        }
        Ok(Some(roots))
    }

    /// The client's certificate with its key; none where they are not set.
    ///
    /// # Errors
    /// A file that is not what it must be, a key that does not fit.
    pub fn identity(
        &self,
        provider: &CryptoProvider,
    ) -> Result<Option<Arc<CertifiedKey>>, TlsFileProblem> {
        let (Some(chain), Some(key)) = (self.chain()?, self.key()?) else {
            return Ok(None);
        };
        match CertifiedKey::from_der(chain, key, provider) {
            Ok(identity) => Ok(Some(Arc::new(identity))),
            Err(Error::InconsistentKeys(_)) => Err(TlsFileProblem::Key(FileFault::OtherKey)),
            Err(error @ Error::InvalidCertificate(_)) => {
                Err(TlsFileProblem::Certificate(FileFault::Unusable(error)))
            }
            Err(error) => Err(TlsFileProblem::Key(FileFault::Unusable(error))),
        }
    }

    /// All that is wrong with the files.
    pub(super) fn problems(&self, provider: &CryptoProvider) -> Vec<TlsFileProblem> {
        let alone = [
            self.authorities().err(),
            self.chain().err(),
            self.key().err(),
        ];
        let mut problems: Vec<_> = alone.into_iter().flatten().collect();
        let is_identity_told = problems
            .iter()
            .any(|problem| !matches!(problem, TlsFileProblem::Ca(_)));
        if !is_identity_told {
            problems.extend(self.identity(provider).err());
        }
        problems
    }

    fn chain(&self) -> Result<Option<Vec<CertificateDer<'static>>>, TlsFileProblem> {
        let read = |path: &PathBuf| certificates(path).map_err(TlsFileProblem::Certificate);
        self.client_certificate.as_ref().map(read).transpose()
    }

    fn key(&self) -> Result<Option<PrivateKeyDer<'static>>, TlsFileProblem> {
        let read = |path: &PathBuf| {
            PrivateKeyDer::from_pem_file(path).map_err(|error| TlsFileProblem::Key(error.into()))
        };
        self.client_key.as_ref().map(read).transpose()
    }
}

/// The certificates of a PEM file, at least one.
fn certificates(path: &PathBuf) -> Result<Vec<CertificateDer<'static>>, FileFault> {
    let found: Vec<_> = CertificateDer::pem_file_iter(path)?.collect::<Result<_, _>>()?;
    if found.is_empty() {
        return Err(FileFault::Empty);
    }
    Ok(found)
}

impl From<pem::Error> for FileFault {
    fn from(error: pem::Error) -> Self {
        match error {
            pem::Error::Io(error) => Self::Unreadable(error),
            pem::Error::NoItemsFound => Self::Empty,
            _ => Self::Damaged,
        }
    }
}
