//! A bounded queue of envelopes with two lanes, one for events and one for dead letters.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::{Notify, oneshot};
use tokio::time::Instant;

use crate::event::{Envelope, Origin, Position, SourceCount};
use crate::spool::lane::{Lane, Threshold};
use crate::spool::{AppendError, FULL_RETRY_AFTER, LeaseLimits, Part, SpoolStatus, first_position};
use crate::telemetry::Telemetry;

/// The queue behind a lock that is never held across a wait.
pub(super) struct Queue {
    max_bytes: usize,
    telemetry: Arc<Telemetry>,
    state: Mutex<State>,
    events_arrived: Notify,
    letters_arrived: Notify,
    all_acked: Notify,
}

struct State {
    next: Position,
    /// By the position of the first event; an entry goes when its last event is acked.
    entries: BTreeMap<Position, Entry>,
    events: Lane,
    letters: Lane,
    unacked_events: usize,
    bytes: usize,
    /// Bytes of the last envelope that found no room, or would find none.
    last_refused: Option<usize>,
}

struct Entry {
    /// Events that are not withdrawn.
    events: usize,
    unacked: usize,
    bytes: usize,
    appended: Instant,
    origin: Origin,
    sources: Vec<SourceCount>,
    /// Not yet counted as accepted: nobody was told, and it may be withdrawn.
    watched: Option<oneshot::Sender<()>>,
}

/// About what an envelope takes beside its text: it counts, for events can be short.
pub(super) const ENTRY_BYTES: usize = 256;

/// What came of a withdrawal.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Withdrawn {
    /// Every event was acked before.
    NothingLeft,
    /// Events that were not acked: taken back, or under way.
    WhatWasLeft,
}

impl Queue {
    pub(super) fn new(max_bytes: usize, telemetry: Arc<Telemetry>) -> Self {
        Self {
            max_bytes,
            telemetry,
            state: Mutex::new(State {
                next: first_position(),
                entries: BTreeMap::new(),
                events: Lane::default(),
                letters: Lane::default(),
                unacked_events: 0,
                bytes: 0,
                last_refused: None,
            }),
            events_arrived: Notify::new(),
            letters_arrived: Notify::new(),
            all_acked: Notify::new(),
        }
    }

    /// Appends, and counts the events as accepted.
    pub(super) fn append(&self, mut envelope: Envelope) -> Result<Position, AppendError> {
        let (origin, events) = (envelope.origin, envelope.events());
        let sources = std::mem::take(&mut envelope.sources);
        let first = self.push(envelope, None)?;
        self.count_accepted(origin, events, &sources);
        Ok(first)
    }

    /// Appends; the receiver resolves when every event is acked. They count as accepted then, or when
    /// they are under way at a withdrawal.
    pub(super) fn append_watched(
        &self,
        envelope: Envelope,
    ) -> Result<(Position, oneshot::Receiver<()>), AppendError> {
        let (delivered, watch) = oneshot::channel();
        let first = self.push(envelope, Some(delivered))?;
        Ok((first, watch))
    }

    fn push(
        &self,
        envelope: Envelope,
        watched: Option<oneshot::Sender<()>>,
    ) -> Result<Position, AppendError> {
        let bytes = envelope.size() + ENTRY_BYTES;
        let mut state = self.lock();
        self.find_room(&mut state, bytes)?;
        let first = state.next;
        let events = envelope.events();
        state.next += events as Position;
        state.unacked_events += events;
        state.bytes += bytes;
        let entry = Entry {
            events,
            unacked: events,
            bytes,
            appended: Instant::now(),
            origin: envelope.origin,
            sources: envelope.sources,
            watched,
        };
        state.entries.insert(first, entry);
        let first_letter = first + envelope.live.count as Position;
        if state.events.push(first, envelope.live) {
            self.events_arrived.notify_one();
        }
        if state.letters.push(first_letter, envelope.dead) {
            self.letters_arrived.notify_one();
        }
        Ok(first)
    }

    /// Why an envelope of so many bytes or more would be refused now.
    pub(super) fn refuses(&self, bytes: usize) -> Option<AppendError> {
        let mut state = self.lock();
        let refused = self.refusal(&state, bytes);
        if refused.is_some_and(is_full) {
            state.last_refused = Some(bytes);
        }
        refused
    }

    fn find_room(&self, state: &mut State, bytes: usize) -> Result<(), AppendError> {
        let refused = self.refusal(state, bytes);
        match refused {
            None => state.last_refused = None,
            Some(refused) if is_full(refused) => state.last_refused = Some(bytes),
            Some(_) => {}
        }
        refused.map_or(Ok(()), Err)
    }

