//! Which values are out of their ranges, as the `validate` attributes of the sections say. Pure.

use serde_json::Value;
use validator::{Validate, ValidationError, ValidationErrors, ValidationErrorsKind};

use crate::config::Config;

/// What is allowed for the key, where its value is out of its range.
pub(super) fn out_of_range(config: &Config, key: &str) -> Option<String> {
    let mut found = all_out_of_range(config).into_iter();
    found.find_map(|(name, allowed)| (name == key).then_some(allowed))
}

/// Every key with a value out of its range, and what is allowed.
pub(super) fn all_out_of_range(config: &Config) -> Vec<(String, String)> {
    let mut found = Vec::new();
    if let Err(errors) = config.validate() {
        flatten("", &errors, &mut found);
        found.sort();
    }
    found
}

/// Turns `validator`'s tree of errors into paths of keys, each with what is allowed.
fn flatten(above: &str, errors: &ValidationErrors, found: &mut Vec<(String, String)>) {
    for (name, kind) in errors.errors() {
        let key = if above.is_empty() {
            name.to_string()
        } else {
            format!("{above}.{name}")
        };
        match kind {
            ValidationErrorsKind::Struct(inner) => flatten(&key, inner, found),
            ValidationErrorsKind::Field(errors) => {
                found.extend(errors.iter().map(|error| (key.clone(), allowed(error))));
            }
            ValidationErrorsKind::List(_) => unreachable!("no list of sections is validated"),
        }
    }
}

fn allowed(error: &ValidationError) -> String {
    if let Some(message) = &error.message {
        return message.to_string();
    }
    let bound = |name: &str| {
        error
            .params
            .get(name)
            .map_or_else(String::new, Value::to_string)
    };
    format!("a whole number from {} to {}", bound("min"), bound("max"))
}
