//! The policy that requests are taken by: all of the configuration that they ask for and that can be changed while the
//! server runs. A request keeps the one that it began with to its end.

use http::HeaderMap;

use super::answers::Answers;
use super::auth::Auth;
use super::cors::{Origins, Permission};
use super::limits::Limits;
use super::trusted_proxies::TrustedProxies;
use crate::config::Config;
use crate::pipeline::Pipeline;
use crate::telemetry::Telemetry;

/// All that is made anew when the configuration is read again.
pub(super) struct Policy {
    pub(super) auth: Auth,
    pub(super) limits: Limits,
    /// None where no page may send: then browsers are told nothing.
    origins: Option<Origins>,
    pub(super) trusted_proxies: TrustedProxies,
    pub(super) pipeline: Pipeline,
    pub(super) answers: Answers,
}

impl Policy {
    /// What has been sent so far counts on against limits that are the same in `previous`.
    pub(super) fn new(config: &Config, telemetry: &Telemetry, previous: Option<&Self>) -> Self {
        Self {
            auth: Auth::new(&config.auth, telemetry, previous.map(|policy| &policy.auth)),
            limits: Limits::new(&config.limits, previous.map(|policy| &policy.limits)),
            origins: Origins::of_all(&config.cors, &config.auth),
            trusted_proxies: TrustedProxies::new(&config.server.trusted_proxies),
            pipeline: Pipeline::new(config),
            answers: Answers::new(&config.ingest),
        }
    }

    /// What an answer says to the browser that asked; none where no page may send.
    pub(super) fn permission(&self, headers: &HeaderMap) -> Option<Permission> {
        let origins = self.origins.as_ref();
        origins.map(|origins| origins.permission(headers))
    }
}

#[cfg(test)]
mod tests {
    use std::net::{IpAddr, Ipv4Addr};

    use super::*;
    use crate::config::OutputType;

    fn config(name: &str, events_per_second: u64) -> Config {
        let hash = "0f".repeat(32);
        let auth = format!(
            "user = ''\npassword = ''\n[[keys]]\nname = 'other'\nhash = 'sha256:{hash}'\n\
             [[keys]]\nname = '{name}'\nhash = 'sha256:{hash}'\nevents_per_second = {events_per_second}\n"
        );
        Config {
            auth: toml::from_str(&auth).unwrap(),
            ..Config::default()
        }
    }

    /// Whether a key of this policy may send so many events now.
    fn takes(policy: &Policy, events: u64) -> bool {
        let key = policy
            .auth
            .key_of(crate::ingress::auth::Sender { key: Some(1) });
        let client = IpAddr::V4(Ipv4Addr::LOCALHOST);
        let allowance = policy.limits.allowance(key, client);
        let charged = allowance.charge_bytes(0);
        charged.and_then(|charge| charge.add_events(events)).is_ok()
    }

    #[test]
    fn reading_the_configuration_again_is_no_free_refill() {
        let telemetry = Telemetry::new(vec![], 1, OutputType::File);
        let first = Policy::new(&config("web", 1), &telemetry, None);
        assert!(takes(&first, 1_000_000));
        let same = Policy::new(&config("web", 1), &telemetry, Some(&first));
        assert!(!takes(&same, 1));
        let faster = Policy::new(&config("web", 2), &telemetry, Some(&same));
        assert!(takes(&faster, 1));
        let renamed = Policy::new(&config("app", 1), &telemetry, Some(&same));
        assert!(takes(&renamed, 1));
        let unlimited = Policy::new(&config("web", 0), &telemetry, Some(&same));
        assert!(takes(&unlimited, u64::MAX) && takes(&unlimited, 1));
    }
}
