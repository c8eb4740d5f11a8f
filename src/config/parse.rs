//! A configuration file as a tree. Pure.

use std::path::Path;

use serde::Deserialize;
use toml::Table;
use toml::de::{DeTable, DeValue, Deserializer, Error};

use crate::config::problem::Problem;

/// What stands in a file.
#[derive(Debug, Default, PartialEq)]
pub(super) struct Parsed {
    /// Its values.
    pub(super) tree: Table,
    /// The whole numbers that no key can have, which are not in the tree: their paths and digits. The decoder would not
    /// say whose they are.
    pub(super) too_long: Vec<(Vec<String>, String)>,
}

impl Parsed {
    /// Whether there is nothing in it.
    pub(super) fn sets_nothing(&self) -> bool {
        self.tree.is_empty() && self.too_long.is_empty()
    }
}

/// Parses a file. The parser's own rendering is not used: it quotes the line, which may hold a password.
pub(super) fn parse(text: &str, path: &Path) -> Result<Parsed, Problem> {
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    tree(text).map_err(|error| {
        let offset = error.span().map_or(0, |span| span.start);
        let before = text.get(..offset).unwrap_or(text);
        let line_start = before.rfind('\n').map_or(0, |newline| newline + 1);
        Problem::NotToml {
            path: path.to_owned(),
            line: before.matches('\n').count() + 1,
            column: before[line_start..].chars().count() + 1,
            message: error.message().to_owned(),
        }
    })
}

fn tree(text: &str) -> Result<Parsed, Error> {
    let mut document = DeTable::parse(text)?;
    let mut too_long = Vec::new();
    take_too_long(document.get_mut(), &[], &mut too_long);
    let tree = Table::deserialize(Deserializer::from(document))?;
    Ok(Parsed { tree, too_long })
}

fn take_too_long(
    table: &mut DeTable<'_>,
    above: &[String],
    taken: &mut Vec<(Vec<String>, String)>,
) {
    let entries = std::mem::take(table).into_iter();
    *table = entries
        .filter_map(|(name, mut value)| {
            let path = [above, &[name.get_ref().to_string()]].concat();
            let found = taken.len();
            look_into(value.get_mut(), &path, taken);
            // A table stays: what else is in it has names of its own.
            (taken.len() == found || value.get_ref().is_table()).then_some((name, value))
        })
        .collect();
}

fn look_into(value: &mut DeValue<'_>, path: &[String], taken: &mut Vec<(Vec<String>, String)>) {
    match value {
        DeValue::Integer(number)
            if i64::from_str_radix(number.as_str(), number.radix()).is_err() =>
        {
            taken.push((path.to_owned(), number.to_string()));
        }
        DeValue::Table(table) => take_too_long(table, path, taken),
        DeValue::Array(items) => {
            let (name, above) = path.split_last().expect("an array has a name");
            for (index, item) in items.iter_mut().enumerate() {
                let path = [above, &[format!("{name}[{index}]")]].concat();
                look_into(item.get_mut(), &path, taken);
            }
        }
        _ => {}
    }
}
