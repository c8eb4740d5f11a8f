//! Character sets: from the body's bytes to UTF-8, as the `charset` parameter of the media type says. Pure.

use std::borrow::Cow;
use std::ops::Range;

use encoding_rs::{Encoding, REPLACEMENT, UTF_8, UTF_16BE, UTF_16LE, WINDOWS_1252};
use memchr::memchr_iter;

/// Names of ASCII.
const ASCII: [&[u8]; 3] = [b"us-ascii", b"ascii", b"ansi_x3.4-1968"];

/// Names of windows-1252 that are its own.
const OF_WINDOWS_1252: [&[u8]; 3] = [b"windows-1252", b"cp1252", b"x-cp1252"];

/// A body's text, or a part of it.
pub(super) enum Text<'a> {
    /// All of it is valid in the character set.
    Valid(Cow<'a, str>),
    /// It is meant as UTF-8, and is none: as it came.
    NotUtf8(&'a [u8]),
    /// Not all of it is valid in another character set: with U+FFFD for each bad sequence.
    Replaced(Cow<'a, str>),
}

impl<'a> Text<'a> {
    pub(super) fn of_utf8(text: &'a [u8]) -> Self {
        match simdutf8::basic::from_utf8(text) {
            Ok(text) => Self::Valid(Cow::Borrowed(text)),
            Err(_) => Self::NotUtf8(text),
        }
    }

    pub(super) fn bytes(&self) -> &[u8] {
        match self {
            Self::Valid(text) | Self::Replaced(text) => text.as_bytes(),
            Self::NotUtf8(bytes) => bytes,
        }
    }

    /// The text where all of it is valid.
    pub(super) fn valid(&self) -> Option<&str> {
        match self {
            Self::Valid(text) => Some(text),
            Self::NotUtf8(_) | Self::Replaced(_) => None,
        }
    }

    /// Where [`Self::bytes`] begin to be no text. In a text that was written anew, a U+FFFD that the client sent looks like it.
    pub(super) fn first_bad(&self) -> usize {
        match self {
            Self::NotUtf8(bytes) => bytes.utf8_chunks().next().map_or(0, |it| it.valid().len()),
            Self::Valid(text) | Self::Replaced(text) => {
                text.find(char::REPLACEMENT_CHARACTER).unwrap_or(text.len())
            }
        }
    }

    /// The text with U+FFFD for each bad sequence.
    pub(super) fn replaced(&self) -> Cow<'_, str> {
        match self {
            Self::Valid(text) | Self::Replaced(text) => Cow::Borrowed(text),
            Self::NotUtf8(bytes) => String::from_utf8_lossy(bytes),
        }
    }

    /// Bytes that [`Self::replaced`] takes beside the text.
    pub(super) fn replaced_bytes(&self) -> usize {
        let Self::NotUtf8(bytes) = self else {
            return 0;
        };
        let replacement = char::REPLACEMENT_CHARACTER.len_utf8();
        let chunks = bytes.utf8_chunks();
        chunks
            .map(|chunk| chunk.valid().len() + replacement.min(replacement * chunk.invalid().len()))
            .sum()
    }

    /// What stands between line ends, LF or CR LF; each line is valid or not by itself. Looking for them byte by byte
    /// took nearly half of the time of decoding.
    pub(super) fn lines(&self) -> impl Iterator<Item = Text<'_>> {
        let bytes = self.bytes();
        let mut start = 0;
        let ends = memchr_iter(b'\n', bytes).chain([bytes.len()]);
        ends.map(move |end| {
            let line = &bytes[start..end];
            let length = line.strip_suffix(b"\r").unwrap_or(line).len();
            let line = self.part(start..start + length);
            start = end + 1;
            line
        })
    }

    fn part(&self, range: Range<usize>) -> Text<'_> {
        match self {
            Self::Valid(text) => Text::Valid(Cow::Borrowed(&text[range])),
            Self::NotUtf8(bytes) => Text::of_utf8(&bytes[range]),
            Self::Replaced(text) => {
                let part = Cow::Borrowed(&text[range]);
                if part.contains(char::REPLACEMENT_CHARACTER) {
                    Text::Replaced(part)
                } else {
                    Text::Valid(part)
                }
            }
        }
    }
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
            Self::Utf8 => Text::of_utf8(without_mark(body)),
            Self::Latin1 => Text::Valid(encoding_rs::mem::decode_latin1(without_mark(body))),
            Self::Utf16 => decode(utf_16_of(body), body),
            // Who writes that mark means UTF-8's text to be there, and ASCII reads alike.
            Self::Other(encoding) if encoding.is_single_byte() => {
                decode(encoding, without_mark(body))
            }
            Self::Other(encoding) => decode(by_byte_order_mark(encoding, body), body),
        }
    }
}

