//! Writing JSON text by hand where no tree is wanted. Pure.

use super::scan::is_plain;

/// Writes a string with its quotes.
pub(super) fn push_string(out: &mut Vec<u8>, text: &str) {
    // Most of what is written needs no escape: names, addresses, header values.
    if is_plain(text.as_bytes()) {
        out.reserve(text.len() + 2);
        out.push(b'"');
        out.extend_from_slice(text.as_bytes());
        out.push(b'"');
    } else {
        serde_json::to_writer(&mut *out, text).expect("a string into memory cannot fail");
    }
}

/// Bytes that [`push_string`] writes for a text, quotes included.
pub(super) fn string_len(text: &str) -> usize {
    let escaped = |byte| match byte {
        b'"' | b'\\' | b'\x08' | b'\t' | b'\n' | b'\x0c' | b'\r' => 1,
        0..0x20 => 5,
        _ => 0,
    };
    text.len() + 2 + text.bytes().map(escaped).sum::<usize>()
}

/// The object or array that is written at the end of `out`.
pub(super) struct Members<'a> {
    /// Where it goes.
    pub(super) out: &'a mut Vec<u8>,
    is_first: bool,
}

impl<'a> Members<'a> {
    /// Begins with this bracket.
    pub(super) fn open(out: &'a mut Vec<u8>, bracket: u8) -> Self {
        out.push(bracket);
        Self {
            out,
            is_first: true,
        }
    }

    /// The comma before the next member, if one is needed.
    pub(super) fn next(&mut self) -> &mut Vec<u8> {
        if !self.is_first {
            self.out.push(b',');
        }
        self.is_first = false;
        self.out
    }

    /// The next member, unless `value` says that it has written none.
    pub(super) fn member_if(&mut self, name: &str, value: impl FnOnce(&mut Vec<u8>) -> bool) {
        let (start, is_first) = (self.out.len(), self.is_first);
        if !value(self.key(name)) {
            self.out.truncate(start);
            self.is_first = is_first;
        }
    }

    /// The next member's key; its value is to be written behind it.
    pub(super) fn key(&mut self, name: &str) -> &mut Vec<u8> {
        let out = self.next();
        push_string(out, name);
        out.push(b':');
        out
    }

    /// Ends with this bracket.
    pub(super) fn close(self, bracket: u8) {
        self.out.push(bracket);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn strings_are_escaped_as_json_wants() {
        for text in [
            "",
            "plain",
            "q\"b\\",
            "\n\r\t\u{8}\u{c}\u{0}\u{1f}",
            "é😀\u{2028}",
        ] {
            let mut out = Vec::new();
            push_string(&mut out, text);
            assert_eq!(serde_json::from_slice::<String>(&out).unwrap(), text);
            assert_eq!(out.len(), string_len(text));
        }
    }

    #[test]
    fn members_are_separated() {
        let mut out = Vec::new();
        let mut object = Members::open(&mut out, b'{');
        object.key("a").push(b'1');
        object.key("b").push(b'2');
        object.close(b'}');
        assert_eq!(out, br#"{"a":1,"b":2}"#);
    }
}
