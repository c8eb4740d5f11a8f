//! The JSON scanner: one pass that checks a value against the whole grammar of RFC 8259 and reports
//! the members of an object by their byte ranges, so that an event is enriched by splicing and
//! never becomes a tree.
//!
//! It takes UTF-8 as given (whoever reads the body checks it) but is memory-safe and free of panics
//! on any bytes. It does not recurse, so depth costs one bit a level and no stack. It touches
//! nothing outside its arguments.

mod cursor;
mod open_containers;
mod vectors;

#[cfg(test)]
mod tests;

use cursor::Cursor;
pub use cursor::skip_white_space;
use open_containers::OpenContainers;
pub(super) use vectors::{is_plain, is_plain_ascii};

/// Digits one after the other. A number has up to three such runs, and with more than 10,000 digits it is no JSON to
/// Logstash, which reads the whole batch with it as one text then.
pub const MAX_DIGITS: usize = 3_000;

/// Bytes of a name, as it is spelt: the most that Logstash's parser takes.
pub const MAX_NAME: usize = 50_000;

/// Byte range of the text that was scanned.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Span {
    /// Offset of the first byte.
    pub start: usize,
    /// Offset behind the last byte.
    pub end: usize,
}

impl Span {
    /// The bytes of this range.
    ///
    /// # Panics
    /// If `text` is shorter than the text that the span was found in.
    #[must_use]
    pub fn of(self, text: &[u8]) -> &[u8] {
        &text[self.start..self.end]
    }

    /// Bytes in the range.
    #[must_use]
    pub fn len(self) -> usize {
        self.end - self.start
    }

    /// Whether the range holds no byte, as between the quotes of `""`.
    #[must_use]
    pub fn is_empty(self) -> bool {
        self.start == self.end
    }
}

/// The seven sorts of JSON value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// `{…}`
    Object,
    /// `[…]`
    Array,
    /// `"…"`
    String,
    /// `-1.5e3`
    Number,
    /// `true`
    True,
    /// `false`
    False,
    /// `null`
    Null,
}

/// One member directly in the scanned object, not deeper.
#[derive(Clone, Copy, Debug)]
pub struct Member {
    /// The key as written, between its quotes.
    pub key: Span,
    /// Whether the key holds an escape, so that its bytes are not yet its name (`\u0068ost`).
    pub key_escaped: bool,
    /// The value, with its quotes or brackets.
    pub value: Span,
    /// What the value is.
    pub kind: Kind,
}

/// What one value was.
#[derive(Clone, Copy, Debug)]
pub struct Scanned {
    /// The value, without the white space around it.
    pub span: Span,
    /// What it is.
    pub kind: Kind,
    /// Levels of nesting: `{}` is 1, a scalar 0.
    pub depth: usize,
    /// Scalars, and empty containers, at any depth; a key is none.
    pub leaves: usize,
    /// Whether a CR or LF stands between its tokens; inside a string none can.
    pub newlines: bool,
}

/// Where and why a text is no JSON.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{kind}")]
pub struct SyntaxError {
    /// The first byte that no valid text could have there; the text's length if it ended too early; where a name or
    /// run of digits begins that is too long.
    pub offset: usize,
    /// What is wrong with it, in words that may go to a client: they never repeat the text.
    pub kind: SyntaxErrorKind,
}

/// The ways to break the grammar of RFC 8259, and the limits that it lets a reader set.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SyntaxErrorKind {
    /// The text ends inside the value, or holds none.
    #[error("unexpected end of the text")]
    UnexpectedEnd,
    /// Where a text begins, after a `[` or `:`, or after a `,` in an array.
    #[error("expected a value")]
    ExpectedValue,
    /// After a `{`, or a `,` in an object.
    #[error("expected a key in double quotes")]
    ExpectedKey,
    /// After a key.
    #[error("expected `:`")]
    ExpectedColon,
    /// After an element of an array.
    #[error("expected `,` or `]`")]
    ExpectedCommaOrBracket,
    /// After a member of an object.
    #[error("expected `,` or `}}`")]
    ExpectedCommaOrBrace,
    /// Right behind a text, number, truth value or null that is a document by itself.
    #[error("expected white space or the end of the text")]
    ExpectedWhiteSpace,
    /// A byte below 0x20 between quotes.
    #[error("control character in a string")]
    ControlCharacter,
    /// A backslash before anything but `"\/bfnrt` and `u` with four hexadecimal digits.
    #[error("invalid escape in a string")]
    InvalidEscape,
    /// A leading zero, or no digit where one must be.
    #[error("invalid number")]
    InvalidNumber,
    /// More than [`MAX_DIGITS`] digits one after the other.
    #[error("more than {MAX_DIGITS} digits one after the other")]
    LongNumber,
    /// A key of more than [`MAX_NAME`] bytes.
    #[error("a name of more than {MAX_NAME} bytes")]
    LongName,
    /// Something that begins like `true`, `false` or `null` and goes on otherwise.
    #[error("invalid literal")]
    InvalidLiteral,
}

