//! Builds one envelope: takes events from a codec one by one, checks each against the rules, and writes it,
//! enriched, to the envelope, to the dead letters, or to the list of those that the client is told of. Pure.

use bytes::Bytes;

use super::fields::{Fields, Found};
use super::json::{Members, push_string};
use super::letter;
use super::scan::{Kind, Scanned, Scanner};
use super::splice::{Additions, EventText, Marks};
use super::validate::{self, Rules};
use super::{DecodeError, Rejected};
use crate::budget::Reservation;
use crate::config::OnInvalid;
use crate::event::{Envelope, LINE_END, Lines, Origin, SourceCount, Violation};
use crate::telemetry::Sources;

use super::source_key::SourceKey;

/// What becomes of an event that breaks a rule.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Invalid {
    /// It is not kept: the client is told (the application API).
    Reject,
    /// It is kept, one way or the other (the Logstash paths).
    Keep(OnInvalid),
}

/// The limits on one envelope.
#[derive(Clone, Copy, Debug)]
pub(super) struct EnvelopeLimits {
    pub(super) max_events: usize,
    pub(super) max_bytes: usize,
}

/// What does not change from request to request, or not within one.
pub(super) struct Context<'a> {
    pub(super) fields: &'a Fields,
    pub(super) rules: &'a Rules,
    pub(super) additions: Additions<'a>,
    pub(super) invalid: Invalid,
    pub(super) limits: EnvelopeLimits,
    pub(super) source_key: &'a SourceKey,
    pub(super) sources: &'a Sources,
    /// The time of arrival, as text.
    pub(super) now: &'a str,
    /// Bytes of the decoded body: what an envelope's size is guessed from.
    pub(super) body_bytes: usize,
}

/// An envelope under way.
pub(super) struct EnvelopeBuilder<'a> {
    context: Context<'a>,
    reservation: &'a mut Reservation,
    scanner: Scanner,
    found: Found,
    live: Vec<u8>,
    live_count: usize,
    dead: Vec<u8>,
    dead_count: usize,
    rejected: Vec<Rejected>,
    /// The source of each event that is not rejected.
    sources: Vec<usize>,
    source_spelling: Vec<u8>,
}

/// How far an envelope had come, to go back to.
#[derive(Clone, Copy, Debug)]
pub(super) struct Mark {
    live: usize,
    live_count: usize,
    dead: usize,
    dead_count: usize,
    rejected: usize,
    sources: usize,
}

impl<'a> EnvelopeBuilder<'a> {
    pub(super) fn new(context: Context<'a>, reservation: &'a mut Reservation) -> Self {
        Self {
            context,
            reservation,
            scanner: Scanner::default(),
            found: Found::default(),
            live: Vec::new(),
            live_count: 0,
            dead: Vec::new(),
            dead_count: 0,
            rejected: Vec::new(),
            sources: Vec::new(),
            source_spelling: Vec::new(),
        }
    }

    /// Scans the value at or after `from`; an object is ready for [`Self::object`] then.
    pub(super) fn scan(
        &mut self,
        text: &[u8],
        from: usize,
    ) -> Result<Scanned, super::scan::SyntaxError> {
        let (found, fields) = (&mut self.found, self.context.fields);
        found.clear(fields);
        self.scanner
            .value(text, from, |member| found.note(fields, text, &member))
    }

    /// The element that was scanned last: an event if it is an object.
    pub(super) fn element(&mut self, text: &[u8], scanned: &Scanned) -> Result<(), DecodeError> {
        if scanned.kind == Kind::Object {
            return self.object(text, scanned, scanned.span.len());
        }
        match self.context.invalid {
            Invalid::Reject => self.reject(vec![validate::not_an_object()]),
            Invalid::Keep(_) => self.unparsable(scanned.span.of(text)),
        }
    }

    /// One event that is no JSON: its text as `message`, tagged.
    pub(super) fn unparsable(&mut self, text: &[u8]) -> Result<(), DecodeError> {
        self.message(text, &["_jsonparsefailure"])
    }

    /// One event of plain text.
    pub(super) fn message(&mut self, text: &[u8], tags: &[&str]) -> Result<(), DecodeError> {
        if let Some(violation) = self.context.rules.check_size(text.len()) {
            return self.keep_text(text, &[violation]);
        }
        let mut event = Vec::with_capacity(text.len() + 64);
        self.reserve_scratch(text.len())?;
        let mut object = Members::open(&mut event, b'{');
        push_string(object.key("message"), &String::from_utf8_lossy(text));
        if !tags.is_empty() {
            let mut array = Members::open(object.key("tags"), b'[');
            for tag in tags {
                push_string(array.next(), tag);
            }
            array.close(b']');
        }
        object.close(b'}');
        let scanned = self
            .scan(&event, 0)
            .expect("an event that was written here is valid");
        let outcome = self.object(&event, &scanned, text.len());
        self.reservation.shrink(text.len());
        outcome
    }

