//! Every key is decided on: it is in force at once, or it is said to need a restart.

use serde::Deserialize;
use toml::Value;

use super::*;
use crate::units::secret::MASK;

/// Every key, with a value that is not its default, and whether that is in force without a restart. docs/OPERATIONS.md
/// tells the same.
const KEYS: &[(&str, &str, bool)] = &[
    ("server.listen", "'127.0.0.1:1'", RESTART),
    ("server.keep_alive_timeout", "'1s'", RESTART),
    ("server.header_read_timeout", "'1s'", RESTART),
    ("server.body_read_timeout", "'1s'", RESTART),
    ("server.body_timeout", "'1s'", RESTART),
    ("server.request_timeout", "'1s'", RESTART),
    ("server.max_connections", "1", RESTART),
    ("server.drain_delay", "'1s'", RESTART),
    ("server.drain_timeout", "'1s'", RESTART),
    ("server.trusted_proxies", "['10.0.0.0/8']", LIVE),
    ("server.proxy_protocol", "'optional'", RESTART),
    ("server.tls.certificate", "'c.pem'", RESTART),
    ("server.tls.key", "'k.pem'", RESTART),
    ("server.tls.client_ca", "'ca.pem'", RESTART),
    ("server.tls.client_auth", "'optional'", RESTART),
    ("admin.listen", "''", RESTART),
    ("ingest.durability", "'memory'", RESTART),
    ("ingest.codec", "'auto'", LIVE),
    ("ingest.codecs", "{ 'text/json' = 'json' }", LIVE),
    ("ingest.response_code", "202", LIVE),
    ("ingest.response_headers", "{ X-Api-Key = 'a' }", LIVE),
    ("ingest.max_content_length", "'1KiB'", RESTART),
    ("ingest.max_inflation_ratio", "2", LIVE),
    ("ingest.max_event_bytes", "'1KiB'", LIVE),
    ("ingest.max_events_per_request", "1", LIVE),
    ("ingest.max_depth", "1", LIVE),
    ("ingest.max_envelope_bytes", "'1KiB'", LIVE),
    ("ingest.max_in_flight_bytes", "'1KiB'", RESTART),
    ("ingest.overload_status", "429", RESTART),
    ("enrich.ecs_compatibility", "'v1'", LIVE),
    ("enrich.remote_host_target_field", "'a'", LIVE),
    ("enrich.request_headers_target_field", "'a'", LIVE),
    ("enrich.headers", "false", LIVE),
    ("enrich.drop_headers", "[]", LIVE),
    ("enrich.on_conflict", "'overwrite'", LIVE),
    ("enrich.fields", "{ a = 1 }", LIVE),
    ("enrich.id_field", "'a'", LIVE),
    ("enrich.received_at_field", "'a'", LIVE),
    ("enrich.client_ip_field", "'a'", LIVE),
    ("enrich.request_id_field", "'a'", LIVE),
    ("enrich.trace_id_field", "'a'", LIVE),
    ("validate.required", "['a']", LIVE),
    ("validate.max_fields", "1", LIVE),
    ("validate.max_message_bytes", "'1KiB'", LIVE),
    ("validate.timestamp_max_future", "'1m'", LIVE),
    ("validate.timestamp_max_age", "'1h'", LIVE),
    ("validate.schema", "'schema.json'", LIVE),
    ("validate.on_invalid", "'tag'", LIVE),
    ("auth.user", "'a'", LIVE),
    ("auth.password", "'a'", LIVE),
    ("auth.keys", KEY, LIVE),
    ("limits.events_per_second_per_client", "1", LIVE),
    ("limits.bytes_per_second_per_client", "'1KiB'", LIVE),
    ("cors.allowed_origins", "['https://a.example']", LIVE),
    ("spool.dir", "'a'", RESTART),
    ("spool.max_bytes", "'1GiB'", RESTART),
    ("spool.segment_bytes", "'1MiB'", RESTART),
    ("spool.tail_bytes", "'1MiB'", RESTART),
    ("spool.sync", "'never'", RESTART),
    ("spool.memory_bytes", "'1MiB'", RESTART),
    ("dead_letters.dir", "'a'", RESTART),
    ("dead_letters.max_bytes", "'1MiB'", RESTART),
    ("output.type", "'stdout'", RESTART),
    ("output.file.dir", "'a'", RESTART),
    ("output.file.max_bytes", "'1MiB'", RESTART),
    ("broker.urls", "['http://a/']", RESTART),
    ("broker.format", "'json'", RESTART),
    ("broker.compression", "'gzip'", RESTART),
    ("broker.headers", "{ Authorization = 'a' }", RESTART),
    ("broker.user", "'a'", RESTART),
    ("broker.password", "'a'", RESTART),
    ("broker.max_batch_events", "1", RESTART),
    ("broker.max_batch_bytes", "'1KiB'", RESTART),
    ("broker.linger", "'1s'", RESTART),
    ("broker.max_in_flight", "1", RESTART),
    ("broker.connect_timeout", "'1s'", RESTART),
    ("broker.request_timeout", "'1s'", RESTART),
    ("broker.pool_idle_timeout", "'1s'", RESTART),
    ("broker.connection_max_age", "'1s'", RESTART),
    ("broker.rejected_codes", "[400]", RESTART),
    ("broker.retry_initial", "'1s'", RESTART),
    ("broker.retry_max", "'1s'", RESTART),
    ("broker.tls.ca", "'a'", RESTART),
    ("broker.tls.client_certificate", "'a'", RESTART),
    ("broker.tls.client_key", "'a'", RESTART),
    ("metrics.source_fields", "['a']", RESTART),
    ("metrics.max_sources", "1", RESTART),
    ("log.level", "'debug'", LIVE),
    ("log.format", "'json'", RESTART),
];