/// Scans the one JSON value that begins at the first byte at or after `from` that is not white
/// space, and calls `on_member` for each member directly in it, in order, if it is an object.
///
/// What follows the value is the caller's business: [`Scanned::span`] tells where it ended, and
/// a scalar ends where its own grammar ends, whatever comes next. Members that were reported
/// before an error are to be forgotten.
///
/// # Errors
/// The first byte that breaks the grammar of RFC 8259. Escapes of lone surrogates and numbers
/// beyond any range are within it.
pub fn value(
    text: &[u8],
    from: usize,
    mut on_member: impl FnMut(Member),
) -> Result<Scanned, SyntaxError> {
    let cursor = Cursor::new(text, skip_white_space(text, from));
    let start = cursor.at;
    let (cursor, read) = if cursor.peek() == Some(b'{') {
        members(cursor, &mut on_member)?
    } else {
        any_value(cursor)?
    };
    Ok(Scanned {
        span: Span {
            start,
            end: cursor.at,
        },
        kind: read.kind,
        depth: read.depth,
        leaves: read.leaves,
        newlines: cursor.newlines,
    })
}

/// Reads the object that begins here. Most events are flat, so this looks into no member by itself: with little to
/// keep at hand an event takes a quarter less time than in the loop for values of any depth.
#[inline(always)]
fn members<'t>(
    mut cursor: Cursor<'t>,
    on_member: &mut impl FnMut(Member),
) -> Result<(Cursor<'t>, Read), SyntaxError> {
    let kind = cursor.opens();
    if cursor.closes(kind) {
        return Ok((cursor, Read::leaf(kind, 1)));
    }
    let (mut depth, mut leaves) = (1, 0);
    loop {
        let (key, key_escaped) = cursor.key()?;
        let start = cursor.at;
        let read = match cursor.scalar()? {
            Some(kind) => Read::leaf(kind, 0),
            None => {
                let (inner, read) = any_value(cursor.fork())?;
                cursor.join(&inner);
                read
            }
        };
        depth = depth.max(1 + read.depth);
        leaves += read.leaves;
        on_member(Member {
            key,
            key_escaped,
            value: Span {
                start,
                end: cursor.at,
            },
            kind: read.kind,
        });
        if !cursor.goes_on(kind)? {
            let read = Read {
                kind,
                depth,
                leaves,
            };
            return Ok((cursor, read));
        }
    }
}

/// Reads the value that begins here, whatever is in it.
#[inline(never)]
fn any_value(mut cursor: Cursor<'_>) -> Result<(Cursor<'_>, Read), SyntaxError> {
    let mut open = OpenContainers::default();
    let mut innermost = None;
    let (mut depth, mut leaves) = (0, 0);
    // One round a value: its key, if it has one; the value; what closes behind it; the comma.
    loop {
        if innermost == Some(Kind::Object) {
            cursor.key()?;
        }
        let mut kind = match cursor.scalar()? {
            Some(kind) => kind,
            None => {
                let kind = cursor.opens();
                open.push(kind);
                depth = depth.max(open.depth());
                if !cursor.closes(kind) {
                    innermost = Some(kind);
                    continue;
                }
                open.pop();
                kind
            }
        };
        leaves += 1;

        loop {
            let Some(container) = innermost else {
                let read = Read {
                    kind,
                    depth,
                    leaves,
                };
                return Ok((cursor, read));
            };
            if cursor.goes_on(container)? {
                break;
            }
            kind = container;
            open.pop();
            innermost = open.innermost();
        }
    }
}

/// What a value was, as far as its place does not tell.
#[derive(Clone, Copy)]
struct Read {
    kind: Kind,
    depth: usize,
    leaves: usize,
}

impl Read {
    /// A scalar, or a container of this depth with nothing in it.
    fn leaf(kind: Kind, depth: usize) -> Self {
        Self {
            kind,
            depth,
            leaves: 1,
        }
    }
}
