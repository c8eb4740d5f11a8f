//! The admin listener's accept loop. Scrapers that hang are cut off, and none of them keeps others out or holds up the
//! end.

use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::net::TcpListener;
use tower::ServiceExt;

use super::places::Places;
use crate::accept::Acceptor;
use crate::lifecycle::TaskGroup;

/// Longest time from one answer to the end of the next request's head, the wait between two scrapes included.
const HEAD_TIMEOUT: Duration = Duration::from_secs(90);

/// Longest life of a connection, so that one whose answers are not read ends too; a scraper connects again.
const LIFE: Duration = Duration::from_secs(600);

/// More connections than any set of scrapers and people needs.
const MAX_CONNECTIONS: usize = 64;

/// Accepts for ever.
pub(super) async fn accept(listener: TcpListener, router: Router, tasks: &TaskGroup) {
    let mut http = http1::Builder::new();
    http.timer(TokioTimer::new())
        .header_read_timeout(HEAD_TIMEOUT);
    let places = Places::new(MAX_CONNECTIONS);
    let mut acceptor = Acceptor::new(listener);
    loop {
        let (stream, _) = acceptor.next().await;
        let place = Arc::new(places.take().await);
        let (router, asking) = (router.clone(), Arc::clone(&place));
        let service = service_fn(move |request: http::Request<Incoming>| {
            asking.asked();
            router.clone().oneshot(request.map(Body::new))
        });
        let connection = http.serve_connection(TokioIo::new(stream), service);
        tasks.spawn_until_stopped(async move {
            tokio::select! {
                // A scraper that went away is no news.
                _served = tokio::time::timeout(LIFE, connection) => {}
                () = place.taken_away() => {}
            }
        });
    }
}
