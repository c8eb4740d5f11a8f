//! Splicing: what a request adds is rendered once and copied into each event before its closing brace. Only an
//! event whose own members are in the way is rewritten. Pure.

use std::ops::Range;

use memchr::memmem;

use super::enrich::event_id::{self, IdRun};
use super::enrich::headers;
use super::enrich::source::Request;
use super::enrich::template::{Group, Meeting, Template, copy_key, copy_member, for_each_member};
use super::fields::{Fields, Found, Value, is_named};
use super::json::{Members, push_string};
use super::scan::{Kind, Member, Scanned, Span};
use super::timestamp::is_time;
use super::violations;
use crate::event::{LINE_END, Violation};

/// Slots of the members that may need a repair.
#[derive(Clone, Copy, Debug)]
pub(super) struct Slots {
    timestamp: usize,
    /// Where a bad timestamp goes.
    moved_timestamp: usize,
    tags: usize,
    headgate: usize,
}

impl Slots {
    pub(super) fn new(fields: &mut Fields) -> Self {
        Self {
            timestamp: fields.register("@timestamp"),
            moved_timestamp: fields.register("_@timestamp"),
            tags: fields.register("tags"),
            headgate: fields.register("headgate"),
        }
    }
}

/// What one request adds to each of its events, rendered.
pub(super) struct Additions<'a> {
    request: Request<'a>,
    template: &'a Template,
    fields: &'a Fields,
    slots: Slots,
    /// `,"name":value` for each group, one behind the other.
    members: Vec<u8>,
    /// Where each group of the template stands in `members`; empty for one without a value.
    ranges: Vec<Range<usize>>,
    /// Where in `members` the id stands, which is another for each event.
    id_at: Option<usize>,
    headers_cut: bool,
}

/// An event and what a scan found in it.
#[derive(Clone, Copy)]
pub(super) struct EventText<'a> {
    /// The text that it lies in.
    pub(super) text: &'a [u8],
    /// Its place, an object.
    pub(super) scanned: &'a Scanned,
    /// Its members that matter.
    pub(super) found: &'a Found,
}

/// What an event gets beside the additions.
#[derive(Clone, Copy, Default)]
pub(super) struct Marks<'a> {
    /// Tags to add.
    pub(super) tags: &'a [&'a str],
    /// Violations to name in `[headgate][errors]`.
    pub(super) violations: &'a [Violation],
}

impl<'a> Additions<'a> {
    pub(super) fn new(
        request: Request<'a>,
        template: &'a Template,
        fields: &'a Fields,
        slots: Slots,
    ) -> Self {
        let first_id = request.ids.as_ref().map(IdRun::peek);
        let mut members = Vec::with_capacity(512);
        let mut ranges = Vec::with_capacity(template.groups.len());
        for group in &template.groups {
            let start = members.len();
            members.push(b',');
            push_string(&mut members, &group.name);
            members.push(b':');
            if !group.render(&request, &mut members) {
                members.truncate(start);
            }
            ranges.push(start..members.len());
        }
        Self {
            headers_cut: template.has_headers
                && members.len() > headers::MAX_BYTES
                && headers::are_cut(request.arrival),
            // It was drawn by lot just now, so that nothing else reads like it.
            id_at: first_id.and_then(|id| memmem::find(&members, &id)),
            request,
            template,
            fields,
            slots,
            members,
            ranges,
        }
    }

    /// Bytes that splicing adds to an event, at most.
    pub(super) fn size(&self) -> usize {
        self.members.len() + LINE_END.len() + MARKS_ROOM
    }

    /// Writes the event, enriched, on one line, without a line end.
    pub(super) fn write(&self, event: EventText<'_>, marks: Marks<'_>, out: &mut Vec<u8>) {
        let start = out.len();
        let is_marked = !marks.tags.is_empty() || !marks.violations.is_empty();
        if !is_marked && self.only_adds(event) {
            let span = event.scanned.span;
            out.extend_from_slice(&event.text[span.start..span.end - 1]);
            self.add_members(event.found, out);
        } else {
            self.rewrite(event, marks, out);
        }
        if event.scanned.newlines {
            blank_newlines(&mut out[start..]);
        }
    }

    /// Writes a part of `members`; an id in it is a new one.
    #[inline]
    fn push(&self, part: Range<usize>, out: &mut Vec<u8>) {
        let start = out.len();
        out.extend_from_slice(&self.members[part.clone()]);
        if let (Some(at), Some(ids)) = (self.id_at, &self.request.ids)
            && part.contains(&at)
        {
            let at = start + (at - part.start);
            ids.write_next(&mut out[at..at + event_id::LENGTH]);
        }
    }

