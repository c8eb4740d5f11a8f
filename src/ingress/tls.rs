//! How the public listener speaks TLS: made of the files of `[server.tls]`, and made anew when they change.

use std::convert::Infallible;
use std::sync::Arc;

use arc_swap::ArcSwap;
use rustls::crypto::ring;
use rustls::server::danger::ClientCertVerifier;
use rustls::server::{
    NoClientAuth, NoServerSessionStorage, ResolvesServerCert, WebPkiClientVerifier,
};
use rustls::sign::SingleCertAndKey;
use rustls::{RootCertStore, ServerConfig};
use tokio::sync::Mutex;
use tokio_rustls::TlsAcceptor;

use super::protocol::Protocol;
use crate::config::{ClientAuth, ServerTls, TlsFileProblem};
use crate::file_watch::FileWatch;
use crate::lifecycle::blocking;
use crate::telemetry::Telemetry;
use crate::telemetry::events::{TlsReloadRefused, TlsReloaded};

/// What new connections agree upon.
pub(super) struct Tls {
    settings: ServerTls,
    /// Loaded once a handshake.
    current: ArcSwap<ServerConfig>,
    watch: Mutex<FileWatch>,
}

impl Tls {
    /// Reads the files; none where TLS is off.
    pub(super) fn open(
        settings: &ServerTls,
        telemetry: &Telemetry,
    ) -> Result<Option<Self>, TlsFileProblem> {
        let watch = FileWatch::new(settings.paths());
        let config = server_config(settings, telemetry)?;
        Ok(config.map(|config| Self {
            settings: settings.clone(),
            current: ArcSwap::from_pointee(config),
            watch: Mutex::new(watch),
        }))
    }

    /// For the next handshake.
    pub(super) fn acceptor(&self) -> TlsAcceptor {
        TlsAcceptor::from(self.current.load_full())
    }

    /// Reads the files again whenever they change, for as long as it is polled.
    pub(super) async fn follow_files(&self, telemetry: &Arc<Telemetry>) -> Infallible {
        let mut watch = self.watch.lock().await;
        loop {
            watch.changed().await;
            let (settings, telling) = (self.settings.clone(), Arc::clone(telemetry));
            match blocking(move || server_config(&settings, &telling)).await {
                Ok(Some(config)) => {
                    self.current.store(Arc::new(config));
                    telemetry.tls.reloaded(true);
                    TlsReloaded.emit();
                }
                Ok(None) => unreachable!("a certificate is set, as it was at the start"),
                Err(problem) => {
                    let is_out_of_handles = problem.is_out_of_handles();
                    if is_out_of_handles {
                        watch.look_again();
                    }
                    telemetry.tls.reloaded(false);
                    TlsReloadRefused {
                        problem: &problem,
                        is_out_of_handles,
                    }
                    .emit();
                }
            }
        }
    }
}

/// Sessions are resumed with tickets, so that none takes memory here. None is resumed where clients show certificates: a
/// resumed one is not asked for its own again, so it would outlast the certificate, for each gives new tickets.
fn server_config(
    settings: &ServerTls,
    telemetry: &Telemetry,
) -> Result<Option<ServerConfig>, TlsFileProblem> {
    let provider = Arc::new(ring::default_provider());
    let Some(certificate) = settings.own_certificate(&provider)? else {
        return Ok(None);
    };
    let verifier = client_verifier(settings, &provider)?;
    telemetry.certificate_in_use(certificate.setting, certificate.expires_at);
    let shown: Arc<dyn ResolvesServerCert> =
        Arc::new(SingleCertAndKey::from(certificate.certified));
    let mut config = ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .expect("the provider knows the suites of both versions of TLS")
        .with_client_cert_verifier(verifier)
        .with_cert_resolver(shown);
    config.alpn_protocols = Protocol::ALPN.map(<[u8]>::to_vec).to_vec();
    if settings.client_auth != ClientAuth::None {
        config.session_storage = Arc::new(NoServerSessionStorage {});
    } else if let Ok(ticketer) = ring::Ticketer::new() {
        // It fails only where the system gives no random bytes, and then no handshake succeeds either.
        config.ticketer = ticketer;
    }
    Ok(Some(config))
}

/// How many bytes of authorities a client is told when it is asked for a certificate. TLS has room for 64 KiB, and the
/// library counts no further; some clients (Java) read no message above 32 KiB.
const MAX_NAMES_BYTES: usize = 30 * 1024;

/// What the names of the authorities take in a request for a certificate (RFC 8446, 4.2.4).
fn names_bytes(roots: &RootCertStore) -> usize {
    let names = roots.subjects().into_iter();
    names.map(|name| 2 + name.as_ref().len()).sum()
}

fn client_verifier(
    settings: &ServerTls,
    provider: &Arc<rustls::crypto::CryptoProvider>,
) -> Result<Arc<dyn ClientCertVerifier>, TlsFileProblem> {
    let roots = match settings.client_auth {
        ClientAuth::None => None,
        ClientAuth::Optional | ClientAuth::Required => settings.client_authorities()?,
    };
    let Some(roots) = roots else {
        return Ok(Arc::new(NoClientAuth));
    };
    let are_told = names_bytes(&roots) <= MAX_NAMES_BYTES;
    let builder =
        WebPkiClientVerifier::builder_with_provider(Arc::new(roots), Arc::clone(provider));
    // They help a client that has several certificates to choose one, and may be left out.
    let builder = if are_told {
        builder
    } else {
        builder.clear_root_hint_subjects()
    };
    let builder = match settings.client_auth {
        ClientAuth::Optional => builder.allow_unauthenticated(),
        ClientAuth::None | ClientAuth::Required => builder,
    };
    let verifier = builder
        .build()
        .expect("there is at least one authority, and no list of revocations that could be bad");
    Ok(verifier)
}

#[cfg(test)]
mod tests {
    use rcgen::{CertificateParams, DnType, KeyPair};

    use super::*;

    /// The certificate of an authority with a name of some 1,000 bytes.
    fn authority(number: usize) -> String {
        let key = KeyPair::generate().unwrap();
        let mut params = CertificateParams::default();
        let name = format!("{number} {}", "x".repeat(1000));
        params
            .distinguished_name
            .push(DnType::OrganizationName, name);
        params.self_signed(&key).unwrap().pem()
    }

    #[test]
    fn authorities_are_told_to_clients_as_long_as_there_is_room() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("ca.pem");
        let provider = Arc::new(ring::default_provider());
        for (count, told) in [(1, 1), (20, 20), (70, 0)] {
            let all: String = (0..count).map(authority).collect();
            std::fs::write(&path, all).unwrap();
            let settings = ServerTls {
                certificate: None,
                key: None,
                client_ca: Some(path.clone()),
                client_auth: ClientAuth::Required,
            };
            let verifier = client_verifier(&settings, &provider).unwrap();
            assert_eq!(verifier.root_hint_subjects().len(), told);
        }
    }
}
