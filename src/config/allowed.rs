//! What a key may be, in plain words for whoever gave it something else. Pure.

use toml::de::Error;
use toml::{Table, Value};

use crate::config::shown;

/// What [`unset`](crate::config::unset) adds to what is allowed.
pub(super) const OR_UNSET: &str = r#", or "" to leave it unset"#;

/// A key with a value for it.
pub(super) struct Attempt<'a> {
    /// Its path.
    pub(super) key: &'a str,
    /// The value.
    pub(super) given: &'a Value,
    /// A value that is right, which tells the type.
    pub(super) right: &'a Value,
}

impl Attempt<'_> {
    /// Reads the value; the error says what is allowed. `decode` reads any value in its place, and says what
    /// is allowed where it can be read and is out of its range.
    pub(super) fn read(
        &self,
        decode: impl Fn(Value) -> Result<Option<String>, Error>,
    ) -> Result<(), String> {
        let Err(error) = decode(self.given.clone()) else {
            return Ok(());
        };
        // Most forms are told only to a text that has not got them.
        let as_texts = self.as_texts().and_then(|texts| decode(texts).err());
        let error = as_texts.unwrap_or(error);
        let message = error.message();
        let (message, or_unset) = match message.strip_suffix(OR_UNSET) {
            Some(message) => (message, OR_UNSET),
            None => (message, ""),
        };
        let expected = message
            .rsplit_once(", expected ")
            .map_or(message, |(_, expected)| expected);
        let allowed = match expected {
            "usize" => match decode(Value::from(0)) {
                Ok(Some(range)) => range,
                _ => "a whole number, not negative".to_owned(),
            },
            "a boolean" => "true or false".to_owned(),
            "a string" => "a text in quotes".to_owned(),
            "path string" => "a path in quotes".to_owned(),
            "a sequence" => self.list(&decode),
            "a map" => self.table(),
            _ => expected.to_owned(),
        };
        Err(allowed + or_unset)
    }

    /// The same value with texts where texts may be wanted.
    fn as_texts(&self) -> Option<Value> {
        match (self.given, self.right) {
            (Value::String(_), _) => None,
            (given, Value::String(_)) => Some(text(given)),
            (Value::Array(items), Value::Array(_)) => {
                Some(Value::Array(items.iter().map(text).collect()))
            }
            (Value::Table(table), Value::Table(_)) => {
                let as_text = |(name, value): (&String, &Value)| (name.clone(), text(value));
                Some(Value::Table(table.iter().map(as_text).collect()))
            }
            _ => None,
        }
    }

    /// A list, with the example that is nearest to what was given.
    fn list(&self, decode: &dyn Fn(Value) -> Result<Option<String>, Error>) -> String {
        let as_list = |given: &Value| Attempt { given, ..*self }.read(decode);
        let several = self.given.as_str().and_then(parted);
        let given = several
            .filter(|several| as_list(several).is_ok())
            .unwrap_or_else(|| Value::Array(vec![text(self.given)]));
        match (as_list(&given), self.right) {
            (Err(allowed), _) => format!("a list in brackets, each item {allowed}"),
            // A text with quotes in it may be a list that could not be read as one.
            (Ok(()), _) if self.given.as_str().is_some_and(is_plain) => {
                format!("a list, such as {}", shown::value(self.key, &given))
            }
            (_, Value::Array(items)) if !items.is_empty() => {
                format!("a list, such as {}", self.right)
            }
            _ => "a list in brackets".to_owned(),
        }
    }

    fn table(&self) -> String {
        let example = match self.right.as_table().filter(|table| !table.is_empty()) {
            Some(table) => Value::Table(table.clone()),
            None => Value::Table(Table::from_iter([("name".to_owned(), "value".into())])),
        };
        format!("a table, such as {example}")
    }
}

/// The list that a text with commas may be meant for, as it is in the variables of other programs.
fn parted(text: &str) -> Option<Value> {
    let items = text.split(',').map(|item| Value::from(item.trim()));
    text.contains(',').then(|| Value::Array(items.collect()))
}

fn is_plain(text: &str) -> bool {
    !text.is_empty() && !text.contains(['"', '\''])
}

fn text(value: &Value) -> Value {
    match value {
        Value::String(_) => value.clone(),
        _ => Value::String(value.to_string()),
    }
}
