//! A configuration file as a tree. Pure.

use std::path::Path;

use serde::Deserialize;
use toml::Table;
use toml::de::{DeTable, Deserializer, Error};

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
    // Nothing else is left that could be wrong, and the message would speak of the decoder's types.
    Table::deserialize(Deserializer::from(document))
        .map_err(|error| problem(&error, "a whole number that does not fit in 64 bits"))
}
