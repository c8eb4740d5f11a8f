//! The Broker stand-in of `scripts/bench` and `scripts/bench-forward`: it reads each body whole, answers `ok` and counts.
//!
//! An event of the bench bears the byte `~` once, and nothing else that is sent does, so the count holds
//! whatever the format of a delivery is, and owes nothing to the books of the server under test; in a compressed
//! body it cannot be counted.
//! `GET /counts` answers `REQUESTS EVENTS BYTES`, all since the start; bytes are those of bodies as they came.
//! It touches one socket, named by its only argument, and runs until it is killed.

use std::io::{Error, ErrorKind};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use axum::Router;
use axum::body::Bytes;
use axum::extract::{DefaultBodyLimit, State};
use axum::routing::get;
use tokio::net::TcpListener;

/// Far above any batch that a server under test sends.
const MAX_BODY_BYTES: usize = 100 * 1024 * 1024;

/// `EVENT_MARK` of `scripts/bench.d/bodies.py`.
const EVENT_MARK: u8 = b'~';

#[derive(Default)]
struct Counts {
    requests: AtomicU64,
    events: AtomicU64,
    bytes: AtomicU64,
}

// One thread, so that the stand-in takes as little as it can from the cores that the server under test runs on.
#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Error> {
    let address = std::env::args().nth(1).ok_or_else(|| {
        Error::new(
            ErrorKind::InvalidInput,
            "usage: headgate-bench-sink ADDRESS",
        )
    })?;
    let listener = TcpListener::bind(address).await?;
    let app = Router::new()
        .route("/counts", get(report))
        .fallback(take)
        .layer(DefaultBodyLimit::max(MAX_BODY_BYTES))
        .with_state(Arc::new(Counts::default()));
    axum::serve(listener, app).await
}

async fn take(State(counts): State<Arc<Counts>>, body: Bytes) -> &'static str {
    let events = body.iter().filter(|&&byte| byte == EVENT_MARK).count();
    counts.requests.fetch_add(1, Ordering::Relaxed);
    counts.events.fetch_add(events as u64, Ordering::Relaxed);
    counts.bytes.fetch_add(body.len() as u64, Ordering::Relaxed);
    "ok"
}

async fn report(State(counts): State<Arc<Counts>>) -> String {
    let requests = counts.requests.load(Ordering::Relaxed);
    let events = counts.events.load(Ordering::Relaxed);
    let bytes = counts.bytes.load(Ordering::Relaxed);
    format!("{requests} {events} {bytes}")
}
