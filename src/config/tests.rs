//! The default file, the structures and the documented defaults say the same.

use std::collections::BTreeSet;

use toml::{Table, Value};

use crate::config::known::Known;
use crate::config::{Config, DEFAULT_FILE, Durability, OutputType};

/// Every key with its documented default. A default is part of what operators rely on, so it is spelt out
/// here once more.
const DOCUMENTED: &str = r#"
[server]
listen = "0.0.0.0:8080"
keep_alive_timeout = "75s"
header_read_timeout = "10s"
body_read_timeout = "30s"
body_timeout = "5m"
request_timeout = "50s"
max_connections = 10000
drain_delay = "5s"
drain_timeout = "20s"
trusted_proxies = []
proxy_protocol = "off"
[server.tls]
certificate = ""
key = ""
client_ca = ""
client_auth = "none"
[admin]
listen = "127.0.0.1:8081"
[ingest]
durability = "disk"
codec = "plain"
codecs = { "application/json" = "json", "application/x-ndjson" = "json_lines" }
response_code = 200
response_headers = {}
max_content_length = "100MiB"
max_inflation_ratio = 1000
max_event_bytes = "10MiB"
max_events_per_request = 100000
max_depth = 64
max_envelope_bytes = "256MiB"
max_in_flight_bytes = "256MiB"
overload_status = 503
[enrich]
ecs_compatibility = "disabled"
remote_host_target_field = ""
request_headers_target_field = ""
headers = true
drop_headers = ["cookie", "proxy-authorization", "x-api-key"]
on_conflict = "keep"
fields = {}
id_field = ""
received_at_field = ""
client_ip_field = ""
request_id_field = ""
trace_id_field = ""
[validate]
required = []
max_fields = 1000
max_message_bytes = ""
timestamp_max_future = ""
timestamp_max_age = ""
schema = ""
on_invalid = "dead_letter"
[auth]
user = ""
password = ""
[limits]
events_per_second_per_client = 0
bytes_per_second_per_client = 0
[cors]
allowed_origins = []
[spool]
dir = "data/spool"
max_bytes = "4GiB"
segment_bytes = "64MiB"
tail_bytes = "16MiB"
sync = "always"
memory_bytes = "256MiB"
[dead_letters]
dir = "data/dead-letters"
max_bytes = "1GiB"
[output]
type = ""
[output.file]
dir = "data/events"
max_bytes = ""
[broker]
urls = []
format = "json_batch"
compression = "none"
headers = {}
user = ""
password = ""
max_batch_events = 1000
max_batch_bytes = "1MiB"
linger = "5ms"
max_in_flight = 8
connect_timeout = "5s"
request_timeout = "30s"
pool_idle_timeout = "45s"
connection_max_age = "5m"
rejected_codes = [400, 413, 422]
retry_initial = "100ms"
retry_max = "30s"
[broker.tls]
ca = ""
client_certificate = ""
client_key = ""
[metrics]
source_fields = ["Application", "Environment", "Component"]
max_sources = 1000
[log]
level = "info"
format = "text"
"#;

fn table(text: &str) -> Table {
    text.parse().unwrap()
}

#[test]
fn the_default_file_holds_the_documented_defaults() {
    assert_eq!(table(DEFAULT_FILE), table(DOCUMENTED));
}

#[test]
fn the_default_file_holds_every_key_in_the_order_of_the_structures() {
    let file = table(DEFAULT_FILE);
    let mut in_file = Vec::new();
    for (section, keys) in &file {
        for (name, value) in keys.as_table().unwrap() {
            match (section.as_str(), name.as_str(), value) {
                ("output", _, Value::Table(inner))
                | ("broker" | "server", "tls", Value::Table(inner)) => {
                    in_file.extend(inner.keys().map(|key| format!("{section}.{name}.{key}")));
                }
                _ => in_file.push(format!("{section}.{name}")),
            }
        }
    }
    let mut in_structures: Vec<String> = Known::new()
        .keys()
        .iter()
        .map(|path| path.join("."))
        .collect();
    // A list of tables cannot be given as empty without being in the way of `[[auth.keys]]`; it stands in a comment.
    in_structures.retain(|key| key != "auth.keys");
    assert!(DEFAULT_FILE.contains("\n# [[auth.keys]]\n"));
    assert_eq!(in_file, in_structures);
}

#[test]
fn every_key_of_the_default_file_has_a_comment() {
    let mut is_explained = false;
    for line in DEFAULT_FILE.lines() {
        if line.is_empty() {
            is_explained = false;
        } else if line.starts_with('#') {
            is_explained = true;
        } else if !line.starts_with('[') {
            assert!(is_explained, "no comment above {line}");
        }
    }
}

#[test]
fn the_example_in_the_default_file_is_right() {
    let example: Vec<&str> = DEFAULT_FILE
        .lines()
        .skip_while(|line| *line != "# [[auth.keys]]")
        .take_while(|line| line.starts_with('#'))
        .map(|line| line.trim_start_matches("# "))
        .collect();
    let config: Config = toml::from_str(&DEFAULT_FILE.replacen(
        "password = \"\"\n",
        &format!("password = \"\"\n{}\n", example.join("\n")),
        1,
    ))
    .unwrap();
    assert_eq!(config.auth.keys[0].name, "web");
    assert_eq!(
        serde_json::to_value(&config.auth.keys[0].fields).unwrap(),
        serde_json::json!({"[Application]": "web"})
    );
}

#[test]
fn the_defaults_have_their_types() {
    let config = Config::default();
    assert_eq!(config.ingest.durability, Durability::Disk);
    assert_eq!(config.ingest.max_event_bytes.bytes(), 10 << 20);
    assert_eq!(config.broker.linger.as_millis(), 5);
    assert_eq!(config.enrich.remote_host_target_field, None);
    assert_eq!(config.validate.max_message_bytes, None);
    assert_eq!(
        config.metrics.source_labels(),
        ["application", "environment", "component"]
    );
    assert!(config.auth.is_open());
}

#[test]
fn without_a_type_events_go_to_the_brokers_where_there_are_any() {
    let mut config = Config::default();
    assert_eq!(config.output_type(), OutputType::File);
    config
        .broker
        .urls
        .push("http://logstash:8080/".parse().unwrap());
    assert_eq!(config.output_type(), OutputType::Http);
    config.output.kind = Some(OutputType::Stdout);
    assert_eq!(config.output_type(), OutputType::Stdout);
}

#[test]
fn the_effective_configuration_reads_back_as_the_same() {
    let mut config: Config = toml::from_str(DEFAULT_FILE).unwrap();
    config.output.kind = Some(OutputType::File);
    let text = config.effective_toml();
    assert_eq!(toml::from_str::<Config>(&text).unwrap(), config, "{text}");
    let sections = |text: &str| -> Vec<String> { table(text).keys().cloned().collect() };
    assert_eq!(sections(&text), sections(DEFAULT_FILE));
    let lines: BTreeSet<&str> = text.lines().collect();
    for line in [
        "listen = \"0.0.0.0:8080\"",
        "keep_alive_timeout = \"75s\"",
        "type = \"file\"",
        "[output.file]",
    ] {
        assert!(lines.contains(line), "{line} is not in\n{text}");
    }
}
