//! Random events against a simple model: what leaves is what came and the additions, and nothing else is touched.

use proptest::collection::vec;
use proptest::prelude::*;
use serde_json::{Map, Value, json};

use super::{NOW, Sent, value};

/// Good and bad times, as JSON.
const TIMES: [(&str, bool); 5] = [
    ("\"2024-01-02T03:04:05.678Z\"", true),
    ("\"2024-01-02T03:04:05+02:00\"", true),
    ("\"yesterday\"", false),
    ("17", false),
    ("null", false),
];

/// A member as it is written: whether its key is escaped, its key, its value.
type WrittenMember = (bool, String, Value);

fn any_value() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        (-1e15..1e15_f64).prop_map(Value::from),
        any::<String>().prop_map(Value::from),
    ];
    leaf.prop_recursive(3, 24, 4, |inner| {
        prop_oneof![
            vec(inner.clone(), 0..4).prop_map(Value::from),
            vec((any_key(), inner), 0..4)
                .prop_map(|members| Value::Object(members.into_iter().collect())),
        ]
    })
}

/// Mostly names that something asks for.
fn any_key() -> impl Strategy<Value = String> {
    prop_oneof![
        4 => prop::sample::select(vec!["host", "ip", "http", "url", "path", "request", "body", "bytes", "@version", "tags", "env", "a", "b"]).prop_map(str::to_owned),
        1 => any::<String>().prop_filter("not one with a part of its own", |key| !["@timestamp", "_@timestamp"].contains(&key.as_str())),
    ]
}

fn any_members() -> impl Strategy<Value = Vec<WrittenMember>> {
    vec((any::<bool>(), any_key(), any_value()), 0..8)
}

/// Writes an object, with a newline wherever white space may be.
fn write(members: &[WrittenMember], time: Option<&str>) -> String {
    let mut texts: Vec<String> = members
        .iter()
        .map(|(is_escaped, key, value)| format!("{}\n:{value}", spell(key, *is_escaped)))
        .collect();
    if let Some(time) = time {
        texts.insert(texts.len() / 2, format!("\"@timestamp\":{time}"));
    }
    format!("{{{}\r\n}}", texts.join(",\n"))
}

/// A key in quotes, its characters as escapes or not.
fn spell(key: &str, is_escaped: bool) -> String {
    if !is_escaped {
        return Value::from(key).to_string();
    }
    let units = key.encode_utf16().map(|unit| format!("\\u{unit:04x}"));
    format!("\"{}\"", units.collect::<String>())
}

/// The model: adds a value where the path leads, keeping or replacing what is in the way.
fn add(object: &mut Map<String, Value>, path: &[&str], value: &Value, overwrites: bool) {
    let (name, rest) = path.split_first().unwrap();
    match object.get_mut(*name) {
        Some(Value::Object(inner)) if !rest.is_empty() => add(inner, rest, value, overwrites),
        Some(_) if !overwrites => {}
        _ => {
            let mut new = Map::new();
            let added = if rest.is_empty() {
                value.clone()
            } else {
                add(&mut new, rest, value, overwrites);
                Value::Object(new)
            };
            object.insert((*name).to_owned(), added);
        }
    }
}

/// What is to become of an event.
fn expected(
    event: &str,
    time: Option<(&str, bool)>,
    added: &[(&[&str], Value)],
    overwrites: bool,
) -> Value {
    let Value::Object(mut object) = value(event) else {
        panic!("an event is an object");
    };
    if let Some((bad, false)) = time {
        object.insert("_@timestamp".into(), value(bad));
        object.insert("@timestamp".into(), NOW.into());
        let mut tags = match object.get("tags") {
            Some(Value::Array(tags)) => tags.clone(),
            Some(Value::Null) | None => vec![],
            Some(other) => vec![other.clone()],
        };
        tags.push("_timestampparsefailure".into());
        object.insert("tags".into(), tags.into());
    }
    add(&mut object, &["@timestamp"], &NOW.into(), false);
    add(&mut object, &["@version"], &"1".into(), false);
    for (path, value) in added {
        add(&mut object, path, value, overwrites);
    }
    Value::Object(object)
}

proptest! {
    #[test]
    fn an_event_leaves_as_it_came_with_the_additions(
        members in any_members(),
        time in prop::option::of(prop::sample::select(TIMES.to_vec())),
        overwrites in any::<bool>(),
    ) {
        let event = write(&members, time.map(|(text, _)| text));
        let conflict = if overwrites { "overwrite" } else { "keep" };
        let toml = format!("[enrich]\non_conflict = '{conflict}'\nfields = {{ env = 'test', '[a][b]' = 2 }}");
        let sent = Sent { toml: &toml, ..Sent::default() };
        let added: [(&[&str], Value); 3] = [(&["host"], json!("192.0.2.7")), (&["env"], json!("test")), (&["a", "b"], json!(2))];
        prop_assert_eq!(sent.event(&event), expected(&event, time, &added, overwrites), "{}", event);
    }

    #[test]
    fn an_event_is_merged_with_the_fields_of_ecs(
        members in any_members(),
        time in prop::option::of(prop::sample::select(TIMES.to_vec())),
        overwrites in any::<bool>(),
    ) {
        let event = write(&members, time.map(|(text, _)| text));
        let conflict = if overwrites { "overwrite" } else { "keep" };
        let toml = format!("[enrich]\necs_compatibility = 'v1'\non_conflict = '{conflict}'");
        let sent = Sent { toml: &toml, ..Sent::default() };
        let added: [(&[&str], Value); 7] = [
            (&["host", "ip"], json!("192.0.2.7")),
            (&["http", "version"], json!("HTTP/1.1")),
            (&["http", "method"], json!("POST")),
            (&["http", "request", "body", "bytes"], json!(event.len().to_string())),
            (&["url", "domain"], json!("logs.example")),
            (&["url", "port"], json!(8080)),
            (&["url", "path"], json!("/in?x=1")),
        ];
        prop_assert_eq!(sent.event(&event), expected(&event, time, &added, overwrites), "{}", event);
    }

    #[test]
    fn what_needs_no_repair_is_copied_byte_by_byte(members in any_members()) {
        let members: Vec<_> = members.into_iter().filter(|(_, key, _)| key != "host" && key != "@version").collect();
        let event = write(&members, None);
        let line = Sent::default().lines(&event).remove(0);
        let blanked = event.replace(['\n', '\r'], " ");
        let kept = blanked.strip_suffix('}').unwrap();
        prop_assert!(line.starts_with(kept), "{line}");
    }

    #[test]
    fn no_body_is_lost_or_panics_on_the_logstash_paths(body in vec(prop_oneof![Just(b'{'), Just(b'}'), Just(b'['), Just(b']'), Just(b'"'), Just(b','), Just(b':'), Just(b'\n'), Just(b'1'), any::<u8>()], 0..40), media_type in prop::sample::select(vec!["application/json", "application/x-ndjson", "text/plain"])) {
        let headers = [("content-type", media_type)];
        let events = Sent::to_logstash("", &headers).events(&body);
        let is_blank = body.iter().all(|byte| b" \t\r\n".contains(byte));
        let is_empty_array = body.iter().all(|byte| b" \t\r\n[]".contains(byte));
        prop_assert!(!events.is_empty() || is_blank || is_empty_array);
    }
}
