//! A server in this process, on ports and folders of its own. At its end the books must balance and nothing may be
//! held any more, whatever the test did.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use headgate::app::{App, Surroundings};
use headgate::config::{Changes, Config, ConfigErrors};
use headgate::forward::Resolve;
use seglog::testing::MemoryFolder;
use serde_json::Value;
use tempfile::TempDir;
use toml::Table;

use super::client::{Answer, Connection};
use super::fake_broker::FakeBroker;
use super::operator::Operator;
use super::samples::Samples;
use super::{eventually, in_time};

/// What tests begin with: fast retries, and nothing that waits for company.
const BASE: &str = r#"
[server]
listen = "127.0.0.1:0"
drain_delay = "0s"
drain_timeout = "1h"
[admin]
listen = "127.0.0.1:0"
[ingest]
durability = "broker"
[broker]
linger = "0s"
retry_initial = "1ms"
retry_max = "10ms"
"#;

/// A running server.
pub(crate) struct TestApp {
    pub(crate) app: App,
    folder: Arc<TempDir>,
    is_finished: bool,
}

/// Enough for hundreds of connections, of which this process has both ends. Systems begin with 256 or 1,024.
const OPEN_FILES: u64 = 4096;

impl TestApp {
    /// Starts a server with the file output; `toml` is laid over what tests begin with.
    pub(crate) async fn start(toml: &str) -> Self {
        Self::start_on(&Arc::new(tempfile::tempdir().unwrap()), toml).await
    }

    /// Starts a server on a folder that one before it may have used.
    pub(crate) async fn start_on(folder: &Arc<TempDir>, toml: &str) -> Self {
        Self::start_where(folder, toml, |_| {}).await
    }

    /// Starts a server whose spool lies in a folder in memory, which outlives it.
    pub(crate) async fn start_in(spool: &MemoryFolder, folder: &Arc<TempDir>, toml: &str) -> Self {
        let in_memory = |around: &mut Surroundings| around.spool_folder = Arc::new(spool.clone());
        Self::start_where(folder, toml, in_memory).await
    }

    /// Starts a server that looks names up here.
    pub(crate) async fn start_resolving(resolver: Arc<dyn Resolve>, toml: &str) -> Self {
        let folder = Arc::new(tempfile::tempdir().unwrap());
        let here = |around: &mut Surroundings| around.resolver = Arc::clone(&resolver);
        Self::start_where(&folder, toml, here).await
    }

    async fn start_where(
        folder: &Arc<TempDir>,
        toml: &str,
        change: impl Fn(&mut Surroundings),
    ) -> Self {
        // Where the hard limit is lower, most tests pass all the same.
        let _as_far_as_it_goes = rlimit::increase_nofile_limit(OPEN_FILES);
        let config = config(folder.path(), toml).unwrap();
        let app = eventually("the locks of the server before", async || {
            let mut surroundings = Surroundings::of(&config);
            change(&mut surroundings);
            match App::start_with(config.clone(), surroundings).await {
                Ok(app) => Some(app),
                // Work on another thread may have outlived it for a moment.
                Err(error) if is_locked(&error) => None,
                Err(error) => panic!("it does not start: {error:#}"),
            }
        })
        .await;
        Self {
            app,
            folder: Arc::clone(folder),
            is_finished: false,
        }
    }

    /// Waits until it is at rest, whatever lies in the spool, ends it at once and starts it again on the same folder.
    pub(crate) async fn restart(self, toml: &str) -> Self {
        self.until_at_rest().await;
        let folder = self.keep_folder();
        self.stop().await;
        Self::start_on(&folder, toml).await
    }

    /// Has it go by other settings while it runs; `toml` is laid over what tests begin with.
    pub(crate) fn reload(&self, toml: &str) -> Changes {
        self.app.reload(&config(self.folder.path(), toml).unwrap())
    }

    /// Starts a server that sends to this Broker.
    pub(crate) async fn start_with(broker: &FakeBroker, toml: &str) -> Self {
        Self::start_with_all(&[broker], toml).await
    }

    /// Starts a server that sends to these Brokers.
    pub(crate) async fn start_with_all(brokers: &[&FakeBroker], toml: &str) -> Self {
        Self::start(&with(brokers, toml)).await
    }

    pub(crate) fn public(&self) -> SocketAddr {
        self.app.public_address()
    }

    pub(crate) fn admin(&self) -> SocketAddr {
        self.app.admin_address().unwrap()
    }

    pub(crate) async fn connect(&self) -> Connection {
        Connection::open(self.public()).await
    }

    /// One request on a connection of its own.
    pub(crate) async fn request(
        &self,
        method: &str,
        target: &str,
        headers: &[(&str, &str)],
        body: impl AsRef<[u8]>,
    ) -> Answer {
        let mut connection = self.connect().await;
        connection.request(method, target, headers, body).await
    }

    pub(crate) async fn post(
        &self,
        target: &str,
        headers: &[(&str, &str)],
        body: impl AsRef<[u8]>,
    ) -> Answer {
        self.request("POST", target, headers, body).await
    }

    pub(crate) async fn get(&self, target: &str) -> Answer {
        self.request("GET", target, &[], "").await
    }

    /// Its admin listener.
    pub(crate) fn operator(&self) -> Operator {
        Operator::new(self.admin())
    }

    /// A page of the admin listener.
    pub(crate) async fn admin_page(&self, target: &str) -> Answer {
        self.operator().page(target).await
    }

