//! The request's headers as a field.

use serde_json::{Value, json};

use super::Sent;

#[test]
fn headers_are_shown_as_logstash_shows_them() {
    let headers = [
        ("content-type", "application/json"),
        ("x-twice", "first"),
        ("x-twice", "last"),
        ("x_a", "underscore"),
        ("x-a", "dash"),
        ("x_b-c", "the second dash"),
        ("x-b_c", "the first dash"),
        ("request-method", "FORGED"),
        ("http-host", "FORGED"),
        ("content_length", "FORGED"),
        ("cookie", "dropped"),
        ("expect", "100-continue"),
        ("x-quote", "a\"b\\c"),
    ];
    let event = Sent::to_logstash("", &headers).event("{}");
    assert_eq!(
        event["headers"],
        json!({
            "request_method": "POST", "request_path": "/in?x=1", "http_version": "HTTP/1.1", "http_host": "logs.example:8080",
            "content_length": "2", "content_type": "application/json", "x_twice": "last", "x_a": "dash", "x_b_c": "the first dash",
            "x_quote": "a\"b\\c",
        })
    );
    let own = Sent::to_logstash("", &headers).event(r#"{"headers":"mine"}"#);
    assert_eq!(own["headers"], "mine");
    let events = Sent {
        headers: &headers,
        ..Sent::default()
    }
    .event("{}");
    assert_eq!(events.get("headers"), None::<&Value>);
}

#[test]
fn a_quote_in_a_name_stays_in_it() {
    // HTTP/2's library takes it, HTTP/1's does not.
    for name in ["x\"y", "\"", "x-\"\"-y", "accept\"", "\"http_host"] {
        let event = Sent::to_logstash("", &[(name, "v")]).event("{}");
        assert_eq!(event["headers"][name.replace('-', "_")], "v", "{event}");
    }
}

#[test]
fn the_length_is_that_of_the_body_without_its_codings() {
    let packed = zstd::encode_all(&br#"{"a":1}"#[..], 3).unwrap();
    let length = packed.len().to_string();
    let headers = [
        ("content-type", "application/json"),
        ("content-encoding", "zstd"),
        ("content-length", &length),
    ];
    let event = Sent::to_logstash("", &headers).event(&packed);
    assert_eq!(event["headers"]["content_length"], "7");
    assert_eq!(event["headers"].get("content_encoding"), None);
    let ecs = "[enrich]\necs_compatibility = 'v8'";
    let event = Sent::to_logstash(ecs, &headers).event(&packed);
    assert_eq!(event["http"]["request"]["body"]["bytes"], "7");
    let drops = "[enrich]\ndrop_headers = ['content-length']";
    let event = Sent::to_logstash(drops, &headers).event(&packed);
    assert_eq!(event["headers"].get("content_length"), None);
}

#[test]
fn headers_that_are_cut_are_told_also_where_nothing_of_one_is_left() {
    let long = "x".repeat(16_000);
    let long_name = format!("x-{}", "n".repeat(1_000));
    for (headers, is_cut) in [
        (&[("x-a", long.as_str()), (&long_name, "1")][..], true),
        (&[("x-a", &long), ("x-b", "1")], false),
    ] {
        let sent = Sent {
            headers,
            ..Sent::to_logstash("", &[])
        };
        let event = sent.event("{}");
        assert_eq!(event["tags"] == json!(["_headerscut"]), is_cut, "{event}");
    }
}

#[test]
fn a_header_without_a_value_is_cut_with_a_word_too() {
    let mut seen = [false; 2];
    for fill in 16_100..16_384 {
        let filling = "y".repeat(fill);
        let headers = [("x-fill", filling.as_str()), ("x-zz", "")];
        let event = Sent::to_logstash("", &headers).event("{}");
        let is_whole = event["headers"]["x_fill"] == filling && event["headers"]["x_zz"] == "";
        assert_eq!(event["tags"] == json!(["_headerscut"]), !is_whole, "{fill}");
        seen[usize::from(is_whole)] = true;
    }
    assert_eq!(seen, [true, true]);
}

#[test]
fn headers_that_are_dropped_reach_no_field() {
    let drop = "drop_headers = ['User-Agent', 'Content-Type', 'Host']";
    let event = |ecs: &str| {
        Sent {
            toml: &format!("[enrich]\necs_compatibility = '{ecs}'\n{drop}\n"),
            ..Sent::default()
        }
        .event("{}")
    };
    let ecs = event("v1");
    assert!(ecs.get("user_agent").is_none(), "{ecs}");
    assert!(ecs["http"]["request"].get("mime_type").is_none(), "{ecs}");
    assert_eq!(ecs["url"].as_object().unwrap().len(), 1, "{ecs}");
    let logstash = event("disabled");
    for name in ["http_host", "http_user_agent", "content_type"] {
        assert!(logstash["headers"].get(name).is_none(), "{logstash}");
    }
}
