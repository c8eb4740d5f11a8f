//! Numbered events, and a ledger of what was sent and what was acknowledged, against which what arrived is checked.

use std::collections::HashSet;
use std::net::SocketAddr;
use std::ops::Range;
use std::sync::{Arc, Mutex};

use serde_json::{Value, json};

use super::client::{Answer, Connection, JSON};

/// An array of events with these numbers.
pub(crate) fn array(numbers: Range<u64>) -> String {
    let events: Vec<Value> = numbers.map(|number| json!({"n": number})).collect();
    Value::from(events).to_string()
}

/// The numbers of events, as they come.
pub(crate) fn numbers(events: &[Value]) -> Vec<u64> {
    let numbers = events.iter().map(|event| event["n"].as_u64());
    numbers.map(Option::unwrap).collect()
}

/// The numbers of events, in order.
pub(crate) fn sorted(events: &[Value]) -> Vec<u64> {
    let mut numbers = numbers(events);
    numbers.sort_unstable();
    numbers
}

/// Requests of numbered events: the range of each.
#[derive(Default)]
pub(crate) struct Ledger {
    entries: Mutex<Entries>,
}

#[derive(Default)]
struct Entries {
    next: u64,
    sent: Vec<Range<u64>>,
    acknowledged: Vec<Range<u64>>,
}

impl Ledger {
    /// Numbers for a request that is going to be sent.
    pub(crate) fn begin(&self, events: u64) -> Range<u64> {
        let mut entries = self.entries.lock().unwrap();
        let numbers = entries.next..entries.next + events;
        entries.next = numbers.end;
        entries.sent.push(numbers.clone());
        numbers
    }

    /// The request with these was answered with 2xx.
    pub(crate) fn acknowledge(&self, numbers: Range<u64>) {
        self.entries.lock().unwrap().acknowledged.push(numbers);
    }

    /// How many requests were acknowledged.
    pub(crate) fn acknowledged(&self) -> usize {
        self.entries.lock().unwrap().acknowledged.len()
    }

    /// The numbers of all events that were acknowledged.
    pub(crate) fn acknowledged_numbers(&self) -> Vec<u64> {
        let entries = self.entries.lock().unwrap();
        entries.acknowledged.iter().cloned().flatten().collect()
    }

    /// A client with one connection: requests of one event up to `most`, one after the other, until one is not answered
    /// with 200. Its answer; none when the connection broke instead.
    pub(crate) async fn post_until_refused(
        self: Arc<Self>,
        address: SocketAddr,
        most: u64,
    ) -> Option<Answer> {
        let mut connection = Connection::open(address).await;
        for number in 0.. {
            let numbers = self.begin(1 + number % most);
            let (target, body) = if numbers.clone().count() == 1 {
                ("/v1/events", json!({"n": numbers.start}).to_string())
            } else {
                ("/", array(numbers.clone()))
            };
            let answer = connection.try_request(target, &[JSON], body).await?;
            if answer.status != 200 {
                return Some(answer);
            }
            self.acknowledge(numbers);
        }
        unreachable!("numbers do not end")
    }

    /// Fails unless everything that was acknowledged has arrived, and of the other requests all or nothing.
    pub(crate) fn check(&self, arrived: &HashSet<u64>) {
        let entries = self.entries.lock().unwrap();
        let unknown = arrived.iter().find(|number| **number >= entries.next);
        assert_eq!(unknown, None, "nobody sent this");
        for numbers in &entries.acknowledged {
            let missing = numbers.clone().find(|number| !arrived.contains(number));
            assert_eq!(missing, None, "of {numbers:?}, which was acknowledged");
        }
        for numbers in &entries.sent {
            let there = numbers.clone().filter(|number| arrived.contains(number));
            let there = there.count();
            let all = numbers.clone().count();
            assert!(there == 0 || there == all, "{there} of {numbers:?} arrived");
        }
    }
}
