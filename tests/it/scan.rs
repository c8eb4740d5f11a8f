//! The scanner against a corpus, against a second parser, and against documents made at random.

use proptest::prelude::*;
use serde::de::IgnoredAny;
use serde_json::Value;

use headgate::pipeline::scan::{Kind, Member, Scanned, Span, SyntaxError, skip_white_space, value};

use crate::scan_corpus::{BAD, GOOD, GOOD_BUT_NOT_FOR_EVERYONE, GOOD_WITH_MORE_BEHIND};

fn scan(text: &[u8]) -> Result<(Scanned, Vec<Member>), SyntaxError> {
    let mut members = Vec::new();
    let scanned = value(text, 0, |member| members.push(member))?;
    Ok((scanned, members))
}

/// Whether the text is one value and nothing else.
fn accepts(text: &str) -> bool {
    value(text.as_bytes(), 0, |_| ())
        .is_ok_and(|scanned| skip_white_space(text.as_bytes(), scanned.span.end) == text.len())
}

/// serde_json when it skips a value: the whole grammar, and like the scanner no more than that. It
/// lets lone surrogates, numbers beyond a double and any depth pass, which its `Value` does not.
fn oracle_accepts(text: &str) -> bool {
    serde_json::from_str::<IgnoredAny>(text).is_ok()
}

#[test]
fn the_corpus_is_large_and_its_names_are_unique() {
    let mut names: Vec<_> = GOOD
        .iter()
        .chain(GOOD_BUT_NOT_FOR_EVERYONE)
        .map(|row| row.0)
        .collect();
    names.extend(BAD.iter().map(|row| row.0));
    names.extend(GOOD_WITH_MORE_BEHIND.iter().map(|row| row.0));
    let count = names.len();
    names.sort_unstable();
    names.dedup();
    assert_eq!(names.len(), count);
    assert!(count >= 150, "{count} documents");
}

#[test]
fn every_good_document_is_accepted() {
    for (name, text) in GOOD {
        assert!(accepts(text), "{name}: {text}");
        assert!(
            serde_json::from_str::<Value>(text).is_ok(),
            "{name}: {text}"
        );
    }
}

#[test]
fn the_grammar_decides_where_parsers_differ() {
    for (name, text) in GOOD_BUT_NOT_FOR_EVERYONE {
        assert!(accepts(text), "{name}: {text}");
        assert!(oracle_accepts(text), "{name}: {text}");
        assert!(
            serde_json::from_str::<Value>(text).is_err(),
            "{name}: {text}"
        );
    }
}

#[test]
fn every_bad_document_is_refused_where_it_is_bad() {
    for (name, text, offset, kind) in BAD {
        let error = scan(text.as_bytes()).expect_err(name);
        assert_eq!(
            (error.offset, error.kind),
            (*offset, *kind),
            "{name}: {text}"
        );
        assert!(!oracle_accepts(text), "{name}: {text}");
    }
}

#[test]
fn what_follows_a_value_is_left_to_the_caller() {
    for (name, text, end) in GOOD_WITH_MORE_BEHIND {
        let (scanned, _) = scan(text.as_bytes()).expect(name);
        assert_eq!(scanned.span.end, *end, "{name}: {text}");
        assert!(!accepts(text), "{name}: {text}");
        assert!(!oracle_accepts(text), "{name}: {text}");
    }
}

#[test]
fn every_good_document_cut_short_ends_too_early() {
    for (name, text) in GOOD {
        for (end, _) in text.char_indices() {
            let cut = &text[..end];
            assert_eq!(accepts(cut), oracle_accepts(cut), "{name}: {cut}");
        }
    }
}

/// A document and what the scanner must find in it.
#[derive(Clone, Debug)]
struct Expected {
    text: String,
    depth: usize,
    leaves: usize,
    members: Vec<(Span, Span, Kind)>,
    kind: Kind,
}

fn scalar() -> impl Strategy<Value = Expected> {
    let scalar = |kind| {
        move |text| Expected {
            text,
            depth: 0,
            leaves: 1,
            members: Vec::new(),
            kind,
        }
    };
    prop_oneof![
        Just("null".to_owned()).prop_map(scalar(Kind::Null)),
        Just("true".to_owned()).prop_map(scalar(Kind::True)),
        Just("false".to_owned()).prop_map(scalar(Kind::False)),
        "-?(0|[1-9][0-9]{0,20})(\\.[0-9]{1,20})?([eE][+-]?[0-9]{1,3})?"
            .prop_map(scalar(Kind::Number)),
        string_token().prop_map(scalar(Kind::String)),
    ]
}

