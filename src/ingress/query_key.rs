//! An API key in the query of a request, as `?key=KEY`: pages that send with `navigator.sendBeacon()` have no
//! other way. It is taken out of all that is kept of the request. Pure.

use std::borrow::Cow;

use url::form_urlencoded;

const NAME: &str = "key";

/// The key in a query; the first, where there are several.
pub(super) fn find(query: &str) -> Option<Cow<'_, str>> {
    form_urlencoded::parse(query.as_bytes())
        .find(|(name, _)| name == NAME)
        .map(|(_, value)| value)
}

/// Path and query without every key, however its name is spelt; what is left stays as it came.
pub(super) fn strip(target: &str) -> Cow<'_, str> {
    let Some((path, query)) = target.split_once('?') else {
        return Cow::Borrowed(target);
    };
    if !query.split('&').any(is_key) {
        return Cow::Borrowed(target);
    }
    let others: Vec<&str> = query.split('&').filter(|part| !is_key(part)).collect();
    if others.is_empty() {
        return Cow::Borrowed(path);
    }
    Cow::Owned(format!("{path}?{}", others.join("&")))
}

fn is_key(part: &str) -> bool {
    find(part).is_some()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_is_found_anywhere_and_decoded() {
        for (query, key) in [
            ("key=hg_1", Some("hg_1")),
            ("a=b&key=hg_1&c", Some("hg_1")),
            ("%6bey=hg%5F1", Some("hg_1")),
            ("key=a+b", Some("a b")),
            ("key=1&key=2", Some("1")),
            ("key", Some("")),
            ("key=", Some("")),
            ("keys=1&monkey=2&KEY=3", None),
            ("", None),
        ] {
            assert_eq!(find(query).as_deref(), key, "{query}");
        }
    }

    #[test]
    fn every_key_is_taken_out_and_the_rest_stays() {
        for (target, stripped) in [
            ("/v1/events", "/v1/events"),
            ("/v1/events?key=1", "/v1/events"),
            ("/v1/events?key=1&key=2&ke%79=3", "/v1/events"),
            ("/a?b=c&key=1&&d=%20&monkey=2", "/a?b=c&&d=%20&monkey=2"),
            ("/a?k%65y=1?key=2&b", "/a?b"),
            ("/a?b=key=1", "/a?b=key=1"),
            ("/key=1?", "/key=1?"),
        ] {
            assert_eq!(strip(target), stripped, "{target}");
        }
    }
}
