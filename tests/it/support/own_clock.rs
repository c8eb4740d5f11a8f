//! A clock that goes no faster than the work that is done by it.

use std::time::Duration;

use tokio::task::JoinSet;

const TICK: Duration = Duration::from_millis(1);

/// Runs a test in which much has to be done within a limit of the server's, and that is to hold on a slow machine too: the
/// clock goes on by a tick where one has passed and everything that was ready has had a turn.
pub(crate) async fn by_its_own_clock<T>(test: impl Future<Output = T>) -> T {
    tokio::time::pause();
    let mut ticks = JoinSet::new();
    let ticking = async {
        loop {
            // As long as something blocks, the clock does not jump to the next deadline.
            ticks.spawn_blocking(|| std::thread::sleep(TICK));
            ticks.join_next().await;
            tokio::time::advance(TICK).await;
        }
    };
    tokio::select! {
        output = test => output,
        () = ticking => unreachable!("it goes on for ever"),
    }
}
