//! What is known of a request with events before its body. Pure.

use http::HeaderValue;
use http::request::Parts;

use super::client::{Client, ClientIp};
use super::policy::Policy;
use crate::pipeline::Api;

/// The head of a request. In a box while it waits: it goes through many hands.
pub(super) struct Head {
    pub(super) api: Api,
    /// The client's address, through all proxies that are trusted.
    pub(super) client_ip: ClientIp,
    /// What the answer bears as `X-Request-Id`.
    pub(super) id: HeaderValue,
    pub(super) parts: Parts,
}

impl Head {
    pub(super) fn new(
        api: Api,
        policy: &Policy,
        client: &Client,
        id: &HeaderValue,
        parts: Parts,
    ) -> Self {
        let proxies = &policy.trusted_proxies;
        let address = proxies.client_ip(client.ip.address, &parts.headers);
        Self {
            api,
            client_ip: client.ip.or(address),
            id: id.clone(),
            parts,
        }
    }
}
