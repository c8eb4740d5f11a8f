//! Who may send: HTTP Basic as in Logstash's http input, and named API keys. Secrets are compared in constant time
//! and never leave this room.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use http::{HeaderMap, HeaderName, header};
use sha2::{Digest, Sha256};
use subtle::{Choice, ConstantTimeEq};

use super::refusal::{Code, Refusal};
use crate::config;

const X_API_KEY: HeaderName = HeaderName::from_static("x-api-key");

/// The credentials that are accepted.
pub(super) struct Auth {
    /// SHA-256 of `user:password`: equal lengths, so that comparing tells nothing of the length either.
    basic: Option<[u8; 32]>,
    keys: Vec<Key>,
}

struct Key {
    name: String,
    hash: [u8; 32],
}

/// Who sent a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Sender {
    /// Index of the API key that it bears.
    pub(super) key: Option<usize>,
}

impl Auth {
    pub(super) fn new(config: &config::Auth) -> Self {
        let credentials = format!("{}:{}", config.user, config.password.expose());
        Self {
            basic: (!config.user.is_empty()).then(|| digest(credentials.as_bytes())),
            keys: config
                .keys
                .iter()
                .map(|key| Key {
                    name: key.name.clone(),
                    hash: *key.hash.as_bytes(),
                })
                .collect(),
        }
    }

    /// Lets a request in, or refuses it with 401.
    pub(super) fn check(&self, headers: &HeaderMap) -> Result<Sender, Refusal> {
        if self.basic.is_none() && self.keys.is_empty() {
            return Ok(Sender { key: None });
        }
        let authorization = headers.get(header::AUTHORIZATION);
        let api_key = headers.get(X_API_KEY);
        if authorization.is_none() && api_key.is_none() {
            return Err(Refusal::challenge());
        }
        let by_header = api_key.and_then(|value| self.key(value.as_bytes()));
        by_header
            .or_else(|| self.authorized(authorization?.as_bytes()))
            .ok_or_else(|| {
                Refusal::new(
                    Code::Unauthenticated,
                    "The credentials that were sent are not accepted here.",
                )
            })
    }

    fn authorized(&self, value: &[u8]) -> Option<Sender> {
        let space = memchr::memchr(b' ', value)?;
        let (scheme, credentials) = value.split_at(space);
        let credentials = credentials.trim_ascii();
        if scheme.eq_ignore_ascii_case(b"bearer") {
            self.key(credentials)
        } else if scheme.eq_ignore_ascii_case(b"basic") {
            self.basic(&STANDARD.decode(credentials).ok()?)
        } else {
            None
        }
    }

    fn basic(&self, credentials: &[u8]) -> Option<Sender> {
        let given = digest(credentials);
        let is_user = self
            .basic
            .as_ref()
            .is_some_and(|known| known.ct_eq(&given).into());
        if is_user {
            return Some(Sender { key: None });
        }
        let colon = memchr::memchr(b':', credentials)?;
        let sender = self.key(&credentials[colon + 1..])?;
        let name = self.keys[sender.key?].name.as_bytes();
        (name == &credentials[..colon]).then_some(sender)
    }

    /// Compares with every key, so that the time tells nothing.
    fn key(&self, key: &[u8]) -> Option<Sender> {
        let given = digest(key);
        let mut found = None;
        for (index, known) in self.keys.iter().enumerate() {
            let is_equal: Choice = known.hash.ct_eq(&given);
            if is_equal.into() {
                found = Some(index);
            }
        }
        found.map(|index| Sender { key: Some(index) })
    }
}

fn digest(bytes: &[u8]) -> [u8; 32] {
    Sha256::digest(bytes).into()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn auth() -> Auth {
        let key = |name: &str, key: &str| Key {
            name: name.to_owned(),
            hash: digest(key.as_bytes()),
        };
        Auth {
            basic: Some(digest("test:a:b:ñ".as_bytes())),
            keys: vec![key("web", "first"), key("app", "second")],
        }
    }

    fn check(name: &'static str, value: &str) -> Option<Sender> {
        let mut headers = HeaderMap::new();
        headers.insert(HeaderName::from_static(name), value.parse().unwrap());
        auth().check(&headers).ok()
    }

    fn basic(credentials: &str) -> String {
        format!("Basic {}", STANDARD.encode(credentials))
    }

    #[test]
    fn right_credentials_are_let_in_by_every_way() {
        let key = |index| Some(Sender { key: Some(index) });
        for (name, value, sender) in [
            (
                "authorization",
                basic("test:a:b:ñ"),
                Some(Sender { key: None }),
            ),
            (
                "authorization",
                basic("test:a:b:ñ").replace("Basic", "bAsIc"),
                Some(Sender { key: None }),
            ),
            ("authorization", "Bearer first".into(), key(0)),
            ("authorization", basic("app:second"), key(1)),
            ("x-api-key", "second".into(), key(1)),
        ] {
            assert_eq!(check(name, &value), sender, "{value}");
        }
    }

    #[test]
    fn wrong_ones_are_not() {
        for value in [
            basic("test:a"),
            basic("test:a:b:ñx"),
            basic("tesu:a:b:ñ"),
            basic("test"),
            basic(""),
            basic("web:second"),
            "Basic !!!".into(),
            "Basic".into(),
            "Bearer third".into(),
            "Digest x=y".into(),
        ] {
            assert_eq!(check("authorization", &value), None, "{value}");
        }
    }
}
