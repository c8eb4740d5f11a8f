//! What the tests share: a server in this process, a Broker that does as it is told, and a client that sends exact
//! bytes. Nothing here sleeps and hopes: whoever waits, waits for a condition, and no longer than [`PATIENCE`].

pub(crate) mod certificates;
pub(crate) mod chaos_proxy;
pub(crate) mod client;
pub(crate) mod compress;
pub(crate) mod fake_broker;
pub(crate) mod http2_client;
pub(crate) mod http2_frames;
pub(crate) mod keys;
pub(crate) mod names;
pub(crate) mod numbered;
pub(crate) mod operator;
pub(crate) mod own_clock;
pub(crate) mod program;
pub(crate) mod samples;
pub(crate) mod site;
pub(crate) mod test_app;
pub(crate) mod tls_client;
pub(crate) mod tls_site;

use std::net::SocketAddr;
use std::time::Duration;

use tokio::net::TcpStream;

/// How long anything may take before a test gives up. Never reached by a test that passes.
pub(crate) const PATIENCE: Duration = Duration::from_secs(180);

/// Between two looks at a condition.
const PAUSE: Duration = Duration::from_millis(2);

/// Waits until `look` finds what it looks for.
///
/// # Panics
/// When it has not come true within [`PATIENCE`].
pub(crate) async fn eventually<T>(what: &str, mut look: impl AsyncFnMut() -> Option<T>) -> T {
    let looking = async {
        loop {
            if let Some(found) = look().await {
                return found;
            }
            tokio::time::sleep(PAUSE).await;
        }
    };
    in_time(what, looking).await
}

/// Waits until nobody listens at an address any more.
pub(crate) async fn until_refused(address: SocketAddr) {
    eventually("the port to be closed", async || {
        TcpStream::connect(address).await.err()
    })
    .await;
}

/// Waits for `future`.
///
/// # Panics
/// When it is not ready within [`PATIENCE`].
pub(crate) async fn in_time<T>(what: &str, future: impl Future<Output = T>) -> T {
    match tokio::time::timeout(PATIENCE, future).await {
        Ok(output) => output,
        Err(_) => panic!("waited in vain: {what}"),
    }
}
