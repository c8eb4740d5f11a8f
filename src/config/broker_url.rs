//! The URLs of Brokers: what is accepted, and how a refused one is shown. Pure.

use serde::{Deserialize, Deserializer, de};
use url::Url;

use crate::units::secret::MASK;

/// Reads the list of `broker.urls`.
pub(super) fn list<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<Url>, D::Error> {
    let mut urls = Vec::new();
    for text in Vec::<String>::deserialize(deserializer)? {
        let refused = |form: &str| de::Error::invalid_value(de::Unexpected::Str(&text), &form);
        let url = parse(&text).map_err(refused)?;
        if urls.contains(&url) {
            return Err(refused("a URL of its own: one before it is the same"));
        }
        urls.push(url);
    }
    Ok(urls)
}

/// Reads one URL, or says what is allowed.
fn parse(text: &str) -> Result<Url, &'static str> {
    const FORM: &str =
        r#"a URL with the scheme http or https and a host, such as "http://logstash:8080/""#;
    let url = Url::parse(text).map_err(|_| FORM)?;
    if !matches!(url.scheme(), "http" | "https") || !url.has_host() {
        return Err(FORM);
    }
    if url.host_str().is_some_and(|host| host.contains(',')) {
        return Err(r#"one URL: several are items of the list, such as ["http://a", "http://b"]"#);
    }
    if !url.username().is_empty() || url.password().is_some() {
        return Err(
            "a URL without user information: use the keys `user` and `password` of [broker]",
        );
    }
    if url.query() == Some(MASK) || url.host_str() == Some(MASK) {
        return Err(
            r#"a URL as it is sent to: "***" is the mask that `headgate check` prints in the place of what can be a secret"#,
        );
    }
    if url.fragment().is_some() {
        return Err("a URL without a fragment, which is never sent");
    }
    if url.port() == Some(0) {
        return Err("a URL with a port from 1 to 65535: nothing can be reached at port 0");
    }
    Ok(url)
}

/// Hides what stands where user information would, and the query of a URL, for showing it: both can be secrets.
pub(super) fn without_secrets(text: &str) -> String {
    let Some((before, query)) = text.split_once('?').filter(|(_, query)| !query.is_empty()) else {
        return without_user_information(text);
    };
    // Without its scheme a URL looks like many texts, but for what a query is made of.
    let may_be_url = query.contains('=') && !query.contains(char::is_whitespace);
    match before.split_once("://") {
        None if !may_be_url => without_user_information(text),
        // A password with a `?` in it looks like a query with an `@`.
        None if query.contains('@') => MASK.to_owned(),
        Some((scheme, _)) if query.contains('@') => format!("{scheme}://{MASK}"),
        None | Some(_) => format!("{}?{MASK}", without_user_information(before)),
    }
}

fn without_user_information(text: &str) -> String {
    let (Some(first), Some(last)) = (text.find('@'), text.rfind('@')) else {
        return text.to_owned();
    };
    let start = text[..first].find("//").map_or(0, |slashes| slashes + 2);
    // Before `@timestamp`, and inside `[@timestamp]`, stands nobody.
    if matches!(&text[start..last], "" | "[") {
        return text.to_owned();
    }
    format!("{}{MASK}{}", &text[..start], &text[last..])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn urls_of_brokers() {
        for (text, said) in [
            ("http://logstash:8080/", None),
            ("http://127.0.0.1:8080", None),
            ("http://[::1]:8443/in?x=1", None),
            ("https://logstash/", None),
            ("not a url", Some("scheme http or https and a host")),
            ("", Some("scheme http or https and a host")),
            ("logstash:8080", Some("scheme http or https and a host")),
            ("ftp://logstash/", Some("scheme http or https and a host")),
            ("http://", Some("scheme http or https and a host")),
            ("http://a,http://b", Some("one URL: several are items")),
            ("http://a,b:8080/", Some("one URL: several are items")),
            ("http://a/x,y", None),
            ("http://u:p@logstash/", Some("`user` and `password`")),
            ("http://u@logstash/", Some("`user` and `password`")),
            ("http://logstash/#a", Some("fragment")),
            ("http://logstash/?***", Some("the mask")),
            ("http://***", Some("the mask")),
            ("http://logstash/?x=***", None),
            ("http://logstash:0/", Some("port from 1 to 65535")),
            ("https://[::1]:00", Some("port from 1 to 65535")),
            ("http://logstash:65535/", None),
        ] {
            match (parse(text), said) {
                (Ok(_), None) => {}
                (Err(form), Some(word)) => assert!(form.contains(word), "{text:?}: {form}"),
                (result, _) => panic!("{text:?}: {result:?}"),
            }
        }
    }

    #[test]
    fn a_url_is_shown_without_what_can_be_a_secret() {
        for (text, shown) in [
            (
                "http://user:secret@logstash:8080/a",
                "http://***@logstash:8080/a",
            ),
            ("http://user:se@cret@logstash/", "http://***@logstash/"),
            ("user:secret@logstash", "***@logstash"),
            ("@timestamp", "@timestamp"),
            ("[@timestamp][a]", "[@timestamp][a]"),
            ("@se@cret", "***@cret"),
            ("[@[u:p@logstash", "***@logstash"),
            ("http://logstash/in?token=s3cret", "http://logstash/in?***"),
            ("http://u:p@logstash/?a=b?d", "http://***@logstash/?***"),
            ("http://user:se?cret@logstash/", "http://***"),
            ("http://user:se/c?ret@logstash/", "http://***"),
            ("http://user:se@c?ret@logstash/", "http://***"),
            ("http://logstash?mail=a@b&token=s3cret", "http://***"),
            ("http://logstash?token=s3cret", "http://logstash?***"),
            ("logstash:8080/in?token=s3cret", "logstash:8080/in?***"),
            ("http:/u:p@logstash/?token=s3cret", "***@logstash/?***"),
            ("http //logstash/in?token=s3cret", "http //logstash/in?***"),
            ("user:se?cret=@logstash", "***"),
            ("not a url", "not a url"),
            ("who? me", "who? me"),
            ("who? a = b", "who? a = b"),
        ] {
            assert_eq!(without_secrets(text), shown);
        }
    }
}
