//! The keys that there are: the tree of the defaults, with hints for those that there are not. Pure.

use toml::{Table, Value};

use crate::config::{Config, shown};

/// Tables whose keys the operator chooses: each is one value.
const OPEN_TABLES: [&str; 4] = [
    "ingest.codecs",
    "ingest.response_headers",
    "enrich.fields",
    "broker.headers",
];

/// What a path leads to.
#[derive(Clone, Copy)]
pub(super) enum Entry<'a> {
    /// A table of keys.
    Section(&'a Table),
    /// A key, with its default.
    Key(&'a Value),
}

/// All keys with their defaults, in order.
pub(super) struct Known {
    tree: Table,
}

impl Known {
    /// The keys of the program, from the embedded default file.
    pub(super) fn new() -> Self {
        Self::of(&Config::default())
    }

    /// The keys with the values of this configuration, secrets masked.
    pub(super) fn of(config: &Config) -> Self {
        let tree = Table::try_from(config)
            .expect("a configuration is a table, as each call of the tests shows");
        Self { tree }
    }

    /// The defaults as a tree.
    pub(super) fn defaults(&self) -> &Table {
        &self.tree
    }

    /// What a path leads to; the empty path leads to the whole.
    pub(super) fn find(&self, path: &[String]) -> Option<Entry<'_>> {
        let mut section = &self.tree;
        for (depth, name) in path.iter().enumerate() {
            let here = &path[..=depth];
            match section.get(name)? {
                Value::Table(table) if !is_open_table(here) => section = table,
                value if here.len() == path.len() => return Some(Entry::Key(value)),
                _ => return None,
            }
        }
        Some(Entry::Section(section))
    }

    /// The paths of all keys, in order.
    pub(super) fn keys(&self) -> Vec<Vec<String>> {
        let mut keys = Vec::new();
        collect_keys(&self.tree, &mut Vec::new(), &mut keys);
        keys
    }

    /// What may have been meant by a path that leads nowhere, as a half sentence.
    pub(super) fn hint(&self, path: &[String]) -> String {
        let (name, above) = path
            .split_last()
            .expect("the empty path leads to the whole");
        let Some(Entry::Section(section)) = self.find(above) else {
            return format!("{} is set as a whole", above.join("."));
        };
        if let Some(near) = nearest(name, section.keys()) {
            return format!("did you mean {}?", join(above, near));
        }
        let elsewhere = self.elsewhere(name);
        if !elsewhere.is_empty() {
            return format!("did you mean {}?", elsewhere.join(" or "));
        }
        let names: Vec<&str> = section.keys().map(String::as_str).collect();
        let place = if above.is_empty() {
            "the sections are".to_owned()
        } else {
            format!("the keys of [{}] are", above.join("."))
        };
        format!("{place} {}", names.join(", "))
    }

    /// Whether the value of an unknown key may be a secret under a misspelt name: one where secrets are kept,
    /// or in a section that is itself unknown.
    pub(super) fn may_hold_a_secret(&self, path: &[String]) -> bool {
        let section = path.first().and_then(|name| self.tree.get(name));
        section
            .and_then(Value::as_table)
            .is_none_or(|keys| keys.keys().any(|name| shown::names_a_secret(name)))
    }

    /// The keys and sections that have this name, wherever they stand.
    fn elsewhere(&self, name: &str) -> Vec<String> {
        let mut places = Vec::new();
        for key in self.keys() {
            for (depth, _) in key.iter().enumerate().filter(|(_, part)| *part == name) {
                places.push(key[..=depth].join("."));
            }
        }
        // A section stands in the path of each of its keys.
        places.dedup();
        places
    }
}

fn collect_keys(section: &Table, path: &mut Vec<String>, keys: &mut Vec<Vec<String>>) {
    for (name, value) in section {
        path.push(name.clone());
        match value {
            Value::Table(table) if !is_open_table(path) => collect_keys(table, path, keys),
            _ => keys.push(path.clone()),
        }
        path.pop();
    }
}

/// Whether the table at the path is one value.
fn is_open_table(path: &[String]) -> bool {
    OPEN_TABLES.contains(&path.join(".").as_str())
}

/// The known name that a slip of the keyboard would turn into the given one: a third of its letters at most.
pub(super) fn nearest<'a>(
    name: &str,
    known: impl IntoIterator<Item = &'a String>,
) -> Option<&'a str> {
    known
        .into_iter()
        .map(|candidate| {
            (
                strsim::damerau_levenshtein(name, candidate),
                candidate.as_str(),
            )
        })
        .filter(|&(distance, candidate)| distance * 3 <= candidate.len())
        .min()
        .map(|(_, candidate)| candidate)
}

fn join(above: &[String], name: &str) -> String {
    above
        .iter()
        .map(String::as_str)
        .chain([name])
        .collect::<Vec<_>>()
        .join(".")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn path(key: &str) -> Vec<String> {
        key.split('.').map(str::to_owned).collect()
    }

    #[test]
    fn paths_lead_to_sections_and_keys() {
        let known = Known::new();
        for (key, expected) in [
            ("server", "section"),
            ("output.file", "section"),
            ("output.file.dir", "key"),
            ("server.listen", "key"),
            ("ingest.codecs", "key"),
            ("auth.keys", "key"),
            ("sever", "nothing"),
            ("server.lissten", "nothing"),
            ("server.listen.port", "nothing"),
            ("ingest.codecs.json", "nothing"),
        ] {
            let found = match known.find(&path(key)) {
                Some(Entry::Section(_)) => "section",
                Some(Entry::Key(_)) => "key",
                None => "nothing",
            };
            assert_eq!(found, expected, "{key}");
        }
    }

    #[test]
    fn every_open_table_is_a_table() {
        for key in OPEN_TABLES {
            let known = Known::new();
            let found = known.find(&path(key));
            assert!(matches!(found, Some(Entry::Key(Value::Table(_)))), "{key}");
        }
    }

    #[test]
    fn hints_name_what_may_have_been_meant() {
        for (key, hint) in [
            ("server.lissten", "did you mean server.listen?"),
            ("sever", "did you mean server?"),
            ("output.file.dri", "did you mean output.file.dir?"),
            (
                "server.max_batch_events",
                "did you mean broker.max_batch_events?",
            ),
            ("server.certificate", "did you mean server.tls.certificate?"),
            ("broker.ca", "did you mean broker.tls.ca?"),
            ("tls", "did you mean server.tls or broker.tls?"),
            ("server.auth", "did you mean auth?"),
            ("admin.user", "did you mean auth.user or broker.user?"),
            ("log.colour", "the keys of [log] are level, format"),
            ("ingest.codecs.json", "ingest.codecs is set as a whole"),
        ] {
            assert_eq!(Known::new().hint(&path(key)), hint, "{key}");
        }
        let sections = Known::new().hint(&path("frobnicate"));
        assert!(
            sections.starts_with("the sections are server, admin, ingest"),
            "{sections}"
        );
    }
}
