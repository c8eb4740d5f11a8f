//! The files of `[server.tls]`: what is wrong with them is told with its key, they are followed while the server runs,
//! and `headgate health` needs none of them.

use std::path::{Path, PathBuf};

use rcgen::{CertificateParams, KeyPair};
use serde_json::Value;

use crate::support::certificates::{Authority, Identity, file};
use crate::support::client::Answer;
use crate::support::eventually;
use crate::support::program::run;
use crate::support::site::Site;
use crate::support::test_app::{TestApp, config};
use crate::support::tls_client::{NAME, ONLY_12, TlsClient, Wants};

/// Puts a certificate and its key into a folder; the settings that name them.
fn write(folder: &Path, identity: &Identity) -> String {
    let certificate = file(folder, "server.pem", &identity.certificate);
    let key = file(folder, "server.key", &identity.key);
    format!("[server.tls]\ncertificate = {certificate:?}\nkey = {key:?}\n")
}

/// A certificate of X.509 version 1, as `openssl x509 -req` makes it by itself.
const OF_VERSION_1: &str = "\
-----BEGIN CERTIFICATE-----
MIIBFDCBuwIULLvohVBefshHieIkWcM3aFHbOSEwCgYIKoZIzj0EAwIwDDEKMAgG
A1UEAwwBeDAgFw0yNjExMzAwNzUyNDFaGA8yMTI2MTEwNjA3NTI0MVowDDEKMAgG
A1UEAwwBeDBZMBMGByqGSM49AgEGCCqGSM49AwEHA0IABLmKWpsuBIBbkeAg4Y07
rQC3WGvLJ1VV2LlRpozuY2HTAcC2Ry5pEMgZUfYXUyC8HcwU6nn1mEwLIHplIdDW
FGowCgYIKoZIzj0EAwIDSAAwRQIgcg75BbRiB23KmgbxZOp1T9wMaBYAw0/PkChT
xPLFIdQCIQDLNPjAp1wKYEbexeUAm0rEwWXuDXFmzbZUhZ0l54S7OA==
-----END CERTIFICATE-----
";

#[test]
fn every_wrong_file_is_told_with_its_key() {
    let folder = tempfile::tempdir().unwrap();
    let authority = Authority::new();
    let (one, other) = (authority.identity(NAME), authority.identity(NAME));
    let at = |name: &str, text: &str| Some(file(folder.path(), name, text));
    let certificate = at("one.pem", &one.certificate);
    let key = at("one.key", &one.key);
    let other_key = at("other.key", &other.key);
    let damaged = at(
        "damaged.pem",
        "-----BEGIN CERTIFICATE-----\n!\n-----END CERTIFICATE-----\n",
    );
    let no_certificate = at(
        "no-certificate.pem",
        "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n",
    );
    let of_version_1 = at("v1.pem", OF_VERSION_1);
    let nothing = at("nothing.pem", "");
    let encrypted = at(
        "encrypted.key",
        "-----BEGIN ENCRYPTED PRIVATE KEY-----\nAAAA\n-----END ENCRYPTED PRIVATE KEY-----\n",
    );
    let encrypted_of_old = at(
        "old.key",
        "-----BEGIN RSA PRIVATE KEY-----\nProc-Type: 4,ENCRYPTED\nDEK-Info: AES-128-CBC,00\n\nAAAA\n-----END RSA PRIVATE KEY-----\n",
    );
    let missing = folder.path().join("missing.pem");
    let key_is_missing = format!("tls.key = {missing:?}");
    let missing = Some(missing);
    let cases: [(&[&Option<PathBuf>], &[&str]); 12] = [
        (
            &[&certificate, &None],
            &["tls.certificate = ", "tls.key = \"\"", "both must be set"],
        ),
        (
            &[&None, &key],
            &["tls.certificate = \"\"", "both must be set"],
        ),
        (
            &[&missing, &key],
            &["server.tls.certificate = ", "cannot be read"],
        ),
        (
            &[&damaged, &key],
            &["server.tls.certificate = ", "is damaged"],
        ),
        (
            &[&no_certificate, &key],
            &["server.tls.certificate = ", "no X.509 certificate"],
        ),
        (
            &[&of_version_1, &key],
            &[
                "server.tls.certificate = ",
                "X.509 version 1",
                "subjectAltName",
            ],
        ),
        (
            &[&nothing, &missing],
            &["tls.certificate = ", "holds none", &key_is_missing],
        ),
        (
            &[&certificate, &certificate],
            &["server.tls.key = ", "holds none"],
        ),
        (
            &[&certificate, &other_key],
            &["server.tls.key = ", "not the key of server.tls.certificate"],
        ),
        (
            &[&certificate, &encrypted],
            &["server.tls.key = ", "is encrypted", "openssl pkey"],
        ),
        (
            &[&certificate, &encrypted_of_old],
            &["server.tls.key = ", "is encrypted"],
        ),
        (
            &[&certificate, &key, &nothing],
            &["server.tls.client_ca = ", "holds none"],
        ),
    ];
    for (paths, words) in cases {
        let names = ["certificate", "key", "client_ca"];
        let lines = names.into_iter().zip(paths).filter_map(|(name, path)| {
            let path = path.as_ref()?;
            Some(format!("{name} = {path:?}\n"))
        });
        let toml = format!("[server.tls]\n{}", lines.collect::<String>());
        let errors = config(folder.path(), &toml).unwrap_err().to_string();
        for word in words {
            assert!(errors.contains(word), "no {word} in {errors}");
        }
    }
}

