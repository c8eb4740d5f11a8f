//! Every kind of problem, and how it is told.

use super::*;

/// What the configuration is told to be wrong with, a line each.
pub(super) fn wrong(text: &str, variables: &[(&str, &str)]) -> Vec<String> {
    match load(text, variables) {
        Ok(_) => panic!("taken as right: {text} {variables:?}"),
        Err(errors) => {
            let lines: Vec<String> = errors.to_string().lines().map(str::to_owned).collect();
            assert_eq!(lines.len(), errors.problems().len(), "one line a problem");
            lines
        }
    }
}

#[test]
fn each_form_of_the_sync_is_told() {
    let lines = wrong("[spool]\nsync = 'sometimes'\nsegment_bytes = '1KiB'", &[]);
    for words in [
        r#"c.toml: spool.sync = "sometimes": must be "always", "never", or a duration from 1ms to 1m such as "50ms""#,
        r#"c.toml: spool.segment_bytes = "1KiB": must be a size of at least 4KiB"#,
    ] {
        assert!(lines.iter().any(|line| line == words), "{lines:#?}");
    }
}

#[test]
fn an_unknown_key_is_told_with_what_may_have_been_meant() {
    for (text, line) in [
        (
            "[server]\nlissten = 'x'",
            r#"server.lissten = "x": there is no such key; did you mean server.listen?"#,
        ),
        (
            "[sever]\nlisten = 'x'",
            r#"sever = { listen = "***" }: there is no such key; did you mean server?"#,
        ),
        (
            "[log]\ncolour = true",
            "log.colour = true: there is no such key; the keys of [log] are level, format",
        ),
        (
            "server = 5",
            "server = 5: must be a table: [server] and its keys below it",
        ),
        (
            "[auth]\npasword = 'hunter2'",
            r#"auth.pasword = "***": there is no such key; did you mean auth.password?"#,
        ),
    ] {
        assert_eq!(wrong(text, &[]), [format!("c.toml: {line}")], "{text}");
    }
}

#[test]
fn each_entry_of_the_keys_is_looked_at_by_itself() {
    let text = "[[auth.keys]]\nname = 'a:b'\nhash = 'x'\ncolour = 5\n[[auth.keys]]\nfields = 7\n";
    let lines = wrong(text, &[]);
    for (line, start) in lines.iter().zip([
        r#"c.toml: auth.keys[0].name = "a:b": must be a name without colons"#,
        r#"c.toml: auth.keys[0].hash = "***": must be `sha256:` and 64 hexadecimal digits"#,
        "c.toml: auth.keys[0].colour = 5: there is no such key; the keys of [[auth.keys]] are name, hash, fields, events_per_second, bytes_per_second, allowed_origins",
        "c.toml: auth.keys[1].fields = 7: must be a table",
        "c.toml: auth.keys[1].name: is missing",
        "c.toml: auth.keys[1].hash: is missing",
    ]) {
        assert!(line.starts_with(start), "{line}");
    }
    assert_eq!(lines.len(), 6);
    for text in [
        "auth.keys = 5",
        "auth.keys = [5]",
        "auth.keys = { name = 'web' }",
    ] {
        assert_eq!(wrong(text, &[]).len(), 1, "{text}");
    }
}

