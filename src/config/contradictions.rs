//! Checks of values against their ranges and against each other. Pure.

mod added_fields;

use std::collections::HashMap;
use std::path::{Component, Path, PathBuf};

use url::Url;

use crate::config::merge::Merge;
use crate::config::{
    Broker, ClientAuth, Compression, Config, Durability, OutputType, SchemaFile, listeners, ranges,
};
use crate::units::Secret;
use crate::units::secret::MASK;

/// Notes every value out of its range.
pub(super) fn check_ranges(config: &Config, merge: &mut Merge<'_>) {
    for (key, allowed) in ranges::all_out_of_range(config) {
        merge.refuse(&key, allowed);
    }
}

/// Notes every contradiction.
pub(super) fn check(config: &Config, merge: &mut Merge<'_>) {
    listeners::check(config, merge);
    check_server_tls(config, merge);
    check_folders(config, merge);
    check_limits(config, merge);
    added_fields::check(config, merge);
    check_schema(config, merge);
    check_broker(config, merge);
    check_auth(config, merge);
    check_labels(config, merge);
}

fn check_server_tls(config: &Config, merge: &mut Merge<'_>) {
    let tls = &config.server.tls;
    if tls.certificate.is_some() != tls.key.is_some() {
        merge.contradiction(&["server.tls.certificate", "server.tls.key"], BOTH);
    }
    let keys = ["server.tls.client_auth", "server.tls.client_ca"];
    match (tls.client_auth, &tls.client_ca) {
        (ClientAuth::None, None) | (ClientAuth::Optional | ClientAuth::Required, Some(_)) => {}
        (ClientAuth::None, Some(_)) => {
            let rule = "no client is asked for a certificate: set client_auth to \"optional\" or \"required\", or client_ca to \"\"";
            merge.contradiction(&keys, rule);
        }
        (ClientAuth::Optional | ClientAuth::Required, None) => {
            let rule = "a client's certificate is checked against client_ca: set it, or client_auth to \"none\"";
            merge.contradiction(&keys, rule);
        }
    }
    let is_off = tls.certificate.is_none() && tls.key.is_none();
    if is_off && tls.client_auth != ClientAuth::None && tls.client_ca.is_some() {
        let rule = "clients are asked for a certificate within TLS only: set certificate and key";
        let all = ["server.tls.certificate", "server.tls.key"];
        merge.contradiction(&[&all[..], &keys].concat(), rule);
    }
}

/// Each of these folders has a lock or files of its own.
fn check_folders(config: &Config, merge: &mut Merge<'_>) {
    let spool = (config.ingest.durability == Durability::Disk).then_some(&config.spool.dir);
    let output = (config.output_type() == OutputType::File).then_some(&config.output.file.dir);
    let used = [
        ("spool.dir", spool),
        ("dead_letters.dir", Some(&config.dead_letters.dir)),
        ("output.file.dir", output),
    ];
    let used: Vec<(&str, &PathBuf)> = used
        .into_iter()
        .filter_map(|(key, dir)| Some((key, dir?)))
        .collect();
    for (index, (key, dir)) in used.iter().enumerate() {
        for (other_key, other) in &used[..index] {
            if is_same_folder(dir, other) {
                let rule = "each needs a folder of its own";
                merge.contradiction(&[other_key, key], rule);
            }
        }
    }
}

/// Whether two paths are the same but for their spelling. `..` is left alone: behind a link it leads
/// elsewhere than it reads.
fn is_same_folder(one: &Path, other: &Path) -> bool {
    let named = |path| Path::components(path).filter(|part| *part != Component::CurDir);
    named(one).eq(named(other))
}

fn check_limits(config: &Config, merge: &mut Merge<'_>) {
    if config.spool.segment_bytes > config.spool.max_bytes {
        let rule = "a segment must not be larger than the whole spool";
        merge.contradiction(&["spool.segment_bytes", "spool.max_bytes"], rule);
    }
    if config.broker.retry_initial > config.broker.retry_max {
        let rule = "the first wait must not be longer than the longest";
        merge.contradiction(&["broker.retry_initial", "broker.retry_max"], rule);
    }
}

fn check_schema(config: &Config, merge: &mut Merge<'_>) {
    if config.validate.schema.is_some() && config.ingest.max_depth > SchemaFile::MAX_DEPTH {
        let rule = "what is checked by a schema must not be nested more than 127 levels deep";
        merge.contradiction(&["validate.schema", "ingest.max_depth"], rule);
    }
}

