//! One connection's worth of HTTP client: sends a batch, says what came of it.
//!
//! Each request slot has a client of its own with a pool of one: a shared pool races a new connection against an
//! idle one and keeps both, so the number of connections would be anybody's guess.

use std::error::Error as _;
use std::time::{Duration, SystemTime};

use http::{HeaderMap, HeaderValue, header};
use reqwest::redirect::Policy;
use reqwest::{Body, Client, Response};
use thiserror::Error;
use url::Url;

use super::encode::{Pieces, media_type};
use super::outcome::{Answer, NoAnswer, Outcome};
use super::shipment::BatchId;
use crate::config;

/// The same for each try of a batch, so that a Broker's log can tell.
const BATCH_ID: &str = "x-headgate-batch";

/// Bytes of an answer that are kept.
const EXCERPT: usize = 200;
/// An answer longer than this is not read to its end; its connection is closed then.
const MAX_ANSWER: usize = 64 * 1024;

/// An answer's body that takes longer than this after its head is left.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(2);

/// The HTTP client could not be made.
#[derive(Debug, Error)]
#[error("the HTTP client towards the Broker cannot be made: {0}")]
pub struct SetupError(#[from] reqwest::Error);

/// Sends one request at a time to one Broker.
pub(super) struct BrokerClient {
    client: Client,
    url: Url,
    rejected_codes: Vec<u16>,
}

impl BrokerClient {
    pub(super) fn new(url: &Url, config: &config::Broker) -> Result<Self, SetupError> {
        let client = Client::builder()
            .default_headers(headers(config))
            .redirect(Policy::none())
            .retry(reqwest::retry::never())
            .no_proxy()
            .http1_only()
            .tcp_nodelay(true)
            .connect_timeout(config.connect_timeout)
            .timeout(config.request_timeout)
            .pool_max_idle_per_host(1)
            .pool_idle_timeout(config.pool_idle_timeout)
            .build()?;
        Ok(Self {
            client,
            url: url.clone(),
            rejected_codes: config.rejected_codes.clone(),
        })
    }

    /// Sends a batch and waits for what comes of it.
    pub(super) async fn send(&self, id: BatchId, body: Pieces) -> Outcome {
        let request = self
            .client
            .post(self.url.clone())
            .header(BATCH_ID, id.to_string())
            .body(Body::wrap(body));
        match request.send().await {
            Ok(response) => self.outcome_of(response).await,
            Err(error) => Outcome::of_no_answer(no_answer(&error), &innermost(&error)),
        }
    }

    /// The status decides; the rest of the answer is read only to learn more, and to use the connection again.
    async fn outcome_of(&self, mut response: Response) -> Outcome {
        let status = response.status().as_u16();
        let retry_after = response.headers().get(header::RETRY_AFTER).cloned();
        let mut beginning = Vec::new();
        let reading = read_to_end(&mut response, &mut beginning);
        let _as_far_as_it_came = tokio::time::timeout(ANSWER_TIMEOUT, reading).await;
        let answer = Answer {
            status,
            retry_after: retry_after.as_ref().and_then(|value| value.to_str().ok()),
            body: &String::from_utf8_lossy(&beginning),
        };
        Outcome::of_answer(answer, &self.rejected_codes, SystemTime::now())
    }
}

/// Reads an answer's body and keeps its beginning. An answer without an end is left.
async fn read_to_end(response: &mut Response, beginning: &mut Vec<u8>) {
    let mut bytes = 0;
    while let Ok(Some(chunk)) = response.chunk().await {
        bytes += chunk.len();
        let wanted = EXCERPT - beginning.len();
        beginning.extend_from_slice(&chunk[..chunk.len().min(wanted)]);
        if bytes > MAX_ANSWER {
            return;
        }
    }
}

fn headers(config: &config::Broker) -> HeaderMap {
    let mut headers = config.headers.clone();
    let media_type = HeaderValue::from_static(media_type(config.format));
    headers.insert(header::CONTENT_TYPE, media_type);
    if !headers.contains_key(header::USER_AGENT) {
        let agent = concat!("headgate/", env!("CARGO_PKG_VERSION"));
        headers.insert(header::USER_AGENT, HeaderValue::from_static(agent));
    }
    if let Some(basic) = basic(config) {
        headers.insert(header::AUTHORIZATION, basic);
    }
    headers
}

fn basic(config: &config::Broker) -> Option<HeaderValue> {
    use base64::Engine;
    if config.user.is_empty() {
        return None;
    }
    let credentials = format!("{}:{}", config.user, config.password.expose());
    let encoded = base64::engine::general_purpose::STANDARD.encode(credentials);
    let mut value =
        HeaderValue::try_from(format!("Basic {encoded}")).expect("base64 is visible ASCII");
    value.set_sensitive(true);
    Some(value)
}

fn no_answer(error: &reqwest::Error) -> NoAnswer {
    match (error.is_timeout(), error.is_connect()) {
        (true, true) => NoAnswer::NoConnectionInTime,
        (true, false) => NoAnswer::NotInTime,
        (false, true) => NoAnswer::NoConnection,
        (false, false) => NoAnswer::Broken,
    }
}

/// The innermost error tells most.
fn innermost(error: &reqwest::Error) -> String {
    let mut innermost: &dyn std::error::Error = error;
    while let Some(source) = innermost.source() {
        innermost = source;
    }
    match error.source() {
        Some(_) => innermost.to_string(),
        None => String::new(),
    }
}
