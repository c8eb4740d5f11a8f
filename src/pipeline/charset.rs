//! Character sets: from the body's bytes to UTF-8, as the `charset` parameter of the media type says. Pure.

use std::borrow::Cow;

use encoding_rs::{Encoding, REPLACEMENT, UTF_8, UTF_16BE, UTF_16LE, WINDOWS_1252};

/// Names of ASCII.
const ASCII: [&[u8]; 3] = [b"us-ascii", b"ascii", b"ansi_x3.4-1968"];

/// Names of windows-1252 that are its own.
const OF_WINDOWS_1252: [&[u8]; 3] = [b"windows-1252", b"cp1252", b"x-cp1252"];

/// A body's text.
pub(super) struct Text<'a> {
    /// UTF-8; where it is not valid, each bad sequence is still as it came or is U+FFFD.
    pub(super) bytes: Cow<'a, [u8]>,
    /// Whether every byte was valid in the character set, and so is UTF-8 here.
    pub(super) is_valid: bool,
}

/// What a `charset` parameter names.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Charset {
    Utf8,
    /// Exactly ISO-8859-1, which the web reads as windows-1252 and Logstash does not.
    Latin1,
    /// UTF-16 that does not say which byte of two comes first.
    Utf16,
    Other(&'static Encoding),
}

impl Charset {
    /// The character set of this name; UTF-8 for one that nobody knows, whose text is then checked.
    pub(super) fn from_name(name: &[u8]) -> Self {
        let is_one_of =
            |names: &[&[u8]]| names.iter().any(|known| name.eq_ignore_ascii_case(known));
        match Encoding::for_label(name) {
            // The web reads these as one U+FFFD, whatever stands there: that would lose the body.
            Some(encoding) if encoding == REPLACEMENT => Self::Utf8,
            // The web reads ASCII and ISO-8859-1, by all of their names, as this; of ASCII, UTF-8 is more.
            Some(encoding) if encoding == WINDOWS_1252 && is_one_of(&ASCII) => Self::Utf8,
            Some(encoding) if encoding == WINDOWS_1252 && !is_one_of(&OF_WINDOWS_1252) => {
                Self::Latin1
            }
            // For the web the less significant byte comes first by all of these names.
            Some(encoding) if encoding == UTF_16LE && !is_one_of(&[b"utf-16le"]) => Self::Utf16,
            Some(encoding) if encoding != UTF_8 => Self::Other(encoding),
            _ => Self::Utf8,
        }
    }

    /// Bytes that the text takes beside the body, at most: none where it need not be written anew.
    pub(super) fn text_bytes(self, body: &[u8]) -> usize {
        let high_bytes = || body.iter().filter(|byte| !byte.is_ascii()).count();
        match self {
            Self::Utf8 => 0,
            Self::Latin1 => match high_bytes() {
                0 => 0,
                high => body.len() + high,
            },
            Self::Other(encoding) if encoding.is_ascii_compatible() && high_bytes() == 0 => 0,
            Self::Utf16 | Self::Other(_) => 3 * body.len(),
        }
    }

    /// Reads a body. A byte order mark is skipped.
    pub(super) fn read(self, body: &[u8]) -> Text<'_> {
        match self {
            Self::Utf8 => {
                let body = without_mark(body);
                Text {
                    is_valid: simdutf8::basic::from_utf8(body).is_ok(),
                    bytes: Cow::Borrowed(body),
                }
            }
            Self::Latin1 => Text {
                bytes: match encoding_rs::mem::decode_latin1(without_mark(body)) {
                    Cow::Borrowed(text) => Cow::Borrowed(text.as_bytes()),
                    Cow::Owned(text) => Cow::Owned(text.into_bytes()),
                },
                is_valid: true,
            },
            Self::Utf16 => decode(utf_16_of(body), body),
            Self::Other(encoding) => decode(encoding, body),
        }
    }
}

/// Without the mark of UTF-8. In some other character sets the same bytes are text.
fn without_mark(body: &[u8]) -> &[u8] {
    body.strip_prefix(b"\xef\xbb\xbf").unwrap_or(body)
}

fn decode(encoding: &'static Encoding, body: &[u8]) -> Text<'static> {
    let (text, has_errors) = encoding.decode_with_bom_removal(body);
    Text {
        bytes: Cow::Owned(text.into_owned().into_bytes()),
        is_valid: !has_errors,
    }
}

/// The mark says which byte of two comes first. Without one it ought to be the more significant one (RFC 2781, 4.3), and
/// with .NET it is the other: what is sent here begins with ASCII, which shows it.
fn utf_16_of(body: &[u8]) -> &'static Encoding {
    match body {
        [0xfe, 0xff, ..] | [0, 1..=0x7f] | [0, 1..=0x7f, 0, 1..=0x7f, ..] => UTF_16BE,
        _ => UTF_16LE,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_and_bytes_are_read() {
        for (name, body, text) in [
            ("utf-8", "\u{feff}é".as_bytes(), "é"),
            ("ISO-8859-1", b"caf\xe9 \x80", "café \u{80}"),
            ("windows-1252", b"\x80", "€"),
            ("l1", b"\x80", "\u{80}"),
            ("us-ascii", "é".as_bytes(), "é"),
            ("utf-16le", b"\xff\xfea\0", "a"),
            ("utf-16", b"\xff\xfea\0", "a"),
            ("utf-16", b"\xfe\xff\0a", "a"),
            ("utf-16", b"a\0", "a"),
            ("utf-16", b"\0a", "a"),
            ("UTF-16", b"\0{\0\"", "{\""),
            ("utf-16", b"\0\x4e\x3a\x4e", "一为"),
            ("utf-16le", b"\0\x4e\0\x4e", "一一"),
            ("utf-16le", b"\xef\xbb\xbf\0", "믯¿"),
            ("utf-16be", b"\0a", "a"),
            ("gbk", b"\xef\xbb\xbf\xc6", "锘科"),
            ("latin1", b"\xef\xbb\xbfa", "a"),
            ("shift_jis", b"\x93\xfa", "日"),
            ("no-such-thing", b"plain", "plain"),
            ("iso-2022-kr", b"plain", "plain"),
        ] {
            let read = Charset::from_name(name.as_bytes()).read(body);
            assert!(read.is_valid, "{name}");
            assert_eq!(read.bytes.as_ref(), text.as_bytes(), "{name}");
        }
        assert!(!Charset::Utf8.read(b"\xff").is_valid);
        assert!(!Charset::from_name(b"ASCII").read(b"\xff").is_valid);
        assert!(!Charset::from_name(b"shift_jis").read(b"\x93").is_valid);
    }
}