fn check_broker(config: &Config, merge: &mut Merge<'_>) {
    let broker = &config.broker;
    if config.output_type() == OutputType::Http && broker.urls.is_empty() {
        let rule = "the http output needs at least one URL of a Broker";
        merge.contradiction(&["output.type", "broker.urls"], rule);
    }
    let keys = ["broker.user", "broker.password"];
    let credentials = (&*broker.user, &broker.password);
    check_credentials(keys, credentials, BROKER_PASSWORD_MISSING, merge);
    if !broker.user.is_empty() && broker.headers.contains_key(http::header::AUTHORIZATION) {
        let rule = "both say what the Authorization header is: keep one of them";
        merge.contradiction(&["broker.user", "broker.headers"], rule);
    }
    if broker.compression != Compression::None
        && broker.headers.contains_key(http::header::CONTENT_ENCODING)
    {
        let rule = "both say what the Content-Encoding header is: keep one of them";
        merge.contradiction(&["broker.compression", "broker.headers"], rule);
    }
    check_broker_tls(broker, merge);
}

fn check_broker_tls(broker: &Broker, merge: &mut Merge<'_>) {
    let tls = &broker.tls;
    if tls.client_certificate.is_some() != tls.client_key.is_some() {
        let keys = ["broker.tls.client_certificate", "broker.tls.client_key"];
        merge.contradiction(&keys, BOTH);
    }
    let is_plain = |url: &Url| url.scheme() == "http";
    let settings = tls.files().settings();
    if !settings.is_empty() && !broker.urls.is_empty() && broker.urls.iter().all(is_plain) {
        let rule = "TLS is for URLs with the scheme https, and none of these has it";
        merge.contradiction(&[&["broker.urls"], &settings[..]].concat(), rule);
    }
}

const BOTH: &str = "both must be set, or neither";

const AUTH_PASSWORD_MISSING: &str = "both must be set, or neither; the password may also be in the environment of this command, \
                                     as HEADGATE_AUTH__PASSWORD";

const BROKER_PASSWORD_MISSING: &str = "both must be set, or neither; the password may also be in the environment of this command, \
                                       as HEADGATE_BROKER__PASSWORD";

fn check_credentials(
    keys: [&str; 2],
    (user, password): (&str, &Secret),
    password_missing: &'static str,
    merge: &mut Merge<'_>,
) {
    check_user(keys[0], user, merge);
    if user.is_empty() != password.is_empty() {
        let rule = if password.is_empty() {
            password_missing
        } else {
            BOTH
        };
        merge.contradiction(&keys, rule);
    }
}

/// RFC 7617, section 2: the password begins after the first colon, and neither has control characters.
fn check_user(key: &str, user: &str, merge: &mut Merge<'_>) {
    let fault = if user.contains(':') {
        "a name without a colon, which HTTP Basic cannot tell from the password"
    } else if user.contains(char::is_control) {
        "a name without control characters, such as a line break at its end"
    } else {
        return;
    };
    merge.refuse(key, fault.to_owned());
}

fn check_auth(config: &Config, merge: &mut Merge<'_>) {
    let auth = &config.auth;
    let keys = ["auth.user", "auth.password"];
    let credentials = (&*auth.user, &auth.password);
    check_credentials(keys, credentials, AUTH_PASSWORD_MISSING, merge);
    let mut names = HashMap::new();
    let mut hashes = HashMap::new();
    for (index, key) in auth.keys.iter().enumerate() {
        let own = |what, first| format!("a {what} of its own: auth.keys[{first}] has the same");
        if let Some(first) = names.insert(&key.name, index) {
            merge.refuse_of_api_key(index, "name", &key.name, own("name", first));
        }
        if let Some(first) = hashes.insert(key.hash.as_bytes(), index) {
            merge.refuse_of_api_key(index, "hash", MASK, own("hash", first));
        }
        if key.name == auth.user {
            let rule = "another name than auth.user: HTTP Basic could not tell them apart";
            merge.refuse_of_api_key(index, "name", &key.name, rule.to_owned());
        }
    }
}

fn check_labels(config: &Config, merge: &mut Merge<'_>) {
    let mut labels = config.metrics.source_labels();
    labels.sort();
    if labels.windows(2).any(|pair| pair[0] == pair[1]) {
        let rule = "two of these fields would have the same label";
        merge.contradiction(&["metrics.source_fields"], rule);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn folders_are_the_same_however_they_are_spelt() {
        for (one, other, expected) in [
            ("data/spool", "data/spool", true),
            ("data/spool", "./data//spool/.", true),
            ("/data", "/data/", true),
            (".", "./", true),
            ("data", "/data", false),
            ("data", "data/spool", false),
            ("data", "data/link/..", false),
        ] {
            let (one, other) = (Path::new(one), Path::new(other));
            assert_eq!(is_same_folder(one, other), expected, "{one:?} {other:?}");
        }
    }
}
