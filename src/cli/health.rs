//! `headgate health`: asks a running server, for container health checks without curl.

use std::process::ExitCode;
use std::time::Duration;

use super::{FAULT, fault, print};

/// Longer than this is not healthy either.
const TIMEOUT: Duration = Duration::from_secs(5);

#[derive(Debug, clap::Args)]
pub(super) struct Health {
    /// Where to ask
    #[arg(
        long,
        value_name = "URL",
        default_value = "http://127.0.0.1:8080/health"
    )]
    url: reqwest::Url,
}

impl Health {
    pub(super) fn run(self) -> ExitCode {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build();
        let outcome = match runtime {
            Ok(runtime) => runtime.block_on(ask(self.url)),
            Err(error) => Err(error.into()),
        };
        match outcome {
            Ok(true) => ExitCode::SUCCESS,
            Ok(false) => ExitCode::from(FAULT),
            Err(error) => fault(&error),
        }
    }
}

/// Whether the server says that it is healthy; what it says is printed.
async fn ask(url: reqwest::Url) -> anyhow::Result<bool> {
    let client = reqwest::Client::builder()
        .no_proxy()
        .timeout(TIMEOUT)
        .build()?;
    let response = client.get(url).send().await?;
    let is_healthy = response.status().is_success();
    print(&response.text().await?);
    Ok(is_healthy)
}
