//! Builds one envelope: takes events from a codec one by one, checks each against the rules, and writes it,
//! enriched, to the envelope, to the dead letters, or to the list of those that the client is told of. Pure.

mod buffers;
mod context;
mod source_counts;
mod text;

use super::fields::Found;
use super::letter;
use super::scan::{self, Kind, Scanned, SyntaxError};
use super::source_key::RecentSources;
use super::splice::{EventText, MARKS_ROOM, Marks};
use super::{DecodeError, Rejected, validate, violations};
use crate::budget::Reservation;
use crate::config::OnInvalid;
use crate::event::{Envelope, Origin, Violation};

use buffers::{Bound, LineBuffer, LinesMark};
pub use context::EnvelopeLimits;
pub(super) use context::{Context, Invalid};
use source_counts::{CountsMark, SourceCounts};

/// So much of a body may stand around its only event.
const WHITE_SPACE: usize = 64;

/// An envelope is guessed to be at most so many times its body and what is added to one event: the first
/// event may be unlike the others, and as long as a body is decoded the guess is taken from all others.
/// Events of 50 bytes with 350 added to each come to that.
const GUESSED_TIMES_BODY: usize = 8;

/// Room for what stands around an event in a letter.
const LETTER_ROOM: usize = 256;

/// What building needs each time, and a thread keeps for its next envelope.
#[derive(Default)]
pub(super) struct Scratch {
    found: Found,
    recent_sources: RecentSources,
}

/// An envelope under way.
pub(super) struct EnvelopeBuilder<'a> {
    context: Context<'a>,
    limits: EnvelopeLimits,
    reservation: &'a mut Reservation,
    scratch: &'a mut Scratch,
    live: LineBuffer,
    dead: LineBuffer,
    rejected: Vec<Rejected>,
    /// The source of each event that is not rejected.
    sources: SourceCounts,
    forgotten: Forgotten,
}

/// What was written and then rolled back. It made as much work as what is kept.
#[derive(Default)]
struct Forgotten {
    events: usize,
    bytes: usize,
}

/// How far an envelope had come, to go back to.
#[derive(Clone, Copy, Debug)]
pub(super) struct Mark {
    live: LinesMark,
    dead: LinesMark,
    rejected: usize,
    sources: CountsMark,
}

impl<'a> EnvelopeBuilder<'a> {
    pub(super) fn new(
        context: Context<'a>,
        limits: EnvelopeLimits,
        scratch: &'a mut Scratch,
        reservation: &'a mut Reservation,
    ) -> Self {
        scratch.recent_sources.make_room();
        Self {
            context,
            limits,
            reservation,
            scratch,
            live: LineBuffer::default(),
            dead: LineBuffer::default(),
            rejected: Vec::new(),
            sources: SourceCounts::default(),
            forgotten: Forgotten::default(),
        }
    }

    /// Scans the value at or after `from`; an object is ready for [`Self::object`] then.
    pub(super) fn scan(&mut self, text: &[u8], from: usize) -> Result<Scanned, SyntaxError> {
        let (found, fields) = (&mut self.scratch.found, self.context.fields);
        found.clear(fields);
        scan::value(text, from, |member| found.note(fields, text, &member))
    }

    /// The element that was scanned last: an event if it is an object.
    pub(super) fn element(&mut self, text: &[u8], scanned: &Scanned) -> Result<(), DecodeError> {
        if scanned.kind == Kind::Object {
            return self.object(text, scanned, scanned.span.len());
        }
        match self.context.invalid {
            Invalid::Reject => self.reject(vec![validate::not_an_object()]),
            Invalid::Keep(_) => {
                let element = String::from_utf8_lossy(scanned.span.of(text));
                self.unparsable(&element)
            }
        }
    }

