//! What is warned of, and what is not.

use super::*;

/// What the settings, each a line, are warned of; nobody may send unasked.
fn warned(settings: &str) -> Vec<String> {
    let mut config = Config::default();
    config.auth.user = "u".to_owned();
    let mut tree = toml::Table::try_from(&config).unwrap();
    for setting in settings.lines() {
        let (key, value) = setting.split_once(" = ").unwrap();
        let (section, name) = key.split_once('.').unwrap();
        tree[section][name] = value.parse().unwrap();
    }
    let config: Config = tree.try_into().unwrap();
    of(&config).iter().map(Warning::to_string).collect()
}

#[test]
fn what_has_no_effect_or_too_much_is_a_warning() {
    for (settings, words) in [
        (
            "server.trusted_proxies = ['10.0.0.0/8', '0.0.0.0/0']",
            r#"server.trusted_proxies has "0.0.0.0/0""#,
        ),
        (
            "server.trusted_proxies = ['::/0']",
            r#"server.trusted_proxies has "::/0""#,
        ),
        (
            "server.proxy_protocol = 'optional'",
            r#"server.proxy_protocol = "optional" believes the PROXY header of everybody who reaches server.listen = "0.0.0.0:8080": set server.trusted_proxies"#,
        ),
        (
            "ingest.max_content_length = '300MiB'",
            r#"ingest.max_content_length = "300MiB" is above ingest.max_in_flight_bytes = "256MiB""#,
        ),
        (
            "ingest.max_event_bytes = '101MiB'",
            r#"ingest.max_event_bytes = "101MiB" is above ingest.max_content_length = "100MiB""#,
        ),
        (
            "ingest.max_envelope_bytes = '257MiB'",
            r#"ingest.max_envelope_bytes = "257MiB" is above ingest.max_in_flight_bytes = "256MiB""#,
        ),
        (
            "spool.max_bytes = '255MiB'",
            r#"spool.segment_bytes = "64MiB" is more than a quarter of spool.max_bytes = "255MiB""#,
        ),
        (
            "ingest.durability = 'memory'\nspool.memory_bytes = '99MiB'",
            r#"ingest.max_content_length = "100MiB" is above spool.memory_bytes = "99MiB""#,
        ),
        (
            "ingest.durability = 'broker'\nspool.memory_bytes = '99MiB'",
            r#"ingest.max_content_length = "100MiB" is above spool.memory_bytes = "99MiB""#,
        ),
        (
            "broker.urls = ['http://a/']\nbroker.request_timeout = '50s'\ningest.durability = 'broker'",
            r#"broker.request_timeout = "50s" is not below server.request_timeout = "50s""#,
        ),
        (
            "broker.urls = ['http://a/']\nbroker.linger = '50s'\ningest.durability = 'broker'",
            r#"broker.linger = "50s" is not below server.request_timeout = "50s""#,
        ),
        (
            "broker.urls = ['http://a/']\noutput.type = 'file'",
            r#"output.type = "file" sends nothing to broker.urls"#,
        ),
        (
            "enrich.headers = false\nenrich.request_headers_target_field = 'a'",
            r#"enrich.request_headers_target_field = "[a]" is never added"#,
        ),
        (
            "enrich.fields = { '[host][name]' = 'a' }",
            r#"enrich.fields has "[host][name]", for which "[host]""#,
        ),
        (
            "enrich.ecs_compatibility = 'v1'\nenrich.fields = { url = 'a' }",
            r#"enrich.fields has "[url]", for which "[url][domain]""#,
        ),
        (
            "ingest.response_headers = { 'Access-Control-Allow-Origin' = '*' }",
            r#"ingest.response_headers has "access-control-allow-origin""#,
        ),
    ] {
        let warned = warned(settings);
        let [warning] = warned.as_slice() else {
            panic!("{settings}: {warned:?}");
        };
        assert!(warning.starts_with(words), "{settings}: {warning}");
    }
}

#[test]
fn what_is_right_is_none() {
    for settings in [
        "log.level = 'info'",
        "server.trusted_proxies = ['0.0.0.0/1', '10.0.0.0/8', '2000::/3']",
        "server.proxy_protocol = 'optional'\nserver.trusted_proxies = ['10.0.0.0/8']",
        "server.proxy_protocol = 'required'\nserver.listen = '127.0.0.1:8080'",
        // The defaults of other limits are above these.
        "ingest.max_content_length = '1MiB'",
        "ingest.max_in_flight_bytes = '128MiB'",
        "spool.max_bytes = '256MiB'",
        "ingest.durability = 'memory'\nspool.max_bytes = '65MiB'",
        "spool.memory_bytes = '1MiB'",
        "ingest.durability = 'memory'\nspool.memory_bytes = '100MiB'",
        "broker.urls = ['http://a/']",
        "broker.urls = ['http://a/']\nbroker.request_timeout = '49s'\ningest.durability = 'broker'",
        "broker.urls = ['http://a/']\nbroker.request_timeout = '60s'",
        "broker.request_timeout = '60s'\ningest.durability = 'broker'",
        "broker.urls = ['http://a/']\nbroker.linger = '49s'\ningest.durability = 'broker'",
        "broker.urls = ['http://a/']\nbroker.linger = '50s'\nbroker.format = 'json'\ningest.durability = 'broker'",
        "broker.urls = ['http://a/']\nbroker.linger = '60s'",
        "enrich.headers = false",
        "ingest.response_headers = { 'X-Site' = 'edge' }",
        "ingest.response_headers = { 'Access-Control-Max-Age' = '9' }\ncors.allowed_origins = ['*']",
        "enrich.request_headers_target_field = 'a'",
        "enrich.fields = { host = 'a', '[url][path]' = 'b' }",
        "enrich.ecs_compatibility = 'v1'\nenrich.fields = { '[host][name]' = 'a', '[http][request][id]' = 'b' }",
        "enrich.headers = false\nenrich.fields = { '[headers][a]' = 'a' }",
    ] {
        assert_eq!(warned(settings), [""; 0], "{settings}");
    }
}