#[test]
fn client_certificates_need_an_authority_and_tls() {
    let folder = tempfile::tempdir().unwrap();
    let authority = Authority::new();
    let ca = file(folder.path(), "ca.pem", &authority.pem());
    let on = write(folder.path(), &authority.identity(NAME));
    for (toml, words) in [
        (
            format!("{on}client_auth = 'required'"),
            "a client's certificate is checked against client_ca: set it",
        ),
        (
            format!("{on}client_auth = 'optional'"),
            "server.tls.client_auth = \"optional\"",
        ),
        (
            format!("{on}client_ca = {ca:?}"),
            "set client_auth to \"optional\" or \"required\"",
        ),
        (
            format!("{on}client_auth = 'maybe'"),
            "server.tls.client_auth = \"maybe\": must be",
        ),
        (
            format!("[server.tls]\nclient_auth = 'required'\nclient_ca = {ca:?}"),
            "within TLS only: set certificate and key",
        ),
    ] {
        let errors = config(folder.path(), &toml).unwrap_err().to_string();
        assert!(errors.contains(words), "no {words} in {errors}");
        assert_eq!(errors.lines().count(), 1, "{errors}");
    }
    let toml = format!("{on}client_auth = 'required'\nclient_ca = {ca:?}");
    assert!(config(folder.path(), &toml).unwrap().server.tls.is_on());
    let unset = "[server.tls]\ncertificate = ''\nkey = ''\nclient_ca = ''";
    assert!(!config(folder.path(), unset).unwrap().server.tls.is_on());
}

/// The answer about health on a connection of its own; none when there is no agreement upon TLS.
async fn health(client: &TlsClient, app: &TestApp) -> Option<Answer> {
    let stream = client.try_open(app.public()).await.ok()?;
    let mut connection = crate::support::client::Connection::over(stream);
    Some(connection.request("GET", "/health", &[], "").await)
}

