//! The fields of an event that matter here: a small table of names, and where a scan found them. Pure.

use super::scan::{self, Kind, Member, Span};
use crate::units::FieldReference;

/// Names at the top of an event that something asks for. Each has a slot.
#[derive(Debug, Default)]
pub(super) struct Fields {
    names: Vec<String>,
    /// By the length of the name. Every key of every event is looked up, and most are none of these.
    by_length: Vec<Vec<Candidate>>,
}

/// A name among those of its length.
#[derive(Clone, Debug)]
struct Candidate {
    beginning: Beginning,
    slot: usize,
}

/// The first bytes of a name, the rest zero: they are compared at once, and most names have no more.
pub(super) type Beginning = u128;

/// Where the last member of each name stands in one event.
#[derive(Debug, Default)]
pub(super) struct Found {
    slots: Vec<Slot>,
    /// Which event the slots are asked about: those of earlier ones are empty, and need not be cleared.
    event: u64,
    /// Whether the event has any member at all.
    pub(super) any_member: bool,
}

/// A value, and which event it was found in; 0 is none.
#[derive(Clone, Copy, Debug)]
struct Slot {
    event: u64,
    value: Value,
}

/// A member's value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Value {
    /// Its text.
    pub(super) span: Span,
    /// What it is.
    pub(super) kind: Kind,
}

impl Value {
    #[inline(always)]
    pub(super) fn of(member: &Member) -> Self {
        Self {
            span: member.value,
            kind: member.kind,
        }
    }
}

impl Fields {
    /// The slot of a name, which gets one if it has none.
    pub(super) fn register(&mut self, name: &str) -> usize {
        if let Some(slot) = self.names.iter().position(|known| known == name) {
            return slot;
        }
        let slot = self.names.len();
        self.names.push(name.to_owned());
        if self.by_length.len() <= name.len() {
            self.by_length.resize(name.len() + 1, vec![]);
        }
        let whole = Span {
            start: 0,
            end: name.len(),
        };
        self.by_length[name.len()].push(Candidate {
            beginning: beginning(name.as_bytes(), whole),
            slot,
        });
        slot
    }

    /// The slot of a member's name, if anything asks for it.
    #[inline(always)]
    pub(super) fn slot_of(&self, text: &[u8], member: &Member) -> Option<usize> {
        if member.key_escaped {
            return self.slot_of_escaped(text, member.key);
        }
        let candidates = self.by_length.get(member.key.len())?;
        if candidates.is_empty() {
            return None;
        }
        let begins = beginning(text, member.key);
        let is_same = |candidate: &&Candidate| {
            candidate.beginning == begins
                && (member.key.len() <= size_of::<Beginning>()
                    || self.names[candidate.slot].as_bytes() == member.key.of(text))
        };
        candidates.iter().find(is_same).map(|one| one.slot)
    }

    #[cold]
    fn slot_of_escaped(&self, text: &[u8], key: Span) -> Option<usize> {
        let name = unescape_key(text, key)?;
        self.names.iter().position(|known| *known == name)
    }
}

#[inline(always)]
pub(super) fn beginning(text: &[u8], name: Span) -> Beginning {
    const BYTES: usize = size_of::<Beginning>();
    let length = name.len().min(BYTES);
    if let Some(bytes) = text[name.start..].first_chunk() {
        return Beginning::from_le_bytes(*bytes) & MASKS[length];
    }
    let mut bytes = [0; BYTES];
    bytes[..length].copy_from_slice(&text[name.start..][..length]);
    Beginning::from_le_bytes(bytes)
}

/// Keeps so many bytes, and masks away what stands behind them.
const MASKS: [Beginning; size_of::<Beginning>() + 1] = {
    let mut masks = [0; _];
    let mut length = 1;
    while length < masks.len() {
        masks[length] = masks[length - 1] << 8 | 0xff;
        length += 1;
    }
    masks
};