#[test]
fn values_that_contradict_each_other_are_told_together() {
    let web = format!("{{ name = 'web', hash = '{HASH}' }}");
    for (text, words) in [
        (
            "[auth]\nuser = 'u'",
            r#"c.toml: auth.user = "u" and auth.password = "": both"#,
        ),
        (
            "[auth]\npassword = 'hunter2'",
            r#"c.toml: auth.user = "" and auth.password = "***": both"#,
        ),
        ("[broker]\nuser = 'u'", "broker.user|broker.password|both"),
        (
            "[auth]\nuser = 'a:b'\npassword = 'p'",
            "auth.user|a:b|colon",
        ),
        (
            "[broker]\nuser = 'a:b'\npassword = 'p'",
            "broker.user|a:b|colon",
        ),
        (
            "[output]\ntype = 'http'",
            "output.type|broker.urls|at least one URL",
        ),
        (
            "[broker]\nurls = ['http://a:8080', 'http://127.0.0.1:8080/?key=x']",
            "c.toml: broker.urls[1] = \"http://127.0.0.1:8080/?***\": must be|another server|server.listen = \"0.0.0.0:8080\"",
        ),
        (
            "[admin]\nlisten = '127.0.0.1:8080'",
            "server.listen|admin.listen|another port",
        ),
        (
            "[spool]\ndir = './data/dead-letters/'",
            "spool.dir = \"./data/dead-letters/\"|dead_letters.dir = \"data/dead-letters\"|a folder of its own",
        ),
        (
            "[output.file]\ndir = 'data/spool'",
            "spool.dir|output.file.dir|a folder of its own",
        ),
        (
            "[dead_letters]\ndir = 'data/events'",
            "dead_letters.dir|output.file.dir|a folder of its own",
        ),
        (
            "[spool]\nsegment_bytes = '5GiB'",
            "spool.segment_bytes|5GiB|spool.max_bytes|4GiB",
        ),
        (
            "[broker]\nretry_initial = '5m'",
            "broker.retry_initial|5m|broker.retry_max|30s",
        ),
        (
            "[enrich]\nid_field = 'event'\ntrace_id_field = '[event][trace]'",
            "enrich.id_field|event|enrich.trace_id_field|[event][trace]|a field of its own",
        ),
        (
            "[enrich]\nclient_ip_field = '[a]'\nremote_host_target_field = 'a'",
            "enrich.client_ip_field|enrich.remote_host_target_field|a field of its own",
        ),
        (
            "[enrich]\nreceived_at_field = '[a][b][c]'\nfields = { '[a][b]' = 1, c = 2 }",
            "enrich.received_at_field|enrich.fields|a field of its own",
        ),
        (
            "[enrich]\nrequest_headers_target_field = 'host'",
            "enrich.remote_host_target_field|enrich.request_headers_target_field|host|where they are unset",
        ),
        (
            "[enrich]\necs_compatibility = 'v1'\nid_field = '[host][ip]'",
            "enrich.remote_host_target_field|enrich.id_field|[host][ip]|where they are unset",
        ),
        (
            "[enrich]\nclient_ip_field = 'headers'",
            "enrich.request_headers_target_field|enrich.client_ip_field|where they are unset",
        ),
        (
            "[enrich]\nid_field = '[host][id]'",
            "enrich.remote_host_target_field|enrich.id_field|where they are unset|to `host`",
        ),
        (
            "[enrich]\necs_compatibility = 'v8'\ntrace_id_field = '[http][request]'",
            "enrich.ecs_compatibility|enrich.trace_id_field|[http][request]|is added with ECS",
        ),
        (
            "[enrich]\necs_compatibility = 'v1'\nremote_host_target_field = '[url][path][a]'",
            "enrich.ecs_compatibility|enrich.remote_host_target_field|is added with ECS",
        ),
        (
            "[metrics]\nsource_fields = ['A', 'a']",
            "metrics.source_fields|the same label",
        ),
        (
            "[broker]\nheaders = { authorization = 'Bearer x' }\nuser = 'u'\npassword = 'p'",
            "broker.user|broker.headers|Authorization",
        ),
        (
            &format!("[auth]\nkeys = [{web}, {}]", web.replace("0f", "0e")),
            "auth.keys[1].name = \"web\"|a name of its own|auth.keys[0]",
        ),
        (
            &format!("[auth]\nkeys = [{web}, {}]", web.replace("web", "app")),
            "auth.keys[1].hash = \"***\"|a hash of its own|auth.keys[0]",
        ),
        (
            &format!("[auth]\nuser = 'web'\npassword = 'p'\nkeys = [{web}]"),
            "auth.keys[0].name = \"web\"|auth.user|could not tell them apart",
        ),
    ] {
        let lines = wrong(text, &[]);
        let [line] = lines.as_slice() else {
            panic!("{text}: {lines:#?}");
        };
        for word in words.split('|') {
            assert!(line.contains(word), "{text}: no {word} in {line}");
        }
    }
}

