//! Values that a key may not have, and what is told to be allowed.

use super::problems::wrong;

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
server.trusted_proxies = 10 => must be a list of networks or addresses
server.trusted_proxies = ['10.0.0.0/8', '10.0.0.0/33', '::1'] => networks or addresses | "10.0.0.0/33" is neither
server.trusted_proxies = ["a\nb"] => "a\nb" is neither
server.trusted_proxies = [10] => [10] | networks or addresses | "10" is neither
server.proxy_protocol = 'v2' => v2 | off | optional | required
server.proxy_protocol = true => true | off
admin.listen = 8081 => 8081 | or "" for none
ingest.durability = 'maybe' => maybe | disk | broker | memory
ingest.codec = 'xml' => xml | plain | json | json_lines | auto
ingest.codec = 5 => = 5: | json_lines
ingest.codec = {} => = {}: | must be one of `plain`, `json`, `json_lines`, `auto`
ingest.codecs = { 'a/b' = 'xml' } => xml | json_lines
ingest.codecs = { json = 'json' } => media types
ingest.codecs = { 'a/B' = 'json', 'A/b' = 'json' } => each one once
ingest.codecs = 5 => = 5: | a table, such as { "application/json" = "json"
ingest.codecs = { 'a/b' = 5 } => 5 | must be one of `plain`, `json`
ingest.codecs = { 'a/b' = {} } => {} | must be one of `plain`, `json`
ingest.response_code = 404 => 404 | 200, 201, 202 or 204
ingest.response_code = 'x' => x | 200, 201, 202 or 204
ingest.response_headers = { 'a b' = 'c' } => a b | names
ingest.response_headers = { a = "b\nc" } => b\nc | values | visible ASCII
ingest.response_headers = { a = 5 } => = { a = 5 }: | must be a table with a text in quotes for each name
ingest.response_headers = 5 => must be a table, such as { name = "value" }
ingest.response_headers = { a = 'ü' } => ü | values | visible ASCII
ingest.response_headers = { Content-Length = '1' } => headers other than | Content-Length
ingest.response_headers = { a = '1', A = '2' } => each one once
ingest.overload_status = 70000 => 70000 | 503 or 429
ingest.max_event_bytes = 'lots' => lots | a size | KiB
ingest.max_event_bytes = 1024 => 1024 | a size | KiB
ingest.max_event_bytes = '0B' => 0B | at least 1B
enrich.headers = 'no' => no | true or false
enrich.headers = [] => = []: | must be true or false
enrich.ecs_compatibility = 'v2' => v2 | disabled | v1 | v8
enrich.fields = { a = inf } => inf | not a finite number
enrich.fields = { '[a' = 1 } => [a | [outer][inner]
enrich.remote_host_target_field = '[a' => [a | or ""
enrich.id_field = '[a' => [a | or ""
enrich.trace_id_field = 5 => = 5: | or ""
enrich.drop_headers = [1] => [1] | must be a list of texts in quotes
enrich.drop_headers = 1 => must be a list, such as ["cookie", "proxy-authorization", "x-api-key"]
enrich.drop_headers = "['a'" => must be a list, such as ["cookie"
validate.required = [''] => [outer][inner]
validate.required = 5 => must be a list in brackets
auth.user = [] => must be a text in quotes
validate.max_message_bytes = 5 => = 5: | a size | or ""
validate.max_message_bytes = '0B' => 0B | at least 1B
limits.events_per_second_per_client = -1 => = -1: | from 0 to 1000000000 | 0 for no limit
limits.events_per_second_per_client = 'few' => few | a whole number | 0 for no limit
limits.bytes_per_second_per_client = 1.5 => = 1.5: | 64KiB | number of bytes | 0 for no limit
limits.bytes_per_second_per_client = '2TiB' => 2TiB | up to 1TiB
cors.allowed_origins = ['https://app.example.com/'] => https://app.example.com/ | as browsers send them | without a path
cors.allowed_origins = 'https://app.example.com' => a list
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
broker.urls = ['not a url'] => not a url | with the scheme http or https
broker.urls = 'http://a/?key=x' => must be a list, such as ["http://a/?***"]
broker.urls = 'x' => must be a list of URLs with the scheme http or https
broker.urls = 5 => must be a list of URLs with the scheme http or https
broker.urls = ['http://a', 'http://a/'] => each one once
broker.format = 'csv' => csv | json_batch | json_lines | json
broker.compression = 'lzma' => lzma | none | gzip | zstd
broker.connection_max_age = '0s' => 0s | 1ms to 8760h
broker.max_in_flight = -1 => -1 | from 1 to 1000
broker.max_in_flight = 0 => = 0: | from 1 to 1000
broker.rejected_codes = [400, 200] => 200 | none of them 2xx
broker.rejected_codes = ['x'] => x | 100 to 599
broker.rejected_codes = 5 => must be a list of status codes from 100 to 599
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
        assert!(line.starts_with(&format!("c.toml: {key} = ")), "{line}");
        for word in words.split(" | ") {
            assert!(line.contains(word), "{setting}: no {word} in {line}");
        }
    }
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
