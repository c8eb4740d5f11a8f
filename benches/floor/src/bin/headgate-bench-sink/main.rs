//! The Broker stand-in of `scripts/bench` and its like: it reads each body whole, answers `ok` and counts.
//!
//! An event of the bench bears the byte `~` once, and nothing else that is sent does, so the count holds
//! whatever the format of a delivery is, and owes nothing to the books of the server under test; in a compressed
//! body it cannot be counted.
//!
//! - `GET /counts` answers `REQUESTS EVENTS BYTES`, all since the start; bytes are those of bodies as they came.
//! - `PUT /delay` with a number of milliseconds as body: so long each answer takes from now on.
//! - `GET /numbers`, only with the argument `check`: which numbered events came, and how often; see [`numbers`].
//!
//! It touches one socket, named by its first argument, and runs until it is killed.

mod numbers;

use std::io::{Error, ErrorKind};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use axum::Router;
use axum::body::Bytes;
use axum::extract::{DefaultBodyLimit, State};
use axum::http::StatusCode;
use axum::routing::{get, put};
use numbers::Numbers;
use tokio::net::TcpListener;

/// Far above any batch that a server under test sends.
const MAX_BODY_BYTES: usize = 100 * 1024 * 1024;

/// `EVENT_MARK` of `scripts/bench.d/bodies.py`.
const EVENT_MARK: u8 = b'~';

#[derive(Default)]
struct Books {
    requests: AtomicU64,
    events: AtomicU64,
    bytes: AtomicU64,
    delay_millis: AtomicU64,
    /// None: only counted.
    numbers: Option<Mutex<Numbers>>,
}

// One thread, so that the stand-in takes as little as it can from the cores that the server under test runs on.
#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Error> {
    let mut arguments = std::env::args().skip(1);
    let (address, is_checking) = match (arguments.next(), arguments.next().as_deref()) {
        (Some(address), None) => (address, false),
        (Some(address), Some("check")) => (address, true),
        _ => {
            return Err(Error::new(
                ErrorKind::InvalidInput,
                "usage: headgate-bench-sink ADDRESS [check]",
            ));
        }
    };
    let books = Books {
        numbers: is_checking.then(Mutex::default),
        ..Books::default()
    };
    let listener = TcpListener::bind(address).await?;
    let app = Router::new()
        .route("/counts", get(report))
        .route("/delay", put(set_delay))
        .route("/numbers", get(report_numbers))
        .fallback(take)
        .layer(DefaultBodyLimit::max(MAX_BODY_BYTES))
        .with_state(Arc::new(books));
    axum::serve(listener, app).await
}

async fn take(State(books): State<Arc<Books>>, body: Bytes) -> &'static str {
    let delay = books.delay_millis.load(Ordering::Relaxed);
    if delay > 0 {
        tokio::time::sleep(Duration::from_millis(delay)).await;
    }
    let events = match &books.numbers {
        Some(numbers) => numbers
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .note(&body),
        None => body.iter().filter(|&&byte| byte == EVENT_MARK).count(),
    };
    books.requests.fetch_add(1, Ordering::Relaxed);
    books.events.fetch_add(events as u64, Ordering::Relaxed);
    books.bytes.fetch_add(body.len() as u64, Ordering::Relaxed);
    "ok"
}

async fn report(State(books): State<Arc<Books>>) -> String {
    let requests = books.requests.load(Ordering::Relaxed);
    let events = books.events.load(Ordering::Relaxed);
    let bytes = books.bytes.load(Ordering::Relaxed);
    format!("{requests} {events} {bytes}")
}

async fn set_delay(State(books): State<Arc<Books>>, millis: String) -> StatusCode {
    let Ok(millis) = millis.trim().parse() else {
        return StatusCode::BAD_REQUEST;
    };
    books.delay_millis.store(millis, Ordering::Relaxed);
    StatusCode::NO_CONTENT
}

async fn report_numbers(State(books): State<Arc<Books>>) -> Result<String, StatusCode> {
    let numbers = books.numbers.as_ref().ok_or(StatusCode::NOT_FOUND)?;
    let numbers = numbers.lock().unwrap_or_else(PoisonError::into_inner);
    Ok(numbers.report())
}
