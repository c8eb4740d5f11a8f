//! How much may be sent: by API key, and by client address.
//!
//! A request is looked at before its body is read, by its declared length, and whether a single event could be
//! taken: who is above a limit costs no more than that. It is charged for what it really was: for its bytes
//! once they have come, whatever becomes of them, and for its events once they are counted, before they are
//! stored. What is refused for want of room here is given back.

use std::fmt;
use std::net::IpAddr;
use std::sync::Arc;

use tokio::time::Instant;

use super::api_key::ApiKey;
use super::buckets::{Buckets, Cost, Exceeded, Measure, Rates, take_from_all};
use super::client_buckets::{ClientBuckets, counted_as};
use super::refusal::{Code, Refusal};
use crate::config;
use crate::telemetry::RateLimit;

/// The limits on clients, whoever they are.
pub(super) struct Limits {
    clients: Option<Arc<ClientBuckets>>,
}

impl Limits {
    /// Limits that are what they were before go on as they are: to read the configuration again is no free refill.
    pub(super) fn new(config: &config::Limits, previous: Option<&Self>) -> Self {
        let rates = Rates {
            events: config.events_per_second_per_client,
            bytes: config.bytes_per_second_per_client,
        };
        let same = previous
            .and_then(|limits| limits.clients.as_ref())
            .filter(|clients| clients.rates() == rates);
        let make = || match same {
            Some(clients) => Arc::clone(clients),
            None => Arc::new(ClientBuckets::new(rates)),
        };
        Self {
            clients: rates.are_limits().then(make),
        }
    }

    /// What a request of this sender may send.
    pub(super) fn allowance<'a>(&self, key: Option<&'a ApiKey>, client: IpAddr) -> Allowance<'a> {
        let key = key.and_then(|key| Some((key.name(), key.buckets()?)));
        let client = self.clients.as_ref().map(|clients| {
            let client = counted_as(client);
            (client, clients.of(client, Instant::now()))
        });
        Allowance { key, client }
    }
}

/// The limits that a request is under.
pub(super) struct Allowance<'a> {
    key: Option<(&'a str, &'a Buckets)>,
    client: Option<(IpAddr, Arc<Buckets>)>,
}

/// A request is above a limit.
#[derive(Debug)]
pub(super) struct RateLimited {
    pub(super) limit: RateLimit,
    pub(super) refusal: Refusal,
}

impl Allowance<'_> {
    /// Refuses what could not be taken now, as far as that can be told before the body is read.
    pub(super) fn check_unread(&self, declared_bytes: Option<u64>) -> Result<(), RateLimited> {
        self.check(|buckets, now| buckets.check_unread(now, declared_bytes))
    }

    /// Charges a request for its body, or refuses it and takes nothing.
    pub(super) fn charge_bytes(&self, bytes: u64) -> Result<Charge<'_>, RateLimited> {
        let cost = Cost { events: 0, bytes };
        self.take(cost)?;
        Ok(Charge {
            allowance: self,
            cost,
        })
    }

    /// Takes all of a cost, or nothing.
    fn take(&self, cost: Cost) -> Result<(), RateLimited> {
        self.check(|buckets, now| buckets.check(now, cost))?;
        // Another request may have come first since the look.
        take_from_all(
            self.limits(),
            |(who, buckets)| {
                let taken = buckets.take(Instant::now(), cost);
                taken.map_err(|exceeded| who.limited(&exceeded))
            },
            |(_, buckets)| buckets.give_back(cost),
        )
    }

    fn give_back(&self, cost: Cost) {
        for (_, buckets) in self.limits() {
            buckets.give_back(cost);
        }
    }

    /// Asks for both limits; of two refusals the one that lasts longer is told.
    fn check(
        &self,
        ask: impl Fn(&Buckets, Instant) -> Result<(), Exceeded>,
    ) -> Result<(), RateLimited> {
        // Most requests are under none, and need no look at the clock.
        if self.key.is_none() && self.client.is_none() {
            return Ok(());
        }
        let now = Instant::now();
        let exceeded = self
            .limits()
            .filter_map(|(who, buckets)| Some((who, ask(buckets, now).err()?)));
        match exceeded.max_by_key(|(_, exceeded)| exceeded.wait) {
            Some((who, exceeded)) => Err(who.limited(&exceeded)),
            None => Ok(()),
        }
    }

    fn limits(&self) -> impl Iterator<Item = (Who<'_>, &Buckets)> + Clone {
        let key = self.key.map(|(name, buckets)| (Who::Key(name), buckets));
        let client = self.client.as_ref();
        let client = client.map(|(client, buckets)| (Who::Client(*client), &**buckets));
        key.into_iter().chain(client)
    }
}

/// What a request has been charged. It stays so where nobody says otherwise: who goes away before the answer has paid.
#[must_use]
pub(super) struct Charge<'a> {
    allowance: &'a Allowance<'a>,
    cost: Cost,
}

