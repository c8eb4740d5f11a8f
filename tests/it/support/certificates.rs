//! An authority and what it has signed, made anew for each test.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair, date_time_ymd};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::WebPkiClientVerifier;
use rustls::{RootCertStore, ServerConfig};

/// An authority.
pub(crate) struct Authority {
    issuer: CertifiedIssuer<'static, KeyPair>,
}

/// A certificate and its key, as PEM.
pub(crate) struct Identity {
    pub(crate) certificate: String,
    pub(crate) key: String,
}

impl Authority {
    pub(crate) fn new() -> Self {
        let mut params = CertificateParams::default();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let key = KeyPair::generate().unwrap();
        Self {
            issuer: CertifiedIssuer::self_signed(params, key).unwrap(),
        }
    }

    pub(crate) fn pem(&self) -> String {
        self.issuer.pem()
    }

    /// What believes this authority and no other.
    pub(crate) fn roots(&self) -> RootCertStore {
        let mut roots = RootCertStore::empty();
        roots.add(self.issuer.der().clone()).unwrap();
        roots
    }

    /// A certificate for this name or address.
    pub(crate) fn identity(&self, name: &str) -> Identity {
        self.sign(&CertificateParams::new([name.to_owned()]).unwrap())
    }

    /// One that expired on 3 February 2001.
    pub(crate) fn expired_identity(&self, name: &str) -> Identity {
        let mut params = CertificateParams::new([name.to_owned()]).unwrap();
        params.not_after = date_time_ymd(2001, 2, 3);
        self.sign(&params)
    }

    fn sign(&self, params: &CertificateParams) -> Identity {
        let key = KeyPair::generate().unwrap();
        let certificate = params.signed_by(&key, &self.issuer).unwrap();
        Identity {
            certificate: certificate.pem(),
            key: key.serialize_pem(),
        }
    }

    /// How a Broker speaks TLS that shows the authority's own certificate, as `openssl req -x509` makes one.
    pub(crate) fn as_a_server(&self) -> ServerConfig {
        let key = PrivateKeyDer::try_from(self.issuer.key().serialize_der()).unwrap();
        let chain = vec![self.issuer.der().clone()];
        let builder = builder().with_no_client_auth();
        builder.with_single_cert(chain, key).unwrap()
    }

    /// How a Broker at 127.0.0.1 speaks TLS.
    pub(crate) fn server(&self) -> ServerConfig {
        self.server_for("127.0.0.1")
    }

    /// How a Broker of this name speaks TLS.
    pub(crate) fn server_for(&self, name: &str) -> ServerConfig {
        let identity = self.identity(name);
        let builder = builder().with_no_client_auth();
        builder
            .with_single_cert(identity.chain(), identity.private_key())
            .unwrap()
    }

    /// How a Broker speaks TLS that demands a certificate of this authority's from its clients.
    pub(crate) fn demanding_server(&self) -> ServerConfig {
        let identity = self.identity("127.0.0.1");
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let roots = Arc::new(self.roots());
        let verifier = WebPkiClientVerifier::builder_with_provider(roots, provider);
        let builder = builder().with_client_cert_verifier(verifier.build().unwrap());
        builder
            .with_single_cert(identity.chain(), identity.private_key())
            .unwrap()
    }
}

impl Identity {
    pub(crate) fn chain(&self) -> Vec<CertificateDer<'static>> {
        vec![CertificateDer::from_pem_slice(self.certificate.as_bytes()).unwrap()]
    }

    pub(crate) fn private_key(&self) -> PrivateKeyDer<'static> {
        PrivateKeyDer::from_pem_slice(self.key.as_bytes()).unwrap()
    }
}

fn builder() -> rustls::ConfigBuilder<ServerConfig, rustls::WantsVerifier> {
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let builder = ServerConfig::builder_with_provider(provider);
    builder.with_safe_default_protocol_versions().unwrap()
}

/// Writes a file and gives its path.
pub(crate) fn file(folder: &Path, name: &str, text: &str) -> PathBuf {
    let path = folder.join(name);
    std::fs::write(&path, text).unwrap();
    path
}
