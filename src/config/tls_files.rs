//! The PEM files of TLS, of either side: reading them, and what is wrong with them.

use std::fmt;
use std::path::Path;
use std::sync::Arc;

use jiff::Timestamp;
use rustls::crypto::CryptoProvider;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, pem};
use rustls::sign::CertifiedKey;
use rustls::{CertificateError, Error, RootCertStore};
use seglog::is_out_of_handles;
use thiserror::Error;
use x509_cert::Certificate;
use x509_cert::der::Decode;

use crate::config::Config;
use crate::config::merge::Merge;

/// A file is not what it must be. Neither path nor contents are part of the words: someone may have written a key
/// itself where its file belongs.
#[derive(Debug, Error)]
#[error("{setting}: must be {}", self.allowed())]
pub struct TlsFileProblem {
    setting: &'static str,
    content: Content,
    fault: FileFault,
}

/// What a file has to hold.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Content {
    Authorities,
    Certificate,
    Key,
}

impl fmt::Display for Content {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Authorities => "certificates of authorities",
            Self::Certificate => "a certificate",
            Self::Key => "an unencrypted private key",
        })
    }
}

/// What is wrong with a file.
#[derive(Debug, Error)]
enum FileFault {
    /// It cannot be read.
    #[error("cannot be read ({0})")]
    Unreadable(std::io::Error),
    /// It has no section of the kind.
    #[error("holds none")]
    Empty,
    /// It has one that is broken.
    #[error("is damaged")]
    Damaged,
    /// It has a key that needs a password.
    #[error("is encrypted: decrypt it, for instance with `openssl pkey`")]
    Encrypted,
    /// It has one that cannot be used.
    #[error("cannot be used ({0})")]
    Unusable(Error),
    /// It has something else where a certificate ought to be.
    #[error("cannot be used: what it holds is no X.509 certificate")]
    NoCertificate,
    /// It has a certificate of [`FormFault::OldVersion`].
    #[error(
        "cannot be used: it is of X.509 version 1, and TLS needs version 3: let it be made with the extension subjectAltName"
    )]
    OldVersion,
    /// The key is that of another certificate than that of this setting.
    #[error("is not the key of {0}")]
    OtherKey(&'static str),
}

/// What can be wrong with a certificate whoever has signed it. The library has only a name for each.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FormFault {
    /// It is that of an authority, which may not be a server's, as `openssl req -x509` makes one.
    OfAuthority,
    /// It has no extensions, as `openssl x509 -req` makes one unless it is given some.
    OldVersion,
}

impl FormFault {
    /// The fault that the library names; none where it is another one.
    pub fn of(error: &CertificateError) -> Option<Self> {
        let CertificateError::Other(named) = error else {
            return None;
        };
        match named.to_string().as_str() {
            "CaUsedAsEndEntity" => Some(Self::OfAuthority),
            "UnsupportedCertVersion" => Some(Self::OldVersion),
            _ => None,
        }
    }
}

impl TlsFileProblem {
    /// Whether it is no fault of the file's: no further one can be open now.
    pub fn is_out_of_handles(&self) -> bool {
        matches!(&self.fault, FileFault::Unreadable(error) if is_out_of_handles(error))
    }

    /// What the setting must be, and is not.
    pub(super) fn allowed(&self) -> String {
        let Self { content, fault, .. } = self;
        format!("the path of a PEM file with {content}: this one {fault}")
    }
}

/// The certificate that this side shows.
#[derive(Debug)]
pub struct OwnCertificate {
    /// With its chain and its key.
    pub certified: Arc<CertifiedKey>,
    /// The setting that names its file.
    pub setting: &'static str,
    /// When the first of the chain expires; none where that cannot be read.
    pub expires_at: Option<Timestamp>,
}

/// A setting, and the path that it has.
#[derive(Clone, Copy)]
pub(super) struct TlsFile<'a> {
    setting: &'static str,
    path: Option<&'a Path>,
}

