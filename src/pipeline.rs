//! From bytes to events: inflate, decode, validate, enrich. Pure: no I/O and no clock, so every rule is tested
//! with values alone.
//!
//! One request's body becomes one envelope, or nothing: what does not fit its limits is refused as a whole,
//! before anything is kept.

mod arrival;
mod builder;
mod charset;
mod codec;
mod coding;
mod enrich;
mod fields;
mod json;
mod letter;
mod media_type;
mod replay;
pub mod scan;
mod schema;
mod source_key;
mod splice;
#[cfg(test)]
mod tests;
mod timestamp;
mod validate;
mod violations;

use std::cell::RefCell;

use bytes::Bytes;
use http::HeaderName;
use thiserror::Error;
use thread_local::ThreadLocal;

use crate::budget::{Exhausted, Reservation};
use crate::config::{Codec, Config, OnInvalid, StaticFields};
use crate::event::{Envelope, Origin, Violation};
use crate::telemetry::Sources;
pub use arrival::Arrival;
pub use builder::EnvelopeLimits;
use builder::{Context, EnvelopeBuilder, Invalid, Scratch};
pub use coding::{ContentCodings, EncodedBody};
use coding::{InflationLimits, MAX_CODINGS};
use enrich::Templates;
use enrich::event_id::EventIds;
use enrich::source::Request;
use enrich::template::Template;
use fields::Fields;
use media_type::MediaType;
use splice::{Additions, Slots};
use validate::Rules;
pub use violations::push_rejected;

/// The pipeline as configured.
pub struct Pipeline {
    fields: Fields,
    slots: Slots,
    rules: Rules,
    /// Of requests without a key.
    keyless: Templates,
    /// Of requests with one, by its index.
    of_keys: Vec<Templates>,
    /// For what comes without a request.
    bare_template: Template,
    /// Whether a key forces fields on its events.
    forces_fields: bool,
    event_ids: EventIds,
    codec: Codec,
    codecs: Vec<(String, Codec)>,
    drop_headers: Vec<HeaderName>,
    inflation: InflationLimits,
    limits: EnvelopeLimits,
    on_invalid: OnInvalid,
    scratch: ThreadLocal<RefCell<Scratch>>,
}

/// Which rules a body is read by.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Api {
    /// Logstash's http input: everything is kept, one way or the other.
    Logstash,
    /// The application API: what is wrong is told.
    Events,
}

/// What a body became.
#[derive(Debug)]
pub struct Decoded {
    /// The events to keep.
    pub envelope: Envelope,
    /// Those that the client is told are not kept; only with [`Api::Events`].
    pub rejected: Vec<Rejected>,
    /// So much of what is reserved they take; the rest was for the body.
    pub held_bytes: usize,
}

/// An event that is not kept.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rejected {
    /// Its index among the events of the request, from 0.
    pub index: usize,
    /// Why; at least one.
    pub violations: Vec<Violation>,
}

impl Rejected {
    /// Bytes that it takes here and in an answer, about.
    pub fn answer_bytes(&self) -> usize {
        256 + 2 * violations::room(&self.violations)
    }
}

/// Why a body was refused as a whole.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum DecodeError {
    /// A content coding that is not known.
    #[error("the Content-Encoding is not supported: use gzip, deflate, zstd, br or identity")]
    UnsupportedCoding,
    /// More content codings than are undone.
    #[error("the body has more than {MAX_CODINGS} content codings one on top of the other")]
    TooManyCodings,
    /// The body is not what its content coding says.
    #[error("the body does not inflate as its Content-Encoding says")]
    BadCoding,
    /// Larger than allowed, inflated.
    #[error("the body inflates to more than {max_bytes} bytes (ingest.max_content_length)")]
    BodyTooLarge {
        /// The limit.
        max_bytes: usize,
    },
    /// Longer, inflated, than a body of its length may become.
    #[error(
        "the body inflates to more than {max_ratio} times its length (ingest.max_inflation_ratio)"
    )]
    InflatesTooMuch {
        /// The limit.
        max_ratio: usize,
    },
    /// Larger than allowed, enriched and rendered.
    #[error(
        "the events take more than {max_bytes} bytes once enriched (ingest.max_envelope_bytes)"
    )]
    EnvelopeTooLarge {
        /// The limit.
        max_bytes: usize,
    },
    /// Too many events.
    #[error("the body holds more than {max_events} events (ingest.max_events_per_request)")]
    TooManyEvents {
        /// The limit.
        max_events: usize,
    },
    /// The byte budget is used up by other requests.
    #[error("no room for the request in memory")]
    NoRoom,
    /// The request takes more than the whole byte budget.
    #[error(
        "the request takes more memory than there is for all requests together (ingest.max_in_flight_bytes); send smaller batches"
    )]
    NeverRoom,
    /// Nothing, or white space; only with [`Api::Events`].
    #[error("the body is empty: send an event, an array of events, or events one a line")]
    Empty(LineColumn),
    /// No JSON; only with [`Api::Events`].
    #[error("the body cannot be read as JSON: {reason} at line {}, column {}", place.line, place.column)]
    Malformed {
        /// What was expected.
        reason: String,
        /// Where.
        place: LineColumn,
    },
}

