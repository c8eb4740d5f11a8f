//! Events against a JSON Schema: what is told, what is not, and that what fits leaves as it came.

use serde_json::{Value, json};

use super::{ADDED, Api, DecodeError, Rejected, Sent};

/// A configuration with a schema, and the folder that its file lies in.
struct WithSchema {
    toml: String,
    _folder: tempfile::TempDir,
}

impl WithSchema {
    fn new(schema: &Value) -> Self {
        Self::with(schema, "")
    }

    fn with(schema: &Value, more: &str) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("schema.json");
        std::fs::write(&path, schema.to_string()).unwrap();
        let toml = format!(
            "[validate]\nschema = {:?}\n{more}",
            path.display().to_string()
        );
        Self {
            toml,
            _folder: folder,
        }
    }

    fn sent(&self) -> Sent<'_> {
        Sent {
            toml: &self.toml,
            ..Sent::default()
        }
    }

    /// Field and message of all that the schema has against an event.
    fn told(&self, event: &str) -> Vec<(String, String)> {
        let rejected = self.sent().decode(event).unwrap().rejected;
        let [Rejected { violations, .. }] = &rejected[..] else {
            assert!(rejected.is_empty());
            return vec![];
        };
        let field = |field: &Option<_>| field.as_ref().map_or(String::new(), ToString::to_string);
        violations
            .iter()
            .map(|told| {
                assert_eq!(told.code.as_str(), "schema");
                (field(&told.field), told.message.clone())
            })
            .collect()
    }

    fn takes(&self, event: &str) -> bool {
        self.told(event).is_empty()
    }
}