    fn scan_own(&mut self, text: &[u8], from: usize) -> Scanned {
        self.scan(text, from)
            .expect("an event that was written here is valid")
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
                Invalid::Keep(_) => self.keep_text(scanned.span.of(text), &[], &[violation]),
            };
        }
        let event = EventText {
            text,
            scanned,
            found: &self.scratch.found,
        };
        let violations = rules.check_fields(event, &self.context.occasion, self.reservation)?;
        self.judged(text, scanned, &[], violations)
    }

    /// Writes an event to where it belongs by what was found against it. `tags` are added in any case.
    fn judged(
        &mut self,
        text: &[u8],
        scanned: &Scanned,
        tags: &[&str],
        violations: Vec<Violation>,
    ) -> Result<(), DecodeError> {
        let is_good = violations.is_empty();
        match self.context.invalid {
            Invalid::Reject if !is_good => self.reject(violations),
            Invalid::Keep(OnInvalid::DeadLetter) if !is_good => {
                self.write_dead(text, scanned, tags, &violations)
            }
            Invalid::Keep(OnInvalid::Tag) if !is_good => {
                let marks = Marks {
                    tags: &[tags, &["_validationfailure"]].concat(),
                    violations: &violations,
                };
                self.write_live(text, scanned, marks)
            }
            _ => {
                let marks = Marks {
                    tags,
                    violations: &[],
                };
                self.write_live(text, scanned, marks)
            }
        }
    }

    fn write_live(
        &mut self,
        text: &[u8],
        scanned: &Scanned,
        marks: Marks<'_>,
    ) -> Result<(), DecodeError> {
        let added = self.context.additions.size();
        self.guess_size(scanned.span.len());
        let size = scanned.span.len() + added + violations::room(marks.violations);
        let bound = self.bound_beside(&self.dead);
        self.live.make_room(size, bound, self.reservation)?;
        let event = EventText {
            text,
            scanned,
            found: &self.scratch.found,
        };
        let additions = &self.context.additions;
        additions.write(event, marks, &mut self.live.bytes);
        self.live.end_event();
        self.note_source(text);
        Ok(())
    }

    fn write_dead(
        &mut self,
        text: &[u8],
        scanned: &Scanned,
        tags: &[&str],
        violations: &[Violation],
    ) -> Result<(), DecodeError> {
        let size = scanned.span.len()
            + self.context.additions.size()
            + LETTER_ROOM
            + violations::room(violations);
        let bound = self.bound_beside(&self.live);
        self.dead.make_room(size, bound, self.reservation)?;
        let event = EventText {
            text,
            scanned,
            found: &self.scratch.found,
        };
        let additions = &self.context.additions;
        letter::push(&mut self.dead.bytes, self.context.now, violations, |out| {
            let marks = Marks {
                tags,
                violations: &[],
            };
            additions.write(event, marks, out);
        });
        self.dead.count_line();
        self.note_source(text);
        Ok(())
    }

    fn reject(&mut self, violations: Vec<Violation>) -> Result<(), DecodeError> {
        self.check_count()?;
        let rejected = Rejected {
            index: self.count(),
            violations,
        };
        self.reservation.grow(rejected.answer_bytes())?;
        self.rejected.push(rejected);
        Ok(())
    }

    fn check_count(&self) -> Result<(), DecodeError> {
        let max_events = self.limits.max_events;
        if self.count() < max_events {
            Ok(())
        } else {
            Err(DecodeError::TooManyEvents { max_events })
        }
    }

    /// Events so far, the rejected ones included.
    pub(super) fn count(&self) -> usize {
        self.live.count() + self.dead.count() + self.rejected.len()
    }

    fn note_source(&mut self, text: &[u8]) {
        let Context {
            source_key,
            sources,
            ..
        } = &self.context;
        let source = source_key.number(
            text,
            &self.scratch.found,
            &mut self.scratch.recent_sources,
            sources,
        );
        self.sources.note(source);
    }

    /// Reserves, at the first event, what the whole envelope will take if the others are like it: growing by
    /// doubling would copy everything again and again.
    fn guess_size(&mut self, event_bytes: usize) {
        if self.live.bytes.capacity() > 0 {
            return;
        }
        let body_bytes = self.context.body_bytes;
        // An event alone is one and not two, for a line end behind it.
        let others = body_bytes
            .saturating_sub(event_bytes + WHITE_SPACE)
            .div_ceil(event_bytes.max(1));
        let events = (others + 1).min(self.limits.max_events);
        let added = self.context.additions.usual_size();
        let whole = body_bytes.saturating_add(events.saturating_mul(added));
        let most = GUESSED_TIMES_BODY.saturating_mul(body_bytes + added);
        let guess = whole.min(most) + MARKS_ROOM;
        let bound = self.bound_beside(&self.dead);
        let guess = guess.min(bound.max_bytes.saturating_sub(bound.elsewhere));
        // A guess that finds no room is no reason to refuse: the first event may be an unusual one.
        let _without = self.live.make_room(guess, bound, self.reservation);
    }

    /// What follows may take as much as an envelope alone.
    pub(super) fn bound_what_follows(&mut self, limits: EnvelopeLimits) {
        self.forgotten = Forgotten::default();
        self.limit_to(EnvelopeLimits {
            max_events: limits.max_events.saturating_add(self.count()),
            max_bytes: limits.max_bytes.saturating_add(self.bytes()),
        });
    }

    pub(super) fn limit_to(&mut self, limits: EnvelopeLimits) {
        self.limits = limits;
    }

    /// The bound of one buffer beside the other.
    fn bound_beside(&self, other: &LineBuffer) -> Bound {
        Bound {
            max_bytes: self.limits.max_bytes,
            elsewhere: other.len(),
        }
    }

    pub(super) fn mark(&self) -> Mark {
        Mark {
            live: self.live.mark(),
            dead: self.dead.mark(),
            rejected: self.rejected.len(),
            sources: self.sources.mark(),
        }
    }

    /// Bytes of the events so far.
    fn bytes(&self) -> usize {
        self.live.len() + self.dead.len()
    }

    /// Forgets everything since the mark.
    pub(super) fn roll_back(&mut self, mark: Mark) {
        let (events, bytes) = (self.count(), self.bytes());
        self.live.roll_back(mark.live);
        self.dead.roll_back(mark.dead);
        self.rejected.truncate(mark.rejected);
        self.sources.roll_back(mark.sources);
        self.forgotten.events += events - self.count();
        self.forgotten.bytes += bytes - self.bytes();
    }

    /// Refuses a request of which more was forgotten than may be kept: each of its lines could else make as much work as
    /// the largest request.
    pub(super) fn check_forgotten(&self) -> Result<(), DecodeError> {
        let EnvelopeLimits {
            max_events,
            max_bytes,
        } = self.limits;
        if self.forgotten.events > max_events {
            Err(DecodeError::TooManyEvents { max_events })
        } else if self.forgotten.bytes > max_bytes {
            Err(DecodeError::EnvelopeTooLarge { max_bytes })
        } else {
            Ok(())
        }
    }

    pub(super) fn finish(self, origin: Origin) -> (Envelope, Vec<Rejected>) {
        let envelope = Envelope {
            origin,
            live: self.live.into_lines(self.reservation),
            dead: self.dead.into_lines(self.reservation),
            sources: self.sources.finish(),
        };
        (envelope, self.rejected)
    }
}