    fn timestamp_is_bad(&self, event: EventText<'_>) -> bool {
        let value = event.found.get(self.slots.timestamp);
        value.is_some_and(|value| !is_time(event.text, value))
    }

    /// Whether the event can stay as it is, but for what is added at its end.
    pub(super) fn only_adds(&self, event: EventText<'_>) -> bool {
        !self.headers_cut && self.template.only_adds(event.found) && !self.timestamp_is_bad(event)
    }

    /// Writes what is added to an event whose closing brace is still to be written, and the brace.
    pub(super) fn add_members(&self, found: &Found, out: &mut Vec<u8>) {
        let mut skip_comma = usize::from(!found.any_member);
        let mut copy = |members: &Range<usize>| {
            if !members.is_empty() {
                self.push(members.start + skip_comma..members.end, out);
                skip_comma = 0;
            }
        };
        // Groups that are added one after the other are copied in one go.
        let mut run = 0..0;
        for (group, range) in std::iter::zip(&self.template.groups, &self.ranges) {
            if found.get(group.slot).is_some() {
                copy(&run);
                run.start = range.end;
            }
            run.end = range.end;
        }
        copy(&run);
        out.push(b'}');
    }

    /// The slower way, member by member, for an event that needs a merge, a replacement or a repair.
    fn rewrite(&self, event: EventText<'_>, marks: Marks<'_>, out: &mut Vec<u8>) {
        let timestamp_is_bad = self.timestamp_is_bad(event);
        let tags = self.tags(marks, timestamp_is_bad);
        let own = Value {
            span: event.scanned.span,
            kind: Kind::Object,
        };
        let rewrite = Rewrite {
            additions: self,
            event,
            tags: &tags,
            violations: marks.violations,
            timestamp_is_bad,
        };
        let mut object = Members::open(out, b'{');
        for_each_member(event.text, own, |member| {
            rewrite.own_member(&mut object, &member);
        });
        rewrite.added_members(&mut object);
        object.close(b'}');
    }

    fn tags<'t>(&self, marks: Marks<'t>, timestamp_is_bad: bool) -> Vec<&'t str> {
        let mut tags = marks.tags.to_vec();
        if timestamp_is_bad {
            tags.push("_timestampparsefailure");
        }
        if self.headers_cut {
            tags.push(headers::CUT_TAG);
        }
        tags
    }
}

/// Room for tags and the like; a guess that only saves growing the buffer later.
const MARKS_ROOM: usize = 128;

/// One event on its slower way.
struct Rewrite<'a> {
    additions: &'a Additions<'a>,
    event: EventText<'a>,
    tags: &'a [&'a str],
    violations: &'a [Violation],
    timestamp_is_bad: bool,
}

