//! Splicing: what a request adds is rendered once and copied into each event before its closing brace. Only an
//! event whose own members are in the way is rewritten. Pure.

use std::ops::Range;

use super::Arrival;
use super::enrich::headers;
use super::enrich::template::{Meeting, Template, copy_key, copy_member, members_of};
use super::fields::{Fields, Found, Value};
use super::json::{Members, push_string};
use super::scan::{Kind, Member, Scanned};
use super::timestamp::is_iso_8601;
use super::violations;
use crate::event::{LINE_END, Violation};

/// Slots of the members that may need a repair.
#[derive(Clone, Copy, Debug)]
pub(super) struct Slots {
    timestamp: usize,
    tags: usize,
    headgate: usize,
}

impl Slots {
    pub(super) fn new(fields: &mut Fields) -> Self {
        Self {
            timestamp: fields.register("@timestamp"),
            tags: fields.register("tags"),
            headgate: fields.register("headgate"),
        }
    }
}

/// What one request adds to each of its events, rendered.
pub(super) struct Additions<'a> {
    arrival: &'a Arrival<'a>,
    template: &'a Template,
    fields: &'a Fields,
    slots: Slots,
    /// `,"name":value` for each group, one behind the other.
    members: Vec<u8>,
    /// Where each group of the template stands in `members`; empty for one without a value.
    ranges: Vec<Range<usize>>,
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
        arrival: &'a Arrival<'a>,
        template: &'a Template,
        fields: &'a Fields,
        slots: Slots,
    ) -> Self {
        let mut members = Vec::with_capacity(512);
        let mut ranges = Vec::with_capacity(template.groups.len());
        for group in &template.groups {
            let start = members.len();
            members.push(b',');
            push_string(&mut members, &group.name);
            members.push(b':');
            if !group.render(arrival, &mut members) {
                members.truncate(start);
            }
            ranges.push(start..members.len());
        }
        Self {
            headers_cut: template.has_headers
                && members.len() > headers::MAX_BYTES
                && headers::are_cut(arrival),
            arrival,
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

    fn timestamp_is_bad(&self, event: EventText<'_>) -> bool {
        event.found.get(self.slots.timestamp).is_some_and(|value| {
            let text = value.span.of(event.text);
            value.kind != Kind::String || !is_iso_8601(&text[1..text.len() - 1])
        })
    }

    /// Whether the event can stay as it is, but for what is added at its end.
    pub(super) fn only_adds(&self, event: EventText<'_>) -> bool {
        !self.headers_cut && self.template.only_adds(event.found) && !self.timestamp_is_bad(event)
    }

    /// Writes what is added to an event whose closing brace is still to be written, and the brace.
    pub(super) fn add_members(&self, found: &Found, out: &mut Vec<u8>) {
        let mut skip_comma = usize::from(!found.any_member);
        for (group, range) in std::iter::zip(&self.template.groups, &self.ranges) {
            if found.get(group.slot).is_none() && !range.is_empty() {
                out.extend_from_slice(&self.members[range.start + skip_comma..range.end]);
                skip_comma = 0;
            }
        }
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
        for member in members_of(event.text, own) {
            rewrite.own_member(&mut object, &member);
        }
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
        if slot == slots.timestamp && self.timestamp_is_bad {
            if is_last {
                let out = object.key("_@timestamp");
                out.extend_from_slice(member.value.of(text));
            }
        } else if slot == slots.tags && !self.tags.is_empty() {
            if is_last {
                copy_key(object, text, member);
                push_tags(
                    object.out,
                    Some((member.value.of(text), member.kind)),
                    self.tags,
                );
            }
        } else if slot == slots.headgate && !self.violations.is_empty() {
            // Replaced by ours.
        } else {
            self.met_member(object, member, slot, is_last);
        }
    }

    /// A member that a group of the template may have the name of.
    fn met_member(&self, object: &mut Members<'_>, member: &Member, slot: usize, is_last: bool) {
        let text = self.event.text;
        let mut groups = self.additions.template.groups.iter();
        let group = groups.find(|group| group.slot == slot);
        match group.map(|group| (group, group.meets(member.kind))) {
            None | Some((_, Meeting::Keep)) => copy_member(object, text, member),
            Some((group, Meeting::Merge)) if is_last => {
                copy_key(object, text, member);
                let own = Value {
                    span: member.value,
                    kind: member.kind,
                };
                group.merge(text, own, self.additions.arrival, object.out);
            }
            // Replaced, or a doubled name of which the last counts.
            Some(_) => {}
        }
    }

    fn added_members(&self, object: &mut Members<'_>) {
        let Additions { slots, .. } = self.additions;
        let found = self.event.found;
        let groups = &self.additions.template.groups;
        for (group, range) in std::iter::zip(groups, &self.additions.ranges) {
            let is_added = match found.get(group.slot) {
                None => true,
                Some(_) if group.slot == slots.timestamp => self.timestamp_is_bad,
                Some(own) => group.meets(own.kind) == Meeting::Replace,
            };
            if is_added && !range.is_empty() {
                let member = &self.additions.members[range.start + 1..range.end];
                object.next().extend_from_slice(member);
            }
        }
        if !self.tags.is_empty() && found.get(slots.tags).is_none() {
            push_tags(object.key("tags"), None, self.tags);
        }
        if !self.violations.is_empty() {
            let out = object.key("headgate");
            out.extend_from_slice(br#"{"errors":"#);
            violations::push_json(out, self.violations);
            out.push(b'}');
        }
    }

    /// The slot of a member's name, and whether it is the last member of that name.
    fn slot_of(&self, member: &Member) -> Option<(usize, bool)> {
        let slot = self.additions.fields.slot_of(self.event.text, member)?;
        let last = self.event.found.get(slot)?;
        Some((slot, last.span == member.value))
    }
}

/// Writes an event's tags with more behind them. Its own may be no array.
fn push_tags(out: &mut Vec<u8>, own: Option<(&[u8], Kind)>, more: &[&str]) {
    let mut array = match own {
        Some((text, Kind::Array)) => {
            let inside = text[1..text.len() - 1].trim_ascii();
            let mut array = Members::open(out, b'[');
            if !inside.is_empty() {
                array.next().extend_from_slice(inside);
            }
            array
        }
        Some((text, kind)) if kind != Kind::Null => {
            let mut array = Members::open(out, b'[');
            array.next().extend_from_slice(text);
            array
        }
        _ => Members::open(out, b'['),
    };
    for tag in more {
        push_string(array.next(), tag);
    }
    array.close(b']');
}

/// Inside valid JSON a newline is white space, so it may as well be a space: each event is one line.
fn blank_newlines(text: &mut [u8]) {
    for byte in text {
        if matches!(byte, b'\n' | b'\r') {
            *byte = b' ';
        }
    }
}