    pub(crate) async fn status(&self) -> Value {
        self.operator().status().await
    }

    pub(crate) async fn samples(&self) -> Samples {
        self.operator().samples().await
    }

    /// One number of the books.
    pub(crate) async fn book(&self, name: &str) -> u64 {
        self.operator().book(name).await
    }

    /// Waits until one number of the books is this.
    pub(crate) async fn until_book(&self, name: &str, expected: u64) {
        self.operator().until_book(name, expected).await;
    }

    /// Where the file output writes.
    pub(crate) fn events_folder(&self) -> PathBuf {
        self.folder.path().join("events")
    }

    /// Keeps its folder beyond its end, as long as this lives.
    pub(crate) fn keep_folder(&self) -> Arc<TempDir> {
        Arc::clone(&self.folder)
    }

    /// The dead letters, as they lie on disk.
    pub(crate) fn dead_letters(&self) -> Vec<Value> {
        let mut letters = Vec::new();
        headgate::dead_letters::read(&self.folder.path().join("dead-letters"), |letter| {
            letters.push(serde_json::from_str(&letter.text).unwrap());
            true
        })
        .unwrap();
        letters
    }

    /// Waits until nothing is under way, then drains.
    ///
    /// # Panics
    /// When the books do not balance, counters contradict each other or bytes of the budget are still held.
    pub(crate) async fn finish(mut self) {
        self.is_finished = true;
        self.until_at_rest().await;
        in_time("the drain", self.app.drain()).await;
    }

    /// Waits until requests hold at least this many bytes of the budget.
    pub(crate) async fn until_held(&self, bytes: usize) {
        eventually("bytes of the budget to be held", async || {
            let held = self.samples().await.value("headgate_in_flight_bytes", &[]);
            (held >= Some(bytes as f64)).then_some(())
        })
        .await;
    }

    /// Waits until so many events lie in the spool.
    pub(crate) async fn until_spooled(&self, events: u64) {
        self.operator().until_spooled(events).await;
    }

    /// Waits until so many connections are open.
    pub(crate) async fn until_connections(&self, count: usize) {
        eventually("connections", async || {
            let open = self.samples().await.value("headgate_connections", &[]);
            (open == Some(count as f64)).then_some(())
        })
        .await;
    }

    /// Ends it at once.
    pub(crate) async fn stop(mut self) {
        self.is_finished = true;
        in_time("the end", self.app.stop()).await;
    }

    /// Drains with what is under way.
    pub(crate) async fn drain(mut self) {
        self.is_finished = true;
        in_time("the drain", self.app.drain()).await;
    }

    /// Waits until the books balance, other counters agree and no request holds memory.
    pub(crate) async fn until_at_rest(&self) {
        let mut last = Value::Null;
        let at_rest = async || {
            last = self.status().await;
            let samples = self.samples().await;
            let held = samples.value("headgate_in_flight_bytes", &[]).unwrap();
            let contradictions = samples.contradictions();
            let is_at_rest =
                last["books"]["balanced"] == true && held == 0.0 && contradictions.is_empty();
            last["held_bytes"] = held.into();
            last["contradictions"] = contradictions.into();
            is_at_rest.then_some(())
        };
        let waiting = eventually("the books to balance and the budget to be free", at_rest);
        let outcome = tokio::time::timeout(super::PATIENCE / 2, waiting).await;
        assert!(outcome.is_ok(), "not at rest: {last:#}");
    }
}

impl Drop for TestApp {
    fn drop(&mut self) {
        assert!(
            self.is_finished || std::thread::panicking(),
            "a test ends its server with finish(), which looks at the books"
        );
    }
}

fn is_locked(error: &anyhow::Error) -> bool {
    use headgate::{dead_letters::OpenError, forward::StartError};
    let letters = error.downcast_ref();
    let output = error.downcast_ref();
    matches!(letters, Some(OpenError::Locked { .. }))
        || matches!(output, Some(StartError::FolderLocked { .. }))
}

/// The configuration that tests begin with, and `toml` laid over it.
pub(crate) fn config(folder: &Path, toml: &str) -> Result<Config, ConfigErrors> {
    let place = |name: &str| folder.join(name).display().to_string();
    let folders = format!(
        "[spool]\ndir = {:?}\n[dead_letters]\ndir = {:?}\n[output.file]\ndir = {:?}\n",
        place("spool"),
        place("dead-letters"),
        place("events")
    );
    let file = folder.join("headgate.toml");
    std::fs::write(&file, over(&over(BASE, &folders), toml)).unwrap();
    Config::load_with(Some(&file), []).map(|loaded| loaded.config)
}

/// Settings to send to these Brokers, and `toml` laid over them.
pub(crate) fn with(brokers: &[&FakeBroker], toml: &str) -> String {
    let urls: Vec<String> = brokers.iter().map(|broker| broker.url()).collect();
    over(&format!("[broker]\nurls = {urls:?}"), toml)
}

/// `top` laid over `base`, section by section.
pub(crate) fn over(base: &str, top: &str) -> String {
    let mut base: Table = base.parse().unwrap();
    merge(&mut base, top.parse().unwrap());
    base.to_string()
}

fn merge(base: &mut Table, top: Table) {
    for (key, value) in top {
        match (base.get_mut(&key), value) {
            (Some(toml::Value::Table(base)), toml::Value::Table(top)) if key != "fields" => {
                merge(base, top);
            }
            (_, value) => drop(base.insert(key, value)),
        }
    }
}