impl Rewrite<'_> {
    fn own_member(&self, object: &mut Members<'_>, member: &Member) {
        let Additions { slots, .. } = self.additions;
        let text = self.event.text;
        let Some((slot, is_last)) = self.slot_of(member) else {
            copy_member(object, text, member);
            return;
        };
        if self.is_written_apart(slot) {
            return;
        }
        let group = self.group(slot);
        match group.map(|group| (group, group.meets(member.kind))) {
            _ if slot == slots.moved_timestamp && self.moves_timestamp() => {}
            Some((_, Meeting::Replace)) => {}
            _ if slot == slots.timestamp && self.timestamp_is_bad => {
                if is_last {
                    let out = object.key("_@timestamp");
                    out.extend_from_slice(member.value.of(text));
                }
            }
            None | Some((_, Meeting::Keep)) => copy_member(object, text, member),
            // Of a doubled name the last counts.
            Some((_, Meeting::Merge)) if !is_last => {}
            Some((group, Meeting::Merge)) => {
                copy_key(object, text, member);
                let own = Value {
                    span: member.value,
                    kind: member.kind,
                };
                group.merge(text, own, &self.additions.request, object.out);
            }
        }
    }

    fn added_members(&self, object: &mut Members<'_>) {
        let Additions { slots, .. } = self.additions;
        for (index, group) in self.additions.template.groups.iter().enumerate() {
            let range = self.additions.ranges[index].clone();
            let is_added = match self.event.found.get(group.slot) {
                _ if self.is_written_apart(group.slot) => false,
                _ if group.slot == slots.moved_timestamp && self.moves_timestamp() => false,
                None => true,
                Some(own) if group.meets(own.kind) == Meeting::Replace => true,
                Some(_) => group.slot == slots.timestamp && self.timestamp_is_bad,
            };
            if is_added && !range.is_empty() {
                // Without the comma in front.
                self.additions
                    .push(range.start + 1..range.end, object.next());
            }
        }
        if !self.tags.is_empty() {
            push_tags(
                object.key("tags"),
                self.base(slots.tags).as_deref(),
                self.tags,
            );
        }
        if !self.violations.is_empty() {
            let base = self.base(slots.headgate);
            push_errors(object.key("headgate"), base.as_deref(), self.violations);
        }
    }

    /// Whether the event's own timestamp is written as `_@timestamp`: it is bad, and nothing replaces it.
    fn moves_timestamp(&self) -> bool {
        let slot = self.additions.slots.timestamp;
        let own = self.event.found.get(slot).filter(|_| self.timestamp_is_bad);
        let replaces = |own: Value| {
            let group = self.group(slot);
            group.is_some_and(|group| group.meets(own.kind) == Meeting::Replace)
        };
        own.is_some_and(|own| !replaces(own))
    }

    /// Whether a member is written at the end, with what is added to its value.
    fn is_written_apart(&self, slot: usize) -> bool {
        let Additions { slots, .. } = self.additions;
        (slot == slots.tags && !self.tags.is_empty())
            || (slot == slots.headgate && !self.violations.is_empty())
    }

    /// The value that a member would have without what is added to it: the event's own, that of a group, or both
    /// merged.
    fn base(&self, slot: usize) -> Option<Vec<u8>> {
        let own = self.event.found.get(slot);
        let group = self.group(slot);
        let mut base = Vec::new();
        match (own, group) {
            (None, None) => return None,
            (Some(own), None) => base.extend_from_slice(own.span.of(self.event.text)),
            (None, Some(group)) => {
                if !group.render(&self.additions.request, &mut base) {
                    return None;
                }
            }
            (Some(own), Some(group)) => match group.meets(own.kind) {
                Meeting::Keep => base.extend_from_slice(own.span.of(self.event.text)),
                Meeting::Merge => {
                    group.merge(self.event.text, own, &self.additions.request, &mut base);
                }
                Meeting::Replace => {
                    group.render(&self.additions.request, &mut base);
                }
            },
        }
        Some(base)
    }

    fn group(&self, slot: usize) -> Option<&Group> {
        let mut groups = self.additions.template.groups.iter();
        groups.find(|group| group.slot == slot)
    }

    /// The slot of a member's name, and whether it is the last member of that name.
    fn slot_of(&self, member: &Member) -> Option<(usize, bool)> {
        let slot = self.additions.fields.slot_of(self.event.text, member)?;
        let last = self.event.found.get(slot)?;
        Some((slot, last.span == member.value))
    }
}

/// Writes tags with more behind them. What is there may be no array.
fn push_tags(out: &mut Vec<u8>, base: Option<&[u8]>, more: &[&str]) {
    let mut array = Members::open(out, b'[');
    match base {
        Some([b'[', inside @ .., b']']) => {
            let inside = inside.trim_ascii();
            if !inside.is_empty() {
                array.next().extend_from_slice(inside);
            }
        }
        None | Some(b"null") => {}
        Some(single) => array.next().extend_from_slice(single),
    }
    for tag in more {
        push_string(array.next(), tag);
    }
    array.close(b']');
}

/// Writes the member `headgate` with the errors in it; what is there and no object gives way.
fn push_errors(out: &mut Vec<u8>, base: Option<&[u8]>, violations: &[Violation]) {
    let mut object = Members::open(out, b'{');
    if let Some(base @ [b'{', ..]) = base {
        let whole = Value {
            span: Span {
                start: 0,
                end: base.len(),
            },
            kind: Kind::Object,
        };
        for_each_member(base, whole, |member| {
            if !is_named(base, &member, "errors") {
                copy_member(&mut object, base, &member);
            }
        });
    }
    violations::push_json(object.key("errors"), violations);
    object.close(b'}');
}

/// Inside valid JSON a newline is white space, so it may as well be a space: each event is one line.
fn blank_newlines(text: &mut [u8]) {
    for byte in text {
        if matches!(byte, b'\n' | b'\r') {
            *byte = b' ';
        }
    }
}
