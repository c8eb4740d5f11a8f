//! A body to an envelope: codec, scan, rules, enrichment, as the pipeline does it by default.

use anyhow::Result;
use bytes::Bytes;
use headgate::budget::ByteBudget;
use headgate::config::OutputType;
use headgate::config::{Config, DEFAULT_FILE};
use headgate::event::Envelope;
use headgate::pipeline::{Api, Arrival, ContentCodings, EncodedBody, EnvelopeLimits, Pipeline};
use headgate::telemetry::Telemetry;
use http::{HeaderMap, HeaderValue, Method, Version, header};
use jiff::Timestamp;

/// The configuration as it comes.
///
/// # Errors
/// None, as long as the defaults are a configuration.
pub fn config() -> Result<Config> {
    Ok(DEFAULT_FILE.parse::<toml::Table>()?.try_into()?)
}

/// A pipeline and one request's body.
pub struct Decode {
    pipeline: Pipeline,
    telemetry: Telemetry,
    budget: ByteBudget,
    headers: HeaderMap,
    body: Bytes,
}

impl Decode {
    /// The default pipeline, and a body of this media type as curl would send it.
    ///
    /// # Errors
    /// See [`config`].
    pub fn new(media_type: &'static str, body: String) -> Result<Self> {
        let config = config()?;
        let labels = config.metrics.source_labels();
        let mut headers = HeaderMap::new();
        for (name, value) in [
            (header::HOST, "logs.example:8080"),
            (header::USER_AGENT, "curl/7.88.1"),
            (header::ACCEPT, "*/*"),
            (header::CONTENT_TYPE, media_type),
        ] {
            headers.insert(name, HeaderValue::from_static(value));
        }
        headers.insert(header::CONTENT_LENGTH, body.len().into());
        Ok(Self {
            pipeline: Pipeline::new(&config),
            telemetry: Telemetry::new(labels, config.metrics.max_sources, OutputType::File),
            budget: ByteBudget::new(usize::MAX),
            headers,
            body: body.into(),
        })
    }

    /// Bytes of the body.
    pub fn body_bytes(&self) -> usize {
        self.body.len()
    }

    /// Decodes the body once, by the rules of the Logstash paths.
    ///
    /// # Errors
    /// None, for the input is good.
    pub fn envelope(&self) -> Result<Envelope> {
        let mut reservation = self.budget.reservation();
        reservation.grow(self.body.len())?;
        let body = EncodedBody::new(self.body.clone(), ContentCodings::of(&self.headers)?);
        let arrival = Arrival {
            at: Timestamp::UNIX_EPOCH,
            now: "2026-03-01T12:00:00.000Z",
            client_ip: "127.0.0.1",
            method: &Method::POST,
            target: "/",
            version: Version::HTTP_11,
            host: Some("logs.example:8080"),
            headers: &self.headers,
            request_id: "bench",
            key: None,
        };
        let decoded = self.pipeline.decode(
            Api::Logstash,
            &arrival,
            body,
            EnvelopeLimits::NONE,
            &self.telemetry.sources,
            &mut reservation,
        )?;
        Ok(decoded.envelope)
    }
}
