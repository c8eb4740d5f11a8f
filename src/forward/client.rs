//! One connection's worth of HTTP client: sends a batch, says what came of it.
//!
//! Each request slot has one connection of its own and keeps it: a shared pool, and even a pool of one, races a new
//! connection against one that is just being put back, so the number of connections would be anybody's guess.

mod connection;
mod dialer;
mod resolve;
mod tls;

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use http::{HeaderMap, HeaderName, HeaderValue, Method, Request, Uri, header};
use metrics::Counter;
use rustls::ClientConfig;
use thiserror::Error;
use url::{Position, Url};

use super::compress::compress;
use super::encode::{Pieces, media_type};
use super::outcome::{Answer, Outcome, WasSent};
use super::shipment::BatchId;
use crate::config::{self, Compression, TlsFileProblem};
use crate::lifecycle::TaskGroup;
use connection::{Answered, Connection, IdleConnection, NoAnswer};
use dialer::Dialer;
pub use resolve::{Resolve, SystemResolver};
pub(super) use tls::client_config;

/// The share of a connection's greatest age that it reaches at least; chance decides on the rest.
const LEAST_AGE: f64 = 0.8;

/// The same for each try of a batch, so that a Broker's log can tell.
const BATCH_ID: HeaderName = HeaderName::from_static("x-headgate-batch");

/// The HTTP client could not be made.
#[derive(Debug, Error)]
pub enum SetupError {
    /// A file of `[broker.tls]` has changed since the configuration was checked.
    #[error(transparent)]
    TlsFile(#[from] TlsFileProblem),
    /// There is nobody to believe.
    #[error(
        "no certificates of authorities are installed on this system: install them (ca-certificates), or set broker.tls.ca"
    )]
    NoAuthorities,
    /// A URL that HTTP or TLS cannot express.
    #[error("broker.urls: {0} has a host or a path that cannot be sent")]
    Url(String),
}

/// What it takes to reach Brokers, whichever it is.
pub(super) struct Network {
    /// For URLs with the scheme https; none where no Broker's has it.
    pub(super) tls: Option<Arc<ClientConfig>>,
    pub(super) resolver: Arc<dyn Resolve>,
    /// Run what connections and lookups do by themselves.
    pub(super) tasks: TaskGroup,
}

/// What all slots of a Broker share.
pub(super) struct Target {
    uri: Uri,
    headers: HeaderMap,
    dialer: Dialer,
    compression: Compression,
    rejected_codes: Vec<u16>,
    request_timeout: Duration,
    unused_limit: Duration,
    max_age: Duration,
    tasks: TaskGroup,
}

impl Target {
    pub(super) fn new(
        url: &Url,
        config: &config::Broker,
        network: &Network,
    ) -> Result<Self, SetupError> {
        let refused = || SetupError::Url(url[..Position::BeforePath].to_owned());
        let dialer = Dialer::new(url, network, config.connect_timeout);
        Ok(Self {
            uri: url[Position::BeforePath..].parse().map_err(|_| refused())?,
            headers: headers(url, config).ok_or_else(refused)?,
            dialer: dialer.ok_or_else(refused)?,
            compression: config.compression,
            rejected_codes: config.rejected_codes.clone(),
            request_timeout: config.request_timeout,
            unused_limit: config.pool_idle_timeout,
            max_age: config.connection_max_age,
            tasks: network.tasks.clone(),
        })
    }

    /// An age at which a connection is renewed.
    fn some_age(&self) -> Duration {
        let share = LEAST_AGE + (1.0 - LEAST_AGE) * fastrand::f64();
        self.max_age.mul_f64(share)
    }

    fn request(&self, id: BatchId, body: Pieces) -> Request<Pieces> {
        let mut request = Request::new(body);
        *request.method_mut() = Method::POST;
        *request.uri_mut() = self.uri.clone();
        *request.headers_mut() = self.headers.clone();
        let id = id.to_string().try_into();
        let id = id.expect("an id is made of characters that a header may have");
        request.headers_mut().insert(BATCH_ID, id);
        request
    }
}

/// Sends one request at a time to one Broker. Clones are the same client.
#[derive(Clone)]
pub(super) struct BrokerClient {
    target: Arc<Target>,
    place: Arc<IdleConnection>,
}

impl BrokerClient {
    /// So many clients, each with a connection of its own.
    pub(super) fn several(target: &Arc<Target>, count: usize) -> Vec<Self> {
        let client = || Self {
            target: Arc::clone(target),
            place: Arc::default(),
        };
        std::iter::repeat_with(client).take(count).collect()
    }

    /// Clients of a Broker that nothing is sent to.
    #[cfg(test)]
    pub(super) fn unconnected(url: &Url, config: &config::Broker) -> Vec<Self> {
        let network = Network {
            tls: None,
            resolver: Arc::new(SystemResolver),
            tasks: crate::lifecycle::Lifecycle::new().task_group(),
        };
        let target = Target::new(url, config, &network);
        let target = target.expect("the URL can be sent to");
        Self::several(&Arc::new(target), config.max_in_flight)
    }

    /// Whether it has kept a connection for the next request.
    pub(super) fn has_connection(&self) -> bool {
        self.place.is_taken()
    }

