//! The token buckets of client addresses: as many as are busy, within a bound that no crowd of addresses can
//! break. Pure: the time is given.

use std::collections::HashMap;
use std::hash::{BuildHasher, RandomState};
use std::net::{IpAddr, Ipv6Addr};
use std::sync::{Arc, Mutex, PoisonError};

use tokio::time::Instant;

use super::buckets::{Buckets, Rates};

/// Addresses that are remembered: about 15 MB.
const MAX_CLIENTS: usize = 100_000;

/// Each is a table with a lock of its own, so that cores do not wait for each other.
const SHARDS: usize = 16;

/// The buckets of all clients.
pub(super) struct ClientBuckets {
    rates: Rates,
    shards: [Mutex<Shard>; SHARDS],
    /// Keyed by chance: whoever chooses addresses cannot choose a shard.
    hasher: RandomState,
}

struct Shard {
    known: HashMap<IpAddr, Arc<Buckets>>,
    max: usize,
}

impl ClientBuckets {
    pub(super) fn new(rates: Rates) -> Self {
        Self {
            rates,
            shards: std::array::from_fn(|_| Mutex::new(Shard::new(MAX_CLIENTS / SHARDS))),
            hasher: RandomState::new(),
        }
    }

    /// What they were made for.
    pub(super) fn rates(&self) -> Rates {
        self.rates
    }

    /// Those of one client.
    pub(super) fn of(&self, client: IpAddr, now: Instant) -> Arc<Buckets> {
        let shard = self.hasher.hash_one(client) as usize % SHARDS;
        let mut shard = self.shards[shard]
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        shard.of(client, self.rates, now)
    }
}

impl Shard {
    fn new(max: usize) -> Self {
        Self {
            known: HashMap::new(),
            max,
        }
    }

    fn of(&mut self, client: IpAddr, rates: Rates, now: Instant) -> Arc<Buckets> {
        if let Some(known) = self.known.get(&client) {
            return Arc::clone(known);
        }
        if self.known.len() >= self.max {
            self.make_room(now);
        }
        let new = Arc::new(Buckets::new(rates, now));
        self.known.insert(client, Arc::clone(&new));
        new
    }

    /// Forgets those whose buckets are full, for new ones would be the same. Where more than half are left, a
    /// crowd is about: then those that owe least are forgotten too. They get up to a second's worth too much,
    /// and nobody is locked out.
    fn make_room(&mut self, now: Instant) {
        self.known.retain(|_, buckets| !buckets.debt(now).is_zero());
        let mut debts: Vec<_> = self.known.values().map(|known| known.debt(now)).collect();
        if debts.len() > self.max / 2 {
            let middle = debts.len() / 2;
            let (_, &mut median, _) = debts.select_nth_unstable(middle);
            self.known.retain(|_, buckets| buckets.debt(now) > median);
        }
    }
}

/// Whom an address counts as: with IPv6 its network of 64 bits, all of which is commonly one customer's.
pub(super) fn counted_as(client: IpAddr) -> IpAddr {
    match client.to_canonical() {
        IpAddr::V6(address) => {
            let network = u128::from(address) & (u128::MAX << 64);
            Ipv6Addr::from(network).into()
        }
        v4 => v4,
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use proptest::prelude::*;

    use super::*;
    use crate::ingress::buckets::Cost;

    const RATES: Rates = Rates {
        events: 10,
        bytes: 0,
    };

    fn address(number: u32) -> IpAddr {
        IpAddr::V4(number.into())
    }

    fn events(events: u64) -> Cost {
        Cost { events, bytes: 0 }
    }

    #[test]
    fn a_client_is_an_address_or_a_network_of_64_bits() {
        for (one, other, is_same) in [
            ("192.0.2.1", "192.0.2.1", true),
            ("192.0.2.1", "192.0.2.2", false),
            ("192.0.2.1", "::ffff:192.0.2.1", true),
            ("2001:db8::1", "2001:db8::ffff:1", true),
            ("2001:db8::1", "2001:db8:0:1::1", false),
        ] {
            let [one, other] = [one, other].map(|text| counted_as(text.parse().unwrap()));
            assert_eq!(one == other, is_same, "{one} {other}");
        }
    }

    #[test]
    fn an_address_keeps_its_buckets_and_shares_them_with_nobody() {
        let clients = ClientBuckets::new(RATES);
        let now = Instant::now();
        clients.of(address(1), now).take(now, events(10)).unwrap();
        assert!(clients.of(address(1), now).take(now, events(1)).is_err());
        assert!(clients.of(address(2), now).take(now, events(10)).is_ok());
    }

    #[test]
    fn a_crowd_breaks_no_bound_locks_nobody_out_and_frees_nobody_who_owes_more() {
        let mut shard = Shard::new(100);
        let now = Instant::now();
        shard
            .of(address(0), RATES, now)
            .take(now, events(500))
            .unwrap();
        for stranger in 1..10_000 {
            let buckets = shard.of(address(stranger), RATES, now);
            assert_eq!(buckets.take(now, events(1)), Ok(()));
            assert!(shard.known.len() <= 100);
        }
        assert!(
            shard
                .of(address(0), RATES, now)
                .take(now, events(1))
                .is_err()
        );
    }

    proptest! {
        #[test]
        fn who_rests_is_forgotten_and_who_owes_is_not(
            owing in prop::collection::btree_set(0_u32..100, 0..50),
        ) {
            let mut shard = Shard::new(100);
            let now = Instant::now();
            for client in 0..100 {
                let cost = events(if owing.contains(&client) { 30 } else { 10 });
                shard.of(address(client), RATES, now).take(now, cost).unwrap();
            }
            let later = now + Duration::from_secs(2);
            shard.of(address(1000), RATES, later);
            prop_assert_eq!(shard.known.len(), owing.len() + 1);
            for client in owing {
                prop_assert!(shard.known.contains_key(&address(client)));
            }
        }
    }
}
