//! Loading as a whole: what right files and environments come to.

mod problems;
mod schema;
mod values;

use super::*;
use crate::config::{Codec, EcsCompatibility, OutputType};

/// Loads a file with this text and these variables.
fn load(text: &str, variables: &[(&str, &str)]) -> Result<Loaded, ConfigErrors> {
    load_with(text, variables, Judged::Whole)
}

fn load_with(
    text: &str,
    variables: &[(&str, &str)],
    judged: Judged,
) -> Result<Loaded, ConfigErrors> {
    let path = Path::new("c.toml");
    let read = parse(text, path).map(|parsed| (parsed, Source::File(path.to_owned())));
    let variables = variables
        .iter()
        .map(|(name, text)| (OsString::from(name), OsString::from(text)));
    merge(read, variables, judged)
}

fn right(text: &str) -> Config {
    load(text, &[])
        .unwrap_or_else(|errors| panic!("{text}\n{errors}"))
        .config
}

#[test]
fn commands_that_need_no_named_file_look_at_none() {
    let gone = "/nowhere/at/all";
    let text = format!(
        "[server.tls]\ncertificate = '{gone}'\nkey = '{gone}'\n[broker.tls]\nca = '{gone}'\n\
         [validate]\nschema = '{gone}'\n"
    );
    let told = load(&text, &[]).unwrap_err().to_string();
    for key in [
        "server.tls.certificate",
        "server.tls.key",
        "broker.tls.ca",
        "validate.schema",
    ] {
        assert!(told.contains(key), "no {key} in {told}");
    }
    load_with(&text, &[], Judged::KeyByKey).unwrap();
}

#[test]
fn commands_that_use_few_keys_are_not_stopped_by_what_is_wrong_between_others() {
    for text in [
        "[auth]\nuser = 'u'",
        "[broker]\nuser = 'u'",
        "[output]\ntype = 'http'",
        "[server.tls]\ncertificate = '/a.pem'",
    ] {
        assert!(load(text, &[]).is_err(), "{text}");
        let loaded = load_with(text, &[], Judged::KeyByKey);
        loaded.unwrap_or_else(|errors| panic!("{text}: {errors}"));
    }
    for text in [
        "[spool",
        "[spool]\ndri = 'a'",
        "[spool]\ndir = ''",
        "[broker]\nmax_in_flight = 0",
    ] {
        let loaded = load_with(text, &[], Judged::KeyByKey);
        assert!(loaded.is_err(), "{text}");
    }
}

#[test]
fn a_missing_password_is_told_with_the_variable_that_may_hold_it() {
    for (text, variable) in [
        ("[auth]\nuser = 'u'", "HEADGATE_AUTH__PASSWORD"),
        ("[broker]\nuser = 'u'", "HEADGATE_BROKER__PASSWORD"),
    ] {
        let told = load(text, &[]).unwrap_err().to_string();
        assert!(told.contains(variable), "no {variable} in {told}");
        let pair = [(variable, "p")];
        load(text, &pair).unwrap();
    }
    let told = load("[auth]\npassword = 'p'", &[]).unwrap_err();
    assert!(!told.to_string().contains("HEADGATE"), "{told}");
}

#[test]
fn a_variable_that_sets_nothing_is_told_beside_the_problem_that_it_explains() {
    let variables = [
        ("HEADGATE_AUTH__USER", "u"),
        ("HEADGATE_AUTH_PASSWORD", "x"),
    ];
    let errors = load("", &variables).unwrap_err();
    assert_eq!(errors.problems().len(), 1, "{errors}");
    let told = errors.to_string();
    let (_, last) = told.rsplit_once('\n').unwrap();
    assert!(last.starts_with("warning: "), "{told}");
    assert!(
        last.ends_with("did you mean HEADGATE_AUTH__PASSWORD?"),
        "{told}"
    );
}

const HASH: &str = "sha256:0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f";

#[test]
fn a_right_file_is_taken_as_it_stands() {
    let config = right(concat!(
        "[server]\nlisten = '[::1]:0'\n[admin]\nlisten = ''\n",
        "[ingest]\ncodecs = { 'Text/JSON' = 'auto' }\nresponse_headers = { X-Served-By = 'gate' }\n",
        "[enrich]\necs_compatibility = 'v8'\ndrop_headers = ['X-Custom']\nremote_host_target_field = '[client][ip]'\n",
        "fields = { '[cloud][region]' = 'eu', n = 1 }\n",
        "[broker]\nurls = ['http://a/x', 'http://b:1']\nuser = 'u'\npassword = 'p:w'\n",
    ));
    assert_eq!(config.server.listen, "[::1]:0".parse().unwrap());
    assert_eq!(config.admin.listen, None);
    assert_eq!(
        config.ingest.codecs.into_iter().collect::<Vec<_>>(),
        [("text/json".to_owned(), Codec::Auto)]
    );
    assert_eq!(config.ingest.response_headers["x-served-by"], "gate");
    assert_eq!(config.enrich.ecs_compatibility, EcsCompatibility::V1);
    assert_eq!(config.enrich.drop_headers, ["x-custom"]);
    assert_eq!(
        config.enrich.remote_host_target_field.unwrap().path(),
        ["client", "ip"]
    );
    assert_eq!(
        serde_json::to_value(&config.enrich.fields).unwrap()["[cloud][region]"],
        "eu"
    );
    assert_eq!(config.broker.urls[0].as_str(), "http://a/x");
    assert_eq!(config.broker.password.expose(), "p:w");
}

