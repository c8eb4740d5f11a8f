//! The request's headers as an object, as Logstash's http input writes them: names in lower case with `_` for
//! `-`, three of them renamed, and the request line beside them. Pure.

use std::borrow::Cow;

use http::header::{
    ACCEPT, CONTENT_ENCODING, CONTENT_LENGTH, COOKIE, EXPECT, HOST, TRANSFER_ENCODING, USER_AGENT,
};
use http::{HeaderMap, HeaderName, HeaderValue};

use super::source::Request;
use crate::pipeline::Arrival;
use crate::pipeline::json::push_string;
use crate::pipeline::scan::is_plain_ascii;

/// Above this many bytes of names and values the rest is cut.
pub(in crate::pipeline) const MAX_BYTES: usize = 16 * 1024;

/// The tag of events whose headers were cut.
pub(in crate::pipeline) const CUT_TAG: &str = "_headerscut";

/// Names that tell of the request itself: no header of the client's can stand in for them.
const RESERVED: [&str; 6] = [
    "http_accept",
    "http_host",
    "http_user_agent",
    "http_version",
    "request_method",
    "request_path",
];

/// A header's value as text: UTF-8, else ISO-8859-1.
pub(super) fn text(value: &HeaderValue) -> Cow<'_, str> {
    match std::str::from_utf8(value.as_bytes()) {
        Ok(text) => Cow::Borrowed(text),
        Err(_) => encoding_rs::mem::decode_latin1(value.as_bytes()),
    }
}

/// Whether the headers and the request line are longer than what becomes a field.
pub(in crate::pipeline) fn are_cut(request: &Request<'_>) -> bool {
    // As text a byte becomes two at most, a name gets a prefix, and some are not shown: mostly this tells enough.
    let all = request.arrival.headers.iter();
    let most = all.map(|(name, value)| "http_".len() + name.as_str().len() + 2 * value.len());
    let headers = || shown(request).map(|(name, value)| name.len() + text(&value).len());
    let others = request_line_len(request.arrival) + host_len(request) + body_length_len(request);
    others + most.sum::<usize>() > MAX_BYTES && others + headers().sum::<usize>() > MAX_BYTES
}

/// The field of the body's length, which Logstash tells once content codings and chunks are undone, also where the client
/// told none.
const BODY_LENGTH: FieldName<'static> = FieldName::plain("content_length");

/// Whether a header is told of otherwise, or of what is undone or answered when the event is read: as with Logstash, whose
/// server passes on none of these.
fn is_told_otherwise(name: &HeaderName) -> bool {
    *name == HOST
        || *name == CONTENT_LENGTH
        || *name == CONTENT_ENCODING
        || *name == TRANSFER_ENCODING
        || *name == EXPECT
        || name.as_str() == BODY_LENGTH.dashed
}

fn body_length_len(request: &Request<'_>) -> usize {
    if request.drops(&CONTENT_LENGTH) {
        return 0;
    }
    let digits = 1 + request.body_bytes.checked_ilog10().unwrap_or(0);
    BODY_LENGTH.len() + digits as usize
}

fn host_len(request: &Request<'_>) -> usize {
    let host = request.shown_host();
    host.map_or(0, |host| "http_host".len() + host.len())
}

/// Writes the object.
pub(super) fn render(request: &Request<'_>, out: &mut Vec<u8>) {
    let arrival = request.arrival;
    let mut object = Cut {
        out,
        bytes_left: MAX_BYTES,
    };
    object.out.push(b'{');
    object.member(FieldName::plain("request_method"), arrival.method.as_str());
    object.member(FieldName::plain("request_path"), arrival.target);
    object.member(FieldName::plain("http_version"), arrival.http_version());
    if let Some(host) = request.shown_host() {
        object.member(FieldName::plain("http_host"), host);
    }
    if !request.drops(&CONTENT_LENGTH) {
        object.member(BODY_LENGTH, &request.body_bytes.to_string());
    }
    for (name, value) in shown(request) {
        object.header(name, &value);
    }
    if object.out.last() == Some(&b',') {
        object.out.pop();
    }
    object.out.push(b'}');
}

fn request_line_len(arrival: &Arrival<'_>) -> usize {
    let names = "request_method".len() + "request_path".len() + "http_version".len();
    names + arrival.method.as_str().len() + arrival.target.len() + arrival.http_version().len()
}

/// The headers that are shown, under the names that they get. Of a repeated header the last value counts, as
/// in Logstash; but HTTP/2 may send a cookie in pieces (RFC 9113, 8.2.3).
fn shown<'a>(
    request: &'a Request<'_>,
) -> impl Iterator<Item = (FieldName<'a>, Cow<'a, HeaderValue>)> {
    let headers = request.arrival.headers;
    let mut all = headers.iter().peekable();
    std::iter::from_fn(move || {
        let (name, mut last) = all.next()?;
        // A map gives all values of a name together.
        while let Some((_, later)) = all.next_if(|(other, _)| *other == name) {
            last = later;
        }
        Some((name, last))
    })
    .filter(|(name, _)| !is_told_otherwise(name) && !request.drops(name))
    .filter(|(name, _)| !(name.as_str().contains('_') && has_twin(name, headers)))
    .map(|(name, last)| {
        let value = if *name == COOKIE {
            Cow::Owned(whole_cookie(headers))
        } else {
            Cow::Borrowed(last)
        };
        (FieldName::of(name), value)
    })
    .filter(|(name, _)| !name.is_reserved())
}