/// A place in a text.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LineColumn {
    /// From 1.
    pub line: usize,
    /// From 1, in characters.
    pub column: usize,
}

impl LineColumn {
    /// The place at a byte offset of a text.
    fn at(text: &[u8], offset: usize) -> Self {
        let before = &text[..offset.min(text.len())];
        let line_start = memchr::memrchr(b'\n', before).map_or(0, |newline| newline + 1);
        Self {
            line: memchr::memchr_iter(b'\n', before).count() + 1,
            column: String::from_utf8_lossy(&before[line_start..])
                .chars()
                .count()
                + 1,
        }
    }
}

impl From<Exhausted> for DecodeError {
    fn from(exhausted: Exhausted) -> Self {
        match exhausted {
            Exhausted::ByOthers => Self::NoRoom,
            Exhausted::Alone => Self::NeverRoom,
        }
    }
}

impl DecodeError {
    /// [`Self::Malformed`] at a byte offset of a text.
    fn malformed(text: &[u8], offset: usize, reason: &str) -> Self {
        Self::Malformed {
            reason: reason.to_owned(),
            place: LineColumn::at(text, offset),
        }
    }
}

impl Pipeline {
    /// Makes ready all that the configuration asks for.
    pub fn new(config: &Config) -> Self {
        let mut fields = Fields::default();
        let slots = Slots::new(&mut fields);
        let keys = &config.auth.keys;
        let mut templates = |forced: &StaticFields| Templates::new(config, forced, &mut fields);
        let keyless = templates(&StaticFields::default());
        let of_keys: Vec<Templates> = keys.iter().map(|key| templates(&key.fields)).collect();
        let bare_template = enrich::bare_template(config, &mut fields);
        let all = std::iter::once(&keyless).chain(&of_keys);
        let added = all.flat_map(Templates::paths).collect();
        let rules = Rules::new(&config.validate, &config.ingest, added, &mut fields);
        Self {
            fields,
            slots,
            rules,
            keyless,
            of_keys,
            bare_template,
            forces_fields: keys.iter().any(|key| !key.fields.is_empty()),
            event_ids: EventIds::default(),
            codec: config.ingest.codec,
            codecs: config.ingest.codecs.clone().into_iter().collect(),
            drop_headers: drop_headers(config),
            inflation: InflationLimits::new(&config.ingest),
            limits: EnvelopeLimits {
                max_events: config.ingest.max_events_per_request,
                max_bytes: config.ingest.max_envelope_bytes.as_usize(),
            },
            on_invalid: config.validate.on_invalid,
            scratch: ThreadLocal::new(),
        }
    }