/// Without the mark of UTF-8. In some other character sets the same bytes are text.
fn without_mark(body: &[u8]) -> &[u8] {
    body.strip_prefix(b"\xef\xbb\xbf").unwrap_or(body)
}

fn decode<'a>(encoding: &'static Encoding, body: &'a [u8]) -> Text<'a> {
    let (text, has_errors) = encoding.decode_with_bom_removal(body);
    if has_errors {
        Text::Replaced(text)
    } else {
        Text::Valid(text)
    }
}

/// In UTF-16 a mark says which byte of two comes first, whatever the name says (RFC 2781, 4.3).
fn by_byte_order_mark(named: &'static Encoding, body: &[u8]) -> &'static Encoding {
    match body {
        [0xfe, 0xff, ..] if named == UTF_16LE => UTF_16BE,
        [0xff, 0xfe, ..] if named == UTF_16BE => UTF_16LE,
        _ => named,
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
            ("utf-16le", b"\xfe\xff\0a", "a"),
            ("utf-16be", b"\xff\xfea\0", "a"),
            ("utf-16be", b"\0a", "a"),
            ("windows-1252", b"\xef\xbb\xbfa\x80", "a€"),
            ("gbk", b"\xef\xbb\xbf\xc6", "锘科"),
            ("latin1", b"\xef\xbb\xbfa", "a"),
            ("shift_jis", b"\x93\xfa", "日"),
            ("no-such-thing", b"plain", "plain"),
            ("iso-2022-kr", b"plain", "plain"),
        ] {
            let read = Charset::from_name(name.as_bytes()).read(body);
            assert_eq!(read.valid(), Some(text), "{name}");
        }
        for (name, body) in [
            ("utf-8", b"\xff"),
            ("ASCII", b"\xff"),
            ("shift_jis", b"\x93"),
        ] {
            let read = Charset::from_name(name.as_bytes()).read(body);
            assert_eq!(read.valid(), None, "{name}");
            assert_eq!(read.replaced(), "\u{fffd}", "{name}");
        }
    }

    #[test]
    fn a_text_takes_no_more_than_was_told() {
        let names = "utf-8 latin1 utf-16 utf-16be windows-1252 koi8-r gbk gb18030 big5 shift_jis euc-jp iso-2022-jp";
        for name in names.split(' ') {
            let charset = Charset::from_name(name.as_bytes());
            for body in [&b"plain "[..], b"caf\xe9 "] {
                let body = body.repeat(1000);
                let told = charset.text_bytes(&body);
                let taken = match charset.read(&body) {
                    Text::Valid(Cow::Owned(text)) | Text::Replaced(Cow::Owned(text)) => text.len(),
                    _ => 0,
                };
                assert!(taken <= told, "{name}: {taken} for {told}");
            }
        }
    }

    #[test]
    fn a_line_is_bad_by_itself() {
        for (name, body) in [
            ("utf-8", &b"a\r\n\xff\n\xc3\xa9"[..]),
            ("shift_jis", b"a\r\n\x93\n\x93\xfa"),
        ] {
            let read = Charset::from_name(name.as_bytes()).read(body);
            let are_valid: Vec<bool> = read.lines().map(|line| line.valid().is_some()).collect();
            assert_eq!(are_valid, [true, false, true], "{name}");
        }
    }
}