fn whole_cookie(headers: &HeaderMap) -> HeaderValue {
    let pieces = headers.get_all(COOKIE).iter().map(HeaderValue::as_bytes);
    let whole = pieces.collect::<Vec<_>>().join(&b"; "[..]);
    HeaderValue::from_bytes(&whole).expect("each piece is a value")
}

/// Whether `x-a` stands beside this `x_a`: they would get the same name.
fn has_twin(name: &HeaderName, headers: &HeaderMap) -> bool {
    let name = name.as_str();
    let has_same_field = |other: &str| {
        std::iter::zip(other.bytes(), name.bytes())
            .all(|(one, other)| undashed(one) == undashed(other))
    };
    // A dash sorts before an underscore, so of several the one with the most dashes in front is shown.
    headers
        .keys()
        .map(HeaderName::as_str)
        .any(|other| other.len() == name.len() && other < name && has_same_field(other))
}

/// The name of a field, written when it is known that it is wanted.
#[derive(Clone, Copy)]
struct FieldName<'a> {
    prefix: &'static str,
    /// With a `-` for a `_`.
    dashed: &'a str,
}

impl<'a> FieldName<'a> {
    const fn plain(name: &'static str) -> Self {
        Self {
            prefix: "",
            dashed: name,
        }
    }

    fn of(header: &'a HeaderName) -> Self {
        let is_renamed = *header == ACCEPT || *header == USER_AGENT;
        Self {
            prefix: if is_renamed { "http_" } else { "" },
            dashed: header.as_str(),
        }
    }

    fn len(self) -> usize {
        self.prefix.len() + self.dashed.len()
    }

    /// Whether it tells of the request itself though it is a header of the client's.
    fn is_reserved(self) -> bool {
        let is_same = |reserved: &&str| {
            reserved.len() == self.dashed.len()
                && std::iter::zip(reserved.bytes(), self.dashed.bytes())
                    .all(|(wanted, byte)| wanted == undashed(byte))
        };
        let can_be = self.dashed.starts_with("http") || self.dashed.starts_with("request");
        can_be && self.prefix.is_empty() && RESERVED.iter().any(is_same)
    }

    /// Writes it. A name in HTTP has no byte that JSON would escape (RFC 9110, 5.6.2), but the library of HTTP/2 lets a
    /// quote pass.
    fn push(self, out: &mut Vec<u8>) {
        out.extend_from_slice(self.prefix.as_bytes());
        let start = out.len();
        out.extend_from_slice(self.dashed.as_bytes());
        let mut has_quote = false;
        for byte in &mut out[start..] {
            has_quote |= *byte == b'"';
            *byte = undashed(*byte);
        }
        if has_quote {
            escape_quotes(&out.split_off(start), out);
        }
    }
}

#[cold]
fn escape_quotes(name: &[u8], out: &mut Vec<u8>) {
    for byte in name {
        if *byte == b'"' {
            out.push(b'\\');
        }
        out.push(*byte);
    }
}

fn undashed(byte: u8) -> u8 {
    if byte == b'-' { b'_' } else { byte }
}

/// An object that takes members until the room is used up; the one that does not fit is cut, the rest left out.
struct Cut<'a> {
    out: &'a mut Vec<u8>,
    bytes_left: usize,
}

impl Cut<'_> {
    fn member(&mut self, name: FieldName<'_>, value: &str) {
        if let Some(room) = self.begin(name, value.len()) {
            let value = &value[..value.floor_char_boundary(room)];
            self.bytes_left = room - value.len();
            push_string(self.out, value);
            self.out.push(b',');
        }
    }

    /// As [`Self::member`]; most values need no look at their characters.
    fn header(&mut self, name: FieldName<'_>, value: &HeaderValue) {
        let bytes = value.as_bytes();
        if !is_plain_ascii(bytes) {
            return self.member(name, &text(value));
        }
        if let Some(room) = self.begin(name, bytes.len()) {
            let bytes = &bytes[..bytes.len().min(room)];
            self.bytes_left = room - bytes.len();
            self.out.reserve(bytes.len() + 3);
            self.out.push(b'"');
            self.out.extend_from_slice(bytes);
            self.out.extend_from_slice(b"\",");
        }
    }

    /// Writes a member's key; gives the room for its value, or none where there is no room for any of it.
    fn begin(&mut self, name: FieldName<'_>, value_len: usize) -> Option<usize> {
        let room = self.bytes_left.checked_sub(name.len());
        let Some(room) = room.filter(|room| *room > 0 || value_len == 0) else {
            self.bytes_left = 0;
            return None;
        };
        self.out.reserve(name.len() + 3);
        self.out.push(b'"');
        name.push(self.out);
        self.out.extend_from_slice(b"\":");
        Some(room)
    }
}
