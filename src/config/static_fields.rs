//! Fields that the operator has added to events: `enrich.fields`, `auth.keys[].fields`. Pure.

use serde::{Deserialize, Deserializer, Serialize, Serializer, de};
use serde_json::Map;
use thiserror::Error;

use crate::units::FieldReference;
use crate::units::timestamp::is_iso_8601;

/// Fields with fixed values, in the order of the configuration; no two of them speak of the same field.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct StaticFields(Vec<(FieldReference, serde_json::Value)>);

/// The table does not say which fields have which values.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum StaticFieldsError {
    /// A key of the table is no field reference.
    #[error("named by a field, `name` or \"[outer][inner]\", which `{0}` is not")]
    Name(String),
    /// JSON has no such value.
    #[error("a value that JSON has too; in `{0}` is a number that is not finite")]
    NotFinite(String),
    /// `@timestamp` would be none.
    #[error(
        "a time in quotes, such as \"2026-01-02T03:04:05Z\", where it is for `@timestamp`, which `{0}` is not"
    )]
    NotATime(String),
    /// `@metadata` would be no object.
    #[error(
        "a table where it is for `@metadata`, which `{0}` is not: Logstash makes one text of a whole batch then"
    )]
    NotATable(String),
    /// Two keys speak of the same field, or one of a part of the other.
    #[error("a field of its own, not inside another; `{0}` is there already")]
    Twice(String),
}

impl StaticFields {
    /// The fields and their values.
    pub fn iter(&self) -> impl Iterator<Item = (&FieldReference, &serde_json::Value)> {
        self.0.iter().map(|(field, value)| (field, value))
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

/// Puts the value where the path says; false where something is there already.
fn insert(
    object: &mut Map<String, serde_json::Value>,
    path: &[String],
    value: serde_json::Value,
) -> bool {
    match path {
        [] => false,
        [name] => {
            let is_new = !object.contains_key(name);
            object.entry(name).or_insert(value);
            is_new
        }
        [name, rest @ ..] => object
            .entry(name)
            .or_insert_with(|| Map::new().into())
            .as_object_mut()
            .is_some_and(|inner| insert(inner, rest, value)),
    }
}

/// Has a field that Logstash knows in one form only keep to it.
fn check_form(
    key: &str,
    field: &FieldReference,
    value: &serde_json::Value,
) -> Result<(), StaticFieldsError> {
    let is_time = || {
        let text = value.as_str();
        text.is_some_and(|text| is_iso_8601(text.as_bytes()))
    };
    match field.path() {
        [name, inside @ ..] if name == "@timestamp" && !(inside.is_empty() && is_time()) => {
            Err(StaticFieldsError::NotATime(key.to_owned()))
        }
        [name] if name == "@metadata" && !value.is_object() => {
            Err(StaticFieldsError::NotATable(key.to_owned()))
        }
        _ => Ok(()),
    }
}

impl TryFrom<toml::Table> for StaticFields {
    type Error = StaticFieldsError;

    fn try_from(table: toml::Table) -> Result<Self, StaticFieldsError> {
        let mut fields = Vec::new();
        let mut object = Map::new();
        let keys: Vec<String> = table.keys().cloned().collect();
        for (key, value) in table {
            let field: FieldReference = key
                .parse()
                .map_err(|_| StaticFieldsError::Name(key.clone()))?;
            let value = json(value).ok_or_else(|| StaticFieldsError::NotFinite(key.clone()))?;
            if !insert(&mut object, field.path(), value.clone()) {
                return Err(StaticFieldsError::Twice(key));
            }
            fields.push((field, value));
        }
        // Last: whoever asks what is wrong with a table does so with texts in the place of all values.
        for (key, (field, value)) in std::iter::zip(&keys, &fields) {
            check_form(key, field, value)?;
        }
        Ok(Self(fields))
    }
}

/// The JSON value that says the same; a TOML time becomes a text. Nothing for a number that is not finite.
fn json(value: toml::Value) -> Option<serde_json::Value> {
    Some(match value {
        toml::Value::String(text) => text.into(),
        toml::Value::Integer(number) => number.into(),
        toml::Value::Float(number) => serde_json::Number::from_f64(number)?.into(),
        toml::Value::Boolean(truth) => truth.into(),
        toml::Value::Datetime(time) => time.to_string().into(),
        toml::Value::Array(items) => items
            .into_iter()
            .map(json)
            .collect::<Option<Vec<_>>>()?
            .into(),
        toml::Value::Table(table) => table
            .into_iter()
            .map(|(name, value)| Some((name, json(value)?)))
            .collect::<Option<Map<_, _>>>()?
            .into(),
    })
}

impl Serialize for StaticFields {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_map(self.iter().map(|(field, value)| (field.to_string(), value)))
    }
}

impl<'de> Deserialize<'de> for StaticFields {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let table = toml::Table::deserialize(deserializer)?;
        Self::try_from(table).map_err(|error| {
            de::Error::invalid_value(de::Unexpected::Map, &error.to_string().as_str())
        })
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn read(toml: &str) -> Result<StaticFields, StaticFieldsError> {
        StaticFields::try_from(toml.parse::<toml::Table>().unwrap())
    }

