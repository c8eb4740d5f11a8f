//! Values that a key may not have, and what is told to be allowed.

use super::problems::wrong;
use super::{HASH, right};

/// A wrong setting a line, and the words that its message must hold besides the key.
const WRONG_VALUES: &str = r#"
server.drain_delay = 'soon' => soon | duration | 75s
server.drain_delay = 5 => = 5: | duration
server.drain_delay = '9000h' => 9000h | 0s to 8760h
server.request_timeout = '0s' => 0s | 1ms to 8760h
server.listen = 'nowhere' => nowhere | IP address and a port
server.listen = '' => IP address and a port
server.max_connections = 'many' => many | whole number
server.max_connections = 1.5 => 1.5 | whole number
server.max_connections = -1 => = -1: | a whole number from 1 to 1000000
server.max_connections = [] => must be a whole number from 1 to 1000000
server.max_connections = 0 => = 0: | from 1 to 1000000
server.trusted_proxies = '10.0.0.0/8' => must be a list, such as ["10.0.0.0/8"]
server.trusted_proxies = 10 => must be a list in brackets, each item a network or an address
server.trusted_proxies = ['10.0.0.0/8', '10.0.0.0/33', '::1'] => [1] = "10.0.0.0/33": must be a network or an address
server.trusted_proxies = ["a\nb"] => [0] = """a\nb""": must be a network
server.trusted_proxies = [10] => [0] = 10: must be a network or an address
server.proxy_protocol = 'v2' => v2 | off | optional | required
server.proxy_protocol = true => true | off
admin.listen = 8081 => 8081 | or "" for none
ingest.durability = 'maybe' => maybe | disk | broker | memory
ingest.codec = 'xml' => xml | plain | json | json_lines | auto
ingest.codec = 5 => = 5: | json_lines
ingest.codec = {} => = {}: | must be one of `plain`, `json`, `json_lines`, `auto`
ingest.codecs = { 'a/b' = 'xml' } => ."a/b" = "xml": | json_lines
ingest.codecs = { json = 'json' } => .json = "json": must be named by a media type
ingest.codecs = { 'a/B' = 'json', 'A/b' = 'json' } => ."A/b" = "json": must be named by a media type of its own
ingest.codecs = 5 => = 5: | a table, such as { "application/json" = "json"
ingest.codecs = { 'a/b' = 5 } => ."a/b" = 5: must be one of `plain`, `json`
ingest.codecs = { 'a/b' = {} } => {} | must be one of `plain`, `json`
ingest.response_code = 404 => 404 | 200, 201, 202 or 204
ingest.response_code = 'x' => x | 200, 201, 202 or 204
ingest.response_headers = { 'a b' = 'c' } => ."a b" = "c": must be named like an HTTP header
ingest.response_headers = { a = "b\nc" } => .a = """b\nc""": | the value of | visible ASCII
ingest.response_headers = { a = 5 } => .a = 5: must be a text in quotes
ingest.response_headers = 5 => must be a table, such as { name = "value" }
ingest.response_headers = { a = 'ü' } => .a = "ü": | the value of | visible ASCII
ingest.response_headers = { Content-Length = '1' } => .Content-Length = "1": must be another header than
ingest.response_headers = { x-request-ID = 'a' } => .x-request-ID = "a": must be another header than | X-Request-Id
ingest.response_headers = { X-Token = '***' } => .X-Token = "***": must be the secret itself | headgate check
ingest.response_headers = { a = '1', A = '2' } => .A = "2": must be a header of its own
ingest.overload_status = 70000 => 70000 | 503 or 429
ingest.max_event_bytes = 'lots' => lots | a size | KiB
ingest.max_event_bytes = 1024 => 1024 | a size | KiB
ingest.max_event_bytes = '0B' => 0B | at least 1B
enrich.headers = 'no' => no | true or false
enrich.headers = [] => = []: | must be true or false
enrich.ecs_compatibility = 'v2' => v2 | disabled | v1 | v8
enrich.fields = { a = inf } => .a = inf: must be | not finite
enrich.fields = { '[a' = 1 } => ."[a" = 1: | [outer][inner]
enrich.remote_host_target_field = '[a' => [a | or ""
enrich.id_field = '[a' => [a | or ""
enrich.trace_id_field = 5 => = 5: | or ""
enrich.remote_host_target_field = '@timestamp' => = "@timestamp": | another field than `@timestamp`, `@version` and `message`
enrich.request_headers_target_field = '[@version][a]' => = "[@version][a]": | another field than
enrich.id_field = 'message' => = "message": | another field than
enrich.id_field = '@metadata' => = "@metadata": | a field inside `@metadata`, such as `[@metadata][id]`
enrich.fields = { '[@metadata][b]' = 2, '@metadata' = { a = 1 } } => ."@metadata" = { a = 1 }: | a field of its own
enrich.fields = { '@metadata' = 5 } => ."@metadata" = 5: | a table where it is for `@metadata`
enrich.received_at_field = '[@timestamp][a]' => = "[@timestamp][a]": | another field than
enrich.fields = { '@timestamp' = 5 } => ."@timestamp" = 5: | a time in quotes, such as "2026-01-02T03:04:05Z"
enrich.drop_headers = ['a', 1] => [1] = 1: must be a text in quotes
enrich.drop_headers = ['a', 'Cookie:'] => [1] = "Cookie:": must be the name of an HTTP header
enrich.drop_headers = ['cookie, x-a'] => [0] = "cookie, x-a": must be the name of an HTTP header
enrich.drop_headers = [''] => [0] = "": must be the name of an HTTP header
enrich.drop_headers = 1 => must be a list, such as ["cookie", "proxy-authorization", "x-api-key"]
enrich.drop_headers = "['a'" => must be a list in brackets | the name of an HTTP header
validate.required = [''] => [0] = "": | [outer][inner]
validate.required = 5 => must be a list in brackets
auth.user = [] => must be a text in quotes
validate.max_message_bytes = 5 => = 5: | a size | or ""
validate.max_message_bytes = '0B' => 0B | at least 1B
limits.events_per_second_per_client = -1 => = -1: | from 0 to 1000000000 | 0 for no limit
limits.events_per_second_per_client = 'few' => few | a whole number | 0 for no limit
limits.bytes_per_second_per_client = 1.5 => = 1.5: | 64KiB | number of bytes | 0 for no limit
limits.bytes_per_second_per_client = '2TiB' => 2TiB | up to 1TiB
cors.allowed_origins = ['https://app.example.com/'] => [0] = "https://app.example.com/": | as browsers send it | without a path
cors.allowed_origins = 'https://app.example.com' => a list
auth.password = '***' => = "***": | and not "***", the mask that `headgate check` prints
auth.password = "x\n" => = "***": | without control characters, such as a line break at its end
auth.user = "u\n" => u\n | a name without control characters
broker.password = '***' => = "***": | and not "***", the mask that `headgate check` prints
broker.password = 5 => = "***": must be a text in quotes
broker.headers = { X-Env = '***', X-Request-Id = '1' } => .X-Env = "***": must be the secret itself | headgate check
broker.urls = ['http://a/?***'] => [0] = "http://a/?***": | the mask that `headgate check` prints
validate.timestamp_max_age = 'long' => long | a duration | or ""
validate.timestamp_max_age = 5 => = 5: | a duration | or ""
validate.timestamp_max_future = '0s' => 0s | 1ms to 8760h
validate.schema = 5 => = 5: | or ""
validate.schema = '/no/such/file.json' => /no/such/file.json | the path of a JSON Schema file | cannot be read
spool.dir = '' => the path of a folder
spool.dir = 5 => = 5: | must be a path in quotes
broker.tls.ca = 5 => must be a path in quotes, or "" to leave it unset
output.type = 'kafka' => kafka | http | file | stdout | or ""
output.type = 5 => = 5: | http | file | stdout
output.type = {} => must be one of `http`, `file`, `stdout`, or ""
output.file.max_bytes = '0B' => 0B | at least 1B
output.file.max_bytes = 5 => = 5: | a size | or ""
output.file = 'x' => x | a table: [output.file]
broker.urls = ['not a url'] => [0] = "not a url": must be a URL with the scheme http or https
broker.urls = 'http://a/?key=x' => must be a list, such as ["http://a/?***"]
broker.urls = 'http://a:1, http://b/?key=x' => must be a list, such as ["http://a:1", "http://b/?***"]
broker.urls = ['http://a,http://b'] => [0] = "http://a,http://b": must be one URL: several are items of the list
server.trusted_proxies = '10.0.0.0/8,::1' => must be a list, such as ["10.0.0.0/8", "::1"]
validate.required = 'a,b' => must be a list, such as ["a", "b"]
broker.urls = 'x' => must be a list in brackets, each item a URL with the scheme http or https
broker.urls = 5 => must be a list in brackets, each item a URL with the scheme http or https
broker.urls = ['http://a', 'http://a/'] => [1] = "http://a/": must be a URL of its own
broker.format = 'csv' => csv | json_batch | json_lines | json
broker.compression = 'lzma' => lzma | none | gzip | zstd
broker.connection_max_age = '0s' => 0s | 1ms to 8760h
broker.max_in_flight = -1 => -1 | from 1 to 1000
broker.max_in_flight = 0 => = 0: | from 1 to 1000
broker.rejected_codes = [400, 200] => [1] = 200: | that is not 2xx
broker.rejected_codes = ['x'] => [0] = "x": | 100 to 599
broker.rejected_codes = 5 => must be a list in brackets, each item a status code from 100 to 599
metrics.max_sources = 0 => = 0: | from 1
log.level = 'loud' => loud | error | warn | info | debug | trace
log.format = 'xml' => xml | text | json
"#;

#[test]
fn a_wrong_value_is_told_with_key_value_and_what_is_allowed() {
    for row in WRONG_VALUES.trim().lines() {
        let (setting, words) = row.split_once(" => ").unwrap();
        let (key, _) = setting.split_once(" = ").unwrap();
        let lines = wrong(setting, &[]);
        let [line] = lines.as_slice() else {
            panic!("{setting}: {lines:#?}");
        };
        let behind_key = line.strip_prefix(&format!("c.toml: {key}"));
        // Of lists and tables each wrong item is told by its place.
        let is_told = |rest: &str| rest.starts_with(" = ") || rest.starts_with(['[', '.']);
        assert!(behind_key.is_some_and(is_told), "{line}");
        for word in words.split(" | ") {
            assert!(line.contains(word), "{setting}: no {word} in {line}");
        }
    }
}

#[test]
fn every_wrong_item_of_lists_and_tables_is_told_by_its_place() {
    let text = concat!(
        "server.trusted_proxies = ['10.0.0.0/33', '10.0.0.0/8', 'x']\n",
        "ingest.codecs = { json = 'json', 'a/b' = 'xml', 'c/d' = 'json' }\n",
        "ingest.response_headers = { 'a b' = 'c', X-Ok = 'ok', Content-Length = '1' }\n",
        "enrich.fields = { '[a' = 1, b = 2, c = nan, '[b][d]' = 3 }\n",
        "validate.required = ['', 'a', '[b']\n",
        "cors.allowed_origins = ['https://a/', 'https://a', 'b']\n",
        "broker.urls = ['http://u:p@x', 'ftp://x', 'http://x', 'x:80', 'http://x/']\n",
        "broker.headers = { X-Env = 'a', 'x env' = 'a', x-env = 'b' }\n",
        "broker.rejected_codes = [400, 200, 'x']\n",
        "metrics.source_fields = ['a', 5, '[']\n",
        "[[auth.keys]]\nname = 'web'\nhash = '",
    );
    let text = format!("{text}{HASH}'\nallowed_origins = ['x', 'https://a', 'y']\n");
    let mut places: Vec<String> = wrong(&text, &[])
        .iter()
        .map(|line| {
            let setting = line.strip_prefix("c.toml: ").unwrap();
            setting.split(" = ").next().unwrap().to_owned()
        })
        .collect();
    places.sort();
    let expected = [
        "auth.keys[0].allowed_origins[0]",
        "auth.keys[0].allowed_origins[2]",
        "broker.headers.\"x env\"",
        "broker.headers.x-env",
        "broker.rejected_codes[1]",
        "broker.rejected_codes[2]",
        "broker.urls[0]",
        "broker.urls[1]",
        "broker.urls[3]",
        "broker.urls[4]",
        "cors.allowed_origins[0]",
        "cors.allowed_origins[2]",
        "enrich.fields.\"[a\"",
        "enrich.fields.\"[b][d]\"",
        "enrich.fields.c",
        "ingest.codecs.\"a/b\"",
        "ingest.codecs.json",
        "ingest.response_headers.\"a b\"",
        "ingest.response_headers.Content-Length",
        "metrics.source_fields[1]",
        "metrics.source_fields[2]",
        "server.trusted_proxies[0]",
        "server.trusted_proxies[2]",
        "validate.required[0]",
        "validate.required[2]",
    ];
    assert_eq!(places, expected);
}

#[test]
fn what_check_prints_is_taken_again_but_for_the_secrets() {
    let text = format!(
        "[auth]\nuser = 'u'\npassword = 'p'\n[[auth.keys]]\nname = 'web'\nhash = '{HASH}'\n\
         [cors]\nallowed_origins = ['*']\n[ingest]\nresponse_headers = {{ X-A = 'a', X-Token = 't' }}\n\
         [broker]\nurls = ['http://a/', 'http://b/?token=x']\nuser = 'u'\npassword = 'p'\nheaders = {{ X-A = 'a' }}\n"
    );
    let printed = right(&text).effective_toml();
    let told = wrong(&printed, &[]);
    let mut refused: Vec<&str> = told
        .iter()
        .map(|line| {
            line.split(": ")
                .nth(1)
                .unwrap()
                .split(" = ")
                .next()
                .unwrap()
        })
        .collect();
    refused.sort_unstable();
    let secrets = [
        "auth.keys[0].hash",
        "auth.password",
        "broker.headers.x-a",
        "broker.password",
        "broker.urls[1]",
        "ingest.response_headers.x-token",
    ];
    assert_eq!(refused, secrets, "{told:#?}");
}

#[test]
fn a_number_beyond_64_bits_is_told_with_its_place() {
    for (text, place) in [
        (
            "log.level = 'info'\nserver.max_connections = 99999999999999999999",
            "2:26",
        ),
        ("server.drain_timeout = 0xffffffffffffffff", "1:24"),
        (
            "broker.rejected_codes = [400,\n  -99999999999999999999]",
            "2:3",
        ),
        ("enrich.fields.a = 9223372036854775808", "1:19"),
    ] {
        let told = format!("c.toml:{place}: not TOML: a whole number that does not fit in 64 bits");
        assert_eq!(wrong(text, &[]), [told]);
    }
}
