//! The place in a text up to which it was read, and the tokens of JSON that can be read from there.

use super::vectors::{BLOCK, WhiteSpace, specials};
use super::{Kind, MAX_DIGITS, MAX_NAME, Span, SyntaxError, SyntaxErrorKind};

/// Offset of the first byte at or after `from` that is not JSON white space (space, tab, LF, CR);
/// the text's length if there is none.
#[must_use]
pub fn skip_white_space(text: &[u8], from: usize) -> usize {
    let mut cursor = Cursor::new(text, from.min(text.len()));
    cursor.white_space();
    cursor.at
}

/// A reading place that only moves on. Each method that reads a token expects to stand on its first
/// byte and leaves the cursor behind its last.
///
/// It lives in registers: what is not inlined takes it by value and gives it back.
pub(super) struct Cursor<'t> {
    text: &'t [u8],
    pub(super) at: usize,
    /// A bit for each byte of the last block that was looked at: whether it stands for something else inside a string.
    specials: u64,
    /// Where that block ends, be it behind the end of the text.
    looked_until: usize,
    /// Whether white space that was skipped held a CR or LF.
    pub(super) newlines: bool,
}

impl<'t> Cursor<'t> {
    pub(super) fn new(text: &'t [u8], at: usize) -> Self {
        Self {
            text,
            at,
            specials: 0,
            looked_until: at,
            newlines: false,
        }
    }

    /// Another one that stands here, for a value inside this one. Given away and taken back this one would
    /// live on the stack: the scan of a typical event took 150 ns so instead of 143.
    #[inline(always)]
    pub(super) fn fork(&self) -> Self {
        Self::new(self.text, self.at)
    }

    /// Goes on where the other one stands, with what it has seen.
    #[inline(always)]
    pub(super) fn join(&mut self, other: &Self) {
        self.at = other.at;
        self.newlines |= other.newlines;
    }

    #[inline(always)]
    pub(super) fn peek(&self) -> Option<u8> {
        self.text.get(self.at).copied()
    }

    /// The error for what stands here, which is no part of any valid text.
    #[inline(always)]
    fn error(&self, kind: SyntaxErrorKind) -> SyntaxError {
        let kind = if self.at < self.text.len() {
            kind
        } else {
            SyntaxErrorKind::UnexpectedEnd
        };
        SyntaxError {
            offset: self.at,
            kind,
        }
    }

    #[inline(always)]
    fn white_space(&mut self) {
        // Most often there is none, or one space behind a colon or comma.
        if !self.compact(b' ') && self.peek().is_some_and(|byte| byte <= b' ') {
            let white_space = WhiteSpace::at_start(&self.text[self.at..]);
            self.at += white_space.length;
            self.newlines |= white_space.has_newline;
        }
    }

    /// Passes a separator that the next token follows at once; false, and no step, for anything else.
    ///
    /// A step in a branch of its own, here and in [`Self::closes`]: added as 0 or 1 it had to wait for the
    /// byte, and all that follows for the step. A branch is foretold. The scan of a typical event takes 111
    /// ns so instead of 142, of a nasty one 388 instead of 526.
    #[inline(always)]
    fn compact(&mut self, separator: u8) -> bool {
        let ahead = self.text[self.at..].first_chunk();
        if ahead.is_some_and(|[byte, next]| *byte == separator && *next > b' ') {
            self.at += 1;
            return true;
        }
        false
    }

    /// Passes what stands between two elements or members of `container`, up to the second of them; false at
    /// what ends the container.
    #[inline(always)]
    pub(super) fn goes_on(&mut self, container: Kind) -> Result<bool, SyntaxError> {
        if self.compact(b',') {
            return Ok(true);
        }
        self.white_space();
        if self.closes(container) {
            return Ok(false);
        }
        self.comma(container)?;
        Ok(true)
    }

    /// Passes the comma between two elements or members of `container`, up to the second of them.
    #[inline(always)]
    fn comma(&mut self, container: Kind) -> Result<(), SyntaxError> {
        if self.peek() != Some(b',') {
            return Err(self.error(match container {
                Kind::Object => SyntaxErrorKind::ExpectedCommaOrBrace,
                _ => SyntaxErrorKind::ExpectedCommaOrBracket,
            }));
        }
        self.at += 1;
        self.white_space();
        Ok(())
    }

    /// Passes the bracket that closes `container`, if it stands here, and tells whether it did.
    #[inline(always)]
    pub(super) fn closes(&mut self, container: Kind) -> bool {
        let bracket = if container == Kind::Object {
            b'}'
        } else {
            b']'
        };
        if self.peek() == Some(bracket) {
            self.at += 1;
            return true;
        }
        false
    }

    /// Passes the bracket of the container that begins here, up to its first element or member.
    #[inline(always)]
    pub(super) fn opens(&mut self) -> Kind {
        let kind = if self.peek() == Some(b'{') {
            Kind::Object
        } else {
            Kind::Array
        };
        self.at += 1;
        self.white_space();
        kind
    }

