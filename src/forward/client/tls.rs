//! TLS towards Brokers: whom to believe, who to be, and what an error means to whoever has to mend it.

use std::error::Error as StdError;
use std::io;
use std::sync::Arc;

use rustls::client::ResolvesClientCert;
use rustls::sign::SingleCertAndKey;
use rustls::{
    AlertDescription, CertificateError, ClientConfig, Error, InvalidMessage, RootCertStore,
};

use super::SetupError;
use crate::config::{self, FormFault, OwnCertificate};
use crate::telemetry::Telemetry;

/// What all connections to Brokers with `https` URLs share, resumed sessions included.
pub(in crate::forward) fn client_config(
    tls: &config::BrokerTls,
    telemetry: &Telemetry,
) -> Result<Arc<ClientConfig>, SetupError> {
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let certificate = tls.own_certificate(&provider)?;
    let roots = match tls.authorities()? {
        Some(roots) => roots,
        None => roots_of_the_system()?,
    };
    let builder = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .expect("the provider knows the suites of both versions of TLS")
        .with_root_certificates(roots);
    let mut config = match certificate {
        Some(OwnCertificate {
            certified,
            setting,
            expires_at,
        }) => {
            telemetry.certificate_in_use(setting, expires_at);
            let shown: Arc<dyn ResolvesClientCert> = Arc::new(SingleCertAndKey::from(certified));
            builder.with_client_cert_resolver(shown)
        }
        None => builder.with_no_client_auth(),
    };
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    Ok(Arc::new(config))
}

/// A certificate that cannot be read is passed over: systems carry odd ones, and one is enough.
fn roots_of_the_system() -> Result<RootCertStore, SetupError> {
    let mut roots = RootCertStore::empty();
    roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
    if roots.is_empty() {
        return Err(SetupError::NoAuthorities);
    }
    Ok(roots)
}

/// What an error says, and where TLS is the matter, what to mend.
pub(super) fn explain(error: &(dyn StdError + 'static)) -> String {
    match innermost(error).downcast_ref::<Error>() {
        Some(error) => format!("{error}{}", advice(error)),
        None => without_link(&innermost(error).to_string()).to_owned(),
    }
}

/// rustls tells of an end without close_notify with a link to its manual, which is for programmers.
fn without_link(told: &str) -> &str {
    told.split_once(": https://").map_or(told, |(told, _)| told)
}

fn advice(error: &Error) -> &'static str {
    match error {
        // A bad signature is that of an authority which has the same name as one that is believed, and another key.
        Error::InvalidCertificate(
            CertificateError::UnknownIssuer | CertificateError::BadSignature,
        ) => {
            "; no authority that is believed has signed the Broker's certificate: put its authority's into the file of broker.tls.ca"
        }
        Error::InvalidCertificate(
            CertificateError::NotValidForName | CertificateError::NotValidForNameContext { .. },
        ) => "; the Broker's certificate is for another name: check the host in broker.urls",
        Error::InvalidCertificate(
            CertificateError::Expired | CertificateError::ExpiredContext { .. },
        ) => {
            "; the Broker's certificate has expired: let it be renewed there, or set the clock here if that is wrong"
        }
        Error::InvalidCertificate(
            CertificateError::NotValidYet | CertificateError::NotValidYetContext { .. },
        ) => "; the Broker's certificate begins later: set the clock here if that is wrong",
        Error::InvalidCertificate(error) => match FormFault::of(error) {
            Some(FormFault::OfAuthority) => {
                "; the Broker's certificate is that of an authority, as `openssl req -x509` makes one: let it be made with the extension basicConstraints=CA:FALSE"
            }
            Some(FormFault::OldVersion) => {
                "; the Broker's certificate is of X.509 version 1: let it be made with the extension subjectAltName"
            }
            None => "; the Broker's certificate is not to be believed",
        },
        Error::AlertReceived(AlertDescription::CertificateExpired) => {
            "; to the Broker, broker.tls.client_certificate has expired: renew it and restart"
        }
        Error::AlertReceived(
            AlertDescription::CertificateRequired
            | AlertDescription::HandshakeFailure
            | AlertDescription::BadCertificate
            | AlertDescription::UnsupportedCertificate
            | AlertDescription::CertificateUnknown
            | AlertDescription::UnknownCA
            | AlertDescription::AccessDenied,
        ) => {
            "; the Broker refuses: check broker.tls.client_certificate and broker.tls.client_key, which it may ask for"
        }
        Error::InvalidMessage(InvalidMessage::InvalidContentType) => {
            "; what answers does not speak TLS: check scheme and port in broker.urls"
        }
        _ => "",
    }
}

/// The innermost error, which tells most.
fn innermost<'a>(error: &'a (dyn StdError + 'static)) -> &'a (dyn StdError + 'static) {
    let mut error = error;
    loop {
        // `source` of an I/O error skips the very error that it wraps.
        let wrapped = error
            .downcast_ref::<io::Error>()
            .and_then(io::Error::get_ref);
        let source = wrapped.map(|wrapped| wrapped as &(dyn StdError + 'static));
        match source.or_else(|| error.source()) {
            Some(source) => error = source,
            None => return error,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_error_of_tls_is_found_however_deep_and_says_what_to_mend() {
        let wrapped =
            |error: Error| io::Error::other(io::Error::new(io::ErrorKind::InvalidData, error));
        for (error, words) in [
            (
                Error::InvalidCertificate(CertificateError::UnknownIssuer),
                "broker.tls.ca",
            ),
            (
                Error::InvalidCertificate(CertificateError::NotValidForName),
                "the host in broker.urls",
            ),
            (
                Error::InvalidCertificate(CertificateError::Expired),
                "certificate has expired",
            ),
            (
                Error::InvalidCertificate(CertificateError::NotValidYet),
                "the clock",
            ),
            (
                Error::AlertReceived(AlertDescription::CertificateExpired),
                "client_certificate has expired",
            ),
            (
                Error::AlertReceived(AlertDescription::CertificateRequired),
                "broker.tls.client_certificate",
            ),
            (
                Error::InvalidMessage(InvalidMessage::InvalidContentType),
                "scheme and port",
            ),
        ] {
            let told = explain(&wrapped(error));
            assert!(told.contains(words), "{told}");
        }
        let refused = io::Error::from(io::ErrorKind::ConnectionRefused);
        assert_eq!(explain(&refused), "connection refused");
        let cut = "it ended without close_notify: https://docs.rs/rustls#unexpected-eof";
        let cut = io::Error::new(io::ErrorKind::UnexpectedEof, cut);
        assert_eq!(explain(&cut), "it ended without close_notify");
    }
}
