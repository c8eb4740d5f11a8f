//! What the scanner reports of a value, and where it stops.

use super::{Kind, Member, Scanned, Scanner, SyntaxError};

fn scan(text: &str) -> Result<(Scanned, Vec<Member>), SyntaxError> {
    let mut members = Vec::new();
    let scanned = Scanner::default().value(text.as_bytes(), 0, |member| members.push(member))?;
    Ok((scanned, members))
}

#[test]
fn members_come_in_order_with_the_ranges_of_key_and_value() {
    let text = r#" {"a" : 1, "":"x\"y" ,"o":{"in":[true]},"e":[ ] ,"\u0061":null}, "#;
    let (scanned, members) = scan(text).unwrap();
    let seen: Vec<_> = members
        .iter()
        .map(|member| {
            let part = |span: super::Span| str::from_utf8(span.of(text.as_bytes())).unwrap();
            (
                part(member.key),
                member.key_escaped,
                part(member.value),
                member.kind,
            )
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
    assert_eq!(
        (scanned.kind, scanned.depth, scanned.leaves),
        (Kind::Object, 3, 5)
    );
    assert_eq!(
        scanned.span.of(text.as_bytes()),
        text[1..text.len() - 2].as_bytes()
    );
}