#[test]
fn a_folder_that_is_not_used_may_be_that_of_another() {
    for text in [
        "[spool]\ndir = 'a'\n[dead_letters]\ndir = 'a'\n[ingest]\ndurability = 'memory'",
        "[spool]\ndir = 'data/events'\n[broker]\nurls = ['http://a/']",
        "[spool]\ndir = 'a'\n[dead_letters]\ndir = 'a/dead-letters'",
    ] {
        right(text);
    }
}

#[test]
fn a_broker_that_nothing_is_sent_to_may_be_this_server() {
    right("[output]\ntype = 'file'\n[broker]\nurls = ['http://127.0.0.1:8080/']");
}

#[test]
fn a_key_that_is_wrong_by_itself_is_told_once() {
    assert_eq!(wrong("[auth]\nuser = 'u'\npassword = 5", &[]).len(), 1);
    assert_eq!(
        wrong("[output]\ntype = 'http'\n[broker]\nurls = ['x']", &[]).len(),
        1
    );
    let to_default = "[broker]\nurls = ['http://127.0.0.1:8080/']\n";
    for wrong_by_itself in ["[server]\nlisten = 'x'", "[output]\ntype = 'x'"] {
        let text = format!("{to_default}{wrong_by_itself}");
        assert_eq!(wrong(&text, &[]).len(), 1, "{text}");
    }
}

#[test]
fn all_problems_of_file_and_environment_come_at_once() {
    let text = "[server]\ndrain_delay = 'soon'\nlissten = 'x'\n[ingest]\ncodec = 'xml'\n[broker]\nmax_in_flight = 0\n";
    let lines = wrong(
        text,
        &[
            ("HEADGATE_LOG__LEVEL", "loud"),
            ("HEADGATE_ENRICH__FIELDS__ENV", "x"),
        ],
    );
    for (line, start) in lines.iter().zip([
        "c.toml: server.drain_delay = ",
        "c.toml: server.lissten = ",
        "c.toml: ingest.codec = ",
        "HEADGATE_ENRICH__FIELDS__ENV: enrich.fields.env = \"x\": there is no such key; enrich.fields is set as a whole",
        "HEADGATE_LOG__LEVEL: log.level = ",
        "c.toml: broker.max_in_flight = ",
    ]) {
        assert!(line.starts_with(start), "{line}");
    }
    assert_eq!(lines.len(), 6);
}

