//! Whom `headgate health` asks, and whether the one who answers has to prove who it is.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::sync::Arc;

use anyhow::{Context as _, bail, ensure};
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{CryptoProvider, ring};
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::{ClientConfig, DigitallySignedStruct, Error, RootCertStore, SignatureScheme};
use url::{Host, Url};

use crate::config::{ClientAuth, Config, ProxyProtocol};

/// Whom to ask.
pub(super) struct Target {
    pub(super) url: Url,
    /// Whether it is this machine: nothing is confided to whoever answers there, and certificates are for the names
    /// that clients use, not for this address.
    is_here: bool,
}

impl Target {
    /// The one that the command line names.
    pub(super) fn named(url: &str) -> anyhow::Result<Self> {
        let is_web = |url: &Url| matches!(url.scheme(), "http" | "https") && url.has_host();
        let url = url.parse().ok().filter(is_web).with_context(|| {
            format!(
                "--url {url}: must be an http or https URL, such as http://127.0.0.1:8080/health"
            )
        })?;
        let is_here = match url.host() {
            Some(Host::Ipv4(address)) => address.is_loopback(),
            Some(Host::Ipv6(address)) => address.is_loopback(),
            Some(Host::Domain(name)) => name == "localhost",
            None => false,
        };
        Ok(Self { url, is_here })
    }

    /// The server of this configuration, on this machine.
    pub(super) fn configured(config: &Config) -> anyhow::Result<Self> {
        let tls = &config.server.tls;
        let public = config.server.listen;
        let obstacle = if tls.is_on() && tls.client_auth == ClientAuth::Required {
            Some(
                "server.tls.client_auth is \"required\" and this command has no certificate to show",
            )
        } else if config.server.proxy_protocol == ProxyProtocol::Required {
            Some("server.proxy_protocol is \"required\" and this command is no load balancer")
        } else {
            None
        };
        let (scheme, key, address) = match (obstacle, config.admin.listen) {
            (None, _) if tls.is_on() => ("https", "server.listen", public),
            (None, _) => ("http", "server.listen", public),
            (Some(_), Some(admin)) => ("http", "admin.listen", admin),
            (Some(obstacle), None) => bail!("{obstacle}: set admin.listen, which is asked then"),
        };
        ensure!(
            address.port() != 0,
            "{key} = \"{address}\" lets the system choose a port: say with --url which one it is"
        );
        let url = format!("{scheme}://{}/health", reached(address));
        Ok(Self {
            url: url.parse().context("the address of the server")?,
            is_here: true,
        })
    }

    /// How to speak TLS with it; none for plain HTTP.
    pub(super) fn tls_config(&self) -> anyhow::Result<Option<ClientConfig>> {
        if self.url.scheme() != "https" {
            return Ok(None);
        }
        let provider = Arc::new(ring::default_provider());
        let builder = ClientConfig::builder_with_provider(Arc::clone(&provider))
            .with_safe_default_protocol_versions()?;
        let config = if self.is_here {
            let anyone = Arc::new(Anyone { provider });
            let builder = builder.dangerous().with_custom_certificate_verifier(anyone);
            builder.with_no_client_auth()
        } else {
            let mut roots = RootCertStore::empty();
            roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
            builder.with_root_certificates(roots).with_no_client_auth()
        };
        Ok(Some(config))
    }

    /// The name that its certificate must be for.
    pub(super) fn server_name(&self) -> anyhow::Result<ServerName<'static>> {
        Ok(match self.url.host() {
            Some(Host::Ipv4(address)) => IpAddr::V4(address).into(),
            Some(Host::Ipv6(address)) => IpAddr::V6(address).into(),
            Some(Host::Domain(name)) => ServerName::try_from(name.to_owned())?,
            None => bail!("the URL has no host"),
        })
    }
}

/// The address at which a listener is reached from its own machine.
fn reached(listen: SocketAddr) -> SocketAddr {
    let ip = match listen.ip() {
        IpAddr::V4(ip) if ip.is_unspecified() => Ipv4Addr::LOCALHOST.into(),
        IpAddr::V6(ip) if ip.is_unspecified() => Ipv6Addr::LOCALHOST.into(),
        ip => ip,
    };
    SocketAddr::new(ip, listen.port())
}

/// Believes every certificate; that the other side has its key is checked all the same.
#[derive(Debug)]
struct Anyone {
    provider: Arc<CryptoProvider>,
}

impl ServerCertVerifier for Anyone {
    fn verify_server_cert(
        &self,
        _: &CertificateDer<'_>,
        _: &[CertificateDer<'_>],
        _: &ServerName<'_>,
        _: &[u8],
        _: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        let algorithms = &self.provider.signature_verification_algorithms;
        rustls::crypto::verify_tls12_signature(message, certificate, signature, algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        let algorithms = &self.provider.signature_verification_algorithms;
        rustls::crypto::verify_tls13_signature(message, certificate, signature, algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.provider
            .signature_verification_algorithms
            .supported_schemes()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn configured(change: impl FnOnce(&mut Config)) -> Result<String, String> {
        let mut config = Config::default();
        change(&mut config);
        let target = Target::configured(&config).map_err(|error| error.to_string())?;
        Ok(target.url.to_string())
    }

    fn with_tls(config: &mut Config, client_auth: ClientAuth) {
        config.server.tls.certificate = Some("server.pem".into());
        config.server.tls.client_auth = client_auth;
    }

    #[test]
    fn the_configured_server_is_asked_where_it_is_reached_without_a_certificate() {
        let here = "http://127.0.0.1:8080/health";
        assert_eq!(configured(|_| ()).unwrap(), here);
        let listen = |address: &'static str| {
            configured(|config| config.server.listen = address.parse().unwrap())
        };
        assert_eq!(listen("[::]:9").unwrap(), "http://[::1]:9/health");
        assert_eq!(listen("10.0.0.5:9").unwrap(), "http://10.0.0.5:9/health");
        assert!(listen("127.0.0.1:0").unwrap_err().contains("--url"));
        for auth in [ClientAuth::None, ClientAuth::Optional] {
            let url = configured(|config| with_tls(config, auth));
            assert_eq!(url.unwrap(), "https://127.0.0.1:8080/health");
        }
        let required = configured(|config| with_tls(config, ClientAuth::Required));
        assert_eq!(required.unwrap(), "http://127.0.0.1:8081/health");
        let nobody = configured(|config| {
            with_tls(config, ClientAuth::Required);
            config.admin.listen = None;
        });
        assert!(nobody.unwrap_err().contains("admin.listen"));
    }

    #[test]
    fn only_this_machine_need_not_prove_who_it_is() {
        for (url, is_here) in [
            ("https://127.0.0.1:8443/health", true),
            ("https://[::1]/", true),
            ("https://localhost/", true),
            ("https://localhost.example.com/", false),
            ("https://10.0.0.5/", false),
            ("https://[::ffff:10.0.0.5]/", false),
        ] {
            let target = Target::named(url).unwrap();
            assert_eq!(target.is_here, is_here, "{url}");
        }
        for url in [
            "ftp://127.0.0.1/",
            "unix:/run/headgate",
            "127.0.0.1:8080/health",
            "localhost:8080/health",
        ] {
            assert!(Target::named(url).is_err(), "{url}");
        }
    }
}