    #[test]
    fn fields_become_json() {
        let fields = read(concat!(
            "Environment = 'production'\n'[cloud][region]' = 'eu'\n'[cloud][zones]' = [1, 2.5, true]\n",
            "since = 2026-01-02\nowner = { team = 'logs' }\n",
        ))
        .unwrap();
        assert_eq!(
            serde_json::to_value(&fields).unwrap(),
            json!({"[Environment]": "production", "[cloud][region]": "eu", "[cloud][zones]": [1, 2.5, true],
                "[since]": "2026-01-02", "[owner]": {"team": "logs"}})
        );
        let names: Vec<String> = fields.iter().map(|(field, _)| field.to_string()).collect();
        assert_eq!(
            names,
            [
                "[Environment]",
                "[cloud][region]",
                "[cloud][zones]",
                "[since]",
                "[owner]"
            ]
        );
    }

    #[test]
    fn a_timestamp_is_one_as_in_events() {
        for time in [
            "'2026-01-02T03:04:05Z'",
            "'2026-01-02'",
            "2026-01-02 03:04:05",
        ] {
            let fields = read(&format!("'@timestamp' = {time}")).unwrap();
            let (_, value) = fields.iter().next().unwrap();
            assert!(is_iso_8601(value.as_str().unwrap().as_bytes()), "{value}");
        }
    }

    #[test]
    fn metadata_are_added_as_a_table_or_inside() {
        for fields in ["'@metadata' = { a = 1 }", "'[@metadata][a]' = 1"] {
            read(fields).unwrap();
        }
    }

    #[test]
    fn what_is_no_set_of_fields_is_refused() {
        use StaticFieldsError::{Name, NotATable, NotATime, NotFinite, Twice};
        for (toml, error) in [
            ("'[a' = 1", Name("[a".into())),
            ("'' = 1", Name(String::new())),
            ("a = inf", NotFinite("a".into())),
            ("a = { b = [nan] }", NotFinite("a".into())),
            ("'@timestamp' = 5", NotATime("@timestamp".into())),
            ("'@timestamp' = 'now'", NotATime("@timestamp".into())),
            (
                "'@timestamp' = '2026-01-02 03:04:05'",
                NotATime("@timestamp".into()),
            ),
            ("'[@timestamp][a]' = 1", NotATime("[@timestamp][a]".into())),
            ("'@metadata' = 'x'", NotATable("@metadata".into())),
            ("'[@metadata]' = []", NotATable("[@metadata]".into())),
            ("a = 1\n'[a]' = 2", Twice("[a]".into())),
            ("a = 1\n'[a][b]' = 2", Twice("[a][b]".into())),
            ("'[a][b]' = 1\na = { c = 2 }", Twice("a".into())),
        ] {
            assert_eq!(read(toml), Err(error), "{toml}");
        }
    }
}
