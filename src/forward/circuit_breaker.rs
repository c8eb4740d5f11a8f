//! Whether a Broker is sent to: closed while it works, open while it rests after failures, half-open while one probe
//! tries it again. A state machine without I/O or clock: time and chance are given.

use std::time::Duration;

use tokio::time::Instant;

use super::backoff::Backoff;

/// So many failures in a row open it.
const FAILURES_THAT_OPEN: u32 = 5;

/// A first rest that is shorter may be over with the first probe, and is not worth a word.
const LASTING: Duration = Duration::from_secs(5);

/// The state of one Broker.
#[derive(Debug)]
pub(super) struct CircuitBreaker {
    backoff: Backoff,
    state: State,
    /// In a row, without a success between.
    rests: u32,
    /// Whether this rest is more than a blink.
    is_lasting: bool,
    /// Counts the changes of the state, so that what was sent before one says nothing about the time after it.
    generation: u64,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    Closed {
        failures: u32,
    },
    Open {
        until: Instant,
        /// By the Broker, in an answer.
        is_asked_for: bool,
    },
    HalfOpen,
}

/// Whether a request may be sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Admits {
    /// As many as there is room for.
    Freely,
    /// One, to see whether it works again.
    Probe,
    /// None before this moment.
    NotBefore(Instant),
    /// None until the probe has ended.
    AfterProbe,
}

/// The leave to send one request; what comes of it is told with it.
#[derive(Clone, Copy, Debug)]
pub(super) struct Ticket {
    generation: u64,
}

/// How a request failed, as far as it matters here.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Trip {
    /// How long the Broker asks to be left alone.
    pub(super) retry_after: Option<Duration>,
    /// How often the batch was tried already; it tells how long this has been going on.
    pub(super) round: u32,
    /// What it says of the Broker.
    pub(super) evidence: Evidence,
}

/// What a failure says of a Broker.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Evidence {
    /// Nothing: the batch has failed so often while others were taken that it is no news.
    NoNews,
    /// Something: several in a row tell.
    #[default]
    OneOfSeveral,
    /// Nothing more needs to be seen to leave it alone.
    Enough,
}

impl Trip {
    /// How long the Broker is to be left alone by its own word; "at once" asks for none.
    fn rest_asked_for(&self) -> Option<Duration> {
        self.retry_after.filter(|after| !after.is_zero())
    }
}

/// What an outcome changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Change {
    Nothing,
    WentDown,
    CameUp,
}

impl CircuitBreaker {
    pub(super) fn new(backoff: Backoff) -> Self {
        Self {
            backoff,
            state: State::Closed { failures: 0 },
            rests: 0,
            is_lasting: false,
            generation: 0,
        }
    }

    pub(super) fn is_up(&self) -> bool {
        matches!(self.state, State::Closed { .. })
    }

    /// Whether it is down, and worth telling: a Broker that limits its rate rests many times a second.
    pub(super) fn is_down_for_a_while(&self) -> bool {
        !self.is_up() && self.is_lasting
    }

    /// When the rest ends that it takes now.
    pub(super) fn rests_until(&self) -> Option<Instant> {
        match self.state {
            State::Open { until, .. } => Some(until),
            State::Closed { .. } | State::HalfOpen => None,
        }
    }

    pub(super) fn admits(&self, now: Instant) -> Admits {
        match self.state {
            State::Closed { .. } => Admits::Freely,
            State::Open { until, .. } if until > now => Admits::NotBefore(until),
            State::Open { .. } => Admits::Probe,
            State::HalfOpen => Admits::AfterProbe,
        }
    }

    /// A request is sent now, if one may be.
    pub(super) fn begin(&mut self, now: Instant) -> Option<Ticket> {
        match self.admits(now) {
            Admits::Freely => {}
            Admits::Probe => self.enter(State::HalfOpen),
            Admits::NotBefore(_) | Admits::AfterProbe => return None,
        }
        Some(Ticket {
            generation: self.generation,
        })
    }

    /// The Broker took a batch, or answered that it does not want its events: either way it works.
    pub(super) fn note_success(&mut self, ticket: Ticket) -> Change {
        if ticket.generation != self.generation {
            return Change::Nothing;
        }
        self.rests = 0;
        if self.is_up() {
            self.state = State::Closed { failures: 0 };
            return Change::Nothing;
        }
        self.enter(State::Closed { failures: 0 });
        Change::CameUp
    }

    /// A request failed. `random` is uniform in 0..1.
    pub(super) fn note_failure(
        &mut self,
        ticket: Ticket,
        trip: Trip,
        now: Instant,
        random: f64,
    ) -> Change {
        if ticket.generation != self.generation {
            self.rest_longer(trip, now);
            return Change::Nothing;
        }
        let asks_for_rest = trip.rest_asked_for().is_some();
        match self.state {
            State::Closed { .. } if trip.evidence == Evidence::NoNews && !asks_for_rest => {
                Change::Nothing
            }
            State::Closed { failures }
                if failures + 1 < FAILURES_THAT_OPEN
                    && !asks_for_rest
                    && trip.evidence != Evidence::Enough =>
            {
                self.state = State::Closed {
                    failures: failures + 1,
                };
                Change::Nothing
            }
            State::Closed { .. } => {
                self.rest(trip, now, random);
                Change::WentDown
            }
            State::Open { .. } | State::HalfOpen => {
                self.rest(trip, now, random);
                Change::Nothing
            }
        }
    }

    fn rest(&mut self, trip: Trip, now: Instant, random: f64) {
        self.rests = self.rests.saturating_add(1).max(trip.round);
        // "At once" was heeded already: it has failed again and again since, and would be asked without a pause for
        // ever.
        let rest = trip
            .rest_asked_for()
            .unwrap_or_else(|| self.backoff.pause(self.rests, random));
        let is_enough = trip.evidence == Evidence::Enough;
        self.is_lasting = self.rests > 1 || is_enough || rest >= LASTING;
        self.enter(State::Open {
            until: now + rest,
            is_asked_for: trip.rest_asked_for().is_some(),
        });
    }

    /// Ends a rest, unless the Broker asked for it.
    pub(super) fn end_rest(&mut self, now: Instant) {
        if let State::Open {
            until,
            is_asked_for: false,
        } = &mut self.state
        {
            *until = (*until).min(now);
        }
    }

    /// What was sent before it went to rest and is answered now can still ask for more of it.
    fn rest_longer(&mut self, trip: Trip, now: Instant) {
        if let State::Open {
            until,
            is_asked_for,
        } = &mut self.state
            && let Some(after) = trip.rest_asked_for()
        {
            *until = (*until).max(now + after);
            *is_asked_for = true;
            self.is_lasting |= after >= LASTING;
        }
    }

    fn enter(&mut self, state: State) {
        self.state = state;
        self.generation += 1;
    }
}

#[cfg(test)]
mod tests;
