//! What looks wrong in a configuration and is no error. Pure.

use std::fmt;
use std::net::SocketAddr;

use ipnet::IpNet;

use crate::config::{
    Config, Durability, EcsCompatibility, EcsField, Ingest, OutputType, ProxyProtocol,
};
use crate::units::{ByteSize, FieldReference};

/// Something that looks wrong and is no error.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Warning {
    /// An environment variable with the program's prefix sets nothing.
    UnknownVariable {
        /// Its name.
        name: String,
        /// The variable that may have been meant.
        meant: Option<String>,
    },
    /// Everybody who reaches the public listener may send.
    OpenToAll {
        /// The address of the listener.
        listen: SocketAddr,
    },
    /// Everybody who reaches the public listener may say who its client is.
    ProxyHeadersOfAll {
        /// The address of the listener.
        listen: SocketAddr,
        /// Whether connections begin with a PROXY header.
        mode: ProxyProtocol,
    },
    /// Every address is that of a trusted proxy, and so may say who its client is.
    EveryProxyTrusted {
        /// The network of `server.trusted_proxies` that all addresses are in.
        network: IpNet,
    },
    /// Some of the bodies that are allowed can never be taken.
    BodiesBeyondBudget {
        /// `ingest.max_content_length`.
        allowed: ByteSize,
        /// `ingest.max_in_flight_bytes`.
        budget: ByteSize,
    },
    /// Some of the bodies that are allowed do not fit into the queue in memory.
    BodiesBeyondQueue {
        /// `ingest.max_content_length`.
        allowed: ByteSize,
        /// `spool.memory_bytes`.
        queue: ByteSize,
    },
    /// A limit that was set is beyond another one, which counts first.
    LimitWithoutEffect {
        /// Its key.
        key: &'static str,
        /// Its value.
        limit: ByteSize,
        /// The key of the other one.
        first_key: &'static str,
        /// The value of the other one.
        first: ByteSize,
    },
    /// A segment is a large part of the spool.
    LargeSegments {
        /// `spool.segment_bytes`.
        segment: ByteSize,
        /// `spool.max_bytes`.
        spool: ByteSize,
    },
    /// There are Brokers, and nothing is sent to them.
    UnusedBrokers {
        /// `output.type`.
        output: OutputType,
    },
    /// The headers have a field, and are not added.
    UnusedHeadersField {
        /// `enrich.request_headers_target_field`.
        field: FieldReference,
    },
    /// A field of one's own is inside one that tells of the request, or around it, so that this one has no place.
    FieldInTheWay {
        /// That of `enrich.fields`.
        field: FieldReference,
        /// The one that is not added.
        lost: FieldReference,
    },
}

impl fmt::Display for Warning {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::UnknownVariable { name, meant } => {
                write!(
                    f,
                    "the environment variable {name} names no section of the configuration and is ignored"
                )?;
                match meant {
                    Some(meant) => write!(f, "; did you mean {meant}?"),
                    None => Ok(()),
                }
            }
            Self::OpenToAll { listen } => write!(
                f,
                "server.listen = \"{listen}\" is open to all: set auth.user and auth.password, or [[auth.keys]]"
            ),
            Self::ProxyHeadersOfAll { listen, mode } => write!(
                f,
                "server.proxy_protocol = \"{}\" believes the PROXY header of everybody who reaches server.listen = \"{listen}\": set server.trusted_proxies to the addresses of the load balancers",
                mode.as_str()
            ),
            Self::EveryProxyTrusted { network } => write!(
                f,
                "server.trusted_proxies has \"{network}\", which is everybody: each client can choose the address that it is known by; list the addresses of the load balancers"
            ),
            Self::BodiesBeyondBudget { allowed, budget } => write!(
                f,
                "ingest.max_content_length = \"{allowed}\" is above ingest.max_in_flight_bytes = \"{budget}\": bodies between the two are never taken"
            ),
            Self::BodiesBeyondQueue { allowed, queue } => write!(
                f,
                "ingest.max_content_length = \"{allowed}\" is above spool.memory_bytes = \"{queue}\": events of more than that are never taken in one body"
            ),
            Self::LimitWithoutEffect {
                key,
                limit,
                first_key,
                first,
            } => write!(
                f,
                "{key} = \"{limit}\" is above {first_key} = \"{first}\", which refuses as much before it: raise the latter, or lower the former"
            ),
            Self::LargeSegments { segment, spool } => write!(
                f,
                "spool.segment_bytes = \"{segment}\" is more than a quarter of spool.max_bytes = \"{spool}\": space is given back a segment at a time, so the spool is full early and for long; a sixteenth is better"
            ),
            Self::UnusedBrokers { output } => write!(
                f,
                "output.type = \"{}\" sends nothing to broker.urls: set it to \"http\", or leave them unset",
                output.as_str()
            ),
            Self::UnusedHeadersField { field } => write!(
                f,
                "enrich.request_headers_target_field = \"{field}\" is never added: enrich.headers is false"
            ),
            Self::FieldInTheWay { field, lost } => write!(
                f,
                "enrich.fields has \"{field}\", for which \"{lost}\", that tells of the request, is not added: choose another name; the address and the headers can also be moved, by enrich.remote_host_target_field and enrich.request_headers_target_field"
            ),
        }
    }
}

