//! Dead letters become events again: by the rules of every event, but without what a request would add, for there is
//! none. What an event was enriched with when it came stays. Pure.

use std::borrow::Cow;

use http::{HeaderMap, Method, Version};
use jiff::Timestamp;

use super::DecodeError;
use super::builder::{Context, EnvelopeBuilder, EnvelopeLimits, Invalid, Scratch};
use super::charset::Text;
use super::enrich::source::Request;
use super::fields::unescape;
use super::splice::Additions;
use super::{Arrival, Pipeline, codec};
use crate::budget::ByteBudget;
use crate::config::Codec;
use crate::event::{Envelope, Origin};
use crate::telemetry::Sources;
use crate::units::timestamp;

impl Pipeline {
    /// Makes an envelope of the events of letters, each the JSON text that its letter has as `event`: an object, or a
    /// string that is the text of what could not be read as one. What still breaks a rule becomes a letter again, or
    /// is tagged.
    pub fn replay<'a>(
        &self,
        at: Timestamp,
        events: impl Iterator<Item = &'a [u8]>,
        sources: &Sources,
    ) -> Envelope {
        let mut reservation = ByteBudget::new(usize::MAX).reservation();
        let headers = HeaderMap::new();
        let now = &timestamp::to_text(at);
        let arrival = no_request(at, now, &headers);
        let request = Request {
            arrival: &arrival,
            drop_headers: &[],
            body_bytes: 0,
            ids: None,
        };
        let context = Context {
            fields: &self.fields,
            rules: &self.rules,
            occasion: self.rules.arrival(at).of_a_replay(),
            additions: Additions::new(request, &self.bare_template, &self.fields, self.slots),
            invalid: Invalid::Keep(self.on_invalid),
            // What was a letter once is never cut.
            max_text_bytes: usize::MAX,
            source_key: &self.bare_template.source_key,
            sources,
            now,
            body_bytes: 0,
        };
        let mut scratch = Scratch::default();
        // Whoever replays bounds what is replayed at once, and what was a letter once is never refused.
        let limits = EnvelopeLimits::NONE;
        let mut builder = EnvelopeBuilder::new(context, limits, &mut scratch, &mut reservation);
        for event in events {
            // A string that stands for no text can only be an event that was never text.
            match unescape(event) {
                // A text does not tell which key it came with, so no field of it may count: a client whose
                // event is kept as text would else get rid of the fields that its key forces.
                Some(text) if self.forces_fields => builder.message(&text, &[]),
                Some(text) => replay_text(text, self.limits, &mut builder),
                None => replay_event(&Text::of_utf8(event), &mut builder),
            }
            .expect("there is no limit that it could break");
        }
        builder.finish(Origin::Replay).0
    }
}

/// A text can be many events: as many as a body of it could, else it is one.
fn replay_text(
    text: String,
    limits: EnvelopeLimits,
    builder: &mut EnvelopeBuilder<'_>,
) -> Result<(), DecodeError> {
    let text = Text::Valid(Cow::Owned(text));
    let before = builder.mark();
    builder.bound_what_follows(limits);
    let outcome = replay_event(&text, builder);
    builder.limit_to(EnvelopeLimits::NONE);
    match outcome {
        Err(DecodeError::TooManyEvents { .. } | DecodeError::EnvelopeTooLarge { .. }) => {
            builder.roll_back(before);
            builder.message(&text.replaced(), &[])
        }
        outcome => outcome,
    }
}

fn replay_event(text: &Text<'_>, builder: &mut EnvelopeBuilder<'_>) -> Result<(), DecodeError> {
    let before = builder.count();
    codec::decode(Codec::Json, text, builder)?;
    if builder.count() == before {
        // A blank body is no event, but a letter is one.
        builder.unparsable(&text.replaced())?;
    }
    Ok(())
}

/// Stands for the request that there is not; nothing of it is added but the time.
fn no_request<'a>(at: Timestamp, now: &'a str, headers: &'a HeaderMap) -> Arrival<'a> {
    Arrival {
        at,
        now,
        client_ip: "",
        method: &Method::POST,
        target: "",
        version: Version::HTTP_11,
        host: None,
        headers,
        request_id: "",
        key: None,
    }
}
