//! Checks that what is added to events finds a place in them. Pure.

use crate::config::merge::Merge;
use crate::config::{Config, EcsCompatibility, EcsField};
use crate::units::FieldReference;

/// Of two fields of which one is part of the other, only one could be added.
pub(super) fn check(config: &Config, merge: &mut Merge<'_>) {
    let fields = config.enrich.named_fields();
    check_meanings(&fields, merge);
    check_defaults(config, &fields, merge);
    check_ecs_fields(config, &fields, merge);
    for (index, (key, field)) in fields.iter().enumerate() {
        for (other_key, other) in &fields[..index] {
            if is_one_within_the_other(field, other) && key != other_key {
                let rule = "each must name a field of its own, none inside another";
                merge.contradiction(&[other_key, key], rule);
            }
        }
    }
}

fn is_one_within_the_other(one: &FieldReference, other: &FieldReference) -> bool {
    one.contains(other) || other.contains(one)
}

/// Fields of one's own may take the place of any other: they are a deliberate value for it.
const FIXED: &str = "enrich.fields";

/// What goes to this field is an object.
const HEADERS: &str = "enrich.request_headers_target_field";

/// What has a meaning whatever is configured: a client's address there is no time, no version, and not what was sent.
fn check_meanings(fields: &[(&'static str, &FieldReference)], merge: &mut Merge<'_>) {
    const TAKEN: [&str; 3] = ["@timestamp", "@version", "message"];
    for (key, field) in fields {
        let [top, inside @ ..] = field.path() else {
            unreachable!("a reference has at least one name");
        };
        let is_time_of_its_own =
            *key == "enrich.received_at_field" && top == "@timestamp" && inside.is_empty();
        if *key != FIXED && TAKEN.contains(&top.as_str()) && !is_time_of_its_own {
            let allowed = "another field than `@timestamp`, `@version` and `message`, which are not for this, and none inside them";
            merge.refuse(key, allowed.to_owned());
        }
        if ![FIXED, HEADERS].contains(key) && top == "@metadata" && inside.is_empty() {
            let allowed = "a field inside `@metadata`, such as `[@metadata][id]`: where that is no object, Logstash makes one text of a whole batch";
            merge.refuse(key, allowed.to_owned());
        }
    }
}

/// A field that is added where its key is unset takes no other key's place.
fn check_defaults(config: &Config, fields: &[(&str, &FieldReference)], merge: &mut Merge<'_>) {
    let host = Some(config.enrich.host_field());
    for (default_key, default) in [
        ("enrich.remote_host_target_field", host),
        (HEADERS, config.enrich.headers_field()),
    ] {
        let is_set = fields.iter().any(|(set, _)| *set == default_key);
        let Some(default) = default.filter(|_| !is_set) else {
            continue;
        };
        for (key, field) in fields {
            if *key != FIXED && is_one_within_the_other(field, &default) {
                let rule = "each must name a field of its own, none inside another; where they are unset, the address goes to \
                            `host`, with ECS to `[host][ip]`, and the headers to `headers`";
                merge.contradiction(&[default_key, key], rule);
            }
        }
    }
}

/// Neither do the fields that only the ECS mode adds.
fn check_ecs_fields(config: &Config, fields: &[(&str, &FieldReference)], merge: &mut Merge<'_>) {
    if config.enrich.ecs_compatibility != EcsCompatibility::V1 {
        return;
    }
    for (key, field) in fields {
        let is_taken = EcsField::ALL
            .iter()
            .any(|added| is_one_within_the_other(field, &added.reference()));
        if *key != FIXED && is_taken {
            let rule = "this field, or one inside it, is added with ECS already: `[http][version]`, `[http][method]`, \
                        `[http][request][body][bytes]`, `[http][request][mime_type]`, `[user_agent][original]`, `[url][domain]`, \
                        `[url][port]` and `[url][path]` are";
            merge.contradiction(&["enrich.ecs_compatibility", key], rule);
        }
    }
}
