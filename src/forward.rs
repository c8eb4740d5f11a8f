//! Delivery out: takes events from the spool, batches them, and gives them to the output until it has them. Never sees
//! a request.

mod backoff;
mod balancer;
mod batch;
mod batches;
mod broker;
mod brokers;
mod circuit_breaker;
mod client;
mod compress;
mod delivery;
mod dispatcher;
mod encode;
mod file;
mod letters;
mod local;
mod outcome;
mod retry_queue;
mod shipment;
mod stdout;
mod suspects;
mod suspicion;
mod turned_away;
mod window;

use std::convert::Infallible;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use bytes::Bytes;

use crate::config::{BrokerFormat, Config, OutputType};
use crate::dead_letters::DeadLetters;
use crate::lifecycle::TaskGroup;
use crate::spool::{LeaseLimits, Part, Spool};
use crate::telemetry::Telemetry;
use backoff::Backoff;
use batch::Batch;
use batches::Batches;
use broker::{Broker, Identity, identities};
use brokers::Brokers;
use client::{BrokerClient, Network, Target, client_config};
pub use client::{Resolve, SetupError, SystemResolver};
use delivery::Delivery;
use file::FileOutput;
use letters::{LetterWrites, file_letters};
use local::LocalOutput;
use stdout::StdoutOutput;

/// A local output takes larger pieces than a Broker, for there is nothing to wait for.
const LOCAL_LIMITS: LeaseLimits = LeaseLimits {
    max_events: 10_000,
    max_bytes: 4 * 1024 * 1024,
    linger: Duration::ZERO,
};

/// The body of a request to a Broker with these events: what benchmarks measure.
#[doc(hidden)]
pub fn body_of(
    parts: Vec<Part>,
    format: BrokerFormat,
) -> impl hyper::body::Body<Data = Bytes, Error = Infallible> {
    encode::encode(&Batch::new(parts), format)
}

/// The running outputs.
pub struct Forward {
    brokers: Option<Arc<Brokers>>,
}

/// One Broker as it stands.
#[derive(Clone, Debug)]
pub struct BrokerStatus {
    /// Its URL, without its query.
    pub url: String,
    /// Whether it takes what it is sent.
    pub up: bool,
    /// Requests under way.
    pub in_flight: usize,
}

/// What all parts of the forward side share.
#[derive(Clone)]
struct Shared {
    spool: Spool,
    dead_letters: DeadLetters,
    letter_writes: Arc<LetterWrites>,
    telemetry: Arc<Telemetry>,
}

impl Shared {
    fn new(spool: Spool, dead_letters: DeadLetters, telemetry: Arc<Telemetry>) -> Self {
        Self {
            spool,
            dead_letters,
            letter_writes: Arc::new(LetterWrites::new(Arc::clone(&telemetry))),
            telemetry,
        }
    }
}

/// The output cannot be started.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// The HTTP client cannot be made.
    #[error(transparent)]
    Client(#[from] SetupError),
    /// The folder of the file output cannot be written.
    #[error("output.file.dir: {folder}")]
    Folder {
        /// The folder.
        folder: String,
        /// The I/O error.
        source: std::io::Error,
    },
    /// Another server writes to it: of two, one that fails would cut off what the other has written.
    #[error(
        "output.file.dir: {folder} is locked: another server is writing there; each needs a folder of its own"
    )]
    FolderLocked {
        /// The folder.
        folder: String,
    },
    /// Standard output cannot be had.
    #[error("standard output: {0}")]
    Stdout(std::io::Error),
}

impl Forward {
    /// Starts the configured output. Its tasks end with the life of their group. `resolver` finds the addresses of
    /// Brokers.
    ///
    /// # Errors
    /// See [`StartError`].
    pub fn start(
        config: &Config,
        spool: Spool,
        dead_letters: DeadLetters,
        telemetry: Arc<Telemetry>,
        resolver: &Arc<dyn Resolve>,
        tasks: &TaskGroup,
    ) -> Result<Self, StartError> {
        let shared = Shared::new(spool, dead_letters, telemetry);
        let outputs = Outputs {
            config,
            shared,
            tasks,
        };
        tasks.spawn_until_stopped(file_letters(outputs.shared.clone()));
        let brokers = match config.output_type() {
            OutputType::Http => Some(outputs.start_brokers(resolver)?),
            OutputType::File => {
                outputs.start_file()?;
                None
            }
            OutputType::Stdout => {
                let output = StdoutOutput::open().map_err(StartError::Stdout)?;
                outputs.run_local(LocalOutput::Stdout(output));
                None
            }
        };
        Ok(Self { brokers })
    }

