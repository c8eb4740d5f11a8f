//! JSON documents one after the other, on lines or not: an object is an event, an array one an element. Pure.

use crate::pipeline::DecodeError;
use crate::pipeline::builder::EnvelopeBuilder;
use crate::pipeline::scan::{self, Kind, Scanned, SyntaxError, SyntaxErrorKind, skip_white_space};

/// Whether `{"events":[…]}` stands for the events in it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Unwrap {
    Nothing,
    /// `events` or `logs`, as the only member of the only document.
    Wrappers,
}

/// Why the documents were not taken.
pub(in crate::pipeline) enum Fault {
    /// It is no JSON.
    Syntax(SyntaxError),
    /// It breaks a limit on the whole request.
    Refused(DecodeError),
}

impl Fault {
    /// The refusal of the request.
    pub(super) fn into_error(self, text: &[u8]) -> DecodeError {
        match self {
            Self::Syntax(error) => {
                DecodeError::malformed(text, error.offset, &error.kind.to_string())
            }
            Self::Refused(error) => error,
        }
    }
}

impl From<SyntaxError> for Fault {
    fn from(error: SyntaxError) -> Self {
        Self::Syntax(error)
    }
}

impl From<DecodeError> for Fault {
    fn from(error: DecodeError) -> Self {
        Self::Refused(error)
    }
}

/// Gives the events of all documents in `text` to the builder. What it was given before a fault is to be
/// rolled back.
pub(super) fn documents(
    text: &[u8],
    unwrap: Unwrap,
    builder: &mut EnvelopeBuilder<'_>,
) -> Result<(), Fault> {
    let first = skip_white_space(text, 0);
    let mut at = first;
    while at < text.len() {
        if text[at] == b'[' {
            at = elements(text, at, builder)?;
        } else {
            let scanned = builder.scan(text, at)?;
            at = scanned.span.end;
            check_end(text, &scanned)?;
            let wrapped = match unwrap {
                Unwrap::Wrappers if scanned.span.start == first => wrapped_array(text, &scanned),
                _ => None,
            };
            match wrapped {
                Some(array) => drop(elements(text, array, builder)?),
                None => builder.element(text, &scanned)?,
            }
        }
        at = skip_white_space(text, at);
    }
    Ok(())
}

/// Objects and arrays may stand one right behind the other; a scalar that something touches is none:
/// `2024-11-23` is not three numbers.
fn check_end(text: &[u8], scanned: &Scanned) -> Result<(), Fault> {
    let end = scanned.span.end;
    let is_container = matches!(scanned.kind, Kind::Object | Kind::Array);
    match text.get(end) {
        None | Some(b' ' | b'\t' | b'\n' | b'\r') => Ok(()),
        Some(_) if is_container => Ok(()),
        Some(_) => Err(syntax(end, SyntaxErrorKind::ExpectedWhiteSpace)),
    }
}

/// Gives each element of the array that begins at `start` to the builder; the offset behind the array.
fn elements(text: &[u8], start: usize, builder: &mut EnvelopeBuilder<'_>) -> Result<usize, Fault> {
    let mut at = skip_white_space(text, start + 1);
    if text.get(at) == Some(&b']') {
        return Ok(at + 1);
    }
    loop {
        let scanned = builder.scan(text, at)?;
        builder.element(text, &scanned)?;
        at = skip_white_space(text, scanned.span.end);
        match text.get(at) {
            Some(b',') => at += 1,
            Some(b']') => return Ok(at + 1),
            Some(_) => return Err(syntax(at, SyntaxErrorKind::ExpectedCommaOrBracket)),
            None => return Err(syntax(at, SyntaxErrorKind::UnexpectedEnd)),
        }
    }
}

fn syntax(offset: usize, kind: SyntaxErrorKind) -> Fault {
    Fault::Syntax(SyntaxError { offset, kind })
}

/// Where the array in a wrapper begins, if the first document is one: the only document, with the only member
/// `events` or `logs`, an array.
fn wrapped_array(text: &[u8], document: &Scanned) -> Option<usize> {
    let is_alone = skip_white_space(text, document.span.end) == text.len();
    if document.kind != Kind::Object || !is_alone {
        return None;
    }
    // Most objects are events: the first key tells, before anything is scanned again.
    let inside = skip_white_space(text, document.span.start + 1);
    if !text[inside..].starts_with(b"\"events\"") && !text[inside..].starts_with(b"\"logs\"") {
        return None;
    }
    let (mut first, mut members) = (None, 0);
    scan::value(text, document.span.start, |member| {
        first.get_or_insert(member);
        members += 1;
    })
    .ok()?;
    let only = first.filter(|first| members == 1 && first.kind == Kind::Array)?;
    Some(only.value.start)
}
