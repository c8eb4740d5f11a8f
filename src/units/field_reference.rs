//! References to a field of an event in Logstash's notation: `name` or `[outer][inner]`. Pure.
//!
//! The notation is that of
//! <https://www.elastic.co/guide/en/logstash/current/event-dependent-configuration.html#logstash-config-field-references>,
//! without the `[a,b]` lists, which name no single field.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Deserializer, Serialize, Serializer};
use thiserror::Error;

use super::text;

/// What a reference looks like; told to whoever wrote something else.
const FORM: &str = "a field of an event: `name`, or `[outer][inner]` for a nested one";

/// The path to one field of an event, at least one name long. `name` and `[name]` are the same reference.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct FieldReference(Vec<String>);

/// The text is no field reference.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[error("not {FORM}")]
pub struct FieldReferenceError;

impl FieldReference {
    /// The names from the top of the event to the field, never empty.
    pub fn path(&self) -> &[String] {
        &self.0
    }

    /// Whether the other field is this one, or inside it.
    pub fn contains(&self, other: &Self) -> bool {
        other.0.starts_with(&self.0)
    }
}

impl FromStr for FieldReference {
    type Err = FieldReferenceError;

    fn from_str(text: &str) -> Result<Self, FieldReferenceError> {
        let names: Vec<&str> = match text.strip_prefix('[') {
            None => vec![text],
            Some(rest) => {
                let inner = rest.strip_suffix(']').ok_or(FieldReferenceError)?;
                inner.split("][").collect()
            }
        };
        let is_name = |name: &&str| !name.is_empty() && !name.contains(['[', ']']);
        if !names.iter().all(is_name) {
            return Err(FieldReferenceError);
        }
        Ok(Self(names.into_iter().map(str::to_owned).collect()))
    }
}

impl fmt::Display for FieldReference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|name| write!(f, "[{name}]"))
    }
}

impl Serialize for FieldReference {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for FieldReference {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        text::deserialize(deserializer, FORM, str::parse)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn references_read_to_paths_and_show_in_brackets() {
        for (text, path, shown) in [
            ("message", &["message"][..], "[message]"),
            ("[message]", &["message"], "[message]"),
            ("[a][b]", &["a", "b"], "[a][b]"),
            (
                "[http][request][body][bytes]",
                &["http", "request", "body", "bytes"],
                "[http][request][body][bytes]",
            ),
            ("@timestamp", &["@timestamp"], "[@timestamp]"),
            ("a.b c", &["a.b c"], "[a.b c]"),
            ("[größe][0]", &["größe", "0"], "[größe][0]"),
        ] {
            let reference: FieldReference = text.parse().unwrap();
            assert_eq!(reference.path(), path, "{text}");
            assert_eq!(reference.to_string(), shown);
            assert_eq!(shown.parse(), Ok(reference));
        }
    }

    #[test]
    fn a_field_contains_itself_and_what_is_inside() {
        for (outer, inner, expected) in [
            ("a", "[a]", true),
            ("a", "[a][b]", true),
            ("[a][b]", "[a][b][c]", true),
            ("[a][b]", "a", false),
            ("[a][b]", "[a][c]", false),
            ("a", "ab", false),
        ] {
            let (outer, inner): (FieldReference, FieldReference) =
                (outer.parse().unwrap(), inner.parse().unwrap());
            assert_eq!(outer.contains(&inner), expected, "{outer} {inner}");
        }
    }

    #[test]
    fn anything_else_is_no_reference() {
        for text in [
            "", "[]", "[a][]", "[][a]", "[a", "a]", "a[b]", "[a]b", "[a]b[c]", "[a] [b]", "[[a]]",
            "[", "]",
        ] {
            assert_eq!(
                text.parse::<FieldReference>(),
                Err(FieldReferenceError),
                "{text:?}"
            );
        }
    }
}