const LIVE: bool = true;
const RESTART: bool = false;

const KEY: &str = concat!(
    "[{ name = 'a', hash = 'sha256:",
    "0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f' }]"
);

/// The defaults with these values in their places.
fn config<'a>(settings: impl IntoIterator<Item = (&'a str, Value)>) -> Config {
    let mut tree = Known::new().defaults().clone();
    for (key, value) in settings {
        let (above, name) = key.rsplit_once('.').unwrap();
        let section = above.split('.').fold(&mut tree, |section, name| {
            section.get_mut(name).and_then(Value::as_table_mut).unwrap()
        });
        section.insert(name.to_owned(), value);
    }
    Config::deserialize(Value::Table(tree)).unwrap()
}

fn value(text: &str) -> Value {
    text.parse().unwrap()
}

#[test]
fn every_key_is_decided_on() {
    let mut decided: Vec<String> = KEYS.iter().map(|(key, ..)| (*key).to_owned()).collect();
    let mut known: Vec<String> = Known::new()
        .keys()
        .iter()
        .map(|path| path.join("."))
        .collect();
    decided.sort();
    known.sort();
    assert_eq!(decided, known);
}

#[test]
fn a_changed_key_is_in_force_or_needs_a_restart_and_is_named() {
    let old = Config::default();
    for (key, text, is_live) in KEYS {
        let new = config([(*key, value(text))]);
        let changes = old.change_to(&new);
        let named = vec![(*key).to_owned()];
        let (applied, needs_restart) = (changes.applied, changes.needs_restart);
        if *is_live {
            assert_eq!((applied, needs_restart), (named, vec![]), "{key}");
            assert_eq!(changes.in_force, new, "{key}");
        } else {
            assert_eq!((applied, needs_restart), (vec![], named), "{key}");
            assert_eq!(changes.in_force, old, "{key}");
        }
    }
}

#[test]
fn all_at_once_are_told_apart() {
    let old = Config::default();
    let new = config(KEYS.iter().map(|(key, text, _)| (*key, value(text))));
    let changes = old.change_to(&new);
    let keys = |wanted: bool| {
        let keys = KEYS
            .iter()
            .filter(move |(_, _, is_live)| *is_live == wanted);
        keys.map(|(key, ..)| (*key).to_owned()).collect::<Vec<_>>()
    };
    assert_eq!(changes.applied, keys(LIVE));
    assert_eq!(changes.needs_restart, keys(RESTART));
    // What waits for a restart is told again as long as it waits.
    let again = changes.in_force.change_to(&new);
    assert_eq!(
        (again.applied, again.needs_restart),
        (vec![], keys(RESTART))
    );
    let back = changes.in_force.change_to(&old);
    assert_eq!((back.applied, back.needs_restart), (keys(LIVE), vec![]));
}

