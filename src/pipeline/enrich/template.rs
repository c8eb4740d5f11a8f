//! The shape of what is added to an event: its top members, some of them objects that are merged into the event's
//! own. Pure.

use super::source::{FixedValue, Request, ValueSource};
use crate::config::OnConflict;
use crate::pipeline::fields::{Fields, Found, Value, for_each_member, is_named};
use crate::pipeline::json::{Members, push_string};
use crate::pipeline::scan::{Kind, Member};
use crate::pipeline::source_key::SourceKey;
use crate::units::FieldReference;

/// What is added to each event of one kind of request.
pub(in crate::pipeline) struct Template {
    pub(in crate::pipeline) groups: Vec<Group>,
    /// What tells the source of an event to which this is added.
    pub(in crate::pipeline) source_key: SourceKey,
    /// Whether the request's headers are among it.
    pub(in crate::pipeline) has_headers: bool,
    /// Whether an id of the event's own is among it.
    pub(in crate::pipeline) has_event_id: bool,
}

/// One top member that is added.
pub(in crate::pipeline) struct Group {
    name: String,
    /// What stands before its value: `,"name":`.
    pub(in crate::pipeline) lead: Vec<u8>,
    /// Where a scan notes the event's own member of this name.
    pub(in crate::pipeline) slot: usize,
    node: Node,
}

enum Node {
    Leaf(Leaf),
    Object(Vec<(String, Node)>),
}

/// One added value and what happens when the event has the field already.
pub(super) struct Leaf {
    pub(super) source: ValueSource,
    pub(super) conflict: OnConflict,
}

/// What becomes of an event's own member when a group of the same name is added.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::pipeline) enum Meeting {
    /// The event's own stays, nothing is added.
    Keep,
    /// The event's own goes, the group is added.
    Replace,
    /// Both are objects: the group is merged into the event's own.
    Merge,
}

#[derive(Default)]
pub(super) struct TemplateBuilder {
    top: Vec<(String, Node)>,
}

impl TemplateBuilder {
    /// Adds a leaf; one that is there already is replaced, and an object gives way to a leaf and the other way
    /// round, for the later one is the more particular.
    pub(super) fn add(&mut self, reference: &FieldReference, leaf: Leaf) {
        let (last, outer) = reference
            .path()
            .split_last()
            .expect("a reference has at least one name");
        let mut children = &mut self.top;
        for name in outer {
            let index = index_of(children, name);
            if !matches!(children[index].1, Node::Object(_)) {
                children[index].1 = Node::Object(vec![]);
            }
            let Node::Object(inner) = &mut children[index].1 else {
                unreachable!("it was made an object");
            };
            children = inner;
        }
        let index = index_of(children, last);
        children[index].1 = Node::Leaf(leaf);
    }

    pub(super) fn build(self, source_fields: &[FieldReference], fields: &mut Fields) -> Template {
        let fixed = |field: &FieldReference| self.fixed(field.path());
        let source_key = SourceKey::new(source_fields, fixed, fields);
        let group = |(name, node): (String, Node)| Group {
            slot: fields.register(&name),
            lead: lead(&name),
            name,
            node,
        };
        Template {
            source_key,
            has_headers: self.has(|source| matches!(source, ValueSource::Headers)),
            has_event_id: self.has(|source| matches!(source, ValueSource::EventId)),
            groups: self.top.into_iter().map(group).collect(),
        }
    }

    fn has(&self, wanted: fn(&ValueSource) -> bool) -> bool {
        self.top.iter().any(|(_, node)| node.has(wanted))
    }

    /// What is added in a field's place, where that is known from the start.
    fn fixed(&self, path: &[String]) -> Option<FixedValue> {
        let mut children = &self.top;
        let mut replaced_on_the_way = vec![];
        for (at, name) in path.iter().enumerate() {
            let (_, node) = children.iter().find(|(known, _)| known == name)?;
            let leaf = match node {
                Node::Object(inner) => {
                    replaced_on_the_way.push(node.overwrites());
                    children = inner;
                    continue;
                }
                Node::Leaf(leaf) => leaf,
            };
            let ValueSource::Fixed(json) = &leaf.source else {
                return None;
            };
            return Some(FixedValue {
                json: part_of(json, &path[at + 1..]),
                replaces_own: leaf.conflict == OnConflict::Overwrite,
                replaced_on_the_way,
            });
        }
        None
    }
}

/// What stands in a value where the path leads; null where nothing does.
fn part_of(json: &[u8], path: &[String]) -> Vec<u8> {
    let whole: serde_json::Value = serde_json::from_slice(json).expect("it was written as JSON");
    let part = path.iter().try_fold(&whole, |value, name| value.get(name));
    part.unwrap_or_default().to_string().into_bytes()
}

fn lead(name: &str) -> Vec<u8> {
    let mut lead = vec![b','];
    push_string(&mut lead, name);
    lead.push(b':');
    lead
}

fn index_of(children: &mut Vec<(String, Node)>, name: &str) -> usize {
    let known = children.iter().position(|(known, _)| known == name);
    known.unwrap_or_else(|| {
        children.push((name.to_owned(), Node::Object(vec![])));
        children.len() - 1
    })
}

impl Template {
    /// The path of each field that is added.
    pub(in crate::pipeline) fn paths(&self) -> Vec<Vec<String>> {
        let mut paths = Vec::new();
        for group in &self.groups {
            group
                .node
                .collect_paths(vec![group.name.clone()], &mut paths);
        }
        paths
    }