impl Charge<'_> {
    /// Charges it for its events too, or refuses it and takes nothing at all.
    pub(super) fn add_events(mut self, events: u64) -> Result<Self, RateLimited> {
        let more = Cost { events, bytes: 0 };
        match self.allowance.take(more) {
            Ok(()) => {
                self.cost.events = events;
                Ok(self)
            }
            Err(limited) => {
                self.give_back();
                Err(limited)
            }
        }
    }

    /// Puts back what it was charged for its events: it is refused for what is in it, and none is taken.
    pub(super) fn give_back_events(self) {
        let of_events = Cost {
            bytes: 0,
            ..self.cost
        };
        self.allowance.give_back(of_events);
    }

    /// Puts back all of it: the request is refused, and that is no fault of the client's.
    pub(super) fn give_back(self) {
        self.allowance.give_back(self.cost);
    }
}

/// Whom a limit is about.
#[derive(Clone, Copy)]
enum Who<'a> {
    /// Who sends with the key of this name.
    Key(&'a str),
    /// Who sends from here, as [`counted_as`] has it.
    Client(IpAddr),
}

impl Who<'_> {
    fn limited(self, exceeded: &Exceeded) -> RateLimited {
        let (limit, what, setting) = match (self, exceeded.measure) {
            (Self::Key(_), Measure::Events) => (
                RateLimit::KeyEvents,
                "events",
                "events_per_second in [[auth.keys]]",
            ),
            (Self::Key(_), Measure::Bytes) => (
                RateLimit::KeyBytes,
                "bytes",
                "bytes_per_second in [[auth.keys]]",
            ),
            (Self::Client(_), Measure::Events) => (
                RateLimit::ClientEvents,
                "events",
                "limits.events_per_second_per_client",
            ),
            (Self::Client(_), Measure::Bytes) => (
                RateLimit::ClientBytes,
                "bytes",
                "limits.bytes_per_second_per_client",
            ),
        };
        let detail = format!(
            "{self} may send {} {what} a second ({setting}); nothing of this request was kept. Send it again later.",
            exceeded.per_second
        );
        RateLimited {
            limit,
            refusal: Refusal::new(Code::RateLimited, detail).retry_after(exceeded.wait),
        }
    }
}

impl fmt::Display for Who<'_> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Key(name) => write!(formatter, "The key {name:?}"),
            Self::Client(IpAddr::V4(address)) => write!(formatter, "The address {address}"),
            Self::Client(IpAddr::V6(network)) => write!(formatter, "The network {network}/64"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const CLIENT: IpAddr = IpAddr::V4(std::net::Ipv4Addr::LOCALHOST);

    fn config(events: u64) -> config::Limits {
        config::Limits {
            events_per_second_per_client: events,
            bytes_per_second_per_client: 0,
        }
    }

    /// Charges a request of so many events.
    fn charge<'a>(allowance: &'a Allowance<'a>, events: u64) -> Result<Charge<'a>, RateLimited> {
        allowance.charge_bytes(5)?.add_events(events)
    }

    #[test]
    fn what_was_given_back_may_be_sent_again() {
        let limits = Limits::new(&config(1), None);
        let allowance = limits.allowance(None, CLIENT);
        charge(&allowance, 1_000_000).unwrap().give_back();
        let _stays_charged = charge(&allowance, 1_000_000).unwrap();
        assert!(charge(&allowance, 1).is_err());
        assert!(allowance.check_unread(None).is_err());
    }

    #[test]
    fn limits_that_stay_the_same_are_no_free_refill() {
        let before = Limits::new(&config(1), None);
        let is_taken =
            |limits: &Limits, events| charge(&limits.allowance(None, CLIENT), events).is_ok();
        assert!(is_taken(&before, 1_000_000));
        let same = Limits::new(&config(1), Some(&before));
        assert!(!is_taken(&same, 1));
        let other = Limits::new(&config(2), Some(&same));
        assert!(is_taken(&other, 1));
        let none = Limits::new(&config(0), Some(&same));
        assert!(is_taken(&none, u64::MAX));
    }

    #[test]
    fn a_refusal_tells_who_may_send_how_much() {
        let limits = Limits::new(&config(5), None);
        let client = "2001:db8::7".parse().unwrap();
        let allowance = limits.allowance(None, client);
        let _stays_charged = charge(&allowance, 50).unwrap();
        let limited = charge(&allowance, 1).err().unwrap();
        assert_eq!(limited.limit, RateLimit::ClientEvents);
        let text = format!("{:?}", limited.refusal);
        for words in [
            "2001:db8::/64",
            "5 events",
            "limits.events_per_second_per_client",
        ] {
            assert!(text.contains(words), "no {words} in {text}");
        }
    }
}
