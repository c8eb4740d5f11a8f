//! `[enrich]`: what is added to each event. Plain data.

use http::HeaderName;
use serde::{Deserialize, Deserializer, Serialize, de};

use crate::config::{StaticFields, unset};
use crate::units::FieldReference;

/// What is added to each event.
#[derive(Debug, Clone, PartialEq, Deserialize, Serialize, validator::Validate)]
#[serde(deny_unknown_fields)]
pub struct Enrich {
    /// Which fields the request's data goes to.
    pub ecs_compatibility: EcsCompatibility,
    /// The field of the client's address; `None` (written `""`): the default of the ECS mode.
    #[serde(with = "unset")]
    pub remote_host_target_field: Option<FieldReference>,
    /// The field of the request's headers; `None` (written `""`): the default of the ECS mode.
    #[serde(with = "unset")]
    pub request_headers_target_field: Option<FieldReference>,
    /// Whether the request's headers become a field at all.
    pub headers: bool,
    /// Headers that never reach an event, in lower case.
    #[serde(deserialize_with = "header_names")]
    pub drop_headers: Vec<String>,
    /// What happens to a field that the event already has.
    pub on_conflict: OnConflict,
    /// Fields added to every event.
    pub fields: StaticFields,
    /// The field of an id that every event has for itself; `None` (written `""`), here and below: not added.
    #[serde(with = "unset")]
    pub id_field: Option<FieldReference>,
    /// The field of the time of arrival.
    #[serde(with = "unset")]
    pub received_at_field: Option<FieldReference>,
    /// The field of the client's address, beside the one of Logstash.
    #[serde(with = "unset")]
    pub client_ip_field: Option<FieldReference>,
    /// The field of the request's id.
    #[serde(with = "unset")]
    pub request_id_field: Option<FieldReference>,
    /// The field of the id of the trace that the request belongs to.
    #[serde(with = "unset")]
    pub trace_id_field: Option<FieldReference>,
}

impl Enrich {
    /// The keys that name a field, each with the field; those that are unset apart.
    pub(super) fn named_fields(&self) -> Vec<(&'static str, &FieldReference)> {
        let keys = [
            (
                "enrich.remote_host_target_field",
                &self.remote_host_target_field,
            ),
            (
                "enrich.request_headers_target_field",
                &self.request_headers_target_field,
            ),
            ("enrich.id_field", &self.id_field),
            ("enrich.received_at_field", &self.received_at_field),
            ("enrich.client_ip_field", &self.client_ip_field),
            ("enrich.request_id_field", &self.request_id_field),
            ("enrich.trace_id_field", &self.trace_id_field),
        ];
        let set = keys
            .into_iter()
            .filter_map(|(key, field)| Some((key, field.as_ref()?)));
        let fixed = self
            .fields
            .iter()
            .map(|(field, _)| ("enrich.fields", field));
        set.chain(fixed).collect()
    }
}

impl Enrich {
    /// The field of the client's address: as set, or as Logstash's http input has it in the ECS mode.
    pub fn host_field(&self) -> FieldReference {
        let default = match self.ecs_compatibility {
            EcsCompatibility::Disabled => "host",
            EcsCompatibility::V1 => "[host][ip]",
        };
        let field = self.remote_host_target_field.clone();
        field.unwrap_or_else(|| default.parse().expect("it is a reference"))
    }

    /// The field of the request's headers, likewise; none where they become no field. In ECS mode they are
    /// metadata, which is not forwarded, unless a field is set.
    pub fn headers_field(&self) -> Option<FieldReference> {
        if !self.headers {
            return None;
        }
        match (&self.request_headers_target_field, self.ecs_compatibility) {
            (Some(field), _) => Some(field.clone()),
            (None, EcsCompatibility::V1) => None,
            (None, EcsCompatibility::Disabled) => {
                Some("headers".parse().expect("it is a reference"))
            }
        }
    }
}

/// A field of a request that the ECS mode adds beside its address, and that no key moves.
#[derive(Debug, Clone, Copy)]
pub enum EcsField {
    /// `[http][version]`
    HttpVersion,
    /// `[http][method]`
    Method,
    /// `[http][request][body][bytes]`
    BodyBytes,
    /// `[http][request][mime_type]`
    MimeType,
    /// `[user_agent][original]`
    UserAgent,
    /// `[url][domain]`
    UrlDomain,
    /// `[url][port]`
    UrlPort,
    /// `[url][path]`
    UrlPath,
}

impl EcsField {
    /// All of them.
    pub const ALL: [Self; 8] = [
        Self::HttpVersion,
        Self::Method,
        Self::BodyBytes,
        Self::MimeType,
        Self::UserAgent,
        Self::UrlDomain,
        Self::UrlPort,
        Self::UrlPath,
    ];

    /// Where it is in an event.
    pub fn reference(self) -> FieldReference {
        let reference = match self {
            Self::HttpVersion => "[http][version]",
            Self::Method => "[http][method]",
            Self::BodyBytes => "[http][request][body][bytes]",
            Self::MimeType => "[http][request][mime_type]",
            Self::UserAgent => "[user_agent][original]",
            Self::UrlDomain => "[url][domain]",
            Self::UrlPort => "[url][port]",
            Self::UrlPath => "[url][path]",
        };
        reference.parse().expect("it is a reference")
    }
}

/// Which fields the request's data goes to, as in Logstash.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum EcsCompatibility {
    /// `host` and `headers`.
    Disabled,
    /// The fields of the Elastic Common Schema; `v8` means the same.
    #[serde(alias = "v8")]
    V1,
}

/// What happens to a field that the event already has.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum OnConflict {
    /// It stays as the client sent it.
    Keep,
    /// It is replaced.
    Overwrite,
}

/// Header names are compared in lower case, so they are kept in it. A text that names none would let through what it was
/// meant to hold back (`Cookie:`).
fn header_names<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<String>, D::Error> {
    const FORM: &str = "the name of an HTTP header, such as \"cookie\"";
    let names = Vec::<String>::deserialize(deserializer)?;
    let name = |text: &String| {
        let name = text.parse::<HeaderName>().ok();
        let refused = || de::Error::invalid_value(de::Unexpected::Str(text), &FORM);
        name.map(|name| name.as_str().to_owned())
            .ok_or_else(refused)
    };
    names.iter().map(name).collect()
}
