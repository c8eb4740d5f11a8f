//! Which source an event is counted under: the one that it tells when it leaves.

use super::*;
use crate::telemetry::Gauges;

/// What is counted after these bodies were sent, each with a key or without. Of each configuration to be asked once:
/// counts add up.
fn counted(toml: &str, bodies: &[(Option<usize>, &str)]) -> Vec<String> {
    let telemetry = &ready(toml).telemetry;
    for (key, body) in bodies {
        let sent = Sent {
            key: *key,
            ..Sent::to_logstash(toml, &[("content-type", "application/json")])
        };
        let envelope = sent.decode(body).unwrap().envelope;
        telemetry.source_events(&envelope.sources);
    }
    let page = telemetry.render(Gauges::default());
    let samples = page
        .lines()
        .filter_map(|line| line.strip_prefix("headgate_source_events_total"));
    let mut samples: Vec<String> = samples.map(str::to_owned).collect();
    samples.sort();
    samples
}

/// A key that forces these fields, and what source_fields there are.
fn forcing(fields: &str, source_fields: &str) -> String {
    let hash = format!("sha256:{}", "0".repeat(64));
    format!(
        "[metrics]\nsource_fields = {source_fields}\n\
        [[auth.keys]]\nname = 'k'\nhash = '{hash}'\nfields = {fields}\n"
    )
}

#[test]
fn a_forced_field_is_counted_whatever_the_event_says() {
    let toml = forcing("{ Application = 'web' }", "['Application', 'Component']");
    let bodies = [
        (Some(0), r#"{"Application":"billing","Component":"c"}"#),
        (Some(0), r#"{"Component":"c"}"#),
        (Some(0), r#"{"Application":{"a":1},"Component":"c"}"#),
        (Some(0), "{}"),
        (Some(0), "plain text"),
        (None, r#"{"Application":"billing","Component":"c"}"#),
        (None, "{}"),
    ];
    assert_eq!(
        counted(&toml, &bodies),
        [
            r#"{application="",component=""} 1"#,
            r#"{application="billing",component="c"} 1"#,
            r#"{application="web",component=""} 2"#,
            r#"{application="web",component="c"} 3"#,
        ]
    );
}

#[test]
fn each_key_has_its_own_also_where_they_are_long_and_alike() {
    let [one, other] = ["1", "2"].map(|middle| ["x"; 20].join("") + middle + &["x"; 20].join(""));
    let first = forcing(&format!("{{ Application = '{one}' }}"), "['Application']");
    let hash = format!("sha256:{}", "1".repeat(64));
    let toml = format!(
        "{first}[[auth.keys]]\nname = 'l'\nhash = '{hash}'\nfields = {{ Application = '{other}' }}"
    );
    let bodies = [
        (Some(0), "{}"),
        (Some(1), "{}"),
        (Some(0), "{}"),
        (Some(1), "[{},{}]"),
    ];
    assert_eq!(
        counted(&toml, &bodies),
        [
            format!("{{application=\"{one}\"}} 2"),
            format!("{{application=\"{other}\"}} 3"),
        ]
    );
}

#[test]
fn a_static_field_is_counted_where_the_event_has_none() {
    let toml = "[enrich]\nfields = { Environment = 'production' }\n[metrics]\nsource_fields = ['Environment']";
    let bodies = [
        (None, "{}"),
        (None, r#"[{"Environment":"test"},{"Environment":null}]"#),
        (None, "plain text"),
    ];
    assert_eq!(
        counted(toml, &bodies),
        [
            r#"{environment=""} 1"#,
            r#"{environment="production"} 2"#,
            r#"{environment="test"} 1"#,
        ]
    );
    let overwriting = toml.replace("[enrich]\n", "[enrich]\non_conflict = 'overwrite'\n");
    assert_eq!(
        counted(&overwriting, &bodies),
        [r#"{environment="production"} 4"#]
    );
}

#[test]
fn a_text_too_long_to_be_looked_into_is_counted_like_any_other() {
    for on_invalid in ["dead_letter", "tag"] {
        let toml = forcing("{ Application = 'web' }", "['Application']");
        let toml = format!(
            "{toml}\n[ingest]\nmax_event_bytes = '100B'\n[validate]\non_invalid = '{on_invalid}'"
        );
        let long = format!(r#"{{"Application":"billing","a":"{}"}}"#, "x".repeat(200));
        assert_eq!(
            counted(&toml, &[(Some(0), &long)]),
            [r#"{application="web"} 1"#],
            "{on_invalid}"
        );
    }
}

#[test]
fn what_is_counted_is_what_leaves() {
    let templates = [
        ("{ '[a][b]' = 'forced' }", ""),
        ("{ a = { b = 'forced', c = 1 } }", ""),
        ("{ a = { c = 1 } }", ""),
        ("{ '[a][c]' = 1 }", "{ '[a][b]' = 'static' }"),
        ("{}", "{ '[a][b]' = 'static' }"),
        ("{}", "{ a = { b = 'static' } }"),
        ("{}", "{ a = { c = 'static' } }"),
    ];
    let bodies = [
        "{}",
        r#"{"a":"own"}"#,
        r#"{"a":{}}"#,
        r#"{"a":{"b":"own"}}"#,
        r#"{"a":{"b":"first","\u0062":"own"}}"#,
        r#"{"a":{"b":"own"},"a":7}"#,
        r#"{"a":[{"b":"own"}]}"#,
    ];
    for (at, (forced, fixed)) in templates.into_iter().enumerate() {
        for (number, body) in bodies.into_iter().enumerate() {
            let fixed = if fixed.is_empty() { "{}" } else { fixed };
            let toml = forcing(forced, "['[a][b]']");
            let toml = format!("# {at} {number}\n{toml}[enrich]\nfields = {fixed}");
            let sent = Sent {
                toml: &toml,
                key: Some(0),
                ..Sent::default()
            };
            let leaves = sent.event(body)["a"]["b"].clone();
            assert_eq!(
                counted(&toml, &[(Some(0), body)]),
                [format!(
                    "{{a_b=\"{}\"}} 1",
                    leaves.as_str().unwrap_or_default()
                )],
                "{toml}: {body}"
            );
        }
    }
}
