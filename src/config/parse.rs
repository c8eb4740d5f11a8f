//! A configuration file as a tree, and the text of a variable as a value. Pure.

use std::path::Path;

use serde::Deserialize;
use toml::de::{DeTable, DeValue, Deserializer, Error, ValueDeserializer};
use toml::{Table, Value};

use crate::config::problem::Problem;

/// Parses a file. The parser's own rendering is not used: it quotes the line, which may hold a password.
pub(super) fn parse(text: &str, path: &Path) -> Result<Table, Problem> {
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    let problem = |error: &Error, message: &str| {
        let offset = error.span().map_or(0, |span| span.start);
        let before = text.get(..offset).unwrap_or(text);
        let line_start = before.rfind('\n').map_or(0, |newline| newline + 1);
        Problem::NotToml {
            path: path.to_owned(),
            line: before.matches('\n').count() + 1,
            column: before[line_start..].chars().count() + 1,
            message: message.to_owned(),
        }
    };
    let document = DeTable::parse(text).map_err(|error| problem(&error, error.message()))?;
    Table::deserialize(Deserializer::from(document)).map_err(|error| problem(&error, TOO_LARGE))
}

/// What is wrong where a document is TOML and does not read as a tree. Nothing else is left that could be, and the
/// decoder's own message would speak of its types.
const TOO_LARGE: &str = "a whole number that does not fit in 64 bits";

/// Parses a value; the error says what was found, and where, without quoting it.
pub(super) fn parse_value(text: &str) -> Result<Value, String> {
    let problem = |error: &Error, message: &str| {
        let offset = error.span().map_or(0, |span| span.start);
        let before = text.get(..offset).unwrap_or(text);
        format!("at character {}: {message}", before.chars().count() + 1)
    };
    let value = DeValue::parse(text).map_err(|error| problem(&error, error.message()))?;
    Value::deserialize(ValueDeserializer::from(value)).map_err(|error| problem(&error, TOO_LARGE))
}