#[test]
fn environment_beats_file_and_file_beats_default() {
    let text = "[server]\nlisten = '127.0.0.1:7777'\n[broker]\nmax_batch_events = 5\n";
    let variables = [
        ("HEADGATE_SERVER__LISTEN", "127.0.0.1:8888"),
        ("HEADGATE_INGEST__RESPONSE_CODE", "202"),
        ("HEADGATE_BROKER__URLS", "['http://a/']"),
        ("HEADGATE_OUTPUT__FILE__DIR", "elsewhere"),
        ("HEADGATE_AUTH__USER", "u"),
        ("HEADGATE_AUTH__PASSWORD", "12345"),
    ];
    let config = load(text, &variables).unwrap().config;
    assert_eq!(config.server.listen, "127.0.0.1:8888".parse().unwrap());
    assert_eq!(config.broker.max_batch_events, 5);
    assert_eq!(config.ingest.response_code, 202);
    assert_eq!(config.ingest.max_depth, Config::default().ingest.max_depth);
    assert_eq!(config.output_type(), OutputType::Http);
    assert_eq!(config.output.file.dir, Path::new("elsewhere"));
    assert_eq!(config.auth.password.expose(), "12345");
}

#[test]
fn what_only_looks_wrong_is_a_warning() {
    let loaded = load(
        "[server]\nlisten = '127.0.0.1:1'",
        &[("HEADGATE_PORT", "tcp://10.0.0.1:8080")],
    )
    .unwrap();
    let name = "HEADGATE_PORT".to_owned();
    assert_eq!(
        loaded.warnings,
        [Warning::UnknownVariable { name, meant: None }]
    );
    let meant = load("", &[("HEADGATE_LOG_LEVEL", "debug")])
        .unwrap()
        .warnings[0]
        .to_string();
    assert!(
        meant.ends_with("did you mean HEADGATE_LOG__LEVEL?"),
        "{meant}"
    );
    let listen = "0.0.0.0:8080".parse().unwrap();
    assert_eq!(
        load("", &[]).unwrap().warnings,
        [Warning::OpenToAll { listen }]
    );
    assert_eq!(
        load("[auth]\nuser = 'u'\npassword = 'p'", &[])
            .unwrap()
            .warnings,
        []
    );
}

#[test]
fn only_a_file_that_was_named_must_be_there() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    let (file, missing) = (folder.join("headgate.toml"), folder.join("missing.toml"));
    std::fs::write(&file, "\u{feff}[log]\nlevel = 'debug'\n").unwrap();

    let error = read_file(Some(&missing), &file).unwrap_err().to_string();
    assert!(
        error.contains("missing.toml: the configuration file cannot be read"),
        "{error}"
    );
    assert_eq!(
        read_file(None, &missing).unwrap(),
        (Table::default(), Source::Defaults)
    );
    let (tree, source) = read_file(None, &file).unwrap();
    assert_eq!(source, Source::File(file.clone()));
    assert_eq!(tree["log"]["level"].as_str(), Some("debug"));
    let folder_as_file = read_file(None, folder).unwrap_err();
    assert!(
        matches!(folder_as_file, Problem::Unreadable { .. }),
        "{folder_as_file}"
    );
    let named = Config::load_with(Some(&file), []).unwrap();
    assert_eq!(
        (named.source, named.config.log.level.as_str()),
        (Source::File(file), "debug")
    );
}

#[test]
fn the_effective_configuration_shows_no_secret() {
    let text = right(&format!(
        "[auth]\nuser = 'someone'\npassword = 'HIDDEN'\n[[auth.keys]]\nname = 'web'\nhash = '{HASH}'\nfields = {{ a = 1 }}\n\
         [broker]\nurls = ['http://a']\npassword = 'HIDDEN'\nuser = 'u'\nheaders = {{ X-Env = 'HIDDEN', X-Api-Key = 'HIDDEN' }}\n"
    ))
    .effective_toml();
    assert!(!text.contains("HIDDEN") && !text.contains("0f0f"), "{text}");
    for line in [
        r#"user = "someone""#,
        r#"password = "***""#,
        r#"keys = [{ name = "web", hash = "***", fields = { "[a]" = 1 }, events_per_second = 0, bytes_per_second = 0, allowed_origins = [] }]"#,
        r#"headers = { x-api-key = "***", x-env = "***" }"#,
        r#"urls = ["http://a/"]"#,
        r#"type = "http""#,
    ] {
        assert!(
            text.lines().any(|found| found == line),
            "{line} is not in\n{text}"
        );
    }
    text.parse::<Table>().unwrap();
}
