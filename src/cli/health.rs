//! `headgate health`: asks a running server, for container health checks without curl.

mod target;

use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context as _;
use http::{Request, header};
use http_body_util::{BodyExt, Empty, Limited};
use hyper_util::rt::TokioIo;
use rustls::ClientConfig;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use url::Url;

use super::{ConfigFile, FAULT, fault, load_alone, print};
use crate::lifecycle::blocking;
use target::Target;

/// Longer than this is not healthy either.
const TIMEOUT: Duration = Duration::from_secs(5);

/// What is read of an answer.
const MAX_ANSWER_BYTES: usize = 64 * 1024;

#[derive(Debug, clap::Args)]
pub(super) struct Health {
    #[command(flatten)]
    file: ConfigFile,
    /// Where to ask, instead of where the configuration says that this machine's server listens
    #[arg(long, value_name = "URL", conflicts_with = "config")]
    url: Option<String>,
}

impl Health {
    pub(super) fn run(self) -> ExitCode {
        let target = match self.url {
            Some(url) => Target::named(&url),
            None => match load_alone(&self.file) {
                Ok(loaded) => Target::configured(&loaded.config),
                // Told already; for a health check there is no other status than 0 and 1.
                Err(_wrong_configuration) => return ExitCode::from(FAULT),
            },
        };
        match target.and_then(|target| run(&target)) {
            Ok(true) => ExitCode::SUCCESS,
            Ok(false) => ExitCode::from(FAULT),
            Err(error) => fault(&error),
        }
    }
}

fn run(target: &Target) -> anyhow::Result<bool> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    let outcome = runtime.block_on(async {
        let asking = tokio::time::timeout(TIMEOUT, ask(target));
        asking.await.context("no answer in time").flatten()
    });
    // A name that is still being looked up must not hold the process.
    runtime.shutdown_background();
    outcome.with_context(|| target.url.to_string())
}

/// Whether the server says that it is healthy; what it says is printed.
async fn ask(target: &Target) -> anyhow::Result<bool> {
    let url = target.url.clone();
    let addresses = blocking(move || url.socket_addrs(|| None)).await?;
    let stream = TcpStream::connect(&*addresses).await?;
    let Some(tls) = target.tls_config()? else {
        return ask_over(stream, &target.url).await;
    };
    let name = target.server_name()?;
    let config: Arc<ClientConfig> = Arc::new(tls);
    let stream = TlsConnector::from(config).connect(name, stream).await?;
    ask_over(stream, &target.url).await
}

async fn ask_over<S>(stream: S, url: &Url) -> anyhow::Result<bool>
where
    S: AsyncRead + AsyncWrite + Send + Unpin + 'static,
{
    let (mut sender, connection) =
        hyper::client::conn::http1::handshake(TokioIo::new(stream)).await?;
    let host = &url[url::Position::BeforeHost..url::Position::AfterPort];
    let target = &url[url::Position::BeforePath..url::Position::AfterQuery];
    let request = Request::get(target)
        .header(header::HOST, host)
        .header(header::CONNECTION, "close")
        .body(Empty::<&[u8]>::new())?;
    let asking = async move {
        let response = sender.send_request(request).await?;
        let is_healthy = response.status().is_success();
        let body = Limited::new(response.into_body(), MAX_ANSWER_BYTES);
        let body = body.collect().await.map_err(anyhow::Error::from_boxed)?;
        let _status_tells_it_too = print(&String::from_utf8_lossy(&body.to_bytes()));
        anyhow::Ok(is_healthy)
    };
    // How the connection ends is seen by the request.
    let (outcome, _ended) = tokio::join!(asking, connection);
    outcome
}
