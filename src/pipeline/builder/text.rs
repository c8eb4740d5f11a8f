//! Events of which only a text is known: what is no JSON, and what is too long or too deep to be looked into. Pure.

use super::{EnvelopeBuilder, Invalid, LETTER_ROOM};
use crate::config::OnInvalid;
use crate::event::Violation;
use crate::pipeline::json::{Members, push_string, string_len};
use crate::pipeline::splice::{EventText, Marks};
use crate::pipeline::{DecodeError, letter, violations};

/// Room for what stands around a message.
const MESSAGE_ROOM: usize = 128;

impl EnvelopeBuilder<'_> {
    /// One event that is no JSON: its text as `message`, tagged.
    pub(in crate::pipeline) fn unparsable(&mut self, text: &str) -> Result<(), DecodeError> {
        self.message(text, &["_jsonparsefailure"])
    }

    /// One event of plain text. It is written where it is to stay: a body of text would else be in memory three
    /// times.
    pub(in crate::pipeline) fn message(
        &mut self,
        text: &str,
        tags: &[&str],
    ) -> Result<(), DecodeError> {
        let rules = self.context.rules;
        if let Some(violation) = rules.check_size(text.len()) {
            return self.keep_text(text.as_bytes(), tags, &[violation]);
        }
        self.check_count()?;
        let size = string_len(text) + MESSAGE_ROOM + self.context.additions.size();
        let bound = self.bound_beside(&self.dead);
        self.live.make_room(size, bound, self.reservation)?;
        let mut live = std::mem::take(&mut self.live.bytes);
        let start = live.len();
        push_message(&mut live, text, tags);
        let scanned = self.scan_own(&live, start);
        let event = EventText {
            text: &live,
            scanned: &scanned,
            found: &self.scratch.found,
        };
        let violations = rules.check_fields(event, &self.context.occasion, self.reservation)?;
        if violations.is_empty() && self.context.additions.only_adds(event) {
            self.note_source(&live);
            live.pop();
            self.context
                .additions
                .add_members(&self.scratch.found, &mut live);
            self.live.bytes = live;
            self.live.end_event();
            return Ok(());
        }
        live.truncate(start);
        self.live.bytes = live;
        self.marked_message(text, tags, violations)
    }

    /// A message that takes the slower way. Its tags are added behind all that is: a key or the configuration
    /// may force tags of their own, in whose place the client's would go.
    fn marked_message(
        &mut self,
        text: &str,
        tags: &[&str],
        violations: Vec<Violation>,
    ) -> Result<(), DecodeError> {
        let scratch = string_len(text) + MESSAGE_ROOM;
        self.reservation.grow(scratch)?;
        let mut event = Vec::with_capacity(scratch);
        push_message(&mut event, text, &[]);
        let scanned = self.scan_own(&event, 0);
        let outcome = self.judged(&event, &scanned, tags, violations);
        self.reservation.shrink(scratch);
        outcome
    }

    /// Keeps an event that is too long or too deep as text; `tags` are for one that goes on.
    pub(super) fn keep_text(
        &mut self,
        text: &[u8],
        tags: &[&str],
        violations: &[Violation],
    ) -> Result<(), DecodeError> {
        self.check_count()?;
        let whole = String::from_utf8_lossy(text);
        let cut = &whole[..whole.floor_char_boundary(self.context.max_text_bytes)];
        if self.context.invalid == Invalid::Keep(OnInvalid::Tag) {
            return self.tag_text(cut, text.len(), tags, violations);
        }
        let size = string_len(cut) + LETTER_ROOM + violations::room(violations);
        let bound = self.bound_beside(&self.live);
        self.dead.make_room(size, bound, self.reservation)?;
        letter::push_text(
            &mut self.dead.bytes,
            self.context.now,
            violations,
            cut,
            text.len(),
        );
        self.dead.count_line();
        let none = self.context.source_key.none(self.context.sources);
        self.sources.note(none);
        Ok(())
    }

    fn tag_text(
        &mut self,
        cut: &str,
        original_bytes: usize,
        tags: &[&str],
        violations: &[Violation],
    ) -> Result<(), DecodeError> {
        let scratch = string_len(cut) + MESSAGE_ROOM;
        self.reservation.grow(scratch)?;
        let mut event = Vec::with_capacity(scratch);
        let mut object = Members::open(&mut event, b'{');
        push_string(object.key("message"), cut);
        object
            .key("original_bytes")
            .extend_from_slice(original_bytes.to_string().as_bytes());
        object.close(b'}');
        let scanned = self.scan_own(&event, 0);
        let marks = Marks {
            tags: &[tags, &["_validationfailure"]].concat(),
            violations,
        };
        let outcome = self.write_live(&event, &scanned, marks);
        self.reservation.shrink(scratch);
        outcome
    }
}

/// Writes an event of nothing but a message, and tags if there are any.
fn push_message(out: &mut Vec<u8>, text: &str, tags: &[&str]) {
    let mut object = Members::open(out, b'{');
    push_string(object.key("message"), text);
    if !tags.is_empty() {
        let mut array = Members::open(object.key("tags"), b'[');
        for tag in tags {
            push_string(array.next(), tag);
        }
        array.close(b']');
    }
    object.close(b'}');
}
