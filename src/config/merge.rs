//! Laying trees of settings over the defaults, key by key, and noting all that is wrong with them. Pure.
//!
//! Decoding a whole tree stops at its first error. Here each given value is put alone into the tree of the defaults and
//! that is decoded, so that whatever fails is the fault of this one value.

use std::collections::BTreeMap;

use serde::Deserialize;
use toml::{Table, Value};

use crate::config::allowed::Attempt;
use crate::config::items::{self, Fault};
use crate::config::known::{Entry, Known};
use crate::config::problem::{Origin, Problem};
use crate::config::{ApiKey, Config, ranges, shown};

/// The tree of the effective settings as it grows.
pub(super) struct Merge<'a> {
    known: &'a Known,
    effective: Table,
    origins: BTreeMap<String, Origin>,
    problems: Vec<Problem>,
    faulty: Vec<String>,
}

impl<'a> Merge<'a> {
    /// Nothing but the defaults.
    pub(super) fn new(known: &'a Known) -> Self {
        Self {
            known,
            effective: known.defaults().clone(),
            origins: BTreeMap::new(),
            problems: Vec::new(),
            faulty: Vec::new(),
        }
    }

    /// Lays a tree of settings over what is there. A value that is wrong is noted and leaves what was there.
    pub(super) fn overlay(&mut self, settings: Table, origin: &Origin) {
        self.overlay_section(&[], settings, origin);
    }

    fn overlay_section(&mut self, path: &[String], settings: Table, origin: &Origin) {
        for (name, value) in settings {
            self.overlay_at(&[path, &[name]].concat(), value, origin);
        }
    }

    /// Lays one setting over what is there, or a section of them.
    pub(super) fn overlay_at(&mut self, path: &[String], value: Value, origin: &Origin) {
        match (self.known.find(path), value) {
            (None, value) => self.unknown(path, &value, origin),
            (Some(Entry::Section(_)), Value::Table(table)) => {
                self.overlay_section(path, table, origin);
            }
            (Some(Entry::Section(_)), value) => {
                let key = path.join(".");
                let given = self.shown_in_doubt(path, &value);
                let allowed = format!("a table: [{key}] and its keys below it");
                self.refuse_given(key, given, allowed, origin.clone());
            }
            (Some(Entry::Key(_)), value) => self.set(path, value, origin),
        }
    }

    /// The configuration that the settings come to.
    pub(super) fn decode(&self) -> Config {
        Config::deserialize(Value::Table(self.effective.clone()))
            .expect("each value of the tree was decoded by itself")
    }

    /// Notes a problem that is not about a single value.
    pub(super) fn note(&mut self, problem: Problem) {
        self.problems.push(problem);
    }

    /// Notes that a key may not have the value that it has.
    pub(super) fn refuse(&mut self, key: &str, allowed: String) {
        let given = shown::value(key, self.value(key));
        self.refuse_given(key.to_owned(), given, allowed, self.origin(key));
    }

    /// Notes that the file that a key names cannot be opened now.
    pub(super) fn out_of_handles(&mut self, key: &str, allowed: String) {
        self.faulty.push(key.to_owned());
        self.note(Problem::OutOfHandles {
            key: key.to_owned(),
            given: shown::value(key, self.value(key)),
            allowed,
            origin: self.origin(key),
        });
    }

    /// Notes that a key may not have a value that did not get into the tree.
    pub(super) fn refuse_given(
        &mut self,
        key: String,
        given: String,
        allowed: String,
        origin: Origin,
    ) {
        self.faulty.push(key.clone());
        self.note(Problem::Refused {
            key,
            given,
            allowed,
            origin,
        });
    }

    /// Notes that an item of a list may not be what it is.
    pub(super) fn refuse_item(&mut self, key: &str, index: usize, allowed: String) {
        let list = self.value(key);
        let given = list.get(index).map(|item| shown::item(key, None, item));
        let (place, origin) = (format!("{key}[{index}]"), self.origin(key));
        self.refuse_given(place, given.unwrap_or_default(), allowed, origin);
    }

