//! Who may send: HTTP Basic as in Logstash's http input, and named API keys. The password is compared in
//! constant time, keys are looked up by their digest; neither leaves this room.

use std::borrow::Cow;
use std::collections::HashMap;

use data_encoding::BASE64;
use http::request::Parts;
use http::{HeaderName, HeaderValue, header};
use sha2::{Digest, Sha256};
use subtle::ConstantTimeEq;

use super::api_key::ApiKey;
use super::query_key;
use super::refusal::Refusal;
use crate::config;
use crate::telemetry::Telemetry;

const X_API_KEY: HeaderName = HeaderName::from_static("x-api-key");

/// The credentials that are accepted.
pub(super) struct Auth {
    /// SHA-256 of `user:password`: equal lengths, so that comparing tells nothing of the length either.
    basic: Option<[u8; 32]>,
    keys: Vec<ApiKey>,
    /// The keys by their SHA-256. How long a look takes tells nothing of a key: nobody can choose its digest.
    by_digest: HashMap<[u8; 32], usize>,
    /// Whether a key may come in the query.
    has_browser_keys: bool,
}

/// Who sent a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Sender {
    /// Index of the API key that it bears.
    pub(super) key: Option<usize>,
}

/// How `Authorization` bears credentials.
#[derive(Clone, Copy, Debug)]
enum Scheme {
    Basic,
    Bearer,
}

impl Auth {
    /// `previous` is what was in force before the configuration was read again.
    pub(super) fn new(
        config: &config::Auth,
        telemetry: &Telemetry,
        previous: Option<&Self>,
    ) -> Self {
        let credentials = format!("{}:{}", config.user, config.password.expose());
        let previous_keys = previous.map_or(&[][..], |previous| &previous.keys);
        let before: HashMap<&str, &ApiKey> =
            previous_keys.iter().map(|key| (key.name(), key)).collect();
        let key = |key: &config::ApiKey| {
            ApiKey::new(key, telemetry, before.get(key.name.as_str()).copied())
        };
        let keys: Vec<ApiKey> = config.keys.iter().map(key).collect();
        let digests = config.keys.iter().map(|key| *key.hash.as_bytes());
        Self {
            basic: (!config.user.is_empty()).then(|| digest(credentials.as_bytes())),
            by_digest: digests.zip(0..).collect(),
            has_browser_keys: keys.iter().any(ApiKey::is_of_browsers),
            keys,
        }
    }

    /// Lets a request in, or refuses it with 401.
    pub(super) fn check(&self, parts: &Parts) -> Result<Sender, Refusal> {
        if self.basic.is_none() && self.keys.is_empty() {
            return Ok(Sender { key: None });
        }
        let authorization = parts.headers.get(header::AUTHORIZATION);
        let api_key = parts.headers.get(X_API_KEY);
        let query = parts.uri.query().filter(|_| self.has_browser_keys);
        let in_query = query.and_then(query_key::find);
        if authorization.is_none() && api_key.is_none() && in_query.is_none() {
            return Err(Refusal::challenge());
        }
        let by_header = api_key.and_then(|value| self.key(value.as_bytes()));
        by_header
            .or_else(|| self.authorized(authorization?.as_bytes()))
            .or_else(|| self.browser_key(in_query?.as_bytes()))
            .ok_or_else(|| {
                let names_no_scheme =
                    |value: &HeaderValue| Scheme::of(value.as_bytes()).0.is_none();
                if authorization.is_some_and(names_no_scheme) {
                    Refusal::other_scheme()
                } else {
                    Refusal::wrong_credentials()
                }
            })
    }

    /// The key that a sender bears.
    pub(super) fn key_of(&self, sender: Sender) -> Option<&ApiKey> {
        sender.key.map(|index| &self.keys[index])
    }

