//! What the log tells of requests that are refused because of load: that it began, and what helps. Each client is told
//! by its answer; who runs the server would else learn of it by the metrics alone.

use super::{Code, More, Refusal};
use crate::telemetry::Spell;
use crate::telemetry::events::RequestsShed;

/// When requests were refused last, by what there was too little of.
#[derive(Debug, Default)]
pub(in crate::ingress) struct Shedding {
    memory: Spell,
    time: Spell,
    output: Spell,
}

impl Shedding {
    /// A request is refused. A full spool, a failed one, and a crowd of connections are told where they are noticed.
    pub(in crate::ingress) fn note(&self, refusal: &Refusal) {
        let (spell, reason) = match refusal.code {
            Code::Overloaded if matches!(refusal.more, More::Crowd) => return,
            Code::Overloaded => (
                &self.memory,
                "ingest.max_in_flight_bytes has no room for them beside those under way: raise it, have clients send smaller \
                 bodies, or add a node",
            ),
            Code::Timeout => (
                &self.time,
                "the disk did not sync, or no core was free, within server.request_timeout: a faster disk, more cores or \
                 smaller bodies help",
            ),
            Code::BrokerUnavailable => (
                &self.output,
                "with ingest.durability = \"broker\" no output took their events in time: look at the Brokers",
            ),
            _ => return,
        };
        if spell.begins() {
            let code = refusal.code.word();
            RequestsShed { code, reason }.emit();
        }
    }
}