    /// The Brokers as they stand; none with a local output.
    pub fn brokers(&self) -> Vec<BrokerStatus> {
        let all = self.brokers.iter().flat_map(|brokers| brokers.all());
        all.map(|broker| broker.status()).collect()
    }
}

/// The outputs while they are started.
struct Outputs<'a> {
    config: &'a Config,
    shared: Shared,
    tasks: &'a TaskGroup,
}

impl Outputs<'_> {
    /// Ends by itself: what is being written is written, and counted.
    fn run_local(&self, output: LocalOutput) {
        let (shared, lifecycle) = (self.shared.clone(), self.tasks.lifecycle().clone());
        self.tasks.spawn(local::run(output, shared, lifecycle));
    }

    fn start_file(&self) -> Result<(), StartError> {
        let config = &self.config.output.file;
        let output = FileOutput::open(config, Arc::clone(&self.shared.telemetry))?;
        self.run_local(LocalOutput::File(output));
        Ok(())
    }

    fn start_brokers(&self, resolver: &Arc<dyn Resolve>) -> Result<Arc<Brokers>, StartError> {
        let config = &self.config.broker;
        let brokers = Arc::new(self.brokers(resolver)?);
        let slots = config.max_in_flight * brokers.all().len();
        let limits = broker_limits(self.config);
        let (spool, lifecycle) = (self.shared.spool.clone(), self.tasks.lifecycle().clone());
        let delivery = Arc::new(Delivery {
            batches: Batches::new(spool, limits, slots, lifecycle.clone()),
            brokers: Arc::clone(&brokers),
            backoff: Backoff::of(config),
            shared: self.shared.clone(),
            intake: Mutex::default(),
        });
        let hurry = dispatcher::hurry_at_closing(Arc::clone(&delivery), lifecycle);
        self.tasks.spawn_until_stopped(hurry);
        let dispatcher = dispatcher::run(delivery, self.tasks.clone());
        self.tasks.spawn_until_stopped(dispatcher);
        Ok(brokers)
    }

    /// Each with as many clients as it may have requests under way.
    fn brokers(&self, resolver: &Arc<dyn Resolve>) -> Result<Brokers, SetupError> {
        let config = &self.config.broker;
        let is_tls = config.urls.iter().any(|url| url.scheme() == "https");
        let tls = || client_config(&config.tls, &self.shared.telemetry);
        let network = Network {
            tls: is_tls.then(tls).transpose()?,
            resolver: Arc::clone(resolver),
            tasks: self.tasks.clone(),
        };
        let changed = Arc::default();
        let broker = |identity: Identity| {
            let metrics = self.shared.telemetry.broker(&identity.label);
            let target = Target::new(&identity.url, config, &network)?;
            let clients = BrokerClient::several(&Arc::new(target), config.max_in_flight);
            let changed = Arc::clone(&changed);
            let broker = Broker::new(identity, config, metrics, clients, changed);
            Ok(Arc::new(broker))
        };
        let all = identities(&config.urls).into_iter().map(broker);
        let all = all.collect::<Result<_, SetupError>>()?;
        Ok(Brokers::new(all, Arc::clone(&changed)))
    }
}

fn broker_limits(config: &Config) -> LeaseLimits {
    LeaseLimits {
        max_events: match config.broker.format {
            BrokerFormat::Json => 1,
            BrokerFormat::JsonBatch | BrokerFormat::JsonLines => config.broker.max_batch_events,
        },
        max_bytes: config.broker.max_batch_bytes.as_usize(),
        linger: match config.broker.format {
            BrokerFormat::Json => Duration::ZERO,
            BrokerFormat::JsonBatch | BrokerFormat::JsonLines => config.broker.linger,
        },
    }
}
