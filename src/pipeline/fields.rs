//! The fields of an event that matter here: a small table of names, and where a scan found them. Pure.

use super::scan::{Kind, Member, Scanner, Span};
use crate::units::FieldReference;

/// Names at the top of an event that something asks for. Each has a slot.
#[derive(Debug, Default)]
pub(super) struct Fields {
    names: Vec<String>,
    /// The last byte and the slot of each name, by the length of the name. Every key of every event is looked up, and
    /// most are none of these: comparing bytes to find that out took 12 % of the time of an array of a hundred.
    by_length: Vec<Vec<(u8, usize)>>,
}

/// Where the last member of each name stands in one event.
#[derive(Debug, Default)]
pub(super) struct Found {
    slots: Vec<Option<Value>>,
    /// Whether the event has any member at all.
    pub(super) any_member: bool,
}

/// A member's value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Value {
    /// Its text.
    pub(super) span: Span,
    /// What it is.
    pub(super) kind: Kind,
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
        let last = name.bytes().next_back().unwrap_or_default();
        self.by_length[name.len()].push((last, slot));
        slot
    }

    /// The slot of a member's name, if anything asks for it.
    pub(super) fn slot_of(&self, text: &[u8], member: &Member) -> Option<usize> {
        if member.key_escaped {
            let name = unescape(text, member.key)?;
            return self.names.iter().position(|known| *known == name);
        }
        let key = member.key.of(text);
        let last = key.last().copied().unwrap_or_default();
        let mut candidates = self.by_length.get(key.len())?.iter();
        candidates
            .find(|(end, slot)| *end == last && self.names[*slot].as_bytes() == key)
            .map(|(_, slot)| *slot)
    }
}

impl Found {
    /// Forgets the last event.
    pub(super) fn clear(&mut self, fields: &Fields) {
        self.slots.clear();
        self.slots.resize(fields.names.len(), None);
        self.any_member = false;
    }

    /// Notes a member. Of doubled names the last counts.
    pub(super) fn note(&mut self, fields: &Fields, text: &[u8], member: &Member) {
        self.any_member = true;
        if let Some(slot) = fields.slot_of(text, member) {
            self.slots[slot] = Some(Value {
                span: member.value,
                kind: member.kind,
            });
        }
    }

    /// The value in a slot.
    pub(super) fn get(&self, slot: usize) -> Option<Value> {
        self.slots[slot]
    }
}

/// A field reference whose first name has a slot.
#[derive(Debug)]
pub(super) struct FieldPath {
    /// The reference.
    pub(super) reference: FieldReference,
    slot: usize,
}

impl FieldPath {
    pub(super) fn new(reference: &FieldReference, fields: &mut Fields) -> Self {
        Self {
            slot: fields.register(&reference.path()[0]),
            reference: reference.clone(),
        }
    }

    /// The field's value in an event, looked up inside objects where the path goes on.
    pub(super) fn value(&self, text: &[u8], found: &Found, scanner: &mut Scanner) -> Option<Value> {
        let mut value = found.get(self.slot)?;
        for name in &self.reference.path()[1..] {
            value = member_of(text, value, name, scanner)?;
        }
        Some(value)
    }
}

/// The last member of an object that has this name.
pub(super) fn member_of(
    text: &[u8],
    object: Value,
    name: &str,
    scanner: &mut Scanner,
) -> Option<Value> {
    let mut found = None;
    if object.kind == Kind::Object {
        let scanned = scanner.value(text, object.span.start, |member| {
            if is_named(text, &member, name) {
                found = Some(Value {
                    span: member.value,
                    kind: member.kind,
                });
            }
        });
        scanned.expect("an object inside a scanned event is valid");
    }
    found
}

/// Whether a member has this name, however it is spelt.
pub(super) fn is_named(text: &[u8], member: &Member, name: &str) -> bool {
    if member.key_escaped {
        unescape(text, member.key).is_some_and(|key| key == name)
    } else {
        member.key.of(text) == name.as_bytes()
    }
}

/// The text that a string stands for; none where it has no Unicode text (a lone surrogate).
///
/// `inside` is the string without its quotes.
pub(super) fn unescape(text: &[u8], inside: Span) -> Option<String> {
    let quoted = text.get(inside.start.checked_sub(1)?..=inside.end)?;
    serde_json::from_slice(quoted).ok()
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

/// UTF-8 length and text length of the `\uXXXX` that `text` begins with, a surrogate pair together.
fn escaped_code_unit(text: &[u8]) -> (usize, usize) {
    let unit = |text: &[u8]| {
        let digits = text.strip_prefix(b"\\u")?.get(..4)?;
        u16::from_str_radix(std::str::from_utf8(digits).ok()?, 16).ok()
    };
    match unit(text) {
        Some(0..0x80) => (1, 6),
        Some(0x80..0x800) => (2, 6),
        Some(0xd800..0xdc00)
            if text
                .get(6..)
                .and_then(unit)
                .is_some_and(|low| (0xdc00..0xe000).contains(&low)) =>
        {
            (4, 12)
        }
        _ => (3, 6),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn scan(fields: &Fields, text: &str) -> Found {
        let mut found = Found::default();
        found.clear(fields);
        Scanner::default()
            .value(text.as_bytes(), 0, |member| {
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
        let value = scan(&fields, text).get(host).unwrap();
        assert_eq!(value.span.of(text.as_bytes()), b"2");
        assert!(scan(&fields, r#"{"\ud800":1}"#).get(host).is_none());
    }

    #[test]
    fn paths_lead_into_objects() {
        let mut fields = Fields::default();
        let reference: FieldReference = "[a][b][c]".parse().unwrap();
        let path = FieldPath::new(&reference, &mut fields);
        let mut scanner = Scanner::default();
        for (text, expected) in [
            (r#"{"a":{"x":1,"b":{"c":7}}}"#, Some("7")),
            (r#"{"a":{"b":{"c":7,"\u0063":[8]}}}"#, Some("[8]")),
            (r#"{"a":{"b":5}}"#, None),
            (r#"{"a":[{"b":{"c":1}}]}"#, None),
            ("{}", None),
        ] {
            let found = scan(&fields, text);
            let value = path.value(text.as_bytes(), &found, &mut scanner);
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
