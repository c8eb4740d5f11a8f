//! What bodies become, by table: bytes, headers and configuration in, lines out. No server and no clock.

mod bodies;
mod enriched;
mod headers;
mod limits;
mod own_fields;
mod random;
mod replay;
mod schema;
mod sources;
mod times;
mod violations;

use std::collections::HashMap;
use std::sync::{Arc, LazyLock, Mutex, PoisonError};

use http::{HeaderMap, HeaderName, Method, Version};
use serde_json::Value;
use toml::Table;

use super::*;
use crate::budget::ByteBudget;
use crate::config::DEFAULT_FILE;
use crate::config::OutputType;
use crate::telemetry::Telemetry;

/// The time at which every test's request arrives.
const NOW: &str = "2026-11-23T08:15:30.123Z";

/// What is added to an event of the application API that has none of it.
const ADDED: &str = r#""@timestamp":"2026-11-23T08:15:30.123Z","@version":"1","host":"192.0.2.7"}"#;

/// One request, as far as the pipeline sees it.
struct Sent<'a> {
    api: Api,
    toml: &'a str,
    headers: &'a [(&'a str, &'a str)],
    /// Index of the API key.
    key: Option<usize>,
    /// `ingest.max_in_flight_bytes`, as it were.
    budget: usize,
}

impl Default for Sent<'_> {
    fn default() -> Self {
        Self {
            api: Api::Events,
            toml: "",
            headers: &[],
            key: None,
            budget: usize::MAX,
        }
    }
}

impl Sent<'_> {
    /// With the Logstash paths' rules.
    fn to_logstash<'a>(toml: &'a str, headers: &'a [(&'a str, &'a str)]) -> Sent<'a> {
        Sent {
            api: Api::Logstash,
            toml,
            headers,
            ..Sent::default()
        }
    }

    fn decode(&self, body: impl AsRef<[u8]>) -> Result<Decoded, DecodeError> {
        let ready = ready(self.toml);
        let pipeline = &ready.pipeline;
        let mut headers = HeaderMap::new();
        for (name, value) in self.headers {
            // As with HTTP/2, whose library takes more than that of HTTP/1.
            let name = HeaderName::from_lowercase(name.as_bytes()).unwrap();
            headers.append(name, value.parse().unwrap());
        }
        let bytes = Bytes::copy_from_slice(body.as_ref());
        let body = EncodedBody::new(bytes, ContentCodings::of(&headers)?);
        let budget = ByteBudget::new(self.budget);
        let mut reservation = budget.reservation();
        reservation.grow(body.bytes.len()).unwrap();
        let arrival = Arrival {
            at: NOW.parse().unwrap(),
            now: NOW,
            client_ip: "192.0.2.7",
            method: &Method::POST,
            target: "/in?x=1",
            version: Version::HTTP_11,
            host: Some("logs.example:8080"),
            headers: &headers,
            request_id: "test-request",
            key: self.key,
        };
        let decoded = pipeline.decode(
            self.api,
            &arrival,
            body,
            EnvelopeLimits::NONE,
            &ready.telemetry.sources,
            &mut reservation,
        );
        if let Ok(decoded) = &decoded {
            assert!(decoded.held_bytes <= reservation.bytes());
            check(decoded);
            check_is_needed(decoded);
        }
        drop(reservation);
        assert_eq!(budget.used(), 0, "all of the budget is given back");
        decoded
    }

    /// The text of each event that is to be delivered.
    fn lines(&self, body: impl AsRef<[u8]>) -> Vec<String> {
        let decoded = self.decode(body).unwrap();
        texts(&decoded.envelope.live)
    }

    /// Each event that is to be delivered. Digits are kept: numbers that a double cannot hold are seen in `lines`.
    fn events(&self, body: impl AsRef<[u8]>) -> Vec<Value> {
        let lines = self.lines(body);
        lines.iter().map(|line| value(line)).collect()
    }

    /// The only event that is to be delivered.
    fn event(&self, body: impl AsRef<[u8]>) -> Value {
        let mut events = self.events(body);
        assert_eq!(events.len(), 1, "{events:?}");
        events.remove(0)
    }

    /// Each dead letter.
    fn letters(&self, body: impl AsRef<[u8]>) -> Vec<Value> {
        let decoded = self.decode(body).unwrap();
        let letters = texts(&decoded.envelope.dead);
        letters.iter().map(|line| value(line)).collect()
    }
}

/// What holds for every envelope.
fn check(decoded: &Decoded) {
    let envelope = &decoded.envelope;
    assert!(decoded.held_bytes >= envelope.size(), "it is counted");
    for lines in [&envelope.live, &envelope.dead] {
        assert_eq!(lines.count, texts(lines).len());
        for text in texts(lines) {
            assert!(!text.contains(['\n', '\r']), "{text}");
        }
    }
    let by_source: u64 = envelope.sources.iter().map(|count| count.events).sum();
    assert_eq!(by_source, envelope.events() as u64);
}

/// Of the byte budget no more is held than what was made of a body can take.
fn check_is_needed(decoded: &Decoded) {
    let reserved = decoded.held_bytes;
    let buffers = 5 * decoded.envelope.size() / 4 + 2 * 256;
    let answer: usize = decoded.rejected.iter().map(Rejected::answer_bytes).sum();
    let needed = buffers + answer;
    assert!(reserved <= needed, "{reserved} are held of {needed}");
}

fn texts(lines: &crate::event::Lines) -> Vec<String> {
    let texts = lines.iter().map(|line| String::from_utf8(line.to_vec()));
    texts.map(Result::unwrap).collect()
}

fn value(text: &str) -> Value {
    serde_json::from_str(text).unwrap_or_else(|error| panic!("{error}: {text}"))
}

/// What a configuration makes.
struct Ready {
    pipeline: Pipeline,
    telemetry: Telemetry,
}

/// What the defaults with `toml` laid over them make; made once, for some tests send thousands of bodies.
fn ready(toml: &str) -> Arc<Ready> {
    static KNOWN: LazyLock<Mutex<HashMap<String, Arc<Ready>>>> = LazyLock::new(Mutex::default);
    let mut known = KNOWN.lock().unwrap_or_else(PoisonError::into_inner);
    let make = || {
        let config = config(toml);
        let labels = config.metrics.source_labels();
        Arc::new(Ready {
            pipeline: Pipeline::new(&config),
            telemetry: Telemetry::new(labels, 1000, OutputType::File),
        })
    };
    Arc::clone(known.entry(toml.to_owned()).or_insert_with(make))
}

fn config(toml: &str) -> Config {
    let mut tree: Table = DEFAULT_FILE.parse().unwrap();
    for (section, values) in toml.parse::<Table>().unwrap() {
        let toml::Value::Table(values) = values else {
            panic!("{section} is no section");
        };
        let known = tree[&section].as_table_mut().unwrap();
        known.extend(values);
    }
    let mut config: Config = tree.try_into().unwrap();
    if let Some(schema) = &mut config.validate.schema {
        schema.read().unwrap();
    }
    config
}