#[test]
fn the_same_in_other_words_is_no_change() {
    let old = config([
        ("ingest.max_event_bytes", value("'1MiB'")),
        ("enrich.ecs_compatibility", value("'v1'")),
        ("enrich.drop_headers", value("['X-A']")),
        ("broker.urls", value("['http://a']")),
    ]);
    let new = config([
        ("ingest.max_event_bytes", value("'1024KiB'")),
        ("enrich.ecs_compatibility", value("'v8'")),
        ("enrich.drop_headers", value("['x-a']")),
        ("broker.urls", value("['http://a/']")),
    ]);
    let changes = old.change_to(&new);
    assert_eq!((changes.applied, changes.needs_restart), (vec![], vec![]));
}

/// Whether it is not its value that is not shown, but what stands in a file.
fn names_a_file(key: &str) -> bool {
    key == "validate.schema" || key.starts_with("broker.tls.")
}

#[test]
fn a_secret_that_changes_is_noticed() {
    let secrets = |one: &str| {
        let hash = format!("sha256:{}", one.repeat(64));
        config([
            ("auth.password", value(&format!("'{one}'"))),
            (
                "auth.keys",
                value(&format!("[{{ name = 'a', hash = '{hash}' }}]")),
            ),
            (
                "ingest.response_headers",
                value(&format!("{{ X-Api-Key = '{one}' }}")),
            ),
            (
                "broker.headers",
                value(&format!("{{ Authorization = '{one}' }}")),
            ),
            ("broker.password", value(&format!("'{one}'"))),
        ])
    };
    let (old, new) = (secrets("a"), secrets("b"));
    assert_eq!(Known::of(&old).defaults(), Known::of(&new).defaults());
    let changes = old.change_to(&new);
    let named: Vec<String> = [changes.applied, changes.needs_restart].concat();
    let mut expected: Vec<&str> = NOT_SHOWN.iter().map(|(key, _)| *key).collect();
    expected.retain(|key| !names_a_file(key));
    expected.sort_unstable_by_key(|key| named.iter().position(|name| name == key));
    assert_eq!(named, expected);
}

#[test]
fn no_secret_is_compared_by_its_mask() {
    fn is_masked(value: &Value) -> bool {
        match value {
            Value::String(text) => text == MASK,
            Value::Array(items) => items.iter().any(is_masked),
            Value::Table(table) => table.values().any(is_masked),
            _ => false,
        }
    }
    let set = config(KEYS.iter().map(|(key, text, _)| (*key, value(text))));
    let tree = Known::of(&set);
    let mut masked = tree.keys();
    masked.retain(|path| shown(&tree, path).is_some_and(is_masked));
    let mut masked: Vec<String> = masked.iter().map(|path| path.join(".")).collect();
    let mut compared: Vec<String> = NOT_SHOWN.iter().map(|(key, _)| (*key).to_owned()).collect();
    compared.retain(|key| !names_a_file(key));
    masked.sort();
    compared.sort();
    assert_eq!(masked, compared);
}

#[test]
fn the_manual_tells_which_keys_are_in_force_at_once() {
    let manual = include_str!("../../../docs/OPERATIONS.md");
    let section = manual.split("\n## Reloading\n").nth(1).unwrap();
    let section = section.split("\n## ").next().unwrap();
    for (key, _, is_live) in KEYS {
        let (above, name) = key.rsplit_once('.').unwrap();
        let row = section
            .lines()
            .find(|line| line.starts_with(&format!("| `[{above}]`")))
            .unwrap_or_else(|| panic!("no row for [{above}]"));
        let mut cells = row.split('|').skip(2).map(str::trim);
        let (live, restart) = (cells.next().unwrap(), cells.next().unwrap());
        let names = |cell: &str| cell.contains(&format!("`{name}`"));
        let is_told = |cell: &str, other: &str| {
            names(cell) || (!names(other) && (cell == "all" || cell == "all others"))
        };
        let (right, wrong) = if *is_live {
            (live, restart)
        } else {
            (restart, live)
        };
        assert!(
            is_told(right, wrong) && !is_told(wrong, right),
            "{key}: {row}"
        );
    }
}