    /// Path and query without a key in it.
    pub(super) fn without_key<'a>(&self, target: &'a str) -> Cow<'a, str> {
        if self.has_browser_keys {
            query_key::strip(target)
        } else {
            Cow::Borrowed(target)
        }
    }

    fn authorized(&self, value: &[u8]) -> Option<Sender> {
        match Scheme::of(value) {
            (Some(Scheme::Bearer), key) => self.key(key),
            (Some(Scheme::Basic), credentials) => self.basic(&BASE64.decode(credentials).ok()?),
            (None, _) => None,
        }
    }

    fn basic(&self, credentials: &[u8]) -> Option<Sender> {
        if let Some(known) = &self.basic {
            let is_user: bool = known.ct_eq(&digest(credentials)).into();
            if is_user {
                return Some(Sender { key: None });
            }
        }
        let colon = memchr::memchr(b':', credentials)?;
        let sender = self.key(&credentials[colon + 1..])?;
        let name = self.key_of(sender)?.name().as_bytes();
        (name == &credentials[..colon]).then_some(sender)
    }

    /// A query stands in the logs of proxies, so other keys do not belong there.
    fn browser_key(&self, key: &[u8]) -> Option<Sender> {
        let sender = self.key(key)?;
        self.key_of(sender)?.is_of_browsers().then_some(sender)
    }

    fn key(&self, key: &[u8]) -> Option<Sender> {
        let index = self.by_digest.get(&digest(key))?;
        Some(Sender { key: Some(*index) })
    }
}

impl Scheme {
    /// The scheme of an `Authorization`, if it is one of these, and what comes behind it.
    fn of(value: &[u8]) -> (Option<Self>, &[u8]) {
        let end = memchr::memchr(b' ', value).unwrap_or(value.len());
        let (name, credentials) = value.split_at(end);
        let scheme = if name.eq_ignore_ascii_case(b"bearer") {
            Some(Self::Bearer)
        } else if name.eq_ignore_ascii_case(b"basic") {
            Some(Self::Basic)
        } else {
            None
        };
        (scheme, credentials.trim_ascii())
    }
}

fn digest(bytes: &[u8]) -> [u8; 32] {
    Sha256::digest(bytes).into()
}

#[cfg(test)]
mod tests {
    use data_encoding::HEXLOWER;
    use http::Request;

    use super::*;
    use crate::config::Config;
    use crate::config::OutputType;

    /// A user, two keys, and one for browsers.
    fn auth() -> Auth {
        let key = |name: &str, key: &str, origins: &str| {
            let hash = HEXLOWER.encode(&digest(key.as_bytes()));
            format!(
                "[[keys]]\nname = '{name}'\nhash = 'sha256:{hash}'\nallowed_origins = {origins}\n"
            )
        };
        let keys = [
            key("web", "first", "[]"),
            key("app", "second", "[]"),
            key("page", "third", "['https://a.example']"),
        ];
        let text = format!("user = 'test'\npassword = 'a:b:ñ'\n{}", keys.concat());
        let config = Config {
            auth: toml::from_str(&text).unwrap(),
            ..Config::default()
        };
        let telemetry = Telemetry::new(vec![], 1, OutputType::File);
        Auth::new(&config.auth, &telemetry, None)
    }

    fn check_at(target: &str, name: &'static str, value: &str) -> Option<Sender> {
        let request = Request::builder().uri(target).header(name, value);
        let (parts, ()) = request.body(()).unwrap().into_parts();
        auth().check(&parts).ok()
    }

    fn check(name: &'static str, value: &str) -> Option<Sender> {
        check_at("/", name, value)
    }

    fn basic(credentials: &str) -> String {
        format!("Basic {}", BASE64.encode(credentials.as_bytes()))
    }

    const fn key(index: usize) -> Option<Sender> {
        Some(Sender { key: Some(index) })
    }

    #[test]
    fn right_credentials_are_let_in_by_every_way() {
        let user = Some(Sender { key: None });
        for (name, value, sender) in [
            ("authorization", basic("test:a:b:ñ"), user),
            (
                "authorization",
                basic("test:a:b:ñ").replace("Basic", "bAsIc"),
                user,
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
            "Bearer other".into(),
            "Bearer".into(),
            "Bearer ".into(),
            String::new(),
            "first".into(),
            "Digest x=y".into(),
        ] {
            assert_eq!(check("authorization", &value), None, "{value}");
        }
    }

    #[test]
    fn only_keys_of_browsers_may_come_in_the_query() {
        let of_query = |target| check_at(target, "accept", "*/*");
        assert_eq!(of_query("/v1/events?key=third"), key(2));
        assert_eq!(of_query("/v1/events?a=b&k%65y=thir%64"), key(2));
        assert_eq!(of_query("/v1/events?key=first"), None);
        assert_eq!(of_query("/v1/events?key=other"), None);
        assert_eq!(of_query("/v1/events?key=other&key=third"), None);
        // What the browser adds by itself is not in the way of the key.
        assert_eq!(check_at("/?key=third", "authorization", "Basic !"), key(2));
        assert_eq!(check_at("/?key=third", "x-api-key", "first"), key(0));
    }
}