impl Found {
    /// Forgets the last event.
    #[inline]
    pub(super) fn clear(&mut self, fields: &Fields) {
        let empty = Slot {
            event: 0,
            value: Value {
                span: Span { start: 0, end: 0 },
                kind: Kind::Null,
            },
        };
        self.slots.resize(fields.names.len(), empty);
        self.event += 1;
        self.any_member = false;
    }

    /// Notes a member. Of doubled names the last counts.
    #[inline(always)]
    pub(super) fn note(&mut self, fields: &Fields, text: &[u8], member: &Member) {
        self.any_member = true;
        if let Some(slot) = fields.slot_of(text, member) {
            self.slots[slot] = Slot {
                event: self.event,
                value: Value::of(member),
            };
        }
    }

    /// The value in a slot.
    #[inline(always)]
    pub(super) fn get(&self, slot: usize) -> Option<Value> {
        let Slot { event, value } = self.slots[slot];
        (event == self.event).then_some(value)
    }
}

/// A field reference whose first name has a slot.
#[derive(Debug)]
pub(super) struct FieldPath {
    /// The reference.
    pub(super) reference: FieldReference,
    slot: usize,
    is_nested: bool,
}

impl FieldPath {
    pub(super) fn new(reference: &FieldReference, fields: &mut Fields) -> Self {
        Self {
            slot: fields.register(&reference.path()[0]),
            is_nested: reference.path().len() > 1,
            reference: reference.clone(),
        }
    }

    /// The slot of its first name.
    #[inline(always)]
    pub(super) fn slot(&self) -> usize {
        self.slot
    }

    /// The field's value in an event, looked up inside objects where the path goes on.
    #[inline(always)]
    pub(super) fn value(&self, text: &[u8], found: &Found) -> Option<Value> {
        let value = found.get(self.slot)?;
        if self.is_nested {
            self.value_inside(text, value)
        } else {
            Some(value)
        }
    }

    #[inline(never)]
    fn value_inside(&self, text: &[u8], mut value: Value) -> Option<Value> {
        for name in &self.reference.path()[1..] {
            value = member_of(text, value, name)?;
        }
        Some(value)
    }
}

/// Scans an object once more, for its members in order: an event can have a million, so they are not collected.
pub(super) fn for_each_member(text: &[u8], object: Value, take: impl FnMut(Member)) {
    scan::value(text, object.span.start, take).expect("an object inside a scanned event is valid");
}

/// The last member of an object that has this name.
pub(super) fn member_of(text: &[u8], object: Value, name: &str) -> Option<Value> {
    let mut found = None;
    if object.kind == Kind::Object {
        for_each_member(text, object, |member| {
            if is_named(text, &member, name) {
                found = Some(Value::of(&member));
            }
        });
    }
    found
}

/// Whether a member has this name, however it is spelt.
pub(super) fn is_named(text: &[u8], member: &Member, name: &str) -> bool {
    if member.key_escaped {
        unescape_key(text, member.key).is_some_and(|key| key == name)
    } else {
        member.key.of(text) == name.as_bytes()
    }
}

fn unescape_key(text: &[u8], key: Span) -> Option<String> {
    unescape(text.get(key.start.checked_sub(1)?..=key.end)?)
}

/// The text that a string in its quotes stands for; none where it has no Unicode text (a lone surrogate).
pub(super) fn unescape(string: &[u8]) -> Option<String> {
    serde_json::from_slice(string).ok()
}

/// Bytes of UTF-8 that a string stands for. `inside` is the string without its quotes.
pub(super) fn unescaped_len(inside: &[u8]) -> usize {
    let mut length = 0;
    let mut rest = inside;
    while let Some(backslash) = memchr::memchr(b'\\', rest) {
        length += backslash;
        let (bytes, consumed) = match &rest[backslash..] {
            [b'\\', b'u', ..] => escaped_code_unit(&rest[backslash..]),
            _ => (1, 2),
        };
        length += bytes;
        rest = rest.get(backslash + consumed..).unwrap_or_default();
    }
    length + rest.len()
}

