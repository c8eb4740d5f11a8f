//! The slower way of an event, member by member: its own members are merged, replaced or moved where they are
//! in the way of what is added. Pure.

use super::{Additions, EventText, StrictMember};
use crate::event::Violation;
use crate::pipeline::enrich::template::{Group, Meeting, copy_key, copy_member};
use crate::pipeline::fields::{Value, for_each_member, is_named};
use crate::pipeline::json::{Members, push_string};
use crate::pipeline::scan::{Kind, Member, Span};
use crate::pipeline::violations;

/// One event on its slower way.
pub(super) struct Rewrite<'a> {
    pub(super) additions: &'a Additions<'a>,
    pub(super) event: EventText<'a>,
    pub(super) tags: &'a [&'a str],
    pub(super) violations: &'a [Violation],
    /// Its own members that go aside.
    pub(super) misfits: &'a [StrictMember],
}

impl Rewrite<'_> {
    /// Writes the event, member by member, and then what is added.
    pub(super) fn write(&self, out: &mut Vec<u8>) {
        let own = Value {
            span: self.event.scanned.span,
            kind: Kind::Object,
        };
        let mut object = Members::open(out, b'{');
        for_each_member(self.event.text, own, |member| {
            self.own_member(&mut object, &member);
        });
        self.added_members(&mut object);
        object.close(b'}');
    }

    fn own_member(&self, object: &mut Members<'_>, member: &Member) {
        let text = self.event.text;
        if self.gives_way(|name| is_named(text, member, name)) {
            return;
        }
        let Some((slot, is_last)) = self.slot_of(member) else {
            copy_member(object, text, member);
            return;
        };
        if self.is_written_apart(slot) {
            return;
        }
        let group = self.group(slot);
        let meeting = group.map(|group| (group, self.meets(group, member.kind)));
        match (meeting, self.misfit(slot)) {
            (Some((_, Meeting::Replace)), _) => {}
            (_, Some(misfit)) => {
                if is_last {
                    let out = object.key(misfit.aside);
                    out.extend_from_slice(member.value.of(text));
                }
            }
            (None | Some((_, Meeting::Keep)), None) => copy_member(object, text, member),
            // Of a doubled name the last counts.
            (Some((_, Meeting::Merge)), None) if !is_last => {}
            (Some((group, Meeting::Merge)), None) => {
                copy_key(object, text, member);
                let own = Value::of(member);
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
                _ if self.gives_way(|name| group.is_named(name)) => false,
                None => true,
                Some(own) if self.meets(group, own.kind) == Meeting::Replace => true,
                Some(_) => self.misfit(group.slot).is_some(),
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

    /// The member in a slot, if it is one that goes aside.
    fn misfit(&self, slot: usize) -> Option<&StrictMember> {
        self.misfits.iter().find(|misfit| misfit.slot == slot)
    }

    /// Whether a misfit comes to stand in the place of the member that is named so: one that is not replaced anyway.
    fn gives_way(&self, is_named: impl Fn(&str) -> bool) -> bool {
        let is_replaced = |misfit: &StrictMember| {
            let own = self.event.found.get(misfit.slot);
            let group = self.group(misfit.slot);
            group
                .zip(own)
                .is_some_and(|(group, own)| self.meets(group, own.kind) == Meeting::Replace)
        };
        let comes = |misfit: &StrictMember| is_named(misfit.aside) && !is_replaced(misfit);
        self.misfits.iter().any(comes)
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
            (Some(own), Some(group)) => match self.meets(group, own.kind) {
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

    fn meets(&self, group: &Group, own: Kind) -> Meeting {
        group.meets(own, &self.additions.request)
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

/// Tags that are longer than this together are not looked through.
const MAX_KNOWN_TAGS_BYTES: usize = 4 * 1024;

/// The texts among an event's own tags, as far as it is known.
fn known_tags(base: Option<&[u8]>) -> Vec<serde_json::Value> {
    let base = base.filter(|base| base.len() <= MAX_KNOWN_TAGS_BYTES);
    match base.and_then(|base| serde_json::from_slice(base).ok()) {
        Some(serde_json::Value::Array(tags)) => tags,
        Some(single) => vec![single],
        None => vec![],
    }
}

/// Writes tags with more behind them, those that are not there yet, as in Logstash. What is there may be no array.
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
    let known = known_tags(base);
    for tag in more {
        if !known.iter().any(|known| known == tag) {
            push_string(array.next(), tag);
        }
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
