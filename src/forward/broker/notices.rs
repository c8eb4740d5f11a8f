//! When the log tells that a Broker is down or up again: at once, but of one that comes and goes only now and then. A state
//! machine without I/O or clock: time is given.

use std::time::Duration;

use tokio::time::Instant;

/// That a Broker is down is told no more often, unless it stays so beyond that.
const PAUSE: Duration = Duration::from_secs(30);

/// What was told of one Broker.
#[derive(Debug, Default)]
pub(super) struct Notices {
    state: State,
    /// When it was told last that it is down.
    told_at: Option<Instant>,
    /// How often it went down and came up since, and nothing was told.
    untold: u64,
}

#[derive(Debug, Default)]
enum State {
    #[default]
    Up,
    Down {
        is_told: bool,
    },
}

impl Notices {
    /// It is down, or still is, and is not asked before `until`; where that is to be told now, how often it was since the last
    /// time and nothing was told.
    pub(super) fn note_down(&mut self, now: Instant, until: Instant) -> Option<u64> {
        if matches!(self.state, State::Down { is_told: true }) {
            return None;
        }
        let is_told = self.told_at.is_none_or(|told_at| until >= told_at + PAUSE);
        self.state = State::Down { is_told };
        is_told.then(|| {
            self.told_at = Some(now);
            std::mem::take(&mut self.untold)
        })
    }

    /// It is up; whether that is to be told.
    pub(super) fn note_up(&mut self) -> bool {
        match std::mem::take(&mut self.state) {
            State::Up => false,
            State::Down { is_told } => {
                self.untold += u64::from(!is_told);
                is_told
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// That it is down after so many seconds, and is asked again at once.
    fn down(notices: &mut Notices, begun: Instant, seconds: u64) -> Option<u64> {
        let now = begun + Duration::from_secs(seconds);
        notices.note_down(now, now)
    }

    #[test]
    fn down_and_up_are_told_once_each() {
        let (mut notices, begun) = (Notices::default(), Instant::now());
        assert!(!notices.note_up());
        assert_eq!(down(&mut notices, begun, 0), Some(0));
        for seconds in [1, 100] {
            assert_eq!(down(&mut notices, begun, seconds), None);
        }
        assert!(notices.note_up());
        assert!(!notices.note_up());
        assert_eq!(down(&mut notices, begun, 101), Some(0));
        assert!(notices.note_up());
    }

    #[test]
    fn one_that_comes_and_goes_is_told_now_and_then_with_how_often() {
        let (mut notices, begun) = (Notices::default(), Instant::now());
        let mut told = Vec::new();
        for second in 0..90 {
            let untold = down(&mut notices, begun, second);
            told.extend(untold.map(|untold| (second, untold)));
            assert_eq!(notices.note_up(), untold.is_some(), "after {second} s");
        }
        assert_eq!(told, [(0, 0), (30, 29), (60, 29)]);
    }

    #[test]
    fn one_that_stays_down_after_it_came_and_went_is_told() {
        let (mut notices, begun) = (Notices::default(), Instant::now());
        assert_eq!(down(&mut notices, begun, 0), Some(0));
        assert!(notices.note_up());
        for probe in 1..30 {
            assert_eq!(down(&mut notices, begun, probe), None);
        }
        assert_eq!(down(&mut notices, begun, 30), Some(0));
        assert!(notices.note_up());
        assert_eq!(down(&mut notices, begun, 31), None);
        let now = begun + Duration::from_secs(32);
        assert_eq!(notices.note_down(now, now + PAUSE), Some(0));
    }
}