impl<'a> TlsFile<'a> {
    pub(super) const fn new(setting: &'static str, path: Option<&'a Path>) -> Self {
        Self { setting, path }
    }

    /// What is read of the file; none where the setting is not set.
    fn read<T>(
        self,
        content: Content,
        read: impl FnOnce(&Path) -> Result<T, FileFault>,
    ) -> Result<Option<T>, TlsFileProblem> {
        let read = |path| read(path).map_err(|fault| self.problem(content, fault));
        self.path.map(read).transpose()
    }

    const fn problem(self, content: Content, fault: FileFault) -> TlsFileProblem {
        TlsFileProblem {
            setting: self.setting,
            content,
            fault,
        }
    }
}

/// The files of one side: whom to believe, and who to be.
#[derive(Clone, Copy)]
pub(super) struct TlsFiles<'a> {
    pub(super) authorities: TlsFile<'a>,
    pub(super) certificate: TlsFile<'a>,
    pub(super) key: TlsFile<'a>,
}

impl TlsFiles<'_> {
    /// The settings that are set.
    pub(super) fn settings(self) -> Vec<&'static str> {
        [self.authorities, self.certificate, self.key]
            .into_iter()
            .filter_map(|file| file.path.map(|_| file.setting))
            .collect()
    }

    pub(super) fn authorities(self) -> Result<Option<RootCertStore>, TlsFileProblem> {
        self.authorities.read(Content::Authorities, roots)
    }

    /// The certificate with its key; none where they are not set.
    pub(super) fn own_certificate(
        self,
        provider: &CryptoProvider,
    ) -> Result<Option<OwnCertificate>, TlsFileProblem> {
        let (Some(chain), Some(key)) = (self.chain()?, self.private_key()?) else {
            return Ok(None);
        };
        let expires_at = first_expiry(&chain);
        match CertifiedKey::from_der(chain, key, provider) {
            Ok(certified) => Ok(Some(OwnCertificate {
                certified: Arc::new(certified),
                setting: self.certificate.setting,
                expires_at,
            })),
            Err(Error::InconsistentKeys(_)) => {
                let fault = FileFault::OtherKey(self.certificate.setting);
                Err(self.key.problem(Content::Key, fault))
            }
            Err(Error::InvalidCertificate(error)) => {
                let fault = of_certificate(error);
                Err(self.certificate.problem(Content::Certificate, fault))
            }
            Err(error) => Err(self.key.problem(Content::Key, FileFault::Unusable(error))),
        }
    }

    /// All that is wrong with the files.
    fn problems(self, provider: &CryptoProvider) -> Vec<TlsFileProblem> {
        let alone = [
            self.authorities().err(),
            self.chain().err(),
            self.private_key().err(),
        ];
        let mut problems: Vec<_> = alone.into_iter().flatten().collect();
        let is_certificate_told = problems
            .iter()
            .any(|problem| problem.content != Content::Authorities);
        if !is_certificate_told {
            problems.extend(self.own_certificate(provider).err());
        }
        problems
    }

    fn chain(self) -> Result<Option<Vec<CertificateDer<'static>>>, TlsFileProblem> {
        self.certificate.read(Content::Certificate, certificates)
    }

    fn private_key(self) -> Result<Option<PrivateKeyDer<'static>>, TlsFileProblem> {
        self.key.read(Content::Key, private_key)
    }
}

/// Notes every file of TLS that is not what it must be.
pub(super) fn check(config: &Config, merge: &mut Merge<'_>) {
    let provider = rustls::crypto::ring::default_provider();
    for files in [config.server.tls.files(), config.broker.tls.files()] {
        for problem in files.problems(&provider) {
            if problem.is_out_of_handles() {
                merge.out_of_handles(problem.setting, problem.allowed());
            } else {
                merge.refuse(problem.setting, problem.allowed());
            }
        }
    }
}

