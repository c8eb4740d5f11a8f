//! The floor of `scripts/bench`: axum as it comes, reading each body whole and answering `ok`.
//!
//! It checks nothing, keeps nothing and forwards nothing, so that what it costs is what HTTP costs.
//! It touches one socket, named by its only argument, and runs until it is killed.

use std::io::{Error, ErrorKind};

use axum::Router;
use axum::body::Bytes;
use axum::extract::DefaultBodyLimit;
use tokio::net::TcpListener;

/// Headgate's default of `ingest.max_content_length`, so that both take the same bodies.
const MAX_BODY_BYTES: usize = 100 * 1024 * 1024;

#[tokio::main]
async fn main() -> Result<(), Error> {
    let address = std::env::args().nth(1).ok_or_else(|| {
        Error::new(
            ErrorKind::InvalidInput,
            "usage: headgate-bench-floor ADDRESS",
        )
    })?;
    let listener = TcpListener::bind(address).await?;
    let app = Router::new()
        .fallback(answer_ok)
        .layer(DefaultBodyLimit::max(MAX_BODY_BYTES));
    axum::serve(listener, app).await
}

async fn answer_ok(_body: Bytes) -> &'static str {
    "ok"
}
