//! A folder with a server's certificate and key, and clients that trust it.

use std::path::Path;

use tempfile::TempDir;

use super::certificates::{Authority, Identity, file};
use super::test_app::over;
use super::tls_client::{NAME, TlsClient, Wants};

/// Who the server is, and the files that say so.
pub(crate) struct TlsSite {
    pub(crate) authority: Authority,
    folder: TempDir,
}

impl TlsSite {
    pub(crate) fn new() -> Self {
        let site = Self {
            authority: Authority::new(),
            folder: tempfile::tempdir().unwrap(),
        };
        site.write(&site.authority.identity(NAME));
        site
    }

    pub(crate) fn path(&self) -> &Path {
        self.folder.path()
    }

    /// Puts a certificate and its key where the server reads them.
    pub(crate) fn write(&self, identity: &Identity) {
        file(self.path(), "server.pem", &identity.certificate);
        file(self.path(), "server.key", &identity.key);
    }

    /// `[server.tls]`, and `toml` laid over it.
    pub(crate) fn toml(&self, toml: &str) -> String {
        let path = |name: &str| self.path().join(name);
        let base = format!(
            "[server.tls]\ncertificate = {:?}\nkey = {:?}",
            path("server.pem"),
            path("server.key")
        );
        over(&base, toml)
    }

    /// Settings to ask clients for a certificate of this authority's.
    pub(crate) fn asking(&self, client_auth: &str, authority: &Authority) -> String {
        let ca = file(self.path(), "client-ca.pem", &authority.pem());
        self.toml(&format!(
            "[server.tls]\nclient_ca = {ca:?}\nclient_auth = '{client_auth}'"
        ))
    }

    pub(crate) fn client(&self, wants: &Wants<'_>) -> TlsClient {
        TlsClient::new(&self.authority, wants)
    }
}
