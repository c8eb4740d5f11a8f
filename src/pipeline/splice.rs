//! Splicing: what a request adds is rendered once and copied into each event before its closing brace. Only an
//! event whose own members are in the way is rewritten. Pure.

mod rewrite;

use std::ops::Range;

use memchr::memmem;

use super::enrich::event_id::{self, IdRun};
use super::enrich::headers;
use super::enrich::source::Request;
use super::enrich::template::Template;
use super::fields::{Fields, Found};
use super::scan::{Kind, Scanned};
use super::timestamp::is_time;
use crate::event::{LINE_END, Violation};
use rewrite::Rewrite;

/// Room for tags and the like; a guess that only saves growing the buffer later.
pub(super) const MARKS_ROOM: usize = 128;

/// Slots of the members that may need a repair.
#[derive(Clone, Copy, Debug)]
pub(super) struct Slots {
    timestamp: StrictMember,
    metadata: StrictMember,
    tags: usize,
    headgate: usize,
}

/// A member that Logstash knows in one form only. What an event has there in another form goes aside.
#[derive(Clone, Copy, Debug)]
struct StrictMember {
    slot: usize,
    aside: &'static str,
    tag: &'static str,
}

impl Slots {
    pub(super) fn new(fields: &mut Fields) -> Self {
        let mut strict = |name, aside, tag| StrictMember {
            slot: fields.register(name),
            aside,
            tag,
        };
        Self {
            timestamp: strict("@timestamp", "_@timestamp", "_timestampparsefailure"),
            metadata: strict("@metadata", "_@metadata", "_metadataparsefailure"),
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
            members.extend_from_slice(&group.lead);
            if !group.render(&request, &mut members) {
                members.truncate(start);
            }
            ranges.push(start..members.len());
        }
        Self {
            headers_cut: template.has_headers && headers::are_cut(&request),
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

    /// Bytes that splicing adds to most events.
    pub(super) fn usual_size(&self) -> usize {
        self.members.len() + LINE_END.len()
    }

    /// Bytes that splicing adds to an event, about at most.
    pub(super) fn size(&self) -> usize {
        self.usual_size() + MARKS_ROOM
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
        let value = event.found.get(self.slots.timestamp.slot);
        value.is_some_and(|value| !is_time(event.text, value))
    }

    /// One that is no object makes Logstash read the whole batch as one text.
    fn metadata_is_bad(&self, event: EventText<'_>) -> bool {
        let value = event.found.get(self.slots.metadata.slot);
        value.is_some_and(|value| value.kind != Kind::Object)
    }

    /// The members that go aside.
    fn misfits(&self, event: EventText<'_>) -> Vec<StrictMember> {
        let Slots {
            timestamp,
            metadata,
            ..
        } = self.slots;
        let bad_timestamp = self.timestamp_is_bad(event).then_some(timestamp);
        let bad_metadata = self.metadata_is_bad(event).then_some(metadata);
        bad_timestamp.into_iter().chain(bad_metadata).collect()
    }

    /// Whether the event can stay as it is, but for what is added at its end.
    pub(super) fn only_adds(&self, event: EventText<'_>) -> bool {
        !self.headers_cut
            && self.template.only_adds(event.found, &self.request)
            && !self.timestamp_is_bad(event)
            && !self.metadata_is_bad(event)
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

    /// The slower way, for an event that needs a merge, a replacement or a repair.
    fn rewrite(&self, event: EventText<'_>, marks: Marks<'_>, out: &mut Vec<u8>) {
        let misfits = self.misfits(event);
        let tags = self.tags(marks, &misfits);
        let rewrite = Rewrite {
            additions: self,
            event,
            tags: &tags,
            violations: marks.violations,
            misfits: &misfits,
        };
        rewrite.write(out);
    }

    fn tags<'t>(&self, marks: Marks<'t>, misfits: &[StrictMember]) -> Vec<&'t str> {
        let mut tags = marks.tags.to_vec();
        tags.extend(misfits.iter().map(|misfit| misfit.tag));
        if self.headers_cut {
            tags.push(headers::CUT_TAG);
        }
        tags
    }
}

/// Inside valid JSON a newline is white space, so it may as well be a space: each event is one line.
fn blank_newlines(text: &mut [u8]) {
    for byte in text {
        // Written always, for a loop without a branch is made of vector instructions: blanking took a fifth of the time
        // of pretty-printed events.
        *byte = if matches!(byte, b'\n' | b'\r') {
            b' '
        } else {
            *byte
        };
    }
}