fn roots(path: &Path) -> Result<RootCertStore, FileFault> {
    let mut roots = RootCertStore::empty();
    for certificate in certificates(path)? {
        roots.add(certificate).map_err(|error| match error {
            Error::InvalidCertificate(error) => of_certificate(error),
            error => FileFault::Unusable(error),
        })?;
    }
    Ok(roots)
}

/// The certificates of a file, at least one.
fn certificates(path: &Path) -> Result<Vec<CertificateDer<'static>>, FileFault> {
    let found: Vec<_> = CertificateDer::pem_file_iter(path)?.collect::<Result<_, _>>()?;
    if found.is_empty() {
        return Err(FileFault::Empty);
    }
    Ok(found)
}

/// The library speaks of a peer's certificate, whosever it is, and in names of its own.
fn of_certificate(error: CertificateError) -> FileFault {
    match error {
        CertificateError::BadEncoding => FileFault::NoCertificate,
        error if FormFault::of(&error) == Some(FormFault::OldVersion) => FileFault::OldVersion,
        error => FileFault::Unusable(Error::InvalidCertificate(error)),
    }
}

/// When the first of these expires. One whose time cannot be read is passed over: it is the peer that judges it.
fn first_expiry(chain: &[CertificateDer<'_>]) -> Option<Timestamp> {
    let expiry = |der: &CertificateDer<'_>| {
        let certificate = Certificate::from_der(der).ok()?;
        let end = certificate.tbs_certificate().validity().not_after;
        Timestamp::from_second(i64::try_from(end.to_unix_duration().as_secs()).ok()?).ok()
    };
    chain.iter().filter_map(expiry).min()
}

fn private_key(path: &Path) -> Result<PrivateKeyDer<'static>, FileFault> {
    let text = std::fs::read(path).map_err(FileFault::Unreadable)?;
    PrivateKeyDer::from_pem_slice(&text).map_err(|error| {
        // Both ways to say it in PEM: in the name of the section, and in a header of it.
        if memchr::memmem::find(&text, b"ENCRYPTED").is_some() {
            return FileFault::Encrypted;
        }
        error.into()
    })
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

#[cfg(test)]
mod tests {
    use std::io;

    use rcgen::{CertificateParams, KeyPair, date_time_ymd};

    use super::*;

    #[test]
    fn a_file_that_cannot_be_opened_now_is_told_from_one_that_is_wrong() {
        const ENOENT: i32 = 2;
        const ENFILE: i32 = 23;
        const EMFILE: i32 = 24;
        let fault = |code| FileFault::Unreadable(io::Error::from_raw_os_error(code));
        let of_library = |code| pem::Error::Io(io::Error::from_raw_os_error(code)).into();
        for (fault, expected) in [
            (fault(EMFILE), true),
            (fault(ENFILE), true),
            (of_library(EMFILE), true),
            (fault(ENOENT), false),
            (FileFault::Empty, false),
        ] {
            let file = TlsFile::new("server.tls.key", None);
            let problem = file.problem(Content::Key, fault);
            assert_eq!(problem.is_out_of_handles(), expected, "{problem}");
        }
    }
    #[test]
    fn a_chain_lasts_as_long_as_the_first_of_it_that_expires() {
        let expiring = |year| {
            let mut params = CertificateParams::default();
            params.not_after = date_time_ymd(year, 2, 3);
            let key = KeyPair::generate().unwrap();
            params.self_signed(&key).unwrap().der().clone()
        };
        // From 2050 on the time is written in another form (RFC 5280, 4.1.2.5).
        let chain = [expiring(2060), expiring(2040), expiring(2050)];
        let expected = "2040-02-03T00:00:00Z".parse().ok();
        assert_eq!(first_expiry(&chain), expected);
        let expected = "2060-02-03T00:00:00Z".parse().ok();
        assert_eq!(first_expiry(&chain[..1]), expected);
        assert_eq!(first_expiry(&[CertificateDer::from_slice(b"none")]), None);
    }
}
