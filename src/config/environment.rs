//! Environment variables as settings: `HEADGATE_SERVER__LISTEN` is `server.listen`. Pure: the variables are handed in.

use std::ffi::OsString;

use toml::Value;

use crate::config::known::{Entry, Known, nearest};

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

/// The variables of the program, told apart.
#[derive(Debug, Default, PartialEq)]
pub(super) struct Environment {
    /// Those that name a known section, in the order of their names.
    pub(super) settings: Vec<Setting>,
    /// Those that name none, each with the variable that may have been meant. They are no errors because
    /// Kubernetes sets `HEADGATE_SERVICE_HOST` and its like beside a service called headgate.
    pub(super) unknown: Vec<(String, Option<String>)>,
    /// The paths and names of those whose values are not UTF-8.
    pub(super) not_text: Vec<(String, String)>,
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
            environment.unknown.push((name, meant));
        } else if let Ok(text) = text.into_string() {
            let value = value(known.find(&path), text);
            environment.settings.push(Setting { name, path, value });
        } else {
            environment.not_text.push((path.join("."), name));
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
/// as a value of the wrong type, like one in a file.
fn value(entry: Option<Entry<'_>>, text: String) -> Value {
    let read = match entry {
        Some(Entry::Key(Value::Integer(_))) => text.parse().ok().map(Value::Integer),
        Some(Entry::Key(Value::Boolean(_))) => text.parse().ok().map(Value::Boolean),
        Some(Entry::Key(Value::Array(_) | Value::Table(_)) | Entry::Section(_)) => {
            text.parse::<Value>().ok()
        }
        Some(Entry::Key(_)) | None => None,
    };
    read.unwrap_or(Value::String(text))
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
        let unknown = |name: &str, meant: Option<&str>| (name.to_owned(), meant.map(str::to_owned));
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

    #[cfg(unix)]
    #[test]
    fn a_value_that_is_not_utf_8_is_set_apart() {
        use std::os::unix::ffi::OsStringExt;
        let variable = ("HEADGATE_AUTH__USER".into(), OsString::from_vec(vec![0xff]));
        let environment = read([variable], &Known::new());
        let expected = ("auth.user".to_owned(), "HEADGATE_AUTH__USER".to_owned());
        assert_eq!(environment.not_text, [expected]);
    }
}