    /// Makes an envelope of a body whose bytes `reservation` already counts; what the envelope takes, and what
    /// inflating takes, is reserved on top. What exceeds `limits` is refused, also where the configuration allows it.
    /// `sources` are the same for as long as the pipeline lives: their numbers are remembered.
    ///
    /// # Errors
    /// See [`DecodeError`]; nothing is kept then.
    pub fn decode(
        &self,
        api: Api,
        arrival: &Arrival<'_>,
        body: EncodedBody,
        limits: EnvelopeLimits,
        sources: &Sources,
        reservation: &mut Reservation,
    ) -> Result<Decoded, DecodeError> {
        let body = self.inflate(body, reservation)?;
        let media_type = MediaType::of(arrival.headers);
        reservation.grow(media_type.charset.text_bytes(&body))?;
        let text = media_type.charset.read(&body);
        reservation.grow(text.replaced_bytes())?;
        let template = self.templates(arrival.key).of(api);
        let invalid = match api {
            Api::Logstash => Invalid::Keep(self.on_invalid),
            Api::Events => Invalid::Reject,
        };
        let has_ids = template.has_event_id;
        let request = Request {
            arrival,
            drop_headers: &self.drop_headers,
            body_bytes: body.len(),
            ids: has_ids.then(|| self.event_ids.run(arrival.at)),
        };
        let context = Context {
            fields: &self.fields,
            rules: &self.rules,
            occasion: self.rules.arrival(arrival.at),
            additions: Additions::new(request, template, &self.fields, self.slots),
            invalid,
            max_text_bytes: self.rules.max_event_bytes(),
            source_key: &template.source_key,
            sources,
            now: arrival.now,
            body_bytes: text.bytes().len(),
        };
        let read_bytes = reservation.bytes();
        let mut scratch = self.scratch.get_or_default().borrow_mut();
        let limits = self.limits.and(limits);
        let mut builder = EnvelopeBuilder::new(context, limits, &mut scratch, reservation);
        let origin = match api {
            Api::Logstash => {
                let codec = self.codec_of(media_type.name);
                codec::decode(codec, &text, &mut builder)?;
                origin_of(codec)
            }
            Api::Events => {
                codec::decode_strictly(&text, &mut builder)?;
                Origin::Auto
            }
        };
        let (envelope, rejected) = builder.finish(origin);
        Ok(Decoded {
            envelope,
            rejected,
            held_bytes: reservation.bytes() - read_bytes,
        })
    }

    /// Undoes the codings. What a body takes that is no longer needed is given back.
    fn inflate(
        &self,
        body: EncodedBody,
        reservation: &mut Reservation,
    ) -> Result<Bytes, DecodeError> {
        let EncodedBody { mut bytes, codings } = body;
        let limit = self.inflation.of(bytes.len());
        let mut reserved = bytes.len();
        for coding in codings.to_undo() {
            let inflated = coding::inflate(coding, &bytes, limit, reservation)?;
            let needless = std::mem::replace(&mut reserved, inflated.capacity());
            bytes = Bytes::from(inflated);
            reservation.shrink(needless);
        }
        Ok(bytes)
    }

    /// What is added to the events of a request with the key of this index, or with none.
    fn templates(&self, key: Option<usize>) -> &Templates {
        match key {
            Some(key) => &self.of_keys[key],
            None => &self.keyless,
        }
    }

    fn codec_of(&self, media_type: &[u8]) -> Codec {
        self.codecs
            .iter()
            .find(|(name, _)| name.as_bytes().eq_ignore_ascii_case(media_type))
            .map_or(self.codec, |(_, codec)| *codec)
    }
}

/// The headers that never reach an event; a key is a secret whatever list is configured.
fn drop_headers(config: &Config) -> Vec<HeaderName> {
    let key = (!config.auth.keys.is_empty()).then_some("x-api-key");
    let configured = config.enrich.drop_headers.iter().map(String::as_str);
    // In an event `X-Secret` and `X_Secret` are both `x_secret`, and an operator may write either.
    let spellings = configured.chain(key).flat_map(|name| {
        [
            name.to_owned(),
            name.replace('-', "_"),
            name.replace('_', "-"),
        ]
    });
    // What is no name of a header cannot come as one.
    let mut names: Vec<HeaderName> = spellings.filter_map(|name| name.parse().ok()).collect();
    names.sort_by(|one, other| one.as_str().cmp(other.as_str()));
    names.dedup();
    names
}

fn origin_of(codec: Codec) -> Origin {
    match codec {
        Codec::Plain => Origin::Plain,
        Codec::Json => Origin::Json,
        Codec::JsonLines => Origin::JsonLines,
        Codec::Auto => Origin::Auto,
    }
}
