//! The fields that Logstash does not have: ids of events, the time of arrival, the client's address, the ids of the
//! request and of its trace.

use std::collections::BTreeSet;

use serde_json::{Value, json};
use uuid::{Uuid, Version};

use super::{Api, NOW, Sent, value};

const JSON: &[(&str, &str)] = &[("content-type", "application/json")];

const ID: &str = "[enrich]\nid_field = '[event][id]'\n";

fn with_ids(toml: &str) -> Sent<'_> {
    Sent {
        toml,
        ..Sent::default()
    }
}

fn id(event: &Value) -> Uuid {
    let id = event["event"]["id"].as_str().unwrap();
    assert_eq!(id, id.to_lowercase());
    let id: Uuid = id.parse().unwrap();
    assert_eq!(id.get_version(), Some(Version::SortRand));
    id
}

#[test]
fn all_fields_are_added_on_both_apis() {
    let toml = "[enrich]\nid_field = 'id'\nreceived_at_field = '[event][ingested]'\nclient_ip_field = '[client][ip]'\n\
        request_id_field = '[request][id]'\ntrace_id_field = '[trace][id]'\nheaders = false\n";
    let trace = "4bf92f3577b34da6a3ce929d0e0e4736";
    let traceparent = format!("00-{trace}-00f067aa0ba902b7-01");
    let headers = [JSON[0], ("traceparent", traceparent.as_str())];
    for api in [Api::Events, Api::Logstash] {
        let sent = Sent {
            api,
            toml,
            headers: &headers,
            ..Sent::default()
        };
        let mut event = sent.event(r#"{"a":1}"#);
        assert!(event["id"].take().as_str().unwrap().parse::<Uuid>().is_ok());
        assert_eq!(
            event,
            json!({
                "a": 1, "@timestamp": NOW, "@version": "1", "host": "192.0.2.7", "id": null,
                "event": {"ingested": NOW}, "client": {"ip": "192.0.2.7"},
                "request": {"id": "test-request"}, "trace": {"id": trace},
            })
        );
    }
}

#[test]
fn without_a_trace_there_is_no_field_for_it() {
    let toml = "[enrich]\ntrace_id_field = '[trace][id]'\n";
    for headers in [
        &[][..],
        &[(
            "traceparent",
            "00-00000000000000000000000000000000-00f067aa0ba902b7-01",
        )],
    ] {
        let sent = Sent {
            toml,
            headers,
            ..Sent::default()
        };
        assert_eq!(sent.event("{}").get("trace"), None);
        let event = sent.event(r#"{"trace":{"own":1}}"#);
        assert_eq!(event["trace"], json!({"own": 1}));
    }
}

#[test]
fn what_a_request_has_no_value_for_replaces_nothing() {
    let toml = "[enrich]\non_conflict = 'overwrite'\ntrace_id_field = '[trace][id]'\n";
    let own = json!({"id": "own", "x": 1});
    let sent = Sent {
        toml,
        ..Sent::default()
    };
    assert_eq!(sent.event(json!({"trace": own}).to_string())["trace"], own);
    assert_eq!(sent.event(r#"{"trace":"own"}"#)["trace"], json!("own"));
    let sent = Sent {
        toml: "[enrich]\non_conflict = 'overwrite'\ntrace_id_field = '[tags][trace]'\n",
        ..Sent::default()
    };
    let event = sent.event(r#"{"tags":["a"],"@timestamp":"bad"}"#);
    assert_eq!(event["tags"], json!(["a", "_timestampparsefailure"]));
    let sent = Sent {
        toml: "[enrich]\non_conflict = 'overwrite'\nid_field = '[trace][event]'\ntrace_id_field = '[trace][id]'\n",
        ..Sent::default()
    };
    let event = sent.event(r#"{"trace":"own"}"#);
    assert_eq!(
        event["trace"],
        json!("own"),
        "an id alone overwrites nothing"
    );
}

#[test]
fn a_tag_that_is_there_is_not_added_again() {
    for tags in [
        r#"["a","_timestampparsefailure"]"#,
        r#"["_timestamp\u0070arsefailure"]"#,
        r#""_timestampparsefailure""#,
    ] {
        let body = format!(r#"{{"@timestamp":"bad","tags":{tags}}}"#);
        let event = Sent::default().event(&body);
        let tags = event["tags"].as_array().unwrap();
        let same = tags.iter().filter(|tag| *tag == "_timestampparsefailure");
        assert_eq!(same.count(), 1, "{event}");
    }
}

#[test]
fn every_event_has_an_id_of_its_own_in_the_order_of_the_events() {
    let body = r#"[{"a":1},{"event":{"x":1}},{"tags":1,"@timestamp":"bad"},{"event":{"x":1,"y":{}},"a":2},{}]"#;
    for toml in [
        ID.to_owned(),
        format!("{ID}fields = {{ '[event][kind]' = 'log' }}\n"),
    ] {
        let ids: Vec<Uuid> = with_ids(&toml).events(body).iter().map(id).collect();
        assert_eq!(ids.len(), 5);
        assert!(ids.is_sorted(), "{ids:?}");
        let different: BTreeSet<Uuid> = ids.into_iter().collect();
        assert_eq!(different.len(), 5);
    }
    let [one, other] = [(); 2].map(|()| id(&with_ids(ID).event("{}")));
    assert_ne!(one, other);
}

#[test]
fn an_id_is_put_in_without_touching_the_rest() {
    let line = with_ids(ID).lines(r#"{ "n" : 1e400 }"#).remove(0);
    let id = id(&serde_json::from_str(&line.replace("1e400", "1")).unwrap());
    let rest = r#""@timestamp":"2026-11-23T08:15:30.123Z","@version":"1","host":"192.0.2.7","event":{"id":"#;
    assert_eq!(line, format!("{{ \"n\" : 1e400 ,{rest}\"{id}\"}}}}"));
}

#[test]
fn an_id_at_the_top_is_as_good_in_an_empty_event() {
    let toml = "[enrich]\nid_field = 'id'\n";
    let line = with_ids(toml).lines("{}").remove(0);
    let event = value(&line);
    assert!(event["id"].as_str().unwrap().parse::<Uuid>().is_ok());
    let names: Vec<&String> = event.as_object().unwrap().keys().collect();
    assert_eq!(names, ["@timestamp", "@version", "host", "id"]);
}

#[test]
fn an_id_that_is_there_stays_whatever_it_is() {
    for conflict in ["keep", "overwrite"] {
        let toml =
            format!("{ID}on_conflict = '{conflict}'\nfields = {{ '[event][kind]' = 'log' }}\n");
        for (event, own) in [
            (r#"{"event":{"id":"own"}}"#, json!("own")),
            (r#"{"\u0065vent":{"x":1,"i\u0064":7}}"#, json!(7)),
            (r#"{"event":{"id":null}}"#, json!(null)),
            (r#"{"event":{"id":{}},"@timestamp":"bad"}"#, json!({})),
            (
                r#"{"event":{"id":"first"},"event":{"id":"last"}}"#,
                json!("last"),
            ),
        ] {
            let event = with_ids(&toml).event(event);
            assert_eq!(event["event"]["id"], own);
            assert_eq!(event["event"]["kind"], "log");
        }
    }
}

#[test]
fn what_stands_where_the_id_would_go_is_treated_like_any_other_field() {
    for event in [
        r#"{"event":"text"}"#,
        r#"{"event":["id"]}"#,
        r#"{"event":null}"#,
    ] {
        let own = &value(event)["event"];
        let kept = with_ids(ID).event(event);
        assert_eq!(kept["event"], *own);
        // As it replaces what is in the way of a fixed field beside it.
        let toml =
            format!("{ID}on_conflict = 'overwrite'\nfields = {{ '[event][kind]' = 'log' }}\n");
        let replaced = with_ids(&toml).event(event);
        assert_eq!(replaced["event"]["kind"], "log");
        id(&replaced);
    }
}

#[test]
fn the_last_of_doubled_objects_gets_the_id() {
    let event = with_ids(ID).event(r#"{"event":{"id":"gone"},"event":{"x":1}}"#);
    id(&event);
    assert_eq!(event["event"]["x"], 1);
}

#[test]
fn text_and_dead_letters_have_ids_too() {
    let sent = Sent::to_logstash(ID, &[]);
    id(&sent.event("plain"));
    let toml = format!("{ID}[validate]\nrequired = ['a']\n");
    let letters =
        Sent::to_logstash(&toml, JSON).letters(r#"[{"b":1},{"b":2,"event":{"id":"own"}}]"#);
    id(&letters[0]["event"]);
    assert_eq!(letters[1]["event"]["event"]["id"], "own");
    let toml = format!("{toml}on_invalid = 'tag'\n");
    let tagged = Sent::to_logstash(&toml, JSON).event(r#"{"b":1}"#);
    id(&tagged);
    assert_eq!(tagged["headgate"]["errors"][0]["code"], "required");
}

#[test]
fn an_id_inside_headgate_stands_beside_the_errors() {
    let toml =
        "[enrich]\nid_field = '[headgate][id]'\n[validate]\nrequired = ['a']\non_invalid = 'tag'\n";
    let event = Sent::to_logstash(toml, JSON).event(r#"{"b":1}"#);
    assert!(
        event["headgate"]["id"]
            .as_str()
            .unwrap()
            .parse::<Uuid>()
            .is_ok()
    );
    assert_eq!(event["headgate"]["errors"][0]["code"], "required");
}

#[test]
fn a_forced_field_wins_over_the_id() {
    let hash = format!("sha256:{}", "0".repeat(64));
    let toml = format!(
        "{ID}[auth]\nkeys = [{{ name = 'k', hash = '{hash}', fields = {{ '[event][id]' = 'forced' }} }}]\n"
    );
    let sent = Sent {
        toml: &toml,
        key: Some(0),
        ..Sent::default()
    };
    assert_eq!(
        sent.event(r#"{"event":{"id":"own"}}"#)["event"]["id"],
        "forced"
    );
}