#[test]
fn no_message_shows_a_secret() {
    let hash = HASH.replace("0f", "0g");
    for (text, variables) in [
        ("[auth]\npassword = 12345678", &[][..]),
        ("[auth]\npassword = '12345678'", &[]),
        ("[auth]\npasword = '12345678'", &[]),
        ("[auth]\npassword = x12345678", &[]),
        ("[atuh]\npw = '12345678'", &[]),
        ("[broker]\npw = '12345678'", &[]),
        ("[auth]\npassword = { value = '12345678' }", &[]),
        ("[broker]\npassword = [{ value = '12345678' }]", &[]),
        ("[auth]\nuser = { name = 'u', pw = '12345678' }", &[]),
        ("[auth]\nkeys = { name = 'web', pw = '12345678' }", &[]),
        ("[[auth.keys]]\nhash = { value = '12345678' }", &[]),
        (
            "[broker]\nurls = [{ url = 'http://h/', pw = '12345678' }]",
            &[],
        ),
        (
            "[ingest.response_headers]\nSet-Cookie = { a = '12345678' }",
            &[],
        ),
        ("[ingest]\nresponse_headers.X.Team = '12345678'", &[]),
        ("[broker]\nurls = ['logstash/?token=12345678']", &[]),
        ("[broker]\nurls = ['http://u:12345678@h/']", &[]),
        ("[broker]\nheaders = { Authorization = 12345678 }", &[]),
        (
            "[broker]\nheaders = { Authorization = \"12345678\\n\" }",
            &[],
        ),
        ("", &[("HEADGATE_AUTH__PASSWORD", "12345678")]),
        ("", &[("HEADGATE_AUTH__PASWORD", "12345678")]),
        ("", &[("HEADGATE_BROKER__URLS", "http://u:12345678@h/")]),
        (
            "[broker]\nheaders = ['Authorization: Bearer 12345678']",
            &[],
        ),
        ("[broker]\nheaders = { X-Team = \"12345678\\n\" }", &[]),
        (
            "",
            &[("HEADGATE_BROKER__HEADERS", "{ Authorization = 12345678")],
        ),
        (
            "",
            &[("HEADGATE_BROKER__HEADERS", "Authorization: Bearer 12345678")],
        ),
        ("", &[("HEADGATE_AUTH", "password = '12345678'")]),
        ("", &[("HEADGATE_AUTH", "{ password = '12345678'")]),
        ("", &[("HEADGATE_AUTH__KEYS", "[{ hash = '12345678'")]),
        ("", &[("HEADGATE_BROKER__URLS", "['http://u:12345678@h/'")]),
        (
            "",
            &[(
                "HEADGATE_BROKER__URLS",
                "['http://h/?key=12345678', 'http://h:12345678",
            )],
        ),
        (
            "",
            &[("HEADGATE_INGEST__RESPONSE_HEADERS", "{ a: '12345678' }")],
        ),
        (
            &format!("[[auth.keys]]\nname = '12345678'\nhash = '{hash}'")
                .replace("12345678", "web"),
            &[],
        ),
    ] {
        let told = wrong(text, variables).join("\n");
        assert!(
            !told.contains("12345678") && !told.contains("0g0g"),
            "{told}"
        );
    }
}

#[test]
fn a_variable_that_was_meant_as_toml_is_told_what_the_parser_found() {
    for (variable, text, start) in [
        (
            "BROKER__URLS",
            r#"["http://x"#,
            r#"broker.urls = '["http://x': must be TOML, and is none: at character "#,
        ),
        (
            "BROKER__HEADERS",
            "{ Authorization = 'x'",
            r#"broker.headers = "***": must be TOML, and is none: at character "#,
        ),
        (
            "OUTPUT__FILE",
            "{ dir: 'x' }",
            r#"output.file = "{ dir: 'x' }": must be TOML, and is none: at character "#,
        ),
    ] {
        let name = format!("HEADGATE_{variable}");
        let lines = wrong("", &[(&name, text)]);
        let [line] = lines.as_slice() else {
            panic!("{text}: {lines:#?}");
        };
        assert!(line.starts_with(&format!("{name}: {start}")), "{line}");
    }
}

#[test]
fn a_file_that_is_no_toml_is_told_with_its_place() {
    for (text, start) in [
        ("[server\nlisten = ", "c.toml:1:8: not TOML: "),
        ("[auth]\nuser = 'ü' x\n", "c.toml:2:12: not TOML: "),
        (
            "[log]\nlevel = 'info'\nlevel = 'warn'\n",
            "c.toml:3:1: not TOML: duplicate key",
        ),
    ] {
        let lines = wrong(text, &[]);
        assert!(lines[0].starts_with(start), "{lines:?}");
    }
}

#[test]
fn an_unreadable_file_is_not_told_again_as_a_contradiction() {
    let variables = [
        ("HEADGATE_AUTH__USER", "u"),
        ("HEADGATE_LOG__LEVEL", "loud"),
    ];
    let lines = wrong("[auth", &variables);
    assert!(lines[0].starts_with("c.toml:1:6: not TOML"), "{lines:#?}");
    assert!(
        lines[1].starts_with("HEADGATE_LOG__LEVEL: log.level"),
        "{lines:#?}"
    );
    assert_eq!(lines.len(), 2);
}