    /// Sends a batch and waits for what comes of it. `errored` counts a request that is sent again for that.
    pub(super) async fn send(&self, id: BatchId, body: Pieces, errored: &Counter) -> Outcome {
        let body = compress(body, self.target.compression).await;
        if let Some(kept) = self.kept().await
            && let Some(outcome) = self.send_on_kept(kept, id, body.clone(), errored).await
        {
            return outcome;
        }
        let connection = match self.connect().await {
            Ok(connection) => connection,
            Err(reason) => return Outcome::of_no_answer(WasSent::Never, reason),
        };
        self.exchange(connection, id, body)
            .await
            .unwrap_or_else(Outcome::from)
    }

    /// The connection that was kept, if it can take another request. One that is old gives way to a new one; but where the
    /// name cannot be looked up there is none to be had, which says nothing of the Broker that still holds this one.
    async fn kept(&self) -> Option<Connection> {
        let mut kept = self.place.take()?;
        if !kept.is_ready().await {
            return None;
        }
        if kept.is_old() {
            if self.target.dialer.finds_addresses().await {
                return None;
            }
            kept.renew(self.target.some_age());
        }
        Some(kept)
    }

    /// Sends a batch on the connection that was kept; nothing where that is as if it had not been tried.
    ///
    /// A Broker may close a connection that lies unused at any moment, also while a request is on its way to
    /// it. That says nothing of its health, so the batch goes out again at once, on a new connection. Where
    /// the request was never sent, that is as if nothing had been. Where it may have been, the events may
    /// arrive twice, as after any other error, so it is counted as one; but it does not make the Broker rest.
    /// It happens once for a batch and not over and over, for on a new connection the same end counts as the
    /// Broker's failure.
    async fn send_on_kept(
        &self,
        kept: Connection,
        id: BatchId,
        body: Pieces,
        errored: &Counter,
    ) -> Option<Outcome> {
        match self.exchange(kept, id, body).await {
            Ok(outcome) => Some(outcome),
            Err(NoAnswer::NotSent(_)) => None,
            Err(NoAnswer::Closed(_)) => {
                errored.increment(1);
                None
            }
            Err(error @ (NoAnswer::Broken(_) | NoAnswer::TimedOut | NoAnswer::Unread(_))) => {
                Some(error.into())
            }
        }
    }

    async fn connect(&self) -> Result<Connection, String> {
        let target = &self.target;
        let stream = target
            .dialer
            .dial()
            .await
            .map_err(|error| error.to_string())?;
        let begun = Connection::begin(stream, target.some_age()).await;
        let (connection, work) = begun.map_err(|error| error.to_string())?;
        let place = Arc::downgrade(&self.place);
        let work = work.run(place, target.unused_limit);
        target.tasks.spawn_until_stopped(work);
        Ok(connection)
    }

    /// Sends a batch, and keeps the connection if it can be used again.
    async fn exchange(
        &self,
        mut connection: Connection,
        id: BatchId,
        body: Pieces,
    ) -> Result<Outcome, NoAnswer> {
        let request = self.target.request(id, body);
        let limit = self.target.request_timeout;
        let answered = connection.exchange(request, limit).await?;
        self.place.keep(connection, &answered);
        Ok(self.outcome_of(&answered))
    }

    fn outcome_of(&self, answered: &Answered) -> Outcome {
        let retry_after = answered.retry_after.as_ref();
        let answer = Answer {
            status: answered.status,
            retry_after: retry_after.and_then(|value| value.to_str().ok()),
            body: &String::from_utf8_lossy(&answered.beginning),
        };
        Outcome::of_answer(answer, &self.target.rejected_codes, SystemTime::now())
    }
}

impl From<NoAnswer> for Outcome {
    fn from(error: NoAnswer) -> Self {
        let was_sent = match error {
            NoAnswer::NotSent(_) => WasSent::Never,
            NoAnswer::Closed(_)
            | NoAnswer::Broken(_)
            | NoAnswer::TimedOut
            | NoAnswer::Unread(_) => WasSent::Perhaps,
        };
        Self::of_no_answer(was_sent, error.to_string())
    }
}

/// The headers of every request, those of the configuration before our own; none where the URL's host cannot
/// be sent as a `Host` header.
fn headers(url: &Url, config: &config::Broker) -> Option<HeaderMap> {
    let mut headers = HeaderMap::new();
    let host = &url[Position::BeforeHost..Position::AfterPort];
    headers.insert(header::HOST, host.parse().ok()?);
    headers.extend(config.headers.clone());
    if !headers.contains_key(header::CONTENT_TYPE) {
        insert(
            &mut headers,
            header::CONTENT_TYPE,
            media_type(config.format),
        );
    }
    match config.compression {
        Compression::None => {}
        Compression::Gzip => insert(&mut headers, header::CONTENT_ENCODING, "gzip"),
        Compression::Zstd => insert(&mut headers, header::CONTENT_ENCODING, "zstd"),
    }
    if !headers.contains_key(header::USER_AGENT) {
        let agent = concat!("headgate/", env!("CARGO_PKG_VERSION"));
        insert(&mut headers, header::USER_AGENT, agent);
    }
    if let Some(basic) = basic(config) {
        headers.insert(header::AUTHORIZATION, basic);
    }
    Some(headers)
}

fn insert(headers: &mut HeaderMap, name: HeaderName, value: &'static str) {
    headers.insert(name, HeaderValue::from_static(value));
}

fn basic(config: &config::Broker) -> Option<HeaderValue> {
    if config.user.is_empty() {
        return None;
    }
    let credentials = format!("{}:{}", config.user, config.password.expose());
    let encoded = data_encoding::BASE64.encode(credentials.as_bytes());
    let mut value =
        HeaderValue::try_from(format!("Basic {encoded}")).expect("base64 is visible ASCII");
    value.set_sensitive(true);
    Some(value)
}