    fn refusal(&self, state: &State, bytes: usize) -> Option<AppendError> {
        if bytes > self.max_bytes {
            return Some(AppendError::TooLarge {
                bytes,
                max_bytes: self.max_bytes,
                key: "spool.memory_bytes",
            });
        }
        (state.bytes + bytes > self.max_bytes).then_some(AppendError::Full {
            retry_after: FULL_RETRY_AFTER,
        })
    }

    /// Resolves when so much can be leased.
    pub(super) async fn events_waiting(&self, threshold: Threshold) {
        while !self.lock().events.has_or_will_wake_at(threshold) {
            self.events_arrived.notified().await;
        }
    }

    pub(super) fn has_events_to_lease(&self) -> bool {
        !self.lock().events.is_empty()
    }

    pub(super) fn lease(&self, limits: LeaseLimits) -> Vec<Part> {
        self.lock().events.lease(limits)
    }

    pub(super) async fn lease_letters(&self, limits: LeaseLimits) -> Vec<Part> {
        loop {
            {
                let mut state = self.lock();
                let parts = state.letters.lease(limits);
                if !parts.is_empty() {
                    return parts;
                }
                state.letters.has_or_will_wake_at(Threshold::ANYTHING);
            }
            self.letters_arrived.notified().await;
        }
    }

    pub(super) fn ack(&self, first: Position, events: usize) {
        let mut state = self.lock();
        let mut before = state.entries.range_mut(..=first);
        let (first, entry) = before
            .next_back()
            .map(|(first, entry)| (*first, entry))
            .expect("what is leased and not acked has its entry");
        entry.unacked -= events;
        state.unacked_events -= events;
        self.finish_if_done(state, first);
    }

    /// Takes back what of the envelope at `first` is not leased yet. The rest counts as accepted now: it
    /// is under way. An envelope that is done is gone already.
    pub(super) fn withdraw(&self, first: Position) -> Withdrawn {
        let mut guard = self.lock();
        let state = &mut *guard;
        let Some(entry) = state.entries.get_mut(&first) else {
            return Withdrawn::NothingLeft;
        };
        let end = first + entry.events as Position;
        let withdrawn = state.events.withdraw(first..end) + state.letters.withdraw(first..end);
        state.unacked_events -= withdrawn;
        entry.unacked -= withdrawn;
        entry.events -= withdrawn;
        entry.watched = None;
        let (origin, under_way) = (entry.origin, entry.events);
        let sources = first_of(std::mem::take(&mut entry.sources), under_way as u64);
        self.finish_if_done(guard, first);
        if under_way > 0 {
            self.count_accepted(origin, under_way, &sources);
        }
        Withdrawn::WhatWasLeft
    }

    fn finish_if_done(&self, mut state: MutexGuard<'_, State>, first: Position) {
        let is_done = state
            .entries
            .get(&first)
            .is_some_and(|entry| entry.unacked == 0);
        let Some(done) = is_done.then(|| state.entries.remove(&first)).flatten() else {
            return;
        };
        state.bytes -= done.bytes;
        let is_empty = state.unacked_events == 0;
        drop(state);
        if is_empty {
            self.all_acked.notify_waiters();
        }
        if let Some(delivered) = done.watched {
            self.count_accepted(done.origin, done.events, &done.sources);
            // The client may have gone away in this moment; its events are delivered all the same.
            let _gone = delivered.send(());
        }
    }

    fn count_accepted(&self, origin: Origin, events: usize, sources: &[SourceCount]) {
        self.telemetry.accepted(origin, events as u64);
        self.telemetry.source_events(sources);
    }

    pub(super) fn status(&self) -> SpoolStatus {
        let state = self.lock();
        let oldest = state.entries.first_key_value();
        SpoolStatus {
            disk_full: false,
            bytes: state.bytes,
            events: state.unacked_events,
            oldest_age: oldest.map_or_else(Default::default, |(_, entry)| entry.appended.elapsed()),
            full: state
                .last_refused
                .is_some_and(|bytes| state.bytes + bytes > self.max_bytes),
            failed: false,
            checkpoint_failing: false,
        }
    }

    pub(super) async fn drained(&self) {
        loop {
            let acked = self.all_acked.notified();
            tokio::pin!(acked);
            acked.as_mut().enable();
            if self.lock().unacked_events == 0 {
                return;
            }
            acked.await;
        }
    }

    /// Envelopes that are kept.
    #[cfg(test)]
    pub(super) fn entries(&self) -> usize {
        self.lock().entries.len()
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The counts of so many events. Which source each of them is from nobody knows any more where there are several.
fn first_of(mut sources: Vec<SourceCount>, events: u64) -> Vec<SourceCount> {
    let mut left = events;
    for count in &mut sources {
        count.events = count.events.min(left);
        left -= count.events;
    }
    sources.retain(|count| count.events > 0);
    sources
}

fn is_full(refused: AppendError) -> bool {
    matches!(refused, AppendError::Full { .. })
}