    /// Notes that a text was no value for a key or a section.
    pub(super) fn refuse_text(
        &mut self,
        path: &[String],
        text: String,
        allowed: String,
        origin: Origin,
    ) {
        let (key, text) = (path.join("."), Value::String(text));
        let given = match self.known.find(path) {
            Some(Entry::Key(right)) => shown::for_want_of(right, &key, &text),
            _ => self.shown_in_doubt(path, &text),
        };
        self.refuse_given(key, given, allowed, origin);
    }

    /// Notes that an entry of `[[auth.keys]]` may not have the value that it has.
    pub(super) fn refuse_of_api_key(
        &mut self,
        index: usize,
        name: &str,
        value: &str,
        allowed: String,
    ) {
        let given = shown::value(name, &Value::from(value));
        let key = format!("auth.keys[{index}].{name}");
        self.refuse_given(key, given, allowed, self.origin("auth.keys"));
    }

    /// Notes that keys may not have the values that they have together; silent where one of them is wrong by itself.
    pub(super) fn contradiction(&mut self, keys: &[&str], rule: &'static str) {
        if keys.iter().any(|key| self.is_faulty(key)) {
            return;
        }
        let mut origins: Vec<String> = Vec::new();
        let mut settings: Vec<String> = Vec::new();
        for key in keys {
            let origin = self.origin(key).to_string();
            if !origins.contains(&origin) {
                origins.push(origin);
            }
            settings.push(format!("{key} = {}", shown::value(key, self.value(key))));
        }
        self.note(Problem::Contradiction {
            origins: origins.concat(),
            settings: settings.join(" and "),
            rule,
        });
    }

    /// Whether a key was given a value that is wrong by itself.
    pub(super) fn is_faulty(&self, key: &str) -> bool {
        self.faulty.iter().any(|faulty| faulty == key)
    }

    /// All that was noted.
    pub(super) fn into_problems(self) -> Vec<Problem> {
        self.problems
    }

    fn unknown(&mut self, path: &[String], value: &Value, origin: &Origin) {
        self.note(Problem::UnknownKey {
            key: path.join("."),
            given: self.shown_in_doubt(path, value),
            hint: self.known.hint(path),
            origin: origin.clone(),
        });
    }

    /// A value of which nobody knows what was meant, and so whether it is a secret.
    fn shown_in_doubt(&self, path: &[String], value: &Value) -> String {
        let key = path.join(".");
        if self.known.may_hold_a_secret(path) {
            shown::without_texts(&key, value)
        } else {
            shown::value(&key, value)
        }
    }

    fn set(&mut self, path: &[String], value: Value, origin: &Origin) {
        let key = path.join(".");
        if key == "auth.keys" && !self.api_keys_are_right(&value, origin) {
            self.faulty.push(key);
            return;
        }
        let faults = self.faults(path, &value);
        if faults.is_empty() {
            put(&mut self.effective, path, value);
            self.origins.insert(key, origin.clone());
        } else {
            self.refuse_all(&key, faults, origin);
            self.faulty.push(key);
        }
    }

    /// Notes all that is wrong with the value of a key.
    fn refuse_all(&mut self, key: &str, faults: Vec<Fault>, origin: &Origin) {
        for fault in faults {
            let place = format!("{key}{}", fault.place);
            self.refuse_given(place, fault.given, fault.allowed, origin.clone());
        }
    }

    /// What is wrong with a value: decodes the defaults with it alone in its place.
    fn faults(&self, path: &[String], value: &Value) -> Vec<Fault> {
        let Some(Entry::Key(right)) = self.known.find(path) else {
            unreachable!("only keys are set");
        };
        let key = &path.join(".");
        let attempt = Attempt {
            key,
            given: value,
            right,
        };
        items::faults(&attempt, |value| {
            let mut probe = self.known.defaults().clone();
            put(&mut probe, path, value);
            let config = Config::deserialize(Value::Table(probe))?;
            Ok(ranges::out_of_range(&config, key))
        })
    }

