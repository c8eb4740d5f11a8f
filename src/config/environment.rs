//! Environment variables as settings: `HEADGATE_SERVER__LISTEN` is `server.listen`. Pure: the variables are handed in.

use std::ffi::OsString;

use toml::Value;

use crate::config::Warning;
use crate::config::known::{Entry, Known, nearest};
use crate::config::parse::parse_value;

/// What the name of every variable of the program begins with.
const PREFIX: &str = "HEADGATE_";

/// What stands between the levels of a path.
const LEVEL: &str = "__";

/// One variable with the path and the value that it stands for.
#[derive(Debug, PartialEq)]
pub(super) struct Setting {
    /// The name of the variable.
    pub(super) name: String,
    /// The path of the key, known or not.
    pub(super) path: Vec<String>,
    /// The value, of the type of the key's default where it reads so.
    pub(super) value: Value,
}

/// One variable whose value is not UTF-8.
#[derive(Debug, PartialEq)]
pub(super) struct NotText {
    /// The name of the variable.
    pub(super) name: String,
    /// The key that it names, levels and all.
    pub(super) key: String,
}

/// One variable that was meant as TOML and is none.
#[derive(Debug, PartialEq)]
pub(super) struct NotToml {
    /// The name of the variable.
    pub(super) name: String,
    /// The path of its key.
    pub(super) path: Vec<String>,
    /// Its value.
    pub(super) text: String,
    /// What the parser found.
    pub(super) found: String,
}

/// The variables of the program, told apart.
#[derive(Debug, Default, PartialEq)]
pub(super) struct Environment {
    /// Those that name a known section, in the order of their names.
    pub(super) settings: Vec<Setting>,
    /// Those that name none. They are no errors because Kubernetes sets `HEADGATE_SERVICE_HOST` and its like
    /// beside a service called headgate.
    pub(super) unknown: Vec<Warning>,
    /// Those whose values are not UTF-8.
    pub(super) not_text: Vec<NotText>,
    /// Those that were meant as TOML and are none.
    pub(super) not_toml: Vec<NotToml>,
}

/// Picks the variables of the program; others are not looked at.
pub(super) fn read(
    variables: impl IntoIterator<Item = (OsString, OsString)>,
    known: &Known,
) -> Environment {
    let mut ours: Vec<(String, OsString)> = variables
        .into_iter()
        .filter_map(|(name, text)| Some((name.into_string().ok()?, text)))
        .filter(|(name, _)| name.starts_with(PREFIX))
        .collect();
    ours.sort();
    let mut environment = Environment::default();
    for (name, text) in ours {
        let path = path(&name);
        if known.find(&path[..1]).is_none() {
            let meant = meant(&name, known);
            let unknown = Warning::UnknownVariable { name, meant };
            environment.unknown.push(unknown);
        } else if let Ok(text) = text.into_string() {
            match value(known.find(&path), &text) {
                Ok(value) => environment.settings.push(Setting { name, path, value }),
                Err(found) => environment.not_toml.push(NotToml {
                    name,
                    path,
                    text,
                    found,
                }),
            }
        } else {
            let key = path.join(".");
            environment.not_text.push(NotText { name, key });
        }
    }
    environment
}

/// The path that a variable names, at least one name long.
fn path(variable: &str) -> Vec<String> {
    variable[PREFIX.len()..]
        .split(LEVEL)
        .map(str::to_ascii_lowercase)
        .collect()
}

/// The known variable that a name resembles.
fn meant(variable: &str, known: &Known) -> Option<String> {
    let names: Vec<String> = known
        .keys()
        .iter()
        .map(|path| path.join(LEVEL).to_ascii_uppercase())
        .collect();
    nearest(&variable[PREFIX.len()..], &names).map(|name| format!("{PREFIX}{name}"))
}