#[test]
fn what_does_not_fit_is_told_with_its_place_and_without_its_value() {
    let schema = WithSchema::new(&json!({
        "type": "object",
        "properties": {
            "level": { "enum": ["info", "error"] },
            "a": { "items": { "properties": { "b": { "type": "string", "maxLength": 4, "pattern": "^[a-z]+$" } } } },
        },
        "required": ["level"],
        "additionalProperties": false,
    }));
    assert!(schema.takes(r#"{"level":"info","a":[{"b":"x"},7]}"#));
    for (event, told) in [
        (r#"{}"#, vec![("", "\"level\" is a required property")]),
        (
            r#"{"level":"secret"}"#,
            vec![("[level]", "value is not one of \"info\" or \"error\"")],
        ),
        (
            r#"{"level":"info","a":[{"b":"ab"},{"b":"SECRET"}]}"#,
            vec![
                ("[a][1][b]", "value is longer than 4 characters"),
                ("[a][1][b]", "value does not match \"^[a-z]+$\""),
            ],
        ),
        (
            r#"{"level":"info","a":[{"b":{"secret":"secret"}}]}"#,
            vec![("[a][0][b]", "value is not of type \"string\"")],
        ),
        (
            r#"{"level":"info","more":"secret"}"#,
            vec![(
                "",
                "Additional properties are not allowed ('more' was unexpected)",
            )],
        ),
    ] {
        let mut given = schema.told(event);
        given.sort();
        let mut told: Vec<(String, String)> = told
            .into_iter()
            .map(|(field, message)| (field.to_owned(), message.to_owned()))
            .collect();
        told.sort();
        assert_eq!(given, told, "{event}");
    }
}

#[test]
fn no_message_holds_a_value_of_the_event_whatever_the_keyword() {
    let secret = json!({"x": "hunter2", "y": ["hunter2", "hunter2"], "n": 77_123, "s": "hunter2"});
    for part in [
        json!({"properties": {"x": {"const": 1}}}),
        json!({"properties": {"x": {"type": ["number", "null"]}}}),
        json!({"properties": {"x": {"not": {}}}}),
        json!({"properties": {"x": false}}),
        json!({"properties": {"x": {"anyOf": [{"type": "number"}, {"maxLength": 1}]}}}),
        json!({"properties": {"x": {"oneOf": [{}, {}]}}}),
        json!({"properties": {"x": {"oneOf": [{"const": 1}]}}}),
        json!({"properties": {"x": {"minLength": 99}}}),
        json!({"properties": {"y": {"uniqueItems": true}}}),
        json!({"properties": {"y": {"contains": {"type": "null"}}}}),
        json!({"properties": {"y": {"minItems": 9}}}),
        json!({"properties": {"y": {"maxItems": 1}}}),
        json!({"properties": {"y": {"prefixItems": [{}], "items": false}}}),
        json!({"properties": {"y": {"prefixItems": [{}], "unevaluatedItems": false}}}),
        json!({"properties": {"n": {"multipleOf": 2}}}),
        json!({"properties": {"n": {"maximum": 1}}}),
        json!({"properties": {"n": {"exclusiveMinimum": 99_999}}}),
        json!({"minProperties": 9}),
        json!({"maxProperties": 1}),
        json!({"unevaluatedProperties": false}),
        json!({"propertyNames": {"minLength": 3}}),
        json!({"dependentRequired": {"x": ["z"]}}),
        json!({"$schema": "http://json-schema.org/draft-07/schema#", "properties": {"x": {"format": "date"}}}),
        json!({"$schema": "http://json-schema.org/draft-07/schema#", "properties": {"x": {"contentEncoding": "base64"}}}),
        json!({"$schema": "http://json-schema.org/draft-07/schema#", "properties": {"x": {"contentMediaType": "application/json"}}}),
        json!({"$schema": "http://json-schema.org/draft-07/schema#", "properties": {"y": {"items": [{}], "additionalItems": false}}}),
    ] {
        let told = WithSchema::new(&part).told(&secret.to_string());
        assert!(!told.is_empty(), "{part}");
        for (_, message) in told {
            assert!(
                !message.contains("hunter2") && !message.contains("77123"),
                "{part}: {message}"
            );
        }
    }
}

#[test]
fn a_name_that_does_not_fit_is_told_as_a_name() {
    let schema = WithSchema::new(&json!({"properties": {
        "labels": { "propertyNames": { "pattern": "^[a-z]+$", "maxLength": 40 } },
    }}));
    let told = |name: &str| {
        let told = schema.told(&json!({"labels": { name: "secret" }}).to_string());
        assert_eq!(told[0].0, "[labels]");
        told[0].1.clone()
    };
    let expected = "The name 'X1' is not allowed: it does not match \"^[a-z]+$\"";
    assert_eq!(told("X1"), expected);
    let long = told(&"é".repeat(10_000));
    assert!(long.ends_with("it is longer than 40 characters"), "{long}");
}

#[test]
fn what_is_told_is_bounded() {
    let schema = WithSchema::new(&json!({"additionalProperties": {"type": "string"}}));
    let members: Vec<String> = (0..100).map(|n| format!("\"m{n}\":{n}")).collect();
    assert_eq!(schema.told(&format!("{{{}}}", members.join(","))).len(), 10);
    let long = "é".repeat(10_000);
    let schema = WithSchema::new(&json!({"properties": {"a": {}}, "additionalProperties": false}));
    let told = schema.told(&json!({ long.as_str(): 1 }).to_string());
    assert!(
        told[0].1.len() <= 256 && told[0].1.len() > 250,
        "{}",
        told[0].1.len()
    );
    let schema = WithSchema::new(&json!({"additionalProperties": {"additionalProperties": false}}));
    let told = schema.told(&json!({"short": { long.as_str(): 1 }}).to_string());
    assert_eq!(told[0].0, "[short]");
    let schema = WithSchema::new(
        &json!({"additionalProperties": {"additionalProperties": {"type": "null"}}}),
    );
    for (event, field) in [
        (json!({"a": { long.as_str(): 1 }}), "[a]"),
        (json!({"a": { "": 1 }}), "[a]"),
        (json!({"a": { "b]": 1 }}), "[a]"),
        (json!({"": { "b": 1 }}), ""),
        (json!({"a": { "b c": 1 }}), "[a][b c]"),
        (json!({"a~1": { "b/c": 1 }}), "[a~1][b/c]"),
    ] {
        assert_eq!(schema.told(&event.to_string())[0].0, field, "{event}");
    }
}

#[test]
fn what_fits_leaves_as_it_came() {
    let schema = WithSchema::new(&json!({"required": ["n"]}));
    for event in [
        r#"{ "n" : 1e400 , "m":"\ud800 \u00e9","d":12345678901234567890.10 "#,
        r#"{"n":-0.0,"\udc00\ud800":[1,{"a":"\\\"\ud83d\ude00"}]"#,
        r#"{"n":1,"n":2"#,
    ] {
        let line = schema.sent().lines(format!("{event}}}")).remove(0);
        assert_eq!(line, format!("{event},{ADDED}"));
    }
}

#[test]
fn numbers_are_what_a_double_can_hold_of_them() {
    let schema = WithSchema::new(
        &json!({"properties": {"n": {"type": "number", "maximum": 1e300, "minimum": -1e300}}}),
    );
    for (number, fits) in [
        ("1", true),
        ("1e299", true),
        ("-1e299", true),
        ("123456789012345678901234567890", true),
        ("1e-400", true),
        ("1e301", false),
        ("1e400", false),
        ("-1e400", false),
        ("1e999999999999", false),
        ("1.7976931348623157e308", false),
        ("\"1e400\"", false),
    ] {
        assert_eq!(
            schema.takes(&format!("{{\"n\":{number}}}")),
            fits,
            "{number}"
        );
    }
    let digits = "9".repeat(400);
    assert!(!schema.takes(&format!("{{\"n\":{digits}}}")));
    let schema = WithSchema::new(&json!({"properties": {"n": {"type": "integer"}}}));
    for (number, is_integer) in [
        ("12345678901234567890123", true),
        ("1e400", true),
        ("1.0", true),
        ("1.5", false),
    ] {
        assert_eq!(
            schema.takes(&format!("{{\"n\":{number}}}")),
            is_integer,
            "{number}"
        );
    }
}

#[test]
fn half_a_surrogate_pair_is_one_replacement_character() {
    let schema = WithSchema::new(
        &json!({"properties": {"s": {"const": "a\u{fffd}b"}, "\u{fffd}": {"const": 1}}}),
    );
    for (event, fits) in [
        (r#"{"s":"a\ud800b"}"#, true),
        (r#"{"s":"a\udfffb"}"#, true),
        (r#"{"s":"a\ud800\u0062"}"#, true),
        (r#"{"s":"a\\ud800b"}"#, false),
        (r#"{"s":"a\ud83d\ude00b"}"#, false),
        (r#"{"s":"a\ud800\ud800b"}"#, false),
        (r#"{"\ud800":1}"#, true),
        (r#"{"\ud800":2}"#, false),
    ] {
        assert_eq!(schema.takes(event), fits, "{event}");
    }
}

#[test]
fn of_doubled_names_the_last_is_checked() {
    let schema = WithSchema::new(&json!({"properties": {"n": {"const": 2}}}));
    assert!(schema.takes(r#"{"n":1,"n":2}"#));
    assert!(!schema.takes(r#"{"n":2,"n":1}"#));
}

#[test]
fn events_are_checked_as_they_came_and_before_anything_is_added() {
    let schema =
        WithSchema::new(&json!({"additionalProperties": false, "properties": {"message": {}}}));
    assert!(schema.takes(r#"{"message":"x"}"#));
    let sent = Sent {
        api: Api::Logstash,
        ..schema.sent()
    };
    let event = sent.event("plain text is an event with a message");
    assert_eq!(event["host"], "192.0.2.7");
    let letters = Sent {
        headers: &[("content-type", "application/json")],
        ..sent
    }
    .letters(r#"{"host":"mine","n":1}"#);
    assert_eq!(letters[0]["reason"], "schema");
    assert_eq!(letters[0]["event"]["host"], "mine");
}

#[test]
fn an_event_with_too_many_values_is_not_made_a_tree() {
    let schema = WithSchema::with(&json!({"maxProperties": 0}), "max_fields = 3\n");
    let rejected = schema.sent().decode(r#"{"a":[1,2,3,4]}"#).unwrap().rejected;
    let codes: Vec<_> = rejected[0]
        .violations
        .iter()
        .map(|told| told.code.as_str())
        .collect();
    assert_eq!(codes, ["too_many_fields"]);
}

#[test]
fn the_deepest_event_is_checked_by_a_schema_that_goes_all_the_way_down() {
    let schema = WithSchema::with(
        &json!({"additionalProperties": {"$ref": "#"}, "anyOf": [{"type": "object"}, {"const": 7}]}),
        "[ingest]\nmax_depth = 127\n",
    );
    for (inside, fits) in [("7", true), ("8", false)] {
        let event = format!("{}{inside}{}", "{\"a\":".repeat(127), "}".repeat(127));
        assert_eq!(schema.takes(&event), fits);
    }
}

#[test]
fn a_schema_that_refers_to_itself_ends() {
    for schema in [
        json!({"$ref": "#"}),
        json!({"$defs": {"a": {"allOf": [{"$ref": "#/$defs/b"}]}, "b": {"anyOf": [{"$ref": "#/$defs/a"}]}}, "$ref": "#/$defs/a"}),
        json!({"$dynamicRef": "#x", "$dynamicAnchor": "x"}),
    ] {
        assert!(
            WithSchema::new(&schema).takes(r#"{"a":{"b":1}}"#),
            "{schema}"
        );
    }
}

#[test]
fn the_tree_is_counted_while_it_is_there() {
    let schema = WithSchema::new(&json!(true));
    let event = json!({"a": vec![0; 500]}).to_string();
    let sent = Sent {
        budget: 100_000,
        ..schema.sent()
    };
    assert_eq!(sent.decode(&event).unwrap_err(), DecodeError::NeverRoom);
    assert!(Sent { toml: "", ..sent }.decode(&event).is_ok());
    let many = format!("[{}]", vec!["{\"a\":[1,2]}"; 500].join(","));
    let sent = Sent {
        budget: 200_000,
        ..schema.sent()
    };
    assert!(sent.decode(many).is_ok(), "one event at a time");
}

#[test]
fn a_format_is_checked_where_the_draft_has_it_so() {
    for (draft, is_checked) in [
        ("http://json-schema.org/draft-04/schema#", true),
        ("http://json-schema.org/draft-07/schema#", true),
        ("https://json-schema.org/draft/2019-09/schema", false),
        ("https://json-schema.org/draft/2020-12/schema", false),
    ] {
        let schema = WithSchema::new(&json!({
            "$schema": draft,
            "properties": { "x": { "format": "date-time" } },
        }));
        assert_eq!(schema.takes(r#"{"x":"today"}"#), !is_checked, "{draft}");
        assert!(schema.takes(r#"{"x":"2026-01-02T03:04:05Z"}"#), "{draft}");
    }
}
