//! Reading a value that is spelt as a text, with one message for a wrong type and a wrong spelling. Pure.

use std::fmt;
use std::marker::PhantomData;

use serde::{Deserializer, de};

/// Reads a string with `parse`.
///
/// # Errors
///
/// Whatever else is found, the error ends in `form`, which says what the value looks like.
pub fn deserialize<'de, D, T, E>(
    deserializer: D,
    form: &'static str,
    parse: fn(&str) -> Result<T, E>,
) -> Result<T, D::Error>
where
    D: Deserializer<'de>,
{
    deserializer.deserialize_str(Text {
        form,
        parse,
        value: PhantomData,
    })
}

struct Text<T, E> {
    form: &'static str,
    parse: fn(&str) -> Result<T, E>,
    value: PhantomData<T>,
}

impl<T, E> de::Visitor<'_> for Text<T, E> {
    type Value = T;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.form)
    }

    fn visit_str<X: de::Error>(self, text: &str) -> Result<T, X> {
        (self.parse)(text).map_err(|_| X::invalid_value(de::Unexpected::Str(text), &self))
    }
}

/// Reads a whole number and one of these units, without a space between; none where it is something else, or more
/// than a `u64` holds of the unit 1.
pub(super) fn number_and_unit(text: &str, units: &[(&str, u64)]) -> Option<u64> {
    let unit_at = text.find(|c: char| !c.is_ascii_digit())?;
    let (number, unit) = text.split_at(unit_at);
    let (_, factor) = units.iter().find(|(name, _)| *name == unit)?;
    let number: u64 = number.parse().ok()?;
    number.checked_mul(*factor)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(json: &str) -> Result<u8, String> {
        let mut source = serde_json::Deserializer::from_str(json);
        deserialize(&mut source, "a small number in quotes", |text| {
            text.parse::<u8>()
        })
        .map_err(|error| error.to_string())
    }

    #[test]
    fn a_text_is_parsed_and_anything_else_is_told_the_form() {
        assert_eq!(read("\"7\""), Ok(7));
        for json in ["\"700\"", "7", "true", "[]", "{}"] {
            let error = read(json).unwrap_err();
            assert!(
                error.contains("expected a small number in quotes"),
                "{json}: {error}"
            );
        }
    }
}