/// Reads the text as what the default of the key is. A text that does not read so stays a text, to be refused
/// as a value of the wrong type, like one in a file. The error says what the parser found in one that was meant as TOML.
fn value(entry: Option<Entry<'_>>, text: &str) -> Result<Value, String> {
    let read = match entry {
        Some(Entry::Key(Value::Integer(_))) => text.parse().ok().map(Value::Integer),
        Some(Entry::Key(Value::Boolean(_))) => text.parse().ok().map(Value::Boolean),
        Some(Entry::Key(Value::Array(_) | Value::Table(_)) | Entry::Section(_)) => {
            // YAML and files of variables leave blanks and newlines around it.
            let text = text.trim();
            match parse_value(text) {
                Err(found) if text.starts_with(['[', '{', '"', '\'']) => {
                    return Err(found);
                }
                read => read.ok(),
            }
        }
        Some(Entry::Key(_)) | None => None,
    };
    Ok(read.unwrap_or_else(|| Value::from(text)))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read_pairs(pairs: &[(&str, &str)]) -> Environment {
        let variables = pairs
            .iter()
            .map(|(name, text)| (OsString::from(name), OsString::from(text)));
        read(variables, &Known::new())
    }

    #[test]
    fn values_read_as_the_default_of_their_key() {
        for (path, text, value) in [
            ("SERVER__LISTEN", "127.0.0.1:0", "'127.0.0.1:0'"),
            ("AUTH__PASSWORD", "12345", "'12345'"),
            ("AUTH__PASSWORD", "", "''"),
            ("OUTPUT__FILE__DIR", "/var/events", "'/var/events'"),
            ("OUTPUT__TYPE", "file", "'file'"),
            ("SERVER__MAX_CONNECTIONS", "5", "5"),
            ("SERVER__MAX_CONNECTIONS", "many", "'many'"),
            ("ENRICH__HEADERS", "false", "false"),
            ("ENRICH__HEADERS", "no", "'no'"),
            (
                "BROKER__URLS",
                "['http://a/', 'http://b/']",
                "['http://a/', 'http://b/']",
            ),
            ("BROKER__URLS", "http://a/", "'http://a/'"),
            (
                "ENRICH__FIELDS",
                "{ Env = 'x', n = 1 }",
                "{ Env = 'x', n = 1 }",
            ),
            ("BROKER__URLS", " ['x']\n", "['x']"),
            ("AUTH__KEYS", "[{ name = 'web' }]", "[{ name = 'web' }]"),
            ("OUTPUT__FILE", "{ dir = 'x' }", "{ dir = 'x' }"),
            ("SERVER__LISSTEN", "x", "'x'"),
            ("ENRICH__FIELDS__ENV", "x", "'x'"),
        ] {
            let name = format!("{PREFIX}{path}");
            let setting = Setting {
                name: name.clone(),
                path: path.split("__").map(str::to_lowercase).collect(),
                value: value.parse().unwrap(),
            };
            let environment = read_pairs(&[(&name, text)]);
            assert_eq!(environment.settings, [setting], "{name}={text}");
            assert!(environment.unknown.is_empty(), "{name}");
        }
    }

    #[test]
    fn a_variable_that_names_no_section_is_set_apart() {
        let environment = read_pairs(&[
            ("PATH", "/bin"),
            ("HEADGATE", "x"),
            ("HEADGATE_SERVICE_HOST", "10.0.0.1"),
            ("HEADGATE_PORT_8080_TCP", "tcp://10.0.0.1:8080"),
            ("HEADGATE_SERVER_LISTEN", "127.0.0.1:1"),
            ("HEADGATE_SEVER__LISTEN", "127.0.0.1:1"),
        ]);
        let unknown = |name: &str, meant: Option<&str>| Warning::UnknownVariable {
            name: name.to_owned(),
            meant: meant.map(str::to_owned),
        };
        assert_eq!(environment.settings, []);
        assert_eq!(
            environment.unknown,
            [
                unknown("HEADGATE_PORT_8080_TCP", None),
                unknown("HEADGATE_SERVER_LISTEN", Some("HEADGATE_SERVER__LISTEN")),
                unknown("HEADGATE_SERVICE_HOST", None),
                unknown("HEADGATE_SEVER__LISTEN", Some("HEADGATE_SERVER__LISTEN")),
            ]
        );
    }

    #[test]
    fn what_begins_like_toml_and_is_none_is_set_apart() {
        for (path, text, found) in [
            (
                "BROKER__URLS",
                "['http://a/'",
                "at character 13: unclosed array",
            ),
            ("BROKER__URLS", "\"http://a/", "at character "),
            ("BROKER__URLS", "['ü' 'a']", "at character 6: "),
            (
                "BROKER__REJECTED_CODES",
                " [99999999999999999999]",
                "at character 2: a whole number",
            ),
            ("BROKER__HEADERS", "{ 'a': 'b' }", "at character 6: "),
            ("AUTH__KEYS", "[{ name = 'web' ]", "at character "),
            ("OUTPUT__FILE", "{ dir = x }", "at character 9: "),
        ] {
            let name = format!("{PREFIX}{path}");
            let environment = read_pairs(&[(&name, text)]);
            assert_eq!(environment.settings, []);
            let [not_toml] = environment.not_toml.as_slice() else {
                panic!("{name}={text}: {environment:?}");
            };
            assert!(not_toml.found.starts_with(found), "{text}: {not_toml:?}");
        }
        for (path, text) in [
            ("AUTH__PASSWORD", "[x"),
            ("BROKER__URLS", "http://a/"),
            ("SERVER__MAX_CONNECTIONS", "{"),
        ] {
            let environment = read_pairs(&[(&format!("{PREFIX}{path}"), text)]);
            assert_eq!(environment.not_toml, [], "{text}");
        }
    }

    #[cfg(unix)]
    #[test]
    fn a_value_that_is_not_utf_8_is_set_apart() {
        use std::os::unix::ffi::OsStringExt;
        let variable = ("HEADGATE_AUTH__USER".into(), OsString::from_vec(vec![0xff]));
        let environment = read([variable], &Known::new());
        let expected = NotText {
            name: "HEADGATE_AUTH__USER".to_owned(),
            key: "auth.user".to_owned(),
        };
        assert_eq!(environment.not_text, [expected]);
    }
}
