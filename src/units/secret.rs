//! Text that must not be shown: passwords and the like. Pure.

use std::fmt;

use serde::{Deserialize, Serialize, Serializer};

/// What is shown in the place of a secret.
pub const MASK: &str = "***";

/// A text that neither `Debug` nor `Serialize` shows; there is no `Display`.
///
/// An empty one is shown as empty: that nothing is set is no secret.
#[derive(Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(transparent)]
pub struct Secret(String);

impl Secret {
    /// Takes a text into keeping.
    pub fn new(text: impl Into<String>) -> Self {
        Self(text.into())
    }

    /// The text itself, for comparing and sending it, never for showing it.
    pub fn expose(&self) -> &str {
        &self.0
    }

    /// Whether nothing is set.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    fn shown(&self) -> &'static str {
        if self.is_empty() { "" } else { MASK }
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(if self.is_empty() { "\"\"" } else { MASK })
    }
}

impl Serialize for Secret {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.shown())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_secret_is_exposed_only_on_request() {
        let secret = Secret::new("hunter2");
        assert_eq!(secret.expose(), "hunter2");
        assert_eq!(format!("{secret:?} {secret:#?}"), "*** ***");
        assert_eq!(serde_json::to_string(&secret).unwrap(), "\"***\"");
    }

    #[test]
    fn an_empty_secret_is_shown_as_empty() {
        let secret: Secret = serde_json::from_str("\"\"").unwrap();
        assert!(secret.is_empty());
        assert_eq!(format!("{secret:?}"), "\"\"");
        assert_eq!(serde_json::to_string(&secret).unwrap(), "\"\"");
    }
}
