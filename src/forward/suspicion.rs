//! Whose fault it is that a Broker does not take a batch. One that fails again and again is to blame itself
//! if the Broker takes others all the while; one that is rejected is, unless the Broker rejects all. Pure.

/// A batch that failed fewer times is not suspected.
pub(super) const FAILURES_OF_A_SUSPECT: u32 = 5;

/// So many others its Broker must have taken since the first of them.
const OTHERS_TAKEN: u64 = 100;

/// How likely it may be that a batch is suspected though its events are fine, at a Broker that fails by chance.
const ACCEPTED_CHANCE: f64 = 1e-6;

/// So many events rejected one by one, without a delivery between them, speak of the Broker, not of the events.
pub(super) const REJECTIONS_OF_A_BROKEN_BROKER: u32 = 1000;

/// Whose fault it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Blame {
    /// The batch would not be taken later either, nor by another Broker.
    Events,
    /// It is to be tried again.
    Broker,
}

/// The single events that a Broker has rejected since it took something. A batch is halved on the word of one
/// rejection, which says nothing yet of how many of its events are at fault.
#[derive(Debug, Default)]
pub(super) struct Rejections(u32);

impl Rejections {
    /// The Broker has rejected so many events more, in one batch.
    pub(super) fn note(&mut self, events: usize) -> Blame {
        self.0 = self.0.saturating_add(u32::from(events == 1));
        self.blame()
    }

    /// Whose fault it is what the Broker rejects now.
    pub(super) fn blame(&self) -> Blame {
        if self.0 > REJECTIONS_OF_A_BROKEN_BROKER {
            Blame::Broker
        } else {
            Blame::Events
        }
    }

    /// The Broker took something.
    pub(super) fn end(&mut self) {
        self.0 = 0;
    }
}

/// What became of a Broker's requests so far.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Record {
    /// Requests that it took.
    pub(super) taken: u64,
    /// Requests that failed in a way that may be due to their events.
    pub(super) failed: u64,
}

/// What speaks against a batch, at each Broker that it failed at. Its halves inherit it.
#[derive(Clone, Debug, Default)]
pub(super) struct Suspicion {
    trials: Vec<Trial>,
}

#[derive(Clone, Debug)]
struct Trial {
    broker: usize,
    failures: u32,
    at_first: Record,
    at_last: Record,
    /// Whether others were taken between its last two failures. A Broker that has taken nothing since may have gone down
    /// just now.
    others_taken: bool,
}

impl Suspicion {
    /// The batch failed at a Broker, in a way that may be due to its events. `record` is the Broker's without
    /// this failure.
    pub(super) fn note_failure(&mut self, broker: usize, record: Record) -> Blame {
        let Some(trial) = self.trials.iter_mut().find(|trial| trial.broker == broker) else {
            self.trials.push(Trial {
                broker,
                failures: 1,
                at_first: record,
                at_last: record,
                others_taken: false,
            });
            return Blame::Broker;
        };
        trial.failures += 1;
        trial.others_taken = record.taken > trial.at_last.taken;
        trial.at_last = record;
        trial.blame()
    }

    /// Whether its last failure says nothing about the Broker: it was one of many, and others were taken meanwhile.
    pub(super) fn is_no_news(&self, broker: usize) -> bool {
        let trial = self.trials.iter().find(|trial| trial.broker == broker);
        trial.is_some_and(|trial| trial.failures > FAILURES_OF_A_SUSPECT && trial.others_taken)
    }

    /// How often it failed in a way that may be due to its events.
    pub(super) fn failures(&self) -> u32 {
        self.trials.iter().map(|trial| trial.failures).sum()
    }
}

impl Trial {
    fn blame(&self) -> Blame {
        let now = self.at_last;
        let taken = now.taken.saturating_sub(self.at_first.taken);
        let own = u64::from(self.failures) - 1;
        let others_failed = now.failed.saturating_sub(self.at_first.failed + own);
        let is_proven = self.failures >= FAILURES_OF_A_SUSPECT
            && taken >= OTHERS_TAKEN
            && self.others_taken
            && chance(taken, others_failed, self.failures) <= ACCEPTED_CHANCE;
        if is_proven {
            Blame::Events
        } else {
            Blame::Broker
        }
    }
}

/// How likely so many failures in a row are at a Broker that took and failed so many others.
fn chance(taken: u64, failed: u64, failures: u32) -> f64 {
    let rate = failed as f64 / (taken + failed) as f64;
    rate.powf(f64::from(failures))
}

