//! How many requests a Broker that is busy is sent at a time: one less than it did not take, and one more after it took a
//! while. Pure.

/// For each request of the window so many are taken before it is made wider. What is tried in vain is work for a Broker that
/// has too much of it.
const TAKEN_BEFORE_WIDER: usize = 4;

/// The requests that may be under way at one Broker.
#[derive(Clone, Copy, Debug)]
pub(super) struct Window {
    max: usize,
    width: usize,
    /// Since it has this width.
    taken: usize,
}

impl Window {
    /// As wide as it may be.
    pub(super) fn new(max: usize) -> Self {
        Self {
            max,
            width: max,
            taken: 0,
        }
    }

    /// Requests that may be under way at a time.
    pub(super) fn width(&self) -> usize {
        self.width
    }

    /// The Broker took a batch; whether it is wider for that.
    pub(super) fn note_taken(&mut self) -> bool {
        if self.width == self.max {
            return false;
        }
        self.taken += 1;
        let is_wider = self.taken >= self.width * TAKEN_BEFORE_WIDER;
        if is_wider {
            self.set(self.width + 1);
        }
        is_wider
    }

    /// The Broker said that it is busy while so many requests were under way, with the one that it said it to.
    pub(super) fn note_busy(&mut self, under_way: usize) {
        self.set(self.width.min(under_way.saturating_sub(1)).max(1));
    }

    fn set(&mut self, width: usize) {
        self.width = width;
        self.taken = 0;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A Broker that takes so many at a time, for so many turns in which all that may be sent is; those it took and those
    /// it did not.
    fn play(window: &mut Window, at_a_time: usize, turns: usize) -> [usize; 2] {
        let mut told = [0; 2];
        for _ in 0..turns {
            let sent = window.width();
            let taken = sent.min(at_a_time);
            for turned_away in 0..sent - taken {
                window.note_busy(sent - turned_away);
            }
            for _ in 0..taken {
                window.note_taken();
            }
            told[0] += taken;
            told[1] += sent - taken;
        }
        told
    }

    #[test]
    fn a_broker_gets_what_it_takes_at_a_time() {
        for at_a_time in 1..8 {
            let mut window = Window::new(8);
            assert_eq!(play(&mut window, at_a_time, 1), [at_a_time, 8 - at_a_time]);
            assert_eq!(window.width(), at_a_time);
            let [taken, turned_away] = play(&mut window, at_a_time, 900);
            assert_eq!(taken, 900 * at_a_time);
            assert_eq!(
                turned_away,
                900 / TAKEN_BEFORE_WIDER,
                "one more is tried now and then"
            );
        }
    }

    #[test]
    fn one_that_is_busy_no_more_gets_all_again() {
        let mut window = Window::new(8);
        play(&mut window, 0, 1);
        assert_eq!(window.width(), 1, "something must be sent to see it");
        play(&mut window, 0, 3);
        play(&mut window, 8, 7 * TAKEN_BEFORE_WIDER);
        assert_eq!(window.width(), 8);
        assert_eq!(play(&mut window, 8, 100), [800, 0]);
    }

    #[test]
    fn what_is_turned_away_now_and_then_is_no_limit() {
        let mut window = Window::new(8);
        window.note_busy(8);
        assert_eq!(window.width(), 7);
        play(&mut window, 8, TAKEN_BEFORE_WIDER);
        assert_eq!(window.width(), 8);
    }
}