    /// Looks at each key of each entry of `[[auth.keys]]` by itself.
    fn api_keys_are_right(&mut self, value: &Value, origin: &Origin) -> bool {
        let noted = self.problems.len();
        let Some(entries) = value.as_array() else {
            let allowed = "a list of tables: [[auth.keys]], each with `name` and `hash`".to_owned();
            let given = shown::without_texts("auth.keys", value);
            self.refuse_given("auth.keys".to_owned(), given, allowed, origin.clone());
            return false;
        };
        for (index, entry) in entries.iter().enumerate() {
            self.api_key(&format!("auth.keys[{index}]"), entry, origin);
        }
        self.problems.len() == noted
    }

    fn api_key(&mut self, place: &str, entry: &Value, origin: &Origin) {
        let template = api_key_template();
        let Some(entry) = entry.as_table() else {
            let given = shown::value(place, entry);
            let allowed = "a table with `name` and `hash`".to_owned();
            return self.refuse_given(place.to_owned(), given, allowed, origin.clone());
        };
        for (name, value) in entry {
            let key = format!("{place}.{name}");
            if !template.contains_key(name) {
                let given = shown::without_texts(name, value);
                let names: Vec<&str> = template.keys().map(String::as_str).collect();
                let hint = format!("the keys of [[auth.keys]] are {}", names.join(", "));
                let origin = origin.clone();
                self.note(Problem::UnknownKey {
                    key,
                    given,
                    hint,
                    origin,
                });
                continue;
            }
            let attempt = Attempt {
                key: name,
                given: value,
                right: &template[name],
            };
            let faults = items::faults(&attempt, |value| {
                let mut probe = template.clone();
                probe.insert(name.clone(), value);
                ApiKey::deserialize(Value::Table(probe)).map(|_| None)
            });
            self.refuse_all(&key, faults, origin);
        }
        for (name, allowed) in [
            ("name", "the name of the key"),
            (
                "hash",
                "the hash of the key, as `headgate keys new` prints it",
            ),
        ] {
            if !entry.contains_key(name) {
                let key = format!("{place}.{name}");
                let (allowed, origin) = (allowed.to_owned(), origin.clone());
                self.note(Problem::Missing {
                    key,
                    allowed,
                    origin,
                });
            }
        }
    }

    fn value(&self, key: &str) -> &Value {
        let mut names = key.split('.');
        let section = names.next().and_then(|name| self.effective.get(name));
        section
            .and_then(|section| names.try_fold(section, |value, name| value.get(name)))
            .expect("checks speak of known keys")
    }

    fn origin(&self, key: &str) -> Origin {
        self.origins.get(key).cloned().unwrap_or(Origin::Defaults)
    }
}

/// An entry of `[[auth.keys]]` that is right, with all its keys, to try single values in.
fn api_key_template() -> Table {
    let hash = format!("sha256:{}", "0".repeat(64));
    let least = Table::from_iter([
        ("name".to_owned(), Value::from("name")),
        ("hash".to_owned(), Value::from(hash.clone())),
    ]);
    let entry = ApiKey::deserialize(Value::Table(least)).expect("all but these has a default");
    let mut template = Table::try_from(entry).expect("an entry is a table");
    // It was masked.
    template.insert("hash".to_owned(), Value::from(hash));
    template
}

/// Puts a value where a known path leads.
fn put(tree: &mut Table, path: &[String], value: Value) {
    let (name, above) = path.split_last().expect("a key has a name");
    let section = above.iter().fold(tree, |section, name| {
        section
            .get_mut(name)
            .and_then(Value::as_table_mut)
            .expect("the path of a known key leads through tables")
    });
    section.insert(name.clone(), value);
}
