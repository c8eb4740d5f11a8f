//! `[cors]`: which web pages may send, and read the answers. Plain data.

use serde::{Deserialize, Deserializer, Serialize, de};
use url::Url;

/// Which web pages may send.
#[derive(Debug, Clone, PartialEq, Deserialize, Serialize, validator::Validate)]
#[serde(deny_unknown_fields)]
pub struct Cors {
    /// Their origins; none: browsers are told nothing.
    pub allowed_origins: AllowedOrigins,
}

/// What stands for every origin.
const ANY: &str = "*";

/// What an origin looks like; told to whoever wrote something else.
const FORM: &str = r#"an origin as browsers send it, or "*" for every one: scheme://host, with :port unless it is the scheme's own, in lower case and without a path, such as "https://app.example.com" or "http://localhost:3000""#;

/// Origins of web pages, each as the `Origin` header spells it (RFC 6454, section 6.2).
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
#[serde(transparent)]
pub struct AllowedOrigins(Vec<String>);

impl AllowedOrigins {
    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Whether every origin is one of them.
    pub fn is_any(&self) -> bool {
        self.0.iter().any(|origin| origin == ANY)
    }

    /// Those that are named.
    pub fn named(&self) -> impl Iterator<Item = &str> {
        let all = self.0.iter().map(String::as_str);
        all.filter(|origin| *origin != ANY)
    }
}

impl<'de> Deserialize<'de> for AllowedOrigins {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let origins = Vec::<String>::deserialize(deserializer)?;
        match origins.iter().find(|text| !is_origin(text)) {
            Some(wrong) => Err(de::Error::invalid_value(de::Unexpected::Str(wrong), &FORM)),
            None => Ok(Self(origins)),
        }
    }
}

/// Whether a browser would send this text as an origin. One that it never sends would be a key that fits no lock.
fn is_origin(text: &str) -> bool {
    if text == ANY {
        return true;
    }
    let Some((scheme, host)) = text.split_once("://") else {
        return false;
    };
    let is_host = |byte: u8| byte.is_ascii_graphic() && !b"/?#@\\*".contains(&byte);
    if host.is_empty() || !host.bytes().all(is_host) {
        return false;
    }
    match scheme {
        "http" | "https" => {
            Url::parse(text).is_ok_and(|url| url.origin().ascii_serialization() == text)
        }
        // Pages of apps and extensions: no standard says more about their hosts.
        _ => is_scheme(scheme),
    }
}

/// RFC 3986, section 3.1, in lower case as browsers write it.
fn is_scheme(text: &str) -> bool {
    text.starts_with(|first: char| first.is_ascii_lowercase())
        && text.bytes().all(|byte| {
            byte.is_ascii_lowercase() || byte.is_ascii_digit() || b"+-.".contains(&byte)
        })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn origins_are_what_browsers_send() {
        for (text, is) in [
            ("*", true),
            ("https://app.example.com", true),
            ("https://app.example.com:8443", true),
            ("http://localhost:3000", true),
            ("http://127.0.0.1:3000", true),
            ("http://[::1]:3000", true),
            ("https://xn--bcher-kva.example", true),
            ("chrome-extension://abcdefghijklmnop", true),
            ("capacitor://localhost", true),
            ("https://app.example.com/", false),
            ("https://app.example.com/path", false),
            ("https://app.example.com:443", false),
            ("http://app.example.com:80", false),
            ("https://App.example.com", false),
            ("HTTPS://app.example.com", false),
            ("https://bücher.example", false),
            ("https://*.example.com", false),
            ("https://user@app.example.com", false),
            ("https://app.example.com:99999", false),
            ("app.example.com", false),
            ("https://", false),
            ("://host", false),
            ("ht tp://host", false),
            ("https://a b", false),
            ("null", false),
            ("", false),
        ] {
            assert_eq!(is_origin(text), is, "{text}");
        }
    }
}
