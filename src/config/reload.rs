//! What a configuration that is read again may change in a server that runs, and the names of what has changed. Pure.

use crate::config::known::{Entry, Known};
use crate::config::{Config, Ingest, Log, Server};

/// What becomes of a running server's configuration when another one is read.
#[derive(Debug, Clone, PartialEq)]
pub struct Changes {
    /// What is in force from now on: the new configuration, but for the keys that need a restart.
    pub in_force: Config,
    /// The keys whose new values are in force.
    pub applied: Vec<String>,
    /// The keys whose new values wait for a restart.
    pub needs_restart: Vec<String>,
}

impl Config {
    /// What becomes of this configuration, which is in force, when `new` is read.
    pub fn change_to(&self, new: &Self) -> Changes {
        let in_force = self.with_live_keys_of(new);
        Changes {
            applied: changed_keys(self, &in_force),
            needs_restart: changed_keys(&in_force, new),
            in_force,
        }
    }

    /// This configuration with the new values of all keys that need no restart. Every section is named here, and in one
    /// that is taken in part every key, so that the compiler asks about each new one. A section whose keys a check
    /// compares with those of another must not be parted from it: nothing checks what comes out here.
    fn with_live_keys_of(&self, new: &Self) -> Self {
        Self {
            server: self.server.with_live_keys_of(&new.server),
            admin: self.admin.clone(),
            ingest: self.ingest.with_live_keys_of(&new.ingest),
            enrich: new.enrich.clone(),
            validate: new.validate.clone(),
            auth: new.auth.clone(),
            limits: new.limits.clone(),
            cors: new.cors.clone(),
            spool: self.spool.clone(),
            dead_letters: self.dead_letters.clone(),
            output: self.output.clone(),
            broker: self.broker.clone(),
            metrics: self.metrics.clone(),
            log: Log {
                level: new.log.level,
                format: self.log.format,
            },
        }
    }
}

impl Server {
    fn with_live_keys_of(&self, new: &Self) -> Self {
        Self {
            listen: self.listen,
            keep_alive_timeout: self.keep_alive_timeout,
            header_read_timeout: self.header_read_timeout,
            body_read_timeout: self.body_read_timeout,
            body_timeout: self.body_timeout,
            request_timeout: self.request_timeout,
            max_connections: self.max_connections,
            drain_delay: self.drain_delay,
            drain_timeout: self.drain_timeout,
            trusted_proxies: new.trusted_proxies.clone(),
            proxy_protocol: self.proxy_protocol,
            tls: self.tls.clone(),
        }
    }
}

impl Ingest {
    fn with_live_keys_of(&self, new: &Self) -> Self {
        Self {
            durability: self.durability,
            codec: new.codec,
            codecs: new.codecs.clone(),
            response_code: new.response_code,
            response_headers: new.response_headers.clone(),
            max_content_length: self.max_content_length,
            max_event_bytes: new.max_event_bytes,
            max_events_per_request: new.max_events_per_request,
            max_depth: new.max_depth,
            max_envelope_bytes: new.max_envelope_bytes,
            max_in_flight_bytes: self.max_in_flight_bytes,
            overload_status: self.overload_status,
            max_inflation_ratio: new.max_inflation_ratio,
        }
    }
}

/// The paths of the keys that differ.
fn changed_keys(old: &Config, new: &Config) -> Vec<String> {
    let (before, after) = (Known::of(old), Known::of(new));
    let mut keys = before.keys();
    keys.retain(|path| shown(&before, path) != shown(&after, path));
    let mut changed: Vec<String> = keys.into_iter().map(|path| path.join(".")).collect();
    for (key, is_same) in NOT_SHOWN {
        if !is_same(old, new) && !changed.iter().any(|shown| shown == key) {
            changed.push(key.to_owned());
        }
    }
    changed
}

fn shown<'a>(known: &'a Known, path: &[String]) -> Option<&'a toml::Value> {
    match known.find(path)? {
        Entry::Key(value) => Some(value),
        Entry::Section(_) => None,
    }
}

/// Whether a value is the same in both.
type IsSame = fn(&Config, &Config) -> bool;

/// The keys whose values are not shown as they are, or not whole.
const NOT_SHOWN: [(&str, IsSame); 9] = [
    ("auth.password", |a, b| a.auth.password == b.auth.password),
    ("auth.keys", |a, b| a.auth.keys == b.auth.keys),
    ("broker.password", |a, b| {
        a.broker.password == b.broker.password
    }),
    ("broker.headers", |a, b| {
        a.broker.headers == b.broker.headers
    }),
    ("ingest.response_headers", |a, b| {
        a.ingest.response_headers == b.ingest.response_headers
    }),
    // Of these the path is shown, not what stands in the file.
    ("validate.schema", |a, b| {
        a.validate.schema == b.validate.schema
    }),
    ("broker.tls.ca", |a, b| a.broker.tls.ca == b.broker.tls.ca),
    ("broker.tls.client_certificate", |a, b| {
        a.broker.tls.client_certificate == b.broker.tls.client_certificate
    }),
    ("broker.tls.client_key", |a, b| {
        a.broker.tls.client_key == b.broker.tls.client_key
    }),
];

#[cfg(test)]
mod tests;
