//! The ingest paths: a request with events, from its head to its answer.

use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use axum::response::Response;
use http::Version;
use http::request::Parts;
use tokio::time::{Instant, timeout};

use super::api_key::ApiKey;
use super::auth::Sender;
use super::body::RequestBody;
use super::decoding::Undecoded;
use super::gate::Gate;
use super::head::Head;
use super::limits::{Allowance, Charge, RateLimited};
use super::policy::Policy;
use super::refusal::Refusal;
use crate::budget::Reservation;
use crate::event::Origin;
use crate::pipeline::{Api, ContentCodings, DecodeError, Decoded, EncodedBody, Rejected};
use crate::spool::AppendError;

/// A head that is larger in memory than those of honest clients is counted like a body.
const SMALL_HEAD: usize = 4 * 1024;

/// What a header takes in memory beside its text, about, however short it is: a map has places for up to twice as many.
const HEADER_BYTES: usize = 200;

/// What a request of HTTP/2 takes in memory until its answer, about: one connection can have 250
/// of them, each for 14 bytes on the wire.
const STREAM_BYTES: usize = 8 * 1024;

/// Within this time the allocator has given back what a body took.
const BODY_LINGERS: Duration = Duration::from_secs(1);

impl Gate {
    /// Takes the events of a request, or refuses it whole.
    pub(super) async fn ingest(
        self: &Arc<Self>,
        policy: &Arc<Policy>,
        head: Box<Head>,
        body: &mut RequestBody,
    ) -> Result<Response, Refusal> {
        let sender = policy.auth.check(&head.parts)?;
        let key = policy.auth.key_of(sender);
        let ingestion = Ingestion {
            gate: self,
            policy,
            sender,
            key,
            allowance: policy.limits.allowance(key, head.client_ip.address),
        };
        let outcome = ingestion.run(head, body).await;
        if let (Err(_), Some(key)) = (&outcome, key) {
            key.refused();
        }
        outcome
    }
}

/// One request of a known sender, on its way into the spool.
struct Ingestion<'a> {
    gate: &'a Arc<Gate>,
    policy: &'a Arc<Policy>,
    sender: Sender,
    key: Option<&'a ApiKey>,
    /// What the sender may send.
    allowance: Allowance<'a>,
}

impl Ingestion<'_> {
    async fn run(&self, head: Box<Head>, body: &mut RequestBody) -> Result<Response, Refusal> {
        let api = head.api;
        self.check_unread(&head, body)?;
        let stream_bytes = stream_bytes(&head.parts);
        let read = self.read(head, body).await;
        let deadline = Instant::now() + self.gate.request_timeout;
        let charge = self.charge_bytes(&read, body)?;
        let (decoded, mut reservation, charge) = self.decode(read?, charge, deadline).await?;
        let of_body = self.split_off_body(decoded.held_bytes + stream_bytes, &mut reservation);
        let Decoded {
            envelope, rejected, ..
        } = decoded;
        let accepted = envelope.events();
        let reservation = Arc::new(reservation);
        if accepted == 0 && !rejected.is_empty() {
            self.count_rejected(&rejected);
            let held = for_answer(reservation, &rejected);
            return Err(Refusal::invalid_events(rejected, held));
        }
        let held = Some(Arc::clone(&reservation));
        let appending = self.gate.spool.append_held(envelope, held, deadline);
        if let Err(refused) = counting_body(of_body, appending).await {
            match refused {
                AppendError::TooLarge { .. } => charge.give_back_events(),
                _for_want_of_room => charge.give_back(),
            }
            return Err(refused.into());
        }
        if let Some(key) = self.key {
            key.took(accepted as u64);
        }
        self.count_rejected(&rejected);
        let answers = &self.policy.answers;
        Ok(match api {
            Api::Logstash => answers.logstash(),
            Api::Events if rejected.is_empty() => answers.accepted(accepted),
            Api::Events => answers.partly(accepted, &rejected, for_answer(reservation, &rejected)),
        })
    }

    /// Refuses what can be refused before a byte of the body is asked for.
    fn check_unread(&self, head: &Head, body: &RequestBody) -> Result<(), Refusal> {
        if let Some(key) = self.key {
            key.check_origin(&head.parts.headers)?;
        }
        body.check_length(&self.gate.body_limits, &self.gate.budget)?;
        let checked = self.allowance.check_unread(body.rest());
        checked.map_err(|limited| self.count_limited(limited))?;
        match self.gate.spool.refuses(body.rest_at_least()) {
            Some(refused) => Err(refused.into()),
            None => Ok(()),
        }
    }

    /// Reads the body of a request that nothing has refused yet.
    async fn read(&self, head: Box<Head>, body: &mut RequestBody) -> Result<Undecoded, Refusal> {
        let codings = ContentCodings::of(&head.parts.headers)?;
        let mut reservation = self.gate.budget.reservation();
        let waiting_bytes = waiting_bytes(&head.parts);
        if waiting_bytes > SMALL_HEAD {
            reservation.grow(waiting_bytes).map_err(DecodeError::from)?;
        }
        let is_packed = !codings.is_empty();
        let reading = body.read(is_packed, &self.gate.body_limits, &mut reservation);
        let read = reading.await.map_err(|refusal| self.with_cause(refusal));
        let (bytes, turn) = read?;
        Ok(Undecoded {
            head,
            key: self.sender.key,
            body: EncodedBody::new(bytes, codings),
            reservation,
            _turn: turn,
        })
    }

    /// The refusal of a body, with the failed spool as its cause where that is what ends the server.
    fn with_cause(&self, refusal: Refusal) -> Refusal {
        match self.gate.spool.refuses(0) {
            Some(AppendError::Failed) => refusal.for_failed_spool(),
            _ => refusal,
        }
    }

    /// Charges the sender for the bytes that came, also where the body was cut short: a limit on bytes holds for nonsense
    /// too. Before they are decoded, for who goes away meanwhile has made the work. What found no room here is no
    /// fault of the client's.
    fn charge_bytes(
        &self,
        read: &Result<Undecoded, Refusal>,
        body: &RequestBody,
    ) -> Result<Charge<'_>, Refusal> {
        let is_shed = read
            .as_ref()
            .err()
            .is_some_and(Refusal::is_for_want_of_room);
        let bytes = if is_shed { 0 } else { body.bytes as u64 };
        let charged = self.allowance.charge_bytes(bytes);
        charged.map_err(|limited| self.count_limited(limited))
    }

    /// Makes an envelope of a request, and charges the sender for its events too.
    async fn decode<'a>(
        &self,
        request: Undecoded,
        charge: Charge<'a>,
        deadline: Instant,
    ) -> Result<(Decoded, Reservation, Charge<'a>), Refusal> {
        match self.gate.decode(self.policy, request, deadline).await {
            Ok((decoded, reservation)) => {
                // Those that are rejected too: they cost as much work, and an answer for each.
                let events = decoded.envelope.events() + decoded.rejected.len();
                let charged = charge.add_events(events as u64);
                let charge = charged.map_err(|limited| self.count_limited(limited))?;
                Ok((decoded, reservation, charge))
            }
            Err(refusal) => {
                if refusal.is_for_want_of_room() {
                    charge.give_back();
                }
                Err(refusal)
            }
        }
    }

    /// The refusal, counted.
    fn count_limited(&self, limited: RateLimited) -> Refusal {
        self.gate.telemetry.rate_limited(limited.limit);
        limited.refusal
    }

    /// What is reserved beside what stays until the answer, where that may be long: the body, mostly.
    fn split_off_body(
        &self,
        stays_bytes: usize,
        reservation: &mut Reservation,
    ) -> Option<Reservation> {
        let bytes = reservation.bytes().saturating_sub(stays_bytes);
        let waits = self.gate.waits_for_brokers;
        waits.then(|| reservation.split_off(bytes))
    }

    fn count_rejected(&self, rejected: &[Rejected]) {
        for event in rejected {
            let code = event.violations[0].code;
            self.gate.telemetry.rejected(Origin::Auto, code);
        }
    }
}

