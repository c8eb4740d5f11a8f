//! Codecs: from a body's text to events. Pure.

mod documents;

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
        Codec::Plain => builder.message(&text.replaced(), &[]),
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
    let bytes = text.bytes();
    if text.valid().is_none() {
        return Err(DecodeError::malformed(
            bytes,
            text.first_bad(),
            "it is not text in the character set that its content type names (UTF-8 if none)",
        ));
    }
    if is_blank(bytes) {
        let end = LineColumn::at(bytes, bytes.len());
        return Err(DecodeError::Empty(end));
    }
    documents(bytes, Unwrap::Wrappers, builder).map_err(|fault| fault.into_error(bytes))
}

fn json(text: &Text<'_>, builder: &mut EnvelopeBuilder<'_>) -> Result<(), DecodeError> {
    if let Some(valid) = text.valid()
        && documents_or_nothing(valid, builder)?
    {
        return Ok(());
    }
    builder.unparsable(&text.replaced())
}

/// Each line is decoded like a body of its own, so that a bad one is alone.
fn json_lines(text: &Text<'_>, builder: &mut EnvelopeBuilder<'_>) -> Result<(), DecodeError> {
    for line in text.lines() {
        json(&line, builder)?;
    }
    Ok(())
}

fn auto(text: &Text<'_>, builder: &mut EnvelopeBuilder<'_>) -> Result<(), DecodeError> {
    if let Some(valid) = text.valid()
        && valid[skip_white_space(valid.as_bytes(), 0)..].starts_with(['{', '['])
        && documents_or_nothing(valid, builder)?
    {
        return Ok(());
    }
    builder.message(&text.replaced(), &[])
}

/// Whether the text was JSON. Where it was not, the builder has nothing of it.
fn documents_or_nothing(
    text: &str,
    builder: &mut EnvelopeBuilder<'_>,
) -> Result<bool, DecodeError> {
    let start = builder.mark();
    match documents(text.as_bytes(), Unwrap::Nothing, builder) {
        Ok(()) => Ok(true),
        Err(Fault::Refused(error)) => Err(error),
        Err(Fault::Syntax(_)) => {
            builder.roll_back(start);
            builder.check_forgotten()?;
            Ok(false)
        }
    }
}

fn is_blank(text: &[u8]) -> bool {
    skip_white_space(text, 0) == text.len()
}