#[cfg(test)]
mod tests {
    use super::*;

    const fn record(taken: u64, failed: u64) -> Record {
        Record { taken, failed }
    }

    /// Fails a batch at these records; what is said each time.
    fn verdicts(suspicion: &mut Suspicion, records: &[Record]) -> Vec<bool> {
        let verdict = |record: &Record| suspicion.note_failure(0, *record) == Blame::Events;
        records.iter().map(verdict).collect()
    }

    #[test]
    fn five_failures_while_a_hundred_others_were_taken_are_due_to_the_events() {
        let mut suspicion = Suspicion::default();
        let records = [(7, 3), (20, 4), (60, 5), (106, 6), (107, 7)].map(|(a, b)| record(a, b));
        let expected = [false, false, false, false, true];
        assert_eq!(verdicts(&mut suspicion, &records), expected);
        assert_eq!(suspicion.failures(), 5);
    }

    #[test]
    fn fewer_failures_or_fewer_others_are_not() {
        let mut few_others = Suspicion::default();
        let records: Vec<_> = (0..100).map(|step| record(step, step)).collect();
        assert!(!verdicts(&mut few_others, &records).contains(&true));
        let mut few_failures = Suspicion::default();
        let records: Vec<_> = (0..4).map(|step| record(1000 * step, step)).collect();
        assert!(!verdicts(&mut few_failures, &records).contains(&true));
    }

    #[test]
    fn a_broker_that_has_taken_nothing_since_may_be_down() {
        let mut suspicion = Suspicion::default();
        let records: Vec<_> = (0..5).map(|step| record(1000 * step, step)).collect();
        assert!(verdicts(&mut suspicion, &records)[4]);
        let mut half = suspicion.clone();
        assert_eq!(half.note_failure(0, record(4000, 5)), Blame::Broker);
        assert_eq!(
            half.note_failure(0, record(4001, 6)),
            Blame::Events,
            "its other half was taken"
        );
    }

    #[test]
    fn a_broker_that_fails_by_chance_needs_more_failures() {
        let mut suspicion = Suspicion::default();
        let records: Vec<_> = (0..30).map(|step| record(100 * step, 101 * step)).collect();
        let first = verdicts(&mut suspicion, &records)
            .iter()
            .position(|due| *due);
        assert_eq!(
            first,
            Some(19),
            "half of all requests fail: 2^-20 is one in a million"
        );
    }

    #[test]
    fn its_own_failures_are_not_those_of_others() {
        for (others, is_due) in [(6, true), (7, false)] {
            let mut suspicion = Suspicion::default();
            let records: Vec<_> = (0..5)
                .map(|step| record(25 * step, step * (others + 4) / 4))
                .collect();
            assert_eq!(verdicts(&mut suspicion, &records)[4], is_due, "{others}");
        }
    }

    #[test]
    fn each_broker_counts_for_itself() {
        let mut suspicion = Suspicion::default();
        for step in 0..4 {
            assert_eq!(
                suspicion.note_failure(0, record(100 * step, step)),
                Blame::Broker
            );
            assert_eq!(
                suspicion.note_failure(1, record(100 * step, step)),
                Blame::Broker
            );
        }
        assert_eq!(suspicion.failures(), 8);
        assert_eq!(suspicion.note_failure(1, record(400, 4)), Blame::Events);
    }

    #[test]
    fn a_failure_is_no_news_after_five_others_and_while_others_are_taken() {
        let mut suspicion = Suspicion::default();
        for step in 0..6 {
            assert!(!suspicion.is_no_news(0), "{step}");
            suspicion.note_failure(0, record(step, step));
        }
        assert!(suspicion.is_no_news(0));
        assert!(!suspicion.is_no_news(1), "another Broker is another matter");
        suspicion.note_failure(0, record(5, 6));
        assert!(!suspicion.is_no_news(0), "it may have gone down");
    }

    #[test]
    fn a_thousand_rejections_in_a_row_speak_of_the_broker() {
        let mut rejections = Rejections::default();
        for _ in 0..1000 {
            assert_eq!(rejections.note(1), Blame::Events);
            assert_eq!(rejections.note(2), Blame::Events, "it is halved first");
        }
        assert_eq!(rejections.note(1), Blame::Broker);
        assert_eq!(rejections.note(2), Blame::Broker);
        rejections.end();
        assert_eq!(rejections.note(1), Blame::Events);
    }
}