    /// Reads a key and its colon, up to the value, and tells whether the key holds an escape.
    #[inline(always)]
    pub(super) fn key(&mut self) -> Result<(Span, bool), SyntaxError> {
        if self.peek() != Some(b'"') {
            return Err(self.error(SyntaxErrorKind::ExpectedKey));
        }
        let start = self.at + 1;
        let escaped = self.string()?;
        let key = Span {
            start,
            end: self.at - 1,
        };
        if key.len() > MAX_NAME {
            return Err(too_long(start, SyntaxErrorKind::LongName));
        }
        if !self.compact(b':') {
            self.white_space();
            if self.peek() != Some(b':') {
                return Err(self.error(SyntaxErrorKind::ExpectedColon));
            }
            self.at += 1;
            self.white_space();
        }
        Ok((key, escaped))
    }

    /// Reads a scalar; none, and no step, if a container begins here.
    #[inline(always)]
    pub(super) fn scalar(&mut self) -> Result<Option<Kind>, SyntaxError> {
        Ok(Some(match self.peek() {
            Some(b'"') => {
                self.string()?;
                Kind::String
            }
            Some(b'-' | b'0'..=b'9') => {
                self.number()?;
                Kind::Number
            }
            Some(b'{' | b'[') => return Ok(None),
            Some(b't') => {
                self.literal(b"true")?;
                Kind::True
            }
            Some(b'f') => {
                self.literal(b"false")?;
                Kind::False
            }
            Some(b'n') => {
                self.literal(b"null")?;
                Kind::Null
            }
            _ => return Err(self.error(SyntaxErrorKind::ExpectedValue)),
        }))
    }

    /// Reads a string and tells whether it holds an escape.
    #[inline(always)]
    fn string(&mut self) -> Result<bool, SyntaxError> {
        self.at += 1;
        let mut escaped = false;
        loop {
            self.plain_characters();
            match self.peek() {
                Some(b'"') => {
                    self.at += 1;
                    return Ok(escaped);
                }
                Some(b'\\') => self.escape()?,
                _ => return Err(self.error(SyntaxErrorKind::ControlCharacter)),
            }
            escaped = true;
        }
    }

    /// Passes what stands for itself inside a string: all but quote, backslash and control characters.
    #[inline(always)]
    fn plain_characters(&mut self) {
        loop {
            if self.at < self.looked_until {
                let specials = self.specials >> (BLOCK - (self.looked_until - self.at));
                if specials != 0 {
                    self.at += specials.trailing_zeros() as usize;
                    return;
                }
                self.at = self.looked_until;
            }
            self.look();
        }
    }

    /// Looks at the block that begins here. What would be behind the end of the text counts as special.
    #[inline(always)]
    fn look(&mut self) {
        let rest = &self.text[self.at..];
        self.specials = match rest.first_chunk() {
            Some(block) => specials(block),
            None => {
                let mut block = [0; BLOCK];
                block[..rest.len()].copy_from_slice(rest);
                specials(&block)
            }
        };
        self.looked_until = self.at + BLOCK;
    }

    #[inline(always)]
    fn escape(&mut self) -> Result<(), SyntaxError> {
        self.at += 1;
        match self.peek() {
            Some(b'"' | b'\\' | b'/' | b'b' | b'f' | b'n' | b'r' | b't') => self.at += 1,
            Some(b'u') => {
                self.at += 1;
                for _ in 0..4 {
                    if !self.peek().is_some_and(|byte| byte.is_ascii_hexdigit()) {
                        return Err(self.error(SyntaxErrorKind::InvalidEscape));
                    }
                    self.at += 1;
                }
            }
            _ => return Err(self.error(SyntaxErrorKind::InvalidEscape)),
        }
        Ok(())
    }

    #[inline(always)]
    fn number(&mut self) -> Result<(), SyntaxError> {
        if self.peek() == Some(b'-') {
            self.at += 1;
        }
        if self.peek() == Some(b'0') {
            self.at += 1;
            if self.peek().is_some_and(|byte| byte.is_ascii_digit()) {
                return Err(self.error(SyntaxErrorKind::InvalidNumber));
            }
        } else {
            self.digits()?;
        }
        if self.peek() == Some(b'.') {
            self.at += 1;
            self.digits()?;
        }
        if let Some(b'e' | b'E') = self.peek() {
            self.at += 1;
            if let Some(b'+' | b'-') = self.peek() {
                self.at += 1;
            }
            self.digits()?;
        }
        Ok(())
    }

    /// Passes at least one digit, and not too many.
    #[inline(always)]
    fn digits(&mut self) -> Result<(), SyntaxError> {
        let start = self.at;
        while self.peek().is_some_and(|byte| byte.is_ascii_digit()) {
            self.at += 1;
        }
        match self.at - start {
            1..=MAX_DIGITS => Ok(()),
            0 => Err(self.error(SyntaxErrorKind::InvalidNumber)),
            _ => Err(too_long(start, SyntaxErrorKind::LongNumber)),
        }
    }

    #[inline(always)]
    fn literal<const N: usize>(&mut self, literal: &[u8; N]) -> Result<(), SyntaxError> {
        let rest = &self.text[self.at..];
        if rest.first_chunk() == Some(literal) {
            self.at += N;
            return Ok(());
        }
        let same = |(ours, theirs): &(&u8, &u8)| ours == theirs;
        self.at += rest.iter().zip(literal).take_while(same).count();
        Err(self.error(SyntaxErrorKind::InvalidLiteral))
    }
}

/// The error for what begins at `start` and is valid but for its length.
#[cold]
fn too_long(start: usize, kind: SyntaxErrorKind) -> SyntaxError {
    SyntaxError {
        offset: start,
        kind,
    }
}
