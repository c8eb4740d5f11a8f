//! Schema files: read, compiled, and what is told of those that are none.

use super::problems::wrong;
use super::*;

/// What is told of a schema file with this text.
fn wrong_schema(text: &str) -> String {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("schema.json");
    std::fs::write(&path, text).unwrap();
    let lines = wrong(&format!("[validate]\nschema = {path:?}"), &[]);
    let [line] = lines.as_slice() else {
        panic!("{text}: {lines:#?}");
    };
    let start = format!(
        "c.toml: validate.schema = {path:?}: must be the path of a JSON Schema file: this one "
    );
    line.strip_prefix(&start)
        .unwrap_or_else(|| panic!("{line}"))
        .to_owned()
}

#[test]
fn a_schema_file_that_is_none_is_told_with_the_place_in_it() {
    for (text, told) in [
        (
            "",
            "is no JSON (EOF while parsing a value at line 1 column 0)",
        ),
        (
            "{\n \"type\": }",
            "is no JSON (expected value at line 2 column 10)",
        ),
        (
            r#"{"properties":{"a":{"minimum":"hunter2"}}}"#,
            r#"is no valid schema: at #/properties/a/minimum, the value is not of type "number""#,
        ),
        (
            "[]",
            r#"is no valid schema: at #, the value is not of types "boolean", "object""#,
        ),
        (
            r##"{"$ref":"#/nowhere"}"##,
            "is no valid schema (Pointer '/nowhere' does not exist)",
        ),
        (
            r#"{"$schema":"https://schemas.example/mine"}"#,
            "is no valid schema (Unknown meta-schema: 'https://schemas.example/mine'. Custom meta-schemas must be registered in the registry before use)",
        ),
        (
            r#"{"properties":{"a":{"$ref":"https://schemas.example/a.json#/b"}}}"#,
            "refers to https://schemas.example/a.json, which is not in it: put what is meant into its `$defs`",
        ),
        (
            r#"{"$ref":"other.json"}"#,
            "refers to other.json, which is not in it: put what is meant into its `$defs`",
        ),
        (
            r#"{"$ref":"file:///etc/passwd"}"#,
            "refers to file:///etc/passwd, which is not in it: put what is meant into its `$defs`",
        ),
        (
            r#"{"properties":{"a":{"pattern":"(?=a)b"}}}"#,
            "is no valid schema: at #/properties/a/pattern stands no pattern that can be matched in linear time, without look-around and back-references",
        ),
    ] {
        assert_eq!(wrong_schema(text), told, "{text}");
    }
}

#[test]
fn a_schema_is_not_for_events_deeper_than_it_can_be_checked() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("schema.json");
    std::fs::write(&path, "\u{feff}{}").unwrap();
    let text = |depth| format!("[validate]\nschema = {path:?}\n[ingest]\nmax_depth = {depth}");
    let loaded = load(&text(127), &[]).unwrap();
    assert_eq!(loaded.config.validate.schema.unwrap().path(), path);
    let lines = wrong(&text(128), &[]);
    assert!(
        lines[0].contains("validate.schema") && lines[0].contains("ingest.max_depth = 128"),
        "{lines:?}"
    );
}