/// All that looks wrong in the configuration itself.
pub(super) fn of(config: &Config) -> Vec<Warning> {
    let found = [
        open_to_all(config),
        proxy_headers_of_all(config),
        every_proxy_trusted(config),
        bodies_beyond_budget(config),
        bodies_beyond_queue(config),
        large_segments(config),
        unused_brokers(config),
        unused_headers_field(config),
        field_in_the_way(config),
        events_beyond_bodies(config),
        envelopes_beyond_budget(config),
    ];
    found.into_iter().flatten().collect()
}

fn open_to_all(config: &Config) -> Option<Warning> {
    let listen = config.server.listen;
    let is_open = !listen.ip().is_loopback() && config.auth.is_open();
    is_open.then_some(Warning::OpenToAll { listen })
}

fn proxy_headers_of_all(config: &Config) -> Option<Warning> {
    let (listen, mode) = (config.server.listen, config.server.proxy_protocol);
    let believes_all = mode != ProxyProtocol::Off && config.server.trusted_proxies.is_empty();
    (believes_all && !listen.ip().is_loopback())
        .then_some(Warning::ProxyHeadersOfAll { listen, mode })
}

fn every_proxy_trusted(config: &Config) -> Option<Warning> {
    let networks = &config.server.trusted_proxies;
    let of_all = networks.iter().find(|network| network.prefix_len() == 0);
    of_all.map(|&network| Warning::EveryProxyTrusted { network })
}

fn bodies_beyond_budget(config: &Config) -> Option<Warning> {
    let allowed = config.ingest.max_content_length;
    let budget = config.ingest.max_in_flight_bytes;
    (allowed > budget).then_some(Warning::BodiesBeyondBudget { allowed, budget })
}

fn bodies_beyond_queue(config: &Config) -> Option<Warning> {
    let allowed = config.ingest.max_content_length;
    let queue = config.spool.memory_bytes;
    let is_used = config.ingest.durability != Durability::Disk;
    (is_used && allowed > queue).then_some(Warning::BodiesBeyondQueue { allowed, queue })
}

fn large_segments(config: &Config) -> Option<Warning> {
    let (segment, spool) = (config.spool.segment_bytes, config.spool.max_bytes);
    let is_used = config.ingest.durability == Durability::Disk;
    let is_large = segment.bytes() > spool.bytes() / 4;
    (is_used && is_large).then_some(Warning::LargeSegments { segment, spool })
}

fn unused_brokers(config: &Config) -> Option<Warning> {
    let output = config.output_type();
    let is_unused = output != OutputType::Http && !config.broker.urls.is_empty();
    is_unused.then_some(Warning::UnusedBrokers { output })
}

fn unused_headers_field(config: &Config) -> Option<Warning> {
    let field = config.enrich.request_headers_target_field.clone();
    let unused = field.filter(|_| !config.enrich.headers);
    unused.map(|field| Warning::UnusedHeadersField { field })
}

/// Not where it is the same field: that has another value then, as it says.
fn field_in_the_way(config: &Config) -> Option<Warning> {
    let enrich = &config.enrich;
    let mut of_request = vec![enrich.host_field()];
    of_request.extend(enrich.headers_field());
    if enrich.ecs_compatibility == EcsCompatibility::V1 {
        of_request.extend(EcsField::ALL.map(EcsField::reference));
    }
    enrich.fields.iter().find_map(|(field, _)| {
        let is_lost =
            |lost: &FieldReference| field != lost && (field.contains(lost) || lost.contains(field));
        let lost = of_request.iter().find(|lost| is_lost(lost))?.clone();
        let field = field.clone();
        Some(Warning::FieldInTheWay { field, lost })
    })
}

fn events_beyond_bodies(config: &Config) -> Option<Warning> {
    let bodies = (
        "ingest.max_content_length",
        config.ingest.max_content_length,
    );
    without_effect(
        config,
        "ingest.max_event_bytes",
        |ingest| ingest.max_event_bytes,
        bodies,
    )
}

fn envelopes_beyond_budget(config: &Config) -> Option<Warning> {
    let budget = (
        "ingest.max_in_flight_bytes",
        config.ingest.max_in_flight_bytes,
    );
    without_effect(
        config,
        "ingest.max_envelope_bytes",
        |ingest| ingest.max_envelope_bytes,
        budget,
    )
}