    /// `bytes`: the event's length as it came.
    fn object(&mut self, text: &[u8], scanned: &Scanned, bytes: usize) -> Result<(), DecodeError> {
        self.check_count()?;
        let rules = self.context.rules;
        let whole = rules
            .check_size(bytes)
            .or_else(|| rules.check_depth(scanned.depth));
        if let Some(violation) = whole {
            // Not even looked into further: it goes on as text, if it goes on.
            return match self.context.invalid {
                Invalid::Reject => self.reject(vec![violation]),
                Invalid::Keep(_) => self.keep_text(scanned.span.of(text), &[violation]),
            };
        }
        let violations = rules.check_fields(text, scanned, &self.found, &mut self.scanner);
        if violations.is_empty() {
            return self.write_live(text, scanned, Marks::default());
        }
        match self.context.invalid {
            Invalid::Reject => self.reject(violations),
            Invalid::Keep(OnInvalid::Tag) => self.write_live(
                text,
                scanned,
                Marks {
                    tags: &["_validationfailure"],
                    violations: &violations,
                },
            ),
            Invalid::Keep(OnInvalid::DeadLetter) => self.write_dead(text, scanned, &violations),
        }
    }

    fn write_live(
        &mut self,
        text: &[u8],
        scanned: &Scanned,
        marks: Marks<'_>,
    ) -> Result<(), DecodeError> {
        let added = self.context.additions.size();
        self.guess_size(scanned.span.len(), added)?;
        let size = scanned.span.len() + added + 256 * marks.violations.len();
        make_room(
            &mut self.live,
            size,
            self.context.limits.max_bytes,
            self.reservation,
        )?;
        let event = EventText {
            text,
            scanned,
            found: &self.found,
        };
        self.context.additions.write(event, marks, &mut self.live);
        self.live.extend_from_slice(LINE_END);
        self.live_count += 1;
        self.note_source(text);
        Ok(())
    }

    fn write_dead(
        &mut self,
        text: &[u8],
        scanned: &Scanned,
        violations: &[Violation],
    ) -> Result<(), DecodeError> {
        let size =
            scanned.span.len() + self.context.additions.size() + 256 * (1 + violations.len());
        make_room(
            &mut self.dead,
            size,
            self.context.limits.max_bytes,
            self.reservation,
        )?;
        let event = EventText {
            text,
            scanned,
            found: &self.found,
        };
        let additions = &self.context.additions;
        letter::push(&mut self.dead, self.context.now, violations, |out| {
            additions.write(event, Marks::default(), out);
        });
        self.dead_count += 1;
        self.note_source(text);
        Ok(())
    }

    /// Keeps an event that is too long or too deep as text, cut to what one event may be.
    fn keep_text(&mut self, text: &[u8], violations: &[Violation]) -> Result<(), DecodeError> {
        self.check_count()?;
        let cut =
            String::from_utf8_lossy(&text[..text.len().min(self.context.rules.max_event_bytes())]);
        // Escaping can make six bytes of one.
        let size = 6 * cut.len() + 512;
        if self.context.invalid == Invalid::Keep(OnInvalid::Tag) {
            return self.tag_text(&cut, text.len(), violations);
        }
        make_room(
            &mut self.dead,
            size,
            self.context.limits.max_bytes,
            self.reservation,
        )?;
        letter::push_text(
            &mut self.dead,
            self.context.now,
            violations,
            &cut,
            text.len(),
        );
        self.dead_count += 1;
        self.sources
            .push(self.context.source_key.none(self.context.sources));
        Ok(())
    }

    fn tag_text(
        &mut self,
        cut: &str,
        original_bytes: usize,
        violations: &[Violation],
    ) -> Result<(), DecodeError> {
        let mut event = Vec::with_capacity(cut.len() + 64);
        self.reserve_scratch(cut.len())?;
        let mut object = Members::open(&mut event, b'{');
        push_string(object.key("message"), cut);
        object
            .key("original_bytes")
            .extend_from_slice(original_bytes.to_string().as_bytes());
        object.close(b'}');
        let scanned = self
            .scan(&event, 0)
            .expect("an event that was written here is valid");
        let marks = Marks {
            tags: &["_validationfailure"],
            violations,
        };
        let outcome = self.write_live(&event, &scanned, marks);
        self.reservation.shrink(cut.len());
        outcome
    }

