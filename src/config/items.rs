//! Which items of a list or a table are wrong. Pure.
//!
//! Decoding a list stops at its first wrong item, too. Here each item is read alone in the place of the whole, so that
//! each one that is wrong is told, by its place.

use std::collections::BTreeMap;

use toml::Value;
use toml::de::Error;

use crate::config::allowed::Attempt;
use crate::config::shown;

/// One thing that is wrong with the value of a key.
pub(super) struct Fault {
    /// What stands behind the key for the item that is wrong: `[1]` or `.name`; nothing for the value as a whole.
    pub(super) place: String,
    /// The value, or the item, as it is shown.
    pub(super) given: String,
    /// What is allowed.
    pub(super) allowed: String,
}

/// All that is wrong with a value; `decode` reads any value in its place, as for [`Attempt::read`].
pub(super) fn faults(
    attempt: &Attempt<'_>,
    decode: impl Fn(Value) -> Result<Option<String>, Error>,
) -> Vec<Fault> {
    let Err(allowed) = attempt.read(&decode) else {
        return Vec::new();
    };
    let items = items(attempt.given, attempt.right);
    let wrong = wrong_items(attempt, items.len(), decode);
    if wrong.is_empty() {
        return vec![Fault {
            place: String::new(),
            given: shown::for_want_of(attempt.right, attempt.key, attempt.given),
            allowed,
        }];
    }
    let fault = |(index, allowed)| {
        let (name, item): (Option<&str>, &Value) = items[index];
        Fault {
            place: name.map_or_else(|| format!("[{index}]"), shown::step),
            given: shown::item(attempt.key, name, item),
            allowed,
        }
    };
    wrong.into_iter().map(fault).collect()
}

/// The items of a list or a table, in a table each with its name; none where it is not what is wanted.
fn items<'a>(given: &'a Value, right: &Value) -> Vec<(Option<&'a str>, &'a Value)> {
    match (given, right) {
        (Value::Array(items), Value::Array(_)) => items.iter().map(|item| (None, item)).collect(),
        (Value::Table(items), Value::Table(_)) => {
            let named = items.iter().map(|(name, item)| (Some(name.as_str()), item));
            named.collect()
        }
        _ => Vec::new(),
    }
}

/// The numbers of the items that are wrong, each with what is allowed there.
fn wrong_items(
    attempt: &Attempt<'_>,
    count: usize,
    decode: impl Fn(Value) -> Result<Option<String>, Error>,
) -> BTreeMap<usize, String> {
    let read = |is_kept: &dyn Fn(usize) -> bool| {
        let given = &some_of(attempt.given, is_kept);
        let some = Attempt { given, ..*attempt };
        some.read(&decode)
    };
    let alone = |index| Some((index, read(&|other| other == index).err()?));
    let mut wrong: BTreeMap<usize, String> = (0..count).filter_map(alone).collect();
    // Items that are right alone may not go together: the second of two that are the same is the one to be told.
    if read(&|index| !wrong.contains_key(&index)).is_err() {
        for last in 0..count {
            let so_far = read(&|index| index <= last && !wrong.contains_key(&index));
            if let Err(allowed) = so_far {
                wrong.insert(last, allowed);
            }
        }
    }
    wrong
}

/// The list or table with some of its items.
fn some_of(value: &Value, is_kept: &dyn Fn(usize) -> bool) -> Value {
    match value {
        Value::Array(items) => {
            let kept = items
                .iter()
                .enumerate()
                .filter(|(index, _)| is_kept(*index));
            Value::Array(kept.map(|(_, item)| item.clone()).collect())
        }
        Value::Table(items) => {
            let kept = items
                .iter()
                .enumerate()
                .filter(|(index, _)| is_kept(*index));
            let own = |(_, (name, item)): (usize, (&String, &Value))| (name.clone(), item.clone());
            Value::Table(kept.map(own).collect())
        }
        _ => value.clone(),
    }
}
