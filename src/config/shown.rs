//! How values are shown in messages: as TOML, secrets masked. Pure.

use toml::Value;

use crate::config::broker_url;
use crate::units::secret::MASK;

/// Parts of names, in lower case, whose values are not shown. An unknown key may be a misspelt `password`, so names are
/// judged by what they look like.
const SECRET_NAMES: [&str; 7] = [
    "authorization",
    "cookie",
    "hash",
    "key",
    "pass",
    "secret",
    "token",
];

/// Whether a key or header of this name holds something that must not be shown.
pub(super) fn names_a_secret(name: &str) -> bool {
    let name = name.to_ascii_lowercase();
    SECRET_NAMES.iter().any(|part| name.contains(part))
}

/// Keys that are named like secrets and hold the path of one, which is what has to be mended where it is wrong.
const PATHS: [&str; 2] = ["server.tls.key", "broker.tls.client_key"];

/// Whether the key holds a path. A text of more than a line is no path but the private key itself, put there
/// by mistake.
fn is_path(key: &str, text: &str) -> bool {
    PATHS.contains(&key) && !text.contains(['\n', '\r']) && !text.contains("-----BEGIN")
}

/// Any header by which this server proves who it is may be a credential, whatever its name.
const SECRET_THROUGHOUT: &str = "broker.headers";

/// The value of the key as TOML; secrets, also those inside it, as `"***"`.
pub(super) fn value(key: &str, value: &Value) -> String {
    if key == SECRET_THROUGHOUT {
        return without_texts(key, value);
    }
    one_line(&masked(key, value))
}

/// The value of the key where one like `right` belongs. In the place of a table a text has no names that tell whether it
/// is a secret, and a table in the place of anything else has names that nobody knows.
pub(super) fn for_want_of(right: &Value, key: &str, given: &Value) -> String {
    if right.is_table() != given.is_table() {
        without_texts(key, given)
    } else {
        value(key, given)
    }
}

/// An item of the list that is the key's value, or of the table, where it has a name: as TOML, secrets as `"***"`.
pub(super) fn item(key: &str, name: Option<&str>, item: &Value) -> String {
    match name {
        // Mostly in the place of a text; nobody knows its names.
        _ if item.is_table() => without_texts(name.unwrap_or(key), item),
        None => value(key, item),
        Some(name) if key == SECRET_THROUGHOUT => without_texts(name, item),
        Some(name) => value(name, item),
    }
}

/// The step of a path that leads to this name in a table, in quotes where TOML needs them.
pub(super) fn step(name: &str) -> String {
    let is_bare = |byte: u8| byte.is_ascii_alphanumeric() || b"-_".contains(&byte);
    if !name.is_empty() && name.bytes().all(is_bare) {
        format!(".{name}")
    } else {
        format!(".{}", one_line(&Value::from(name)))
    }
}

/// The value of the key as TOML; secrets, and every text in it, as `"***"`.
pub(super) fn without_texts(key: &str, value: &Value) -> String {
    fn hidden(value: &Value) -> Value {
        match value {
            Value::String(_) => Value::String(MASK.to_owned()),
            Value::Array(items) => Value::Array(items.iter().map(hidden).collect()),
            Value::Table(table) => {
                let hide = |(name, value): (&String, &Value)| (name.clone(), hidden(value));
                Value::Table(table.iter().map(hide).collect())
            }
            _ => value.clone(),
        }
    }
    one_line(&hidden(&masked(key, value)))
}

/// A problem is one line, so line breaks in texts, which TOML would show as they are, are shown as escapes.
fn one_line(value: &Value) -> String {
    value
        .to_string()
        .replace("\"\"\"\n", "\"\"\"")
        .replace('\n', "\\n")
}

/// The list of API keys is named like a secret, and each of them has a name that is to be read.
const LIST_OF_KEYS: [&str; 2] = ["auth.keys", "keys"];

fn masked(key: &str, value: &Value) -> Value {
    match value {
        Value::Table(table) => {
            // `password = { value = "…" }` is as secret as a password that is right.
            let is_secret = names_a_secret(key) && !LIST_OF_KEYS.contains(&key);
            let mask = |(name, value): (&String, &Value)| {
                let judged = if is_secret { key } else { name };
                (name.clone(), masked(judged, value))
            };
            Value::Table(table.iter().map(mask).collect())
        }
        Value::Array(items) => Value::Array(items.iter().map(|item| masked(key, item)).collect()),
        Value::String(text) if text.is_empty() || is_path(key, text) => value.clone(),
        _ if names_a_secret(key) => Value::String(MASK.to_owned()),
        Value::String(text) if text.contains(['{', '[']) && names_a_secret(text) => {
            // A table or a list from the environment that could not be read as one.
            Value::String(MASK.to_owned())
        }
        Value::String(text) => Value::String(broker_url::without_secrets(text)),
        _ => value.clone(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn secrets_are_masked_wherever_they_stand() {
        for (key, given, shown) in [
            ("listen", "'127.0.0.1:1'", r#""127.0.0.1:1""#),
            ("max_connections", "-1", "-1"),
            ("password", "'hunter2'", r#""***""#),
            ("password", "''", r#""""#),
            ("password", "12345", r#""***""#),
            ("passwrd", "'hunter2'", r#""***""#),
            (
                "password",
                "[{ value = 'hunter2', pin = 12345 }]",
                r#"[{ value = "***", pin = "***" }]"#,
            ),
            (
                "keys",
                "[{ name = 'web', hash = 'abc' }]",
                r#"[{ name = "web", hash = "***" }]"#,
            ),
            (
                "headers",
                "{ X-Env = 'test', Authorization = 'Basic x' }",
                r#"{ X-Env = "test", Authorization = "***" }"#,
            ),
            ("server.tls.key", "'/etc/tls.key'", r#""/etc/tls.key""#),
            ("broker.tls.client_key", "'a.pem'", r#""a.pem""#),
            (
                "server.tls.key",
                r#""-----BEGIN PRIVATE KEY-----\nMC4C""#,
                r#""***""#,
            ),
            ("server.tls.key", r#""MC4C\nMC4C""#, r#""***""#),
            ("server.tls.keys", "'/etc/tls.key'", r#""***""#),
            ("headers", r#"'{ Authorization = "Basic x"'"#, r#""***""#),
            (
                "urls",
                "['http://u:p@h/', 'http://h/in?token=x', 'not a url']",
                r#"["http://***@h/", "http://h/in?***", "not a url"]"#,
            ),
        ] {
            let given: Value = given.parse().unwrap();
            assert_eq!(value(key, &given), shown);
        }
    }
}