/// UTF-8 length and text length of the `\u` escape that `text` begins with, a surrogate pair together.
fn escaped_code_unit(text: &[u8]) -> (usize, usize) {
    match code_unit(text) {
        Some(0..0x80) => (1, 6),
        Some(0x80..0x800) => (2, 6),
        Some(0xd800..0xdc00)
            if text
                .get(6..)
                .and_then(code_unit)
                .is_some_and(|low| (0xdc00..0xe000).contains(&low)) =>
        {
            (4, 12)
        }
        _ => (3, 6),
    }
}

/// The UTF-16 code unit of the escape that a text begins with, where it begins with one.
pub(super) fn code_unit(text: &[u8]) -> Option<u16> {
    let digits = text.strip_prefix(b"\\u")?.get(..4)?;
    u16::from_str_radix(std::str::from_utf8(digits).ok()?, 16).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn find(fields: &Fields, text: &str) -> Found {
        let mut found = Found::default();
        found.clear(fields);
        scan::value(text.as_bytes(), 0, |member| {
            found.note(fields, text.as_bytes(), &member);
        })
        .unwrap();
        found
    }

    #[test]
    fn names_are_found_however_they_are_spelt_and_the_last_counts() {
        let mut fields = Fields::default();
        let host = fields.register("host");
        assert_eq!(fields.register("host"), host);
        let text = r#"{"hosts":0,"\u0068ost":1,"x":{"host":9},"host":2,"HOST":3}"#;
        let value = find(&fields, text).get(host).unwrap();
        assert_eq!(value.span.of(text.as_bytes()), b"2");
        assert!(find(&fields, r#"{"\ud800":1}"#).get(host).is_none());
    }

    #[test]
    fn names_of_any_length_are_told_apart() {
        let mut fields = Fields::default();
        let names: Vec<String> = (0..40).map(|length| "é".repeat(length) + "x").collect();
        let slots: Vec<usize> = names.iter().map(|name| fields.register(name)).collect();
        for (name, slot) in names.iter().zip(slots) {
            // At the end of the text too, where there are no more bytes to compare.
            for text in [
                format!(r#"{{"{name}":1}}"#),
                format!(r#"{{"":0,"{name}":1,"{name}y":2}}"#),
            ] {
                let value = find(&fields, &text).get(slot).unwrap();
                assert_eq!(value.span.of(text.as_bytes()), b"1", "{text}");
                let other = text.replace('x', "z");
                assert!(find(&fields, &other).get(slot).is_none(), "{other}");
            }
        }
    }

    #[test]
    fn paths_lead_into_objects() {
        let mut fields = Fields::default();
        let reference: FieldReference = "[a][b][c]".parse().unwrap();
        let path = FieldPath::new(&reference, &mut fields);
        for (text, expected) in [
            (r#"{"a":{"x":1,"b":{"c":7}}}"#, Some("7")),
            (r#"{"a":{"b":{"c":7,"\u0063":[8]}}}"#, Some("[8]")),
            (r#"{"a":{"b":5}}"#, None),
            (r#"{"a":[{"b":{"c":1}}]}"#, None),
            ("{}", None),
        ] {
            let found = find(&fields, text);
            let value = path.value(text.as_bytes(), &found);
            let value = value.map(|value| value.span.of(text.as_bytes()));
            assert_eq!(value, expected.map(str::as_bytes), "{text}");
        }
    }

    #[test]
    fn the_unescaped_length_is_that_of_the_text() {
        for text in [
            "",
            "plain",
            r"a\nb\\c\/",
            r"\u0041\u00e9\u20ac",
            r"\ud83d\ude00!",
            "é€😀",
            r"\u0000\n",
        ] {
            let expected: String = serde_json::from_str(&format!("\"{text}\"")).unwrap();
            assert_eq!(unescaped_len(text.as_bytes()), expected.len(), "{text}");
        }
        assert_eq!(unescaped_len(br"\ud800x"), 4);
    }
}
