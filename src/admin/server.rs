//! The admin listener's accept loop. Scrapers that hang are cut off, and none of them holds up the end.

use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use hyper::server::conn::http1;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use tokio::net::TcpListener;
use tokio::sync::Semaphore;

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
    let room = Arc::new(Semaphore::new(MAX_CONNECTIONS));
    let mut acceptor = Acceptor::new(listener);
    loop {
        let permit = Arc::clone(&room).acquire_owned().await;
        let (stream, _) = acceptor.next().await;
        let service = TowerToHyperService::new(router.clone());
        let connection = http.serve_connection(TokioIo::new(stream), service);
        tasks.spawn_until_stopped(async move {
            // A scraper that went away is no news.
            let _served = tokio::time::timeout(LIFE, connection).await;
            drop(permit);
        });
    }
}
