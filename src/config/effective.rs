//! The effective configuration as TOML, for `headgate check`. Pure.

use std::fmt::Write as _;

use toml::{Table, Value};

use crate::config::Config;
use crate::config::known::{Entry, Known};
use crate::units::secret::MASK;

impl Config {
    /// The configuration as TOML in the order of the default file, secrets as `"***"`, and `output.type` as
    /// what it comes to.
    pub fn effective_toml(&self) -> String {
        let mut config = self.clone();
        config.output.kind = Some(self.output_type());
        for url in &mut config.broker.urls {
            if url.query().is_some_and(|query| !query.is_empty()) {
                url.set_query(Some(MASK));
            }
        }
        let tree =
            Table::try_from(&config).expect("every value of a configuration has a form in TOML");
        let mut text = String::new();
        write_section(&Known::new(), &mut Vec::new(), &tree, &mut text);
        text
    }
}

/// Why writing has no error to handle.
const STRING: &str = "writing to a String cannot fail";

/// Writes the keys of a section, then the sections in it.
fn write_section(known: &Known, path: &mut Vec<String>, section: &Table, text: &mut String) {
    let mut inner = Vec::new();
    if !path.is_empty() {
        if !text.is_empty() {
            text.push('\n');
        }
        writeln!(text, "[{}]", path.join(".")).expect(STRING);
    }
    for (name, value) in section {
        path.push(name.clone());
        match (known.find(path), value) {
            (Some(Entry::Section(_)), Value::Table(table)) => inner.push((name, table)),
            _ => writeln!(text, "{name} = {value}").expect(STRING),
        }
        path.pop();
    }
    for (name, table) in inner {
        path.push(name.clone());
        write_section(known, path, table, text);
        path.pop();
    }
}
