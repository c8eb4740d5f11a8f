//! Whether a batch that Brokers turn away again and again, for reasons of their own, is to be halved. One of its events may
//! be what they do not take; or they are busy and turn away whatever comes, and then halves are more requests, which make
//! it worse. Pure.

use super::suspicion::FAILURES_OF_A_SUSPECT;

/// How likely it may be that a batch is halved though others are turned away as often. Its halves begin anew, so one that
/// was halved for nothing costs a request more, and not as many as it has events.
const ACCEPTED_CHANCE: f64 = 0.1;

/// One that was turned away so often is halved whatever becomes of others: they may hold such events too.
const OFTEN: u32 = 20;

/// What became of batches so far, whichever Broker they were sent to.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Intake {
    /// Batches that were taken.
    taken: u64,
    /// New ones that were taken at the first try.
    taken_at_first: u64,
    /// New ones that were turned away at the first try. Later tries are not counted, nor are those of halves: a few events
    /// that are never taken would look like a Broker that is busy.
    turned_away_at_first: u64,
}

/// How often a batch was turned away.
#[derive(Clone, Debug, Default)]
pub(super) struct TurnedAway {
    times: u32,
    /// Before that, what it was made of.
    times_before: u32,
    /// When it, or what it was made of, had been turned away once.
    at_first: Option<Intake>,
    /// Then, or when it was made of another.
    taken_before: u64,
}

impl Intake {
    /// A batch was taken.
    pub(super) fn note_taken(&mut self, batch: &TurnedAway) {
        self.taken += 1;
        self.taken_at_first += u64::from(batch.in_all() == 0);
    }

    /// A batch was turned away.
    pub(super) fn note_turned_away(&mut self, batch: &mut TurnedAway) {
        self.turned_away_at_first += u64::from(batch.in_all() == 0);
        batch.times = batch.times.saturating_add(1);
        if batch.at_first.is_none() {
            batch.at_first = Some(*self);
            batch.taken_before = self.taken;
        }
    }
}

impl TurnedAway {
    /// How often, with what it was made of.
    pub(super) fn in_all(&self) -> u32 {
        self.times_before.saturating_add(self.times)
    }

    /// Of a batch that was turned away so often, while nothing else was sent.
    #[cfg(test)]
    pub(super) fn after(times: u32) -> Self {
        Self {
            times,
            ..Self::default()
        }
    }

    /// For a part of the batch, which may be taken where the whole is not.
    pub(super) fn of_a_part(&self) -> Self {
        Self {
            times_before: self.in_all(),
            ..Self::default()
        }
    }

    /// For the halves of one that is in the way. What is taken of one speaks against the other, whichever is tried first.
    pub(super) fn of_a_half(&self, now: Intake) -> Self {
        Self {
            at_first: self.at_first,
            taken_before: now.taken,
            ..self.of_a_part()
        }
    }

    /// Whether it is due to its events, while others are taken.
    pub(super) fn is_in_the_way(&self, now: Intake) -> bool {
        let Some(at_first) = self.at_first else {
            return false;
        };
        self.in_all() >= FAILURES_OF_A_SUSPECT
            && now.taken > self.taken_before
            && (self.times >= OFTEN || self.chance(at_first, now) <= ACCEPTED_CHANCE)
    }

    /// How likely it is turned away so many times in a row at the rate at which first tries are. There may have been few of
    /// them, so the rate is what the rule of succession expects.
    fn chance(&self, at_first: Intake, now: Intake) -> f64 {
        let taken = now.taken_at_first - at_first.taken_at_first;
        let turned_away = now.turned_away_at_first - at_first.turned_away_at_first;
        let rate = (turned_away + 1) as f64 / (taken + turned_away + 2) as f64;
        rate.powf(f64::from(self.times))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Of others, new ones that are taken and turned away at the first try.
    fn play(intake: &mut Intake, taken: u32, turned_away: u32) {
        (0..taken).for_each(|_| intake.note_taken(&TurnedAway::default()));
        (0..turned_away).for_each(|_| intake.note_turned_away(&mut TurnedAway::default()));
    }

    /// How often a batch is turned away until it is in the way, where so many others are taken and turned away each time.
    fn tries_until_in_the_way(taken: u32, turned_away: u32) -> Option<u32> {
        let mut intake = Intake::default();
        let mut batch = TurnedAway::default();
        (1..=100).find(|_| {
            intake.note_turned_away(&mut batch);
            play(&mut intake, taken, turned_away);
            batch.is_in_the_way(intake)
        })
    }

    #[test]
    fn what_is_turned_away_while_others_are_taken_is_in_the_way() {
        assert_eq!(tries_until_in_the_way(1, 0), Some(5));
        assert_eq!(tries_until_in_the_way(100, 10), Some(5));
    }

    #[test]
    fn where_most_are_turned_away_it_takes_more_tries() {
        for (taken, turned_away, tries) in [(10, 10, 5), (5, 10, 6), (4, 12, 8), (1, 9, 20)] {
            let told = tries_until_in_the_way(taken, turned_away);
            assert_eq!(told, Some(tries), "{taken} of {}", taken + turned_away);
        }
    }

    #[test]
    fn a_broker_that_takes_nothing_may_be_down() {
        assert_eq!(tries_until_in_the_way(0, 0), None);
        assert_eq!(tries_until_in_the_way(0, 5), None);
    }

    #[test]
    fn halves_begin_anew_at_the_rate_that_is_known() {
        let mut intake = Intake::default();
        for (others, tries) in [([100, 0], 1), ([50, 50], 4)] {
            let mut whole = TurnedAway::default();
            for _ in 0..FAILURES_OF_A_SUSPECT {
                intake.note_turned_away(&mut whole);
            }
            play(&mut intake, others[0], others[1]);
            let mut half = whole.of_a_half(intake);
            assert_eq!(half.in_all(), FAILURES_OF_A_SUSPECT);
            intake.note_taken(&half);
            let tried = (1..=100).find(|_| {
                intake.note_turned_away(&mut half);
                half.is_in_the_way(intake)
            });
            assert_eq!(tried, Some(tries), "{others:?}");
        }
    }

    #[test]
    fn what_is_never_taken_does_not_look_like_a_busy_broker() {
        let mut intake = Intake::default();
        let mut never_taken = TurnedAway::default();
        for _ in 0..1000 {
            intake.note_turned_away(&mut never_taken);
            intake.note_turned_away(&mut never_taken.of_a_part());
        }
        let mut batch = TurnedAway::default();
        for _ in 0..FAILURES_OF_A_SUSPECT {
            intake.note_turned_away(&mut batch);
        }
        play(&mut intake, 10, 0);
        assert!(batch.is_in_the_way(intake));
    }
}
