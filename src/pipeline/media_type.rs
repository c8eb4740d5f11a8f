//! The media type of a body. Pure.

use http::{HeaderMap, header};

use super::charset::Charset;

/// What matters of a `Content-Type`.
pub(super) struct MediaType<'a> {
    pub(super) name: &'a [u8],
    pub(super) charset: Charset,
}

impl<'a> MediaType<'a> {
    pub(super) fn of(headers: &'a HeaderMap) -> Self {
        // Of several the last one counts, as in the headers of an event.
        let last = headers.get_all(header::CONTENT_TYPE).iter().next_back();
        let value = last.map_or(&b""[..], http::HeaderValue::as_bytes);
        let mut parts = value.split(|byte| *byte == b';');
        let name = parts.next().unwrap_or_default().trim_ascii();
        let charset = parts
            .filter_map(|parameter| {
                let equals = memchr::memchr(b'=', parameter)?;
                let (name, value) = parameter.split_at(equals);
                let is_charset = name.trim_ascii().eq_ignore_ascii_case(b"charset");
                is_charset.then(|| unquoted(value[1..].trim_ascii()))
            })
            .map(Charset::from_name)
            .next();
        Self {
            name,
            charset: charset.unwrap_or(Charset::Utf8),
        }
    }
}

fn unquoted(value: &[u8]) -> &[u8] {
    match value {
        [b'"', inside @ .., b'"'] => inside,
        bare => bare,
    }
}