#[tokio::test]
async fn a_new_certificate_is_for_new_connections_and_open_ones_live_on() {
    let folder = tempfile::tempdir().unwrap();
    let (old, new) = (Authority::new(), Authority::new());
    let app = TestApp::start(&write(folder.path(), &old.identity(NAME))).await;
    let old_client = TlsClient::new(&old, &Wants::default());
    let new_client = TlsClient::new(&new, &Wants::default());
    let mut open = old_client.connect(app.public()).await;
    assert_eq!(open.request("GET", "/health", &[], "").await.status, 200);
    assert!(health(&new_client, &app).await.is_none());
    write(folder.path(), &new.identity(NAME));
    let answer = eventually("the new certificate", async || {
        health(&new_client, &app).await
    })
    .await;
    assert_eq!(answer.status, 200);
    assert_eq!(open.request("GET", "/health", &[], "").await.status, 200);
    // Not even its ticket is worth anything.
    assert!(health(&old_client, &app).await.is_none());
    app.finish().await;
}

#[tokio::test]
async fn a_new_authority_of_clients_is_followed_too() {
    let folder = tempfile::tempdir().unwrap();
    let (authority, old, new) = (Authority::new(), Authority::new(), Authority::new());
    let ca = file(folder.path(), "ca.pem", &old.pem());
    let on = write(folder.path(), &authority.identity(NAME));
    let toml = format!("{on}client_ca = {ca:?}\nclient_auth = 'required'");
    let app = TestApp::start(&toml).await;
    // With TLS 1.2 the client knows at the end of the handshake whether it is let in.
    let client = |of: &Authority| {
        let identity = of.identity("client.test");
        TlsClient::new(
            &authority,
            &Wants {
                versions: ONLY_12,
                certificate: Some(&identity),
                ..Wants::default()
            },
        )
    };
    let (old_client, new_client) = (client(&old), client(&new));
    assert_eq!(health(&old_client, &app).await.unwrap().status, 200);
    assert!(health(&new_client, &app).await.is_none());
    file(folder.path(), "ca.pem", &new.pem());
    eventually("the new authority", async || {
        health(&new_client, &app).await
    })
    .await;
    // It would resume its session, in which it has shown a good certificate.
    assert!(health(&old_client, &app).await.is_none());
    app.finish().await;
}

#[tokio::test]
async fn files_that_do_not_fit_change_nothing_and_are_told_once() {
    let (old, new) = (Authority::new(), Authority::new());
    let site = Site::new("");
    let folder = site.path("");
    let toml = write(&folder, &old.identity(NAME));
    site.configure(&toml);
    let mut program = site.serve();
    let renewed = new.identity(NAME);
    file(&folder, "server.pem", &renewed.certificate);
    program.until_logged("cannot be used: nothing has changed for connections");
    let status = program.operator().status().await;
    assert_eq!(status["config"]["certificate_refused"], true);
    let old_client = TlsClient::new(&old, &Wants::default());
    let new_client = TlsClient::new(&new, &Wants::default());
    let mut connection = old_client.connect(program.public).await;
    let answer = connection.request("GET", "/health", &[], "").await;
    assert_eq!(answer.status, 200);
    file(&folder, "server.key", &renewed.key);
    program.until_logged("new connections use the new ones");
    let status = program.operator().status().await;
    assert_eq!(status["config"]["certificate_refused"], false);
    assert!(new_client.try_open(program.public).await.is_ok());
    let log = program.kill();
    let refused: Vec<_> = log
        .iter()
        .filter(|line| line.contains("cannot be used"))
        .collect();
    let [line] = &refused[..] else {
        panic!("told once: {log:#?}");
    };
    let reason = "server.tls.key: must be the path of a PEM file with an unencrypted private key: this one is not the key of server.tls.certificate";
    assert!(line.contains(reason), "{line}");
}

