//! What looks wrong in a configuration and is no error. Pure.

use std::net::SocketAddr;
use std::time::Duration;

use http::HeaderName;
use ipnet::IpNet;
use thiserror::Error;

use crate::config::{
    BrokerFormat, Config, Durability, EcsCompatibility, EcsField, Ingest, OutputType, ProxyProtocol,
};
use crate::units::{ByteSize, FieldReference, duration};

/// Something that looks wrong and is no error.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum Warning {
    /// An environment variable with the program's prefix sets nothing.
    #[error("the environment variable {name} names no section of the configuration and is ignored{}", suggestion(.meant.as_deref()))]
    UnknownVariable {
        /// Its name.
        name: String,
        /// The variable that may have been meant.
        meant: Option<String>,
    },
    /// Everybody who reaches the public listener may send.
    #[error(
        "server.listen = \"{listen}\" is open to all: set auth.user and auth.password, or [[auth.keys]]"
    )]
    OpenToAll {
        /// The address of the listener.
        listen: SocketAddr,
    },
    /// Everybody who reaches the public listener may say who its client is.
    #[error("server.proxy_protocol = \"{}\" believes the PROXY header of everybody who reaches server.listen = \"{listen}\": set server.trusted_proxies to the addresses of the load balancers", .mode.as_str())]
    ProxyHeadersOfAll {
        /// The address of the listener.
        listen: SocketAddr,
        /// Whether connections begin with a PROXY header.
        mode: ProxyProtocol,
    },
    /// Every address is that of a trusted proxy, and so may say who its client is.
    #[error(
        "server.trusted_proxies has \"{network}\", which is everybody: each client can choose the address that it is known by; list the addresses of the load balancers"
    )]
    EveryProxyTrusted {
        /// The network of `server.trusted_proxies` that all addresses are in.
        network: IpNet,
    },
    /// Some of the bodies that are allowed can never be taken.
    #[error(
        "ingest.max_content_length = \"{allowed}\" is above ingest.max_in_flight_bytes = \"{budget}\": bodies between the two are never taken"
    )]
    BodiesBeyondBudget {
        /// `ingest.max_content_length`.
        allowed: ByteSize,
        /// `ingest.max_in_flight_bytes`.
        budget: ByteSize,
    },
    /// Some of the bodies that are allowed do not fit into the queue in memory.
    #[error(
        "ingest.max_content_length = \"{allowed}\" is above spool.memory_bytes = \"{queue}\": events of more than that are never taken in one body"
    )]
    BodiesBeyondQueue {
        /// `ingest.max_content_length`.
        allowed: ByteSize,
        /// `spool.memory_bytes`.
        queue: ByteSize,
    },
    /// A limit that was set is beyond another one, which counts first.
    #[error(
        "{key} = \"{limit}\" is above {first_key} = \"{first}\", which refuses as much before it: raise the latter, or lower the former"
    )]
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
    #[error(
        "spool.segment_bytes = \"{segment}\" is more than a quarter of spool.max_bytes = \"{spool}\": space is given back a segment at a time, so the spool is full early and for long; a sixteenth is better"
    )]
    LargeSegments {
        /// `spool.segment_bytes`.
        segment: ByteSize,
        /// `spool.max_bytes`.
        spool: ByteSize,
    },
    /// Clients wait for the Broker, and less long than it may take.
    #[error("broker.request_timeout = \"{}\" is not below server.request_timeout = \"{}\": with ingest.durability = \"broker\" clients of a slow Broker are refused before it has answered, and send again what it may have taken", duration::format(*.broker), duration::format(*.server))]
    BrokerOutlastsClients {
        /// `broker.request_timeout`.
        broker: Duration,
        /// `server.request_timeout`.
        server: Duration,
    },
    /// Clients wait for the Broker, and less long than their events wait for others.
    #[error("broker.linger = \"{}\" is not below server.request_timeout = \"{}\": with ingest.durability = \"broker\" clients are refused, and their events withdrawn, while these wait for a fuller batch", duration::format(*.linger), duration::format(*.server))]
    LingerOutlastsClients {
        /// `broker.linger`.
        linger: Duration,
        /// `server.request_timeout`.
        server: Duration,
    },
    /// There are Brokers, and nothing is sent to them.
    #[error("output.type = \"{}\" sends nothing to broker.urls: set it to \"http\", or leave them unset", .output.as_str())]
    UnusedBrokers {
        /// `output.type`.
        output: OutputType,
    },
    /// The headers have a field, and are not added.
    #[error(
        "enrich.request_headers_target_field = \"{field}\" is never added: enrich.headers is false"
    )]
    UnusedHeadersField {
        /// `enrich.request_headers_target_field`.
        field: FieldReference,
    },
    /// Headers for web pages stand on answers, and their browsers do not get so far.
    #[error(
        "ingest.response_headers has \"{header}\", which alone lets no web page send: browsers ask before, and get 405 without cors.allowed_origins; name the pages there instead"
    )]
    PreflightsRefused {
        /// The header.
        header: HeaderName,
    },
    /// A field of one's own is inside one that tells of the request, or around it, so that this one has no place.
    #[error(
        "enrich.fields has \"{field}\", for which \"{lost}\", that tells of the request, is not added: choose another name; the address and the headers can also be moved, by enrich.remote_host_target_field and enrich.request_headers_target_field"
    )]
    FieldInTheWay {
        /// That of `enrich.fields`.
        field: FieldReference,
        /// The one that is not added.
        lost: FieldReference,
    },
}

fn suggestion(meant: Option<&str>) -> String {
    meant.map_or_else(String::new, |meant| format!("; did you mean {meant}?"))
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
        broker_outlasts_clients(config),
        linger_outlasts_clients(config),
        unused_brokers(config),
        unused_headers_field(config),
        preflights_refused(config),
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

fn broker_outlasts_clients(config: &Config) -> Option<Warning> {
    let broker = config.broker.request_timeout;
    let server = config.server.request_timeout;
    (clients_wait_for_brokers(config) && broker >= server)
        .then_some(Warning::BrokerOutlastsClients { broker, server })
}

fn linger_outlasts_clients(config: &Config) -> Option<Warning> {
    let linger = config.broker.linger;
    let server = config.server.request_timeout;
    let is_used = config.broker.format != BrokerFormat::Json;
    (clients_wait_for_brokers(config) && is_used && linger >= server)
        .then_some(Warning::LingerOutlastsClients { linger, server })
}

fn clients_wait_for_brokers(config: &Config) -> bool {
    config.ingest.durability == Durability::Broker && config.output_type() == OutputType::Http
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

/// Logstash answers 200 to a browser's preflight too, with the headers of every answer.
fn preflights_refused(config: &Config) -> Option<Warning> {
    let keys = config.auth.keys.iter().map(|key| &key.allowed_origins);
    let mut origins = keys.chain([&config.cors.allowed_origins]);
    if origins.any(|origins| !origins.is_empty()) {
        return None;
    }
    let is_for_pages = |header: &&HeaderName| header.as_str().starts_with("access-control-");
    let header = config.ingest.response_headers.keys().find(is_for_pages)?;
    Some(Warning::PreflightsRefused {
        header: header.clone(),
    })
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
mod tests;