    fn reject(&mut self, violations: Vec<Violation>) -> Result<(), DecodeError> {
        self.check_count()?;
        // What an entry of the answer takes, about.
        self.reserve_scratch(256 * (1 + violations.len()))?;
        self.rejected.push(Rejected {
            index: self.count(),
            violations,
        });
        Ok(())
    }

    fn check_count(&self) -> Result<(), DecodeError> {
        let max_events = self.context.limits.max_events;
        if self.count() < max_events {
            Ok(())
        } else {
            Err(DecodeError::TooManyEvents { max_events })
        }
    }

    /// Events so far, the rejected ones included.
    pub(super) fn count(&self) -> usize {
        self.live_count + self.dead_count + self.rejected.len()
    }

    fn note_source(&mut self, text: &[u8]) {
        let Context {
            source_key,
            sources,
            ..
        } = &self.context;
        let source = source_key.number(
            text,
            &self.found,
            &mut self.scanner,
            &mut self.source_spelling,
            sources,
        );
        self.sources.push(source);
    }

    /// Reserves, at the first event, what the whole envelope will take if the others are like it: growing by
    /// doubling would copy everything again and again.
    fn guess_size(&mut self, event_bytes: usize, added: usize) -> Result<(), DecodeError> {
        if self.live.capacity() > 0 {
            return Ok(());
        }
        let events = self.context.body_bytes / event_bytes.max(1) + 1;
        let events = events.min(self.context.limits.max_events);
        let guess = self
            .context
            .body_bytes
            .saturating_add(events.saturating_mul(added));
        let max_bytes = self.context.limits.max_bytes;
        // A guess that finds no room is no reason to refuse: the first event may be an unusual one.
        let _without = make_room(
            &mut self.live,
            guess.min(max_bytes),
            max_bytes,
            self.reservation,
        );
        Ok(())
    }

    fn reserve_scratch(&mut self, bytes: usize) -> Result<(), DecodeError> {
        self.reservation
            .grow(bytes)
            .map_err(|_| DecodeError::NoRoom)
    }

    pub(super) fn mark(&self) -> Mark {
        Mark {
            live: self.live.len(),
            live_count: self.live_count,
            dead: self.dead.len(),
            dead_count: self.dead_count,
            rejected: self.rejected.len(),
            sources: self.sources.len(),
        }
    }

    /// Forgets everything since the mark.
    pub(super) fn roll_back(&mut self, mark: Mark) {
        self.live.truncate(mark.live);
        self.live_count = mark.live_count;
        self.dead.truncate(mark.dead);
        self.dead_count = mark.dead_count;
        self.rejected.truncate(mark.rejected);
        self.sources.truncate(mark.sources);
    }

    pub(super) fn finish(self, origin: Origin) -> (Envelope, Vec<Rejected>) {
        let envelope = Envelope {
            origin,
            live: lines(self.live, self.live_count),
            dead: lines(self.dead, self.dead_count),
            sources: counts(&self.sources),
        };
        (envelope, self.rejected)
    }
}

fn lines(mut bytes: Vec<u8>, count: usize) -> Lines {
    // The guess can be far off, and an envelope may wait in the spool for long.
    if bytes.capacity() - bytes.len() > bytes.len() / 2 + 1024 {
        bytes.shrink_to_fit();
    }
    Lines {
        count,
        bytes: Bytes::from(bytes),
    }
}

/// How often each number occurs, by runs: events of one source mostly come together.
fn counts(numbers: &[usize]) -> Vec<SourceCount> {
    numbers
        .chunk_by(|one, other| one == other)
        .map(|run| SourceCount {
            source: run[0],
            events: run.len() as u64,
        })
        .collect()
}

/// Makes sure that `more` bytes fit without growing, and that what the buffer holds is reserved.
fn make_room(
    buffer: &mut Vec<u8>,
    more: usize,
    max_bytes: usize,
    reservation: &mut Reservation,
) -> Result<(), DecodeError> {
    let needed = buffer.len() + more;
    if needed <= buffer.capacity() {
        return Ok(());
    }
    if needed > max_bytes {
        return Err(DecodeError::EnvelopeTooLarge { max_bytes });
    }
    let doubled = (2 * buffer.capacity()).clamp(needed, max_bytes);
    let capacity = if reservation.grow(doubled - buffer.capacity()).is_ok() {
        doubled
    } else {
        let exact = needed - buffer.capacity();
        reservation.grow(exact).map_err(|_| DecodeError::NoRoom)?;
        needed
    };
    buffer.reserve_exact(capacity - buffer.len());
    Ok(())
}