#[tokio::test]
async fn when_the_certificate_in_use_expires_is_told() {
    let authority = Authority::new();
    let site = Site::new("");
    let folder = site.path("");
    let mut toml = write(&folder, &authority.expired_identity(NAME));
    let shown = authority.identity("client.test");
    let certificate = file(&folder, "client.pem", &shown.certificate);
    let key = file(&folder, "client.key", &shown.key);
    toml += &format!(
        "[broker]\nurls = ['https://127.0.0.1:9']\n[broker.tls]\nclient_certificate = {certificate:?}\nclient_key = {key:?}\n"
    );
    site.configure(&toml);
    let mut program = site.serve();
    let operator = program.operator();
    let expiry = async |setting: &str| {
        let status = operator.status().await;
        let certificates = status["certificates"].as_array().unwrap();
        let of_setting = |summary: &&Value| summary["setting"] == setting;
        let summary = certificates.iter().find(of_setting).unwrap();
        let at = summary["expires_at"].as_str().unwrap().to_owned();
        (at, summary["expired"].as_bool().unwrap())
    };
    let server = "server.tls.certificate";
    assert_eq!(
        expiry(server).await,
        ("2001-02-03T00:00:00.000Z".to_owned(), true)
    );
    let (at, expired) = expiry("broker.tls.client_certificate").await;
    assert!(at.starts_with("4096-01-01") && !expired, "{at}");
    let samples = operator.samples().await;
    let metric = "headgate_tls_certificate_expiry_timestamp_seconds";
    assert_eq!(
        samples.value(metric, &[("setting", server)]),
        Some(981_158_400.0)
    );
    write(&folder, &authority.identity(NAME));
    program.until_logged("new connections use the new ones");
    assert!(!expiry(server).await.1);
    let words = "the certificate of server.tls.certificate, or one of its chain, has expired";
    let log = program.kill();
    assert_eq!(
        log.iter().filter(|line| line.contains(words)).count(),
        1,
        "{log:#?}"
    );
}

/// A certificate that nobody has signed and that is for no name of this machine's.
fn self_signed() -> Identity {
    let key = KeyPair::generate().unwrap();
    let params = CertificateParams::new([NAME.to_owned()]).unwrap();
    Identity {
        certificate: params.self_signed(&key).unwrap().pem(),
        key: key.serialize_pem(),
    }
}

#[test]
fn the_health_command_asks_whatever_the_listener_speaks() {
    let clients = Authority::new();
    let site = Site::new("");
    let folder = site.path("");
    let tls = write(&folder, &self_signed());
    let ca = file(&folder, "ca.pem", &clients.pem());
    for (toml, scheme) in [
        (String::new(), "http"),
        (tls.clone(), "https"),
        (
            format!("{tls}client_ca = {ca:?}\nclient_auth = 'optional'"),
            "https",
        ),
        (
            format!("{tls}client_ca = {ca:?}\nclient_auth = 'required'"),
            "http",
        ),
    ] {
        site.configure(&toml);
        let program = site.serve();
        // As if these had been the ports from the beginning.
        let told = format!(
            "{}\nlisten = '{}'\n[admin]\nlisten = '{}'\n{}",
            "[server]", program.public, program.admin, toml
        );
        file(&folder, "told.toml", &told);
        let config = site.path("told.toml").display().to_string();
        // Whoever asks need not be able to read the files.
        file(&folder, "server.key", "half of a new k");
        let outcome = run(&["health", "--config", &config], &folder);
        let output = String::from_utf8_lossy(&outcome.stdout).into_owned();
        let errors = String::from_utf8_lossy(&outcome.stderr).into_owned();
        assert_eq!(outcome.status.code(), Some(0), "{toml}: {errors}");
        let is_told = ["\"ok\"", "\"serving\""].map(|word| output.contains(word));
        assert!(is_told.contains(&true), "{output}");
        write(&folder, &self_signed());
        let address = if scheme == "https" || toml.is_empty() {
            program.public
        } else {
            program.admin
        };
        let url = format!("{scheme}://{address}/health");
        let outcome = run(&["health", "--url", &url], &folder);
        assert_eq!(outcome.status.code(), Some(0), "{url}");
        drop(program);
        let outcome = run(&["health", "--url", &url], &folder);
        assert_eq!(outcome.status.code(), Some(1), "{url}");
    }
}
