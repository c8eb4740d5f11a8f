//! The scanner on any bytes: it must answer without a panic and stay within the text; and where the
//! bytes are UTF-8, it must accept what serde_json accepts and nothing else, but for what is too long.

#![no_main]

use headgate::pipeline::scan::{Kind, SyntaxErrorKind, skip_white_space, value};
use libfuzzer_sys::fuzz_target;
use serde::de::IgnoredAny;

/// The whole grammar, without a limit to depth or range, and with lone surrogates: as the scanner has it.
fn oracle_accepts(text: &str) -> bool {
    serde_json::from_str::<IgnoredAny>(text).is_ok()
}

fuzz_target!(|text: &[u8]| {
    let mut members = Vec::new();
    let found = value(text, 0, |member| members.push(member));

    let mut reached = 0;
    for member in &members {
        assert!(
            reached < member.key.start && member.key.end < member.value.start,
            "{member:?}"
        );
        assert_eq!(
            member.key_escaped,
            member.key.of(text).contains(&b'\\'),
            "{member:?}"
        );
        reached = member.value.end;
    }
    let end = match found {
        Ok(scanned) => scanned.span.end,
        Err(error) => error.offset,
    };
    assert!(reached <= end && end <= text.len(), "{found:?}");

    let Ok(text) = str::from_utf8(text) else {
        return;
    };
    let is_too_long = |kind| {
        matches!(
            kind,
            SyntaxErrorKind::LongNumber | SyntaxErrorKind::LongName
        )
    };
    if found.as_ref().is_err_and(|error| is_too_long(error.kind)) {
        return;
    }
    let accepted = found
        .is_ok_and(|scanned| skip_white_space(text.as_bytes(), scanned.span.end) == text.len());
    assert_eq!(accepted, oracle_accepts(text), "{found:?}");
    if let Ok(scanned) = found {
        assert!(oracle_accepts(&text[scanned.span.start..scanned.span.end]));
        assert!(members.is_empty() || scanned.kind == Kind::Object);
    }
    for member in &members {
        assert!(
            oracle_accepts(&text[member.value.start..member.value.end]),
            "{member:?}"
        );
        assert!(
            oracle_accepts(&text[member.key.start - 1..member.key.end + 1]),
            "{member:?}"
        );
    }
});
