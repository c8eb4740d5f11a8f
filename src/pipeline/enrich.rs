//! What is added to each event: templates made from the configuration once, rendered once a request, and spliced
//! into each event. Pure.

pub(super) mod event_id;
pub(super) mod headers;
pub(super) mod source;
pub(super) mod template;
mod trace;

use crate::config::{Config, EcsCompatibility, EcsField, Enrich, OnConflict, StaticFields};
use crate::units::FieldReference;
use source::ValueSource;
use template::{Leaf, Template, TemplateBuilder};

use super::Api;
use super::fields::Fields;

/// What is added on each of the two APIs.
pub(super) struct Templates {
    logstash: Template,
    events: Template,
}

impl Templates {
    /// `forced`: fields that replace the client's own.
    pub(super) fn new(config: &Config, forced: &StaticFields, fields: &mut Fields) -> Self {
        let mut template = |api| template(config, api, forced, fields);
        Self {
            logstash: template(Api::Logstash),
            events: template(Api::Events),
        }
    }

    pub(super) fn of(&self, api: Api) -> &Template {
        match api {
            Api::Logstash => &self.logstash,
            Api::Events => &self.events,
        }
    }

    /// The path of each field that is added on either of them.
    pub(super) fn paths(&self) -> impl Iterator<Item = Vec<String>> {
        [&self.logstash, &self.events]
            .into_iter()
            .flat_map(Template::paths)
    }
}

fn template(config: &Config, api: Api, forced: &StaticFields, fields: &mut Fields) -> Template {
    let enrich = &config.enrich;
    let leaf = |source| Leaf {
        source,
        conflict: enrich.on_conflict,
    };
    let mut builder = with_what_every_event_has();
    for (reference, source) in request_fields(config, api) {
        builder.add(&reference, leaf(source));
    }
    for (reference, source) in fields_of_its_own(enrich) {
        builder.add(reference, leaf(source));
    }
    if let Some(reference) = &enrich.id_field {
        let leaf = Leaf {
            source: ValueSource::EventId,
            // An event that has an id is known by it elsewhere.
            conflict: OnConflict::Keep,
        };
        builder.add(reference, leaf);
    }
    for (reference, value) in enrich.fields.iter() {
        builder.add(reference, leaf(ValueSource::fixed(value)));
    }
    for (reference, value) in forced.iter() {
        let leaf = Leaf {
            source: ValueSource::fixed(value),
            conflict: OnConflict::Overwrite,
        };
        builder.add(reference, leaf);
    }
    builder.build(&config.metrics.source_fields, fields)
}

/// Makes the template of what comes without a request.
pub(super) fn bare_template(config: &Config, fields: &mut Fields) -> Template {
    with_what_every_event_has().build(&config.metrics.source_fields, fields)
}

fn with_what_every_event_has() -> TemplateBuilder {
    let kept = |source| Leaf {
        source,
        conflict: OnConflict::Keep,
    };
    let mut builder = TemplateBuilder::default();
    builder.add(&path(&["@timestamp"]), kept(ValueSource::Now));
    builder.add(&path(&["@version"]), kept(ValueSource::version_1()));
    builder
}

/// The fields that tell of the request, where Logstash's http input puts them in this ECS mode. The application API never
/// adds the headers.
fn request_fields(config: &Config, api: Api) -> Vec<(FieldReference, ValueSource)> {
    let enrich = &config.enrich;
    let is_ecs = enrich.ecs_compatibility == EcsCompatibility::V1;
    let mut all = vec![(enrich.host_field(), ValueSource::ClientIp)];
    if let Some(target) = enrich.headers_field().filter(|_| api == Api::Logstash) {
        all.push((target, ValueSource::Headers));
    }
    if is_ecs {
        all.extend(EcsField::ALL.map(|field| (field.reference(), ecs_source(field))));
    }
    all
}

fn ecs_source(field: EcsField) -> ValueSource {
    match field {
        EcsField::HttpVersion => ValueSource::HttpVersion,
        EcsField::Method => ValueSource::Method,
        EcsField::BodyBytes => ValueSource::BodyBytes,
        EcsField::MimeType => ValueSource::MimeType,
        EcsField::UserAgent => ValueSource::UserAgent,
        EcsField::UrlDomain => ValueSource::UrlDomain,
        EcsField::UrlPort => ValueSource::UrlPort,
        EcsField::UrlPath => ValueSource::Target,
    }
}

/// The fields that tell of the request, and that Logstash does not have.
fn fields_of_its_own(enrich: &Enrich) -> impl Iterator<Item = (&FieldReference, ValueSource)> {
    let fields = [
        (&enrich.received_at_field, ValueSource::Now),
        (&enrich.client_ip_field, ValueSource::ClientIp),
        (&enrich.request_id_field, ValueSource::RequestId),
        (&enrich.trace_id_field, ValueSource::TraceId),
    ];
    fields
        .into_iter()
        .filter_map(|(field, source)| Some((field.as_ref()?, source)))
}

fn path(names: &[&str]) -> FieldReference {
    let text: String = names.iter().map(|name| format!("[{name}]")).collect();
    text.parse().expect("names in brackets are a reference")
}