/// The limit of this key where it is beyond another one, which counts first. Not where it is the default: whoever lowers
/// the other one alone is content with what it does.
fn without_effect(
    config: &Config,
    key: &'static str,
    of: fn(&Ingest) -> ByteSize,
    (first_key, first): (&'static str, ByteSize),
) -> Option<Warning> {
    let (limit, usual) = (of(&config.ingest), of(&Config::default().ingest));
    (limit > first && limit != usual).then_some(Warning::LimitWithoutEffect {
        key,
        limit,
        first_key,
        first,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What the settings, each a line, are warned of; nobody may send unasked.
    fn warned(settings: &str) -> Vec<String> {
        let mut config = Config::default();
        config.auth.user = "u".to_owned();
        let mut tree = toml::Table::try_from(&config).unwrap();
        for setting in settings.lines() {
            let (key, value) = setting.split_once(" = ").unwrap();
            let (section, name) = key.split_once('.').unwrap();
            tree[section][name] = value.parse().unwrap();
        }
        let config: Config = tree.try_into().unwrap();
        of(&config).iter().map(Warning::to_string).collect()
    }

    #[test]
    fn what_has_no_effect_or_too_much_is_a_warning() {
        for (settings, words) in [
            (
                "server.trusted_proxies = ['10.0.0.0/8', '0.0.0.0/0']",
                r#"server.trusted_proxies has "0.0.0.0/0""#,
            ),
            (
                "server.trusted_proxies = ['::/0']",
                r#"server.trusted_proxies has "::/0""#,
            ),
            (
                "ingest.max_event_bytes = '101MiB'",
                r#"ingest.max_event_bytes = "101MiB" is above ingest.max_content_length = "100MiB""#,
            ),
            (
                "ingest.max_envelope_bytes = '257MiB'",
                r#"ingest.max_envelope_bytes = "257MiB" is above ingest.max_in_flight_bytes = "256MiB""#,
            ),
            (
                "spool.max_bytes = '255MiB'",
                r#"spool.segment_bytes = "64MiB" is more than a quarter of spool.max_bytes = "255MiB""#,
            ),
            (
                "ingest.durability = 'memory'\nspool.memory_bytes = '99MiB'",
                r#"ingest.max_content_length = "100MiB" is above spool.memory_bytes = "99MiB""#,
            ),
            (
                "ingest.durability = 'broker'\nspool.memory_bytes = '99MiB'",
                r#"ingest.max_content_length = "100MiB" is above spool.memory_bytes = "99MiB""#,
            ),
            (
                "broker.urls = ['http://a/']\noutput.type = 'file'",
                r#"output.type = "file" sends nothing to broker.urls"#,
            ),
            (
                "enrich.headers = false\nenrich.request_headers_target_field = 'a'",
                r#"enrich.request_headers_target_field = "[a]" is never added"#,
            ),
            (
                "enrich.fields = { '[host][name]' = 'a' }",
                r#"enrich.fields has "[host][name]", for which "[host]""#,
            ),
            (
                "enrich.ecs_compatibility = 'v1'\nenrich.fields = { url = 'a' }",
                r#"enrich.fields has "[url]", for which "[url][domain]""#,
            ),
        ] {
            let warned = warned(settings);
            let [warning] = warned.as_slice() else {
                panic!("{settings}: {warned:?}");
            };
            assert!(warning.starts_with(words), "{settings}: {warning}");
        }
    }

    #[test]
    fn what_is_right_is_none() {
        for settings in [
            "log.level = 'info'",
            "server.trusted_proxies = ['0.0.0.0/1', '10.0.0.0/8', '2000::/3']",
            // The defaults of other limits are above these.
            "ingest.max_content_length = '1MiB'",
            "ingest.max_in_flight_bytes = '128MiB'",
            "spool.max_bytes = '256MiB'",
            "ingest.durability = 'memory'\nspool.max_bytes = '65MiB'",
            "spool.memory_bytes = '1MiB'",
            "ingest.durability = 'memory'\nspool.memory_bytes = '100MiB'",
            "broker.urls = ['http://a/']",
            "enrich.headers = false",
            "enrich.request_headers_target_field = 'a'",
            "enrich.fields = { host = 'a', '[url][path]' = 'b' }",
            "enrich.ecs_compatibility = 'v1'\nenrich.fields = { '[host][name]' = 'a', '[http][request][id]' = 'b' }",
            "enrich.headers = false\nenrich.fields = { '[headers][a]' = 'a' }",
        ] {
            assert_eq!(warned(settings), [""; 0], "{settings}");
        }
    }
}