    /// Whether an event's own members can all stay beside what is added.
    pub(in crate::pipeline) fn only_adds(&self, found: &Found, request: &Request<'_>) -> bool {
        self.groups.iter().all(|group| {
            found
                .get(group.slot)
                .is_none_or(|own| group.meets(own.kind, request) == Meeting::Keep)
        })
    }
}

impl Group {
    pub(in crate::pipeline) fn is_named(&self, name: &str) -> bool {
        self.name == name
    }

    pub(in crate::pipeline) fn meets(&self, own: Kind, request: &Request<'_>) -> Meeting {
        self.node.meets(own, request)
    }

    /// Writes the group's value; false, and nothing written, when the request has none.
    pub(in crate::pipeline) fn render(&self, request: &Request<'_>, out: &mut Vec<u8>) -> bool {
        self.node.render(request, out)
    }

    /// Writes the event's own object with what the group adds to it.
    pub(in crate::pipeline) fn merge(
        &self,
        text: &[u8],
        own: Value,
        request: &Request<'_>,
        out: &mut Vec<u8>,
    ) {
        self.node.merge(text, own, request, out);
    }
}

impl Node {
    fn meets(&self, own: Kind, request: &Request<'_>) -> Meeting {
        match self {
            Self::Object(_) if own == Kind::Object => Meeting::Merge,
            node if node.replaces(request) => Meeting::Replace,
            _ => Meeting::Keep,
        }
    }

    /// Whether something in it overwrites, and the request has a value for that: what it has none for replaces nothing.
    fn replaces(&self, request: &Request<'_>) -> bool {
        match self {
            Self::Leaf(leaf) => {
                leaf.conflict == OnConflict::Overwrite && leaf.source.has_value(request)
            }
            Self::Object(children) => children.iter().any(|(_, child)| child.replaces(request)),
        }
    }

    fn has(&self, wanted: fn(&ValueSource) -> bool) -> bool {
        match self {
            Self::Leaf(leaf) => wanted(&leaf.source),
            Self::Object(children) => children.iter().any(|(_, child)| child.has(wanted)),
        }
    }

    fn collect_paths(&self, path: Vec<String>, paths: &mut Vec<Vec<String>>) {
        let Self::Object(children) = self else {
            paths.push(path);
            return;
        };
        for (name, child) in children {
            let inside = [&path[..], std::slice::from_ref(name)].concat();
            child.collect_paths(inside, paths);
        }
    }

    fn overwrites(&self) -> bool {
        match self {
            Self::Leaf(leaf) => leaf.conflict == OnConflict::Overwrite,
            Self::Object(children) => children.iter().any(|(_, child)| child.overwrites()),
        }
    }

    fn render(&self, request: &Request<'_>, out: &mut Vec<u8>) -> bool {
        let children = match self {
            Self::Leaf(leaf) => return leaf.source.render(request, out),
            Self::Object(children) => children,
        };
        let start = out.len();
        let mut object = Members::open(out, b'{');
        for (name, child) in children {
            add(&mut object, name, child, request);
        }
        object.close(b'}');
        let is_empty = out.len() == start + 2;
        if is_empty {
            out.truncate(start);
        }
        !is_empty
    }

    fn merge(&self, text: &[u8], own: Value, request: &Request<'_>, out: &mut Vec<u8>) {
        let Self::Object(children) = self else {
            out.extend_from_slice(own.span.of(text));
            return;
        };
        let last = last_members(text, own, children);
        let mut object = Members::open(out, b'{');
        for_each_member(text, own, |member| {
            let met = children
                .iter()
                .position(|(name, _)| is_named(text, &member, name));
            let Some(child) = met else {
                copy_member(&mut object, text, &member);
                return;
            };
            let is_last = last[child].is_some_and(|last| last.span == member.value);
            match children[child].1.meets(member.kind, request) {
                Meeting::Keep => copy_member(&mut object, text, &member),
                Meeting::Merge if is_last => {
                    copy_key(&mut object, text, &member);
                    let own = Value::of(&member);
                    children[child].1.merge(text, own, request, object.out);
                }
                // Replaced, or a doubled name of which the last counts.
                Meeting::Replace | Meeting::Merge => {}
            }
        });
        for ((name, child), last) in std::iter::zip(children, last) {
            if last.is_none_or(|own| child.meets(own.kind, request) == Meeting::Replace) {
                add(&mut object, name, child, request);
            }
        }
        object.close(b'}');
    }
}

/// The last member of each child's name in an object.
fn last_members(text: &[u8], object: Value, children: &[(String, Node)]) -> Vec<Option<Value>> {
    let mut last = vec![None; children.len()];
    for_each_member(text, object, |member| {
        let child = children
            .iter()
            .position(|(name, _)| is_named(text, &member, name));
        if let Some(child) = child {
            last[child] = Some(Value::of(&member));
        }
    });
    last
}

/// Adds a member if the request has a value for it.
fn add(object: &mut Members<'_>, name: &str, node: &Node, request: &Request<'_>) {
    object.member_if(name, |out| node.render(request, out));
}

/// Copies a member as it came.
pub(in crate::pipeline) fn copy_member(object: &mut Members<'_>, text: &[u8], member: &Member) {
    copy_key(object, text, member);
    object.out.extend_from_slice(member.value.of(text));
}

/// Copies a member's key as it came, and the colon.
pub(in crate::pipeline) fn copy_key(object: &mut Members<'_>, text: &[u8], member: &Member) {
    let out = object.next();
    out.push(b'"');
    out.extend_from_slice(member.key.of(text));
    out.extend_from_slice(b"\":");
}