/// A string as written, quotes included: any characters, some of them escaped.
fn string_token() -> impl Strategy<Value = String> {
    let escape = r#"\\["\\/bfnrt]|\\u[0-9a-fA-F]{4}"#;
    let piece = prop_oneof![3 => r#"[^\x00-\x1f"\\]{0,40}"#, 1 => escape];
    prop::collection::vec(piece, 0..5).prop_map(|pieces| format!("\"{}\"", pieces.concat()))
}

fn white_space() -> impl Strategy<Value = String> {
    prop_oneof![3 => Just(String::new()), 1 => Just(" ".to_owned()), 1 => "[ \t\n\r]{0,20}"]
}

/// Four places of white space around a member or an element.
type Spaces = (String, String, String, String);

fn container(elements: &[(String, Spaces, Expected)], is_object: bool, inside: &str) -> Expected {
    let (open, close, kind) = if is_object {
        ('{', '}', Kind::Object)
    } else {
        ('[', ']', Kind::Array)
    };
    let mut text = open.to_string();
    let mut members = Vec::new();
    for (index, (key, spaces, value)) in elements.iter().enumerate() {
        text.push_str(if index > 0 { "," } else { "" });
        text.push_str(&spaces.0);
        let key_start = text.len() + 1;
        if is_object {
            text.push_str(&format!("{key}{}:{}", spaces.1, spaces.2));
        }
        let start = text.len();
        text.push_str(&value.text);
        let key = Span {
            start: key_start,
            end: key_start + key.len() - 2,
        };
        members.push((
            key,
            Span {
                start,
                end: text.len(),
            },
            value.kind,
        ));
        text.push_str(&spaces.3);
    }
    if elements.is_empty() {
        text.push_str(inside);
    }
    text.push(close);
    Expected {
        text,
        depth: 1 + elements
            .iter()
            .map(|element| element.2.depth)
            .max()
            .unwrap_or(0),
        leaves: elements
            .iter()
            .map(|element| element.2.leaves)
            .sum::<usize>()
            .max(1),
        members: if is_object { members } else { Vec::new() },
        kind,
    }
}

fn document() -> impl Strategy<Value = Expected> {
    scalar().prop_recursive(6, 64, 8, |inner| {
        let spaces = || (white_space(), white_space(), white_space(), white_space());
        let elements = prop::collection::vec((string_token(), spaces(), inner), 0..8);
        (elements, any::<bool>(), white_space())
            .prop_map(|(elements, is_object, inside)| container(&elements, is_object, &inside))
    })
}

/// One edit of a text, at a place given as a fraction of its length.
#[derive(Clone, Debug)]
enum Edit {
    Delete,
    Insert(char),
    Replace(char),
    Repeat,
}

fn edits() -> impl Strategy<Value = Vec<(prop::sample::Index, Edit)>> {
    let telling: Vec<char> = "{}[]:,\"\\/ \n\t\r\u{c}\0\u{1f}0123456789-+.eEutrfalsn'\u{feff}é"
        .chars()
        .collect();
    let character = prop_oneof![9 => prop::sample::select(telling), 1 => any::<char>()];
    let edit = prop_oneof![
        Just(Edit::Delete),
        character.clone().prop_map(Edit::Insert),
        character.prop_map(Edit::Replace),
        Just(Edit::Repeat),
    ];
    prop::collection::vec((any::<prop::sample::Index>(), edit), 1..4)
}

fn edited(text: &str, edits: &[(prop::sample::Index, Edit)]) -> String {
    let mut characters: Vec<char> = text.chars().collect();
    for (place, edit) in edits {
        if characters.is_empty() {
            break;
        }
        let place = place.index(characters.len());
        match edit {
            Edit::Delete => drop(characters.remove(place)),
            Edit::Insert(character) => characters.insert(place, *character),
            Edit::Replace(character) => characters[place] = *character,
            Edit::Repeat => characters.insert(place, characters[place]),
        }
    }
    characters.into_iter().collect()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1024))]

    #[test]
    fn valid_documents_are_reported_as_they_were_written(
        document in document(),
        before in white_space(),
        behind in white_space(),
    ) {
        let text = format!("{before}{}{behind}", document.text);
        let (scanned, members) = scan(text.as_bytes()).expect("the document is valid");
        let moved = |span: Span| Span { start: span.start - before.len(), end: span.end - before.len() };
        prop_assert_eq!(scanned.span.of(text.as_bytes()), document.text.as_bytes());
        prop_assert_eq!(scanned.kind, document.kind);
        prop_assert_eq!((scanned.depth, scanned.leaves), (document.depth, document.leaves));
        // Inside valid JSON no string holds a line end, so all there are stand between tokens.
        prop_assert_eq!(scanned.newlines, document.text.contains(['\r', '\n']));
        for member in &members {
            prop_assert_eq!(member.key_escaped, member.key.of(text.as_bytes()).contains(&b'\\'));
        }
        let found: Vec<_> = members.iter().map(|member| (moved(member.key), moved(member.value), member.kind)).collect();
        prop_assert_eq!(found, document.members);
        prop_assert!(oracle_accepts(&text));
    }

    #[test]
    fn edited_documents_are_judged_as_the_oracle_judges_them(document in document(), edits in edits()) {
        let text = edited(&document.text, &edits);
        prop_assert_eq!(accepts(&text), oracle_accepts(&text), "{}", text);
    }

    #[test]
    fn edited_corpus_documents_are_judged_as_the_oracle_judges_them(
        (_, text) in prop::sample::select(GOOD),
        edits in edits(),
    ) {
        let text = edited(text, &edits);
        prop_assert_eq!(accepts(&text), oracle_accepts(&text), "{}", text);
    }

    #[test]
    fn any_bytes_from_any_offset_are_answered_within_the_text(
        text in prop::collection::vec(prop_oneof![prop::sample::select(br#"{}[]:,"\u0 "#.to_vec()), any::<u8>()], 0..80),
        from in 0_usize..100,
    ) {
        match value(&text, from, |member| assert!(member.value.end <= text.len())) {
            Ok(scanned) => prop_assert!(from <= scanned.span.start && scanned.span.end <= text.len()),
            Err(error) => prop_assert!(error.offset <= text.len()),
        }
    }
}
