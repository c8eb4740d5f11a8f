//! Codecs: from a body's text to events. Pure.

mod documents;

use std::borrow::Cow;

use memchr::memchr_iter;

use super::builder::EnvelopeBuilder;
use super::charset::Text;
use super::scan::skip_white_space;
use super::{DecodeError, LineColumn};
use crate::config::Codec;
pub(super) use documents::Fault;
use documents::{Unwrap, documents};

/// Decodes a body of the Logstash paths. What does not parse becomes a tagged event.
pub(super) fn decode(
    codec: Codec,
    text: &Text<'_>,
    builder: &mut EnvelopeBuilder<'_>,
) -> Result<(), DecodeError> {
    match codec {
        Codec::Plain => builder.message(&replaced(text), &[]),
        Codec::Json => json(text, builder),
        Codec::JsonLines => json_lines(text, builder),
        Codec::Auto => auto(text, builder),
    }
}

/// Decodes a body of the application API: JSON of any shape, or nothing.
pub(super) fn decode_strictly(
    text: &Text<'_>,
    builder: &mut EnvelopeBuilder<'_>,
) -> Result<(), DecodeError> {
    if !text.is_valid {
        let offset =
            std::str::from_utf8(&text.bytes).map_or_else(|error| error.valid_up_to(), |_| 0);
        return Err(DecodeError::malformed(
            &text.bytes,
            offset,
            "the body is not text in the character set that its content type names (UTF-8 if none)",
        ));
    }
    if is_blank(&text.bytes) {
        let end = LineColumn::at(&text.bytes, text.bytes.len());
        return Err(DecodeError::Empty(end));
    }
    documents(&text.bytes, Unwrap::Wrappers, builder).map_err(|fault| fault.into_error(&text.bytes))
}

fn json(text: &Text<'_>, builder: &mut EnvelopeBuilder<'_>) -> Result<(), DecodeError> {
    let start = builder.mark();
    let outcome = if text.is_valid {
        documents(&text.bytes, Unwrap::Nothing, builder)
    } else {
        Err(Fault::NotText)
    };
    match outcome {
        Err(Fault::NotText | Fault::Syntax(_)) => {
            builder.roll_back(start);
            builder.unparsable(&replaced(text))
        }
        Err(Fault::Refused(error)) => Err(error),
        Ok(()) => Ok(()),
    }
}

/// Each line is decoded like a body of its own, so that a bad one is alone.
fn json_lines(text: &Text<'_>, builder: &mut EnvelopeBuilder<'_>) -> Result<(), DecodeError> {
    // What was decoded from another character set is UTF-8 by now, and U+FFFD marks the damage.
    let is_decoded = !text.is_valid && std::str::from_utf8(&text.bytes).is_ok();
    let is_undamaged = |line: &[u8]| {
        let line = std::str::from_utf8(line);
        line.is_ok_and(|line| !is_decoded || !line.contains(char::REPLACEMENT_CHARACTER))
    };
    for line in lines(&text.bytes) {
        let line = Text {
            bytes: Cow::Borrowed(line),
            is_valid: text.is_valid || is_undamaged(line),
        };
        json(&line, builder)?;
    }
    Ok(())
}

/// What stands between line ends, LF or CR LF. Looking for them byte by byte took nearly half of the time of decoding.
fn lines(text: &[u8]) -> impl Iterator<Item = &[u8]> {
    let mut start = 0;
    let ends = memchr_iter(b'\n', text).chain([text.len()]);
    ends.map(move |end| {
        let line = &text[start..end];
        start = end + 1;
        line.strip_suffix(b"\r").unwrap_or(line)
    })
}

fn auto(text: &Text<'_>, builder: &mut EnvelopeBuilder<'_>) -> Result<(), DecodeError> {
    let start = builder.mark();
    let first = text.bytes.get(skip_white_space(&text.bytes, 0));
    if text.is_valid && matches!(first, Some(b'{' | b'[')) {
        match documents(&text.bytes, Unwrap::Nothing, builder) {
            Ok(()) => return Ok(()),
            Err(Fault::Refused(error)) => return Err(error),
            Err(Fault::NotText | Fault::Syntax(_)) => builder.roll_back(start),
        }
    }
    builder.message(&replaced(text), &[])
}

fn is_blank(text: &[u8]) -> bool {
    skip_white_space(text, 0) == text.len()
}

/// The text with U+FFFD for each bad sequence.
fn replaced<'a>(text: &'a Text<'_>) -> Cow<'a, [u8]> {
    if text.is_valid {
        return Cow::Borrowed(&text.bytes);
    }
    match String::from_utf8_lossy(&text.bytes) {
        Cow::Borrowed(_) => Cow::Borrowed(&text.bytes),
        Cow::Owned(text) => Cow::Owned(text.into_bytes()),
    }
}