/// Waits for an append. What the body took counts as long as the allocator may still have it.
async fn counting_body<T>(of_body: Option<Reservation>, appending: impl Future<Output = T>) -> T {
    let mut appending = pin!(appending);
    if let Some(of_body) = of_body {
        // In a box, for most requests have no use for it.
        let in_time = Box::pin(timeout(BODY_LINGERS, appending.as_mut()));
        if let Ok(appended) = in_time.await {
            return appended;
        }
        drop(of_body);
    }
    appending.await
}

/// What a request still holds of the budget while its answer tells of rejected events; the rest is given back.
fn for_answer(reservation: Arc<Reservation>, rejected: &[Rejected]) -> Arc<Reservation> {
    let needed: usize = rejected.iter().map(Rejected::answer_bytes).sum();
    match Arc::try_unwrap(reservation) {
        Ok(mut reservation) => {
            reservation.shrink(reservation.bytes().saturating_sub(needed));
            Arc::new(reservation)
        }
        // Somebody else still needs all of it.
        Err(shared) => shared,
    }
}

/// Bytes that a request takes while its body is waited for, about.
fn waiting_bytes(parts: &Parts) -> usize {
    let target = parts.uri.path().len() + parts.uri.query().map_or(0, str::len);
    let headers = parts.headers.iter();
    let headers: usize = headers
        .map(|(name, value)| HEADER_BYTES + name.as_str().len() + value.len())
        .sum();
    stream_bytes(parts) + target + headers
}

/// Bytes that a stream takes until its answer, about.
fn stream_bytes(parts: &Parts) -> usize {
    if parts.version == Version::HTTP_2 {
        STREAM_BYTES
    } else {
        0
    }
}

#[cfg(test)]
mod tests {
    use tokio::time::sleep;

    use super::*;
    use crate::budget::ByteBudget;

    /// What of a body counts at the end of an append that takes so long, and how long that was waited for.
    async fn counted_at_the_end(appending: Duration) -> (usize, Duration) {
        let budget = ByteBudget::new(100);
        let mut of_body = budget.reservation();
        of_body.grow(60).unwrap();
        let began = Instant::now();
        let counted = counting_body(Some(of_body), async {
            sleep(appending).await;
            budget.used()
        });
        let counted = counted.await;
        assert_eq!(budget.used(), 0);
        (counted, began.elapsed())
    }

    #[tokio::test(start_paused = true)]
    async fn a_body_counts_while_the_allocator_may_have_it_and_no_longer() {
        let short = BODY_LINGERS - Duration::from_millis(1);
        assert_eq!(counted_at_the_end(short).await, (60, short));
        let long = BODY_LINGERS + Duration::from_millis(1);
        assert_eq!(counted_at_the_end(long).await, (0, long));
    }
}
