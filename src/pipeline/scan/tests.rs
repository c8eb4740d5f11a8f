//! What the scanner reports of a value, where it stops, and how it bears depth. The grammar itself is
//! held against a corpus and a second parser in the integration tests.

use super::SyntaxErrorKind::*;
use super::{
    Kind, MAX_DIGITS, MAX_NAME, Member, Scanned, Span, SyntaxError, skip_white_space, value,
};

fn scan(text: &str) -> Result<(Scanned, Vec<Member>), SyntaxError> {
    let mut members = Vec::new();
    let scanned = value(text.as_bytes(), 0, |member| members.push(member))?;
    Ok((scanned, members))
}

fn scanned(text: &str) -> Scanned {
    scan(text).expect(text).0
}

#[test]
fn members_come_in_order_with_the_ranges_of_key_and_value() {
    let text = r#" {"a" : 1, "":"x\"y" ,"o":{"in":[true]},"e":[ ] ,"\u0061":null}, "#;
    let (scanned, members) = scan(text).unwrap();
    let written = |span: Span| str::from_utf8(span.of(text.as_bytes())).unwrap();
    let seen: Vec<_> = members
        .iter()
        .map(|member| {
            let (key, value) = (written(member.key), written(member.value));
            (key, member.key_escaped, value, member.kind)
        })
        .collect();
    assert_eq!(
        seen,
        [
            ("a", false, "1", Kind::Number),
            ("", false, r#""x\"y""#, Kind::String),
            ("o", false, r#"{"in":[true]}"#, Kind::Object),
            ("e", false, "[ ]", Kind::Array),
            (r"\u0061", true, "null", Kind::Null),
        ]
    );
    assert_eq!(written(scanned.span), &text[1..text.len() - 2]);
    assert_eq!((scanned.depth, scanned.leaves), (3, 5));
}

#[test]
fn only_an_object_has_members() {
    for text in ["1", r#""a""#, "[]", r#"[{"a":1},{"b":2}]"#, "{}"] {
        assert!(scan(text).unwrap().1.is_empty(), "{text}");
    }
}

#[test]
fn each_kind_is_told() {
    let kinds = [
        ("{}", Kind::Object),
        (r#"{"a":[]}"#, Kind::Object),
        ("[]", Kind::Array),
        ("[{}]", Kind::Array),
        (r#""[]""#, Kind::String),
        ("-1", Kind::Number),
        ("true", Kind::True),
        ("false", Kind::False),
        ("null", Kind::Null),
    ];
    for (text, kind) in kinds {
        assert_eq!(scanned(text).kind, kind, "{text}");
    }
}

#[test]
fn depth_and_leaves_count_what_they_say() {
    let counts = [
        ("1", 0, 1),
        ("{}", 1, 1),
        ("[]", 1, 1),
        ("[[]]", 2, 1),
        ("[[],{}]", 2, 2),
        ("[1,[2,[3]],4]", 3, 4),
        (r#"{"a":{"b":1,"c":[]},"d":[1,2]}"#, 3, 4),
        (r#"{"a":[{"b":{}}]}"#, 4, 1),
    ];
    for (text, depth, leaves) in counts {
        let scanned = scanned(text);
        assert_eq!((scanned.depth, scanned.leaves), (depth, leaves), "{text}");
    }
}

#[test]
fn newlines_are_told_when_they_stand_between_tokens() {
    let inside = [
        "[\n]",
        "[1\r]",
        "[1,\n2]",
        "{\r\n}",
        "{\"a\"\n:1}",
        "{\"a\":\n1}",
        "{\"a\":1,\n\"b\":2}",
    ];
    for text in inside {
        assert!(scanned(text).newlines, "{text:?}");
    }
    for text in ["[ \t]", "\n[1]\n", "\r1\r", r#"{"a\n":"\r"}"#] {
        assert!(!scanned(text).newlines, "{text:?}");
    }
}

#[test]
fn values_in_a_row_are_read_by_going_on_where_the_last_ended() {
    let text = b" {\"a\":1}{\"b\":2}\n 3 ";
    let (mut at, mut spans) = (0, Vec::new());
    while skip_white_space(text, at) < text.len() {
        let scanned = value(text, at, |_| ()).unwrap();
        at = scanned.span.end;
        spans.push((scanned.span.start, scanned.span.end));
    }
    assert_eq!(spans, [(1, 8), (8, 15), (17, 18)]);
}

#[test]
fn an_error_says_where_and_what_without_repeating_the_text() {
    let error = scan(r#"{"password":"hunter2" "x":1}"#).unwrap_err();
    assert_eq!((error.offset, error.kind), (22, ExpectedCommaOrBrace));
    assert_eq!(error.to_string(), "expected `,` or `}`");
}

#[test]
fn white_space_is_what_the_grammar_says() {
    assert_eq!(skip_white_space(b" \t\r\n1", 0), 4);
    assert_eq!(skip_white_space(b"1 ", 1), 2);
    assert_eq!(skip_white_space(b"1", 7), 1);
    for byte in (0..=u8::MAX).filter(|byte| !b" \t\r\n".contains(byte)) {
        assert_eq!(skip_white_space(&[byte], 0), 0, "{byte:#x}");
    }
}

/// Strings are looked at many bytes at a time, so each byte is tried in each place.
#[test]
fn a_byte_of_a_string_means_the_same_in_every_place() {
    for length in 0..40 {
        for place in 0..length {
            for byte in 0..=u8::MAX {
                let mut text = vec![b'x'; length + 2];
                (text[0], text[length + 1]) = (b'"', b'"');
                text[place + 1] = byte;
                let found = value(&text, 0, |_| ());
                let found = found
                    .map(|scanned| scanned.span.end)
                    .map_err(|error| (error.offset, error.kind));
                let expected = match byte {
                    b'"' => Ok(place + 2),
                    // Before an `x`; the last one escapes the quote that would end the string.
                    b'\\' if place + 1 < length => Err((place + 2, InvalidEscape)),
                    b'\\' => Err((text.len(), UnexpectedEnd)),
                    0..0x20 => Err((place + 1, ControlCharacter)),
                    _ => Ok(text.len()),
                };
                assert_eq!(found, expected, "{byte:#x} at {place} of {length}");
            }
        }
    }
}

#[test]
fn a_million_levels_are_borne() {
    const LEVELS: usize = 1_000_000;
    let arrays = "[".repeat(LEVELS) + &"]".repeat(LEVELS);
    assert_eq!(
        (scanned(&arrays).depth, scanned(&arrays).leaves),
        (LEVELS, 1)
    );
    let objects = r#"{"x":"#.repeat(LEVELS) + "1" + &"}".repeat(LEVELS);
    assert_eq!(
        (scanned(&objects).depth, scanned(&objects).leaves),
        (LEVELS, 1)
    );
    for open in ["[", r#"{"x":"#] {
        let text = open.repeat(LEVELS);
        let error = scan(&text).unwrap_err();
        assert_eq!((error.offset, error.kind), (text.len(), UnexpectedEnd));
    }
}

#[test]
fn each_of_many_levels_is_closed_by_its_own_bracket() {
    // Three arrays to two objects: no word of the stack of open containers looks like the next.
    let kinds: Vec<bool> = (0..300).map(|level| level % 5 < 2).collect();
    let mut text: String = kinds
        .iter()
        .map(|object| if *object { r#"{"k":"# } else { "[" })
        .collect();
    text.push('0');
    let opened = text.len();
    text.extend(
        kinds
            .iter()
            .rev()
            .map(|object| if *object { '}' } else { ']' }),
    );
    assert_eq!(scanned(&text).depth, kinds.len());

    for place in opened..text.len() {
        let (wrong, kind) = match &text[place..=place] {
            "}" => ("]", ExpectedCommaOrBrace),
            _ => ("}", ExpectedCommaOrBracket),
        };
        let mut broken = text.clone();
        broken.replace_range(place..=place, wrong);
        let error = scan(&broken).unwrap_err();
        assert_eq!((error.offset, error.kind), (place, kind));
    }
}

#[test]
fn numbers_and_names_are_as_long_as_logstash_reads_them() {
    let (digits, more) = ("1".repeat(MAX_DIGITS), "1".repeat(MAX_DIGITS + 1));
    scanned(&format!(
        r#"{{"a":[{{"b":-{digits}.{digits}e+{digits}}}]}}"#
    ));
    for before in ["", "-", "0.", "[1e+", r#"{"a":[{"b":2.5e-"#] {
        let error = SyntaxError {
            offset: before.len(),
            kind: LongNumber,
        };
        assert_eq!(scan(&format!("{before}{more}")).err(), Some(error));
    }
    for name in [
        "x".repeat(MAX_NAME),
        r"\u0041".repeat(MAX_NAME).split_off(5 * MAX_NAME),
    ] {
        for (before, behind) in [("{", ":1}"), (r#"[{"a": {"#, ":[]}}]")] {
            scanned(&format!("{before}\"{name}\"{behind}"));
            let error = SyntaxError {
                offset: before.len() + 1,
                kind: LongName,
            };
            assert_eq!(
                scan(&format!("{before}\"x{name}\"{behind}")).err(),
                Some(error)
            );
            // A text may be longer.
            scanned(&format!("[\"x{name}\"]"));
        }
    }
}
