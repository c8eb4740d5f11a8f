//! Passwords as values of keys: `#[serde(deserialize_with = "password::deserialize")]` on a `Secret`. Pure.

use serde::Deserializer;

use crate::units::secret::MASK;
use crate::units::{Secret, text};

/// What is wrong with a secret that is nothing but the mask; told to whoever put it there.
pub(super) const IS_MASK: &str =
    r#"the secret itself: "***" is the mask that `headgate check` prints"#;

/// Reads a password; the mask of one is none. Nor is one with control characters (RFC 7617, section 2): it has the line
/// break at the end of the file that it came from, and is shown nowhere.
pub(super) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Secret, D::Error> {
    const FORM: &str = r#"a text in quotes without control characters, such as a line break at its end, and not "***", the mask that `headgate check` prints: put the secret itself"#;
    text::deserialize(deserializer, FORM, |text| {
        let is_one = text != MASK && !text.contains(char::is_control);
        is_one.then(|| Secret::new(text)).ok_or(())
    })
}
