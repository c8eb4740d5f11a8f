//! The admin listener's accept loop. Scrapers that hang are cut off, and none of them holds up the end.

use std::time::Duration;

use axum::Router;
use hyper::server::conn::http1;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use tokio::net::TcpListener;

use crate::lifecycle::{Lifecycle, TaskGroup};

/// Longest time from one answer to the end of the next request's head, the wait between two scrapes included.
const HEAD_TIMEOUT: Duration = Duration::from_secs(90);

/// The pause after a connection could not be accepted.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// Accepts for ever.
pub(super) async fn accept(
    listener: TcpListener,
    router: Router,
    tasks: &TaskGroup,
    lifecycle: &Lifecycle,
) {
    let mut http = http1::Builder::new();
    http.timer(TokioTimer::new())
        .header_read_timeout(HEAD_TIMEOUT);
    loop {
        let Ok((stream, _)) = listener.accept().await else {
            tokio::time::sleep(ACCEPT_PAUSE).await;
            continue;
        };
        let service = TowerToHyperService::new(router.clone());
        let connection = http.serve_connection(TokioIo::new(stream), service);
        let lifecycle = lifecycle.clone();
        tasks.spawn(async move {
            // A scraper that went away is no news.
            let _served = lifecycle.unless_stopped(connection).await;
        });
    }
}
