//! Which numbered events came, and how often. A numbered event bears its number in decimal digits behind the mark.

use std::fmt::Write as _;

use super::EVENT_MARK;

/// Bounds the memory: a byte for each number.
const MAX_NUMBER: usize = 256 * 1024 * 1024;

/// How often each number came, at most 255 times.
#[derive(Default)]
pub(crate) struct Numbers {
    times: Vec<u8>,
    /// Events without a number, or with one that is too large.
    strange: u64,
}

impl Numbers {
    /// Notes the events of a body; how many there are.
    pub(crate) fn note(&mut self, body: &[u8]) -> usize {
        let events = body.split(|byte| *byte == EVENT_MARK).skip(1);
        events.map(|text| self.note_one(text)).count()
    }

    fn note_one(&mut self, text: &[u8]) {
        let mut digits = text
            .iter()
            .take_while(|byte| byte.is_ascii_digit())
            .peekable();
        let has_digits = digits.peek().is_some();
        let number = digits.try_fold(0_usize, |number, digit| {
            number
                .checked_mul(10)?
                .checked_add(usize::from(digit - b'0'))
        });
        let Some(number) = number.filter(|number| has_digits && *number < MAX_NUMBER) else {
            self.strange += 1;
            return;
        };
        if self.times.len() <= number {
            self.times.resize(number + 1, 0);
        }
        self.times[number] = self.times[number].saturating_add(1);
    }

    /// The number of strange events, then a line for each run of numbers that came equally often: `FIRST LAST TIMES`.
    pub(crate) fn report(&self) -> String {
        let mut text = format!("{}\n", self.strange);
        let mut first = 0;
        for run in self.times.chunk_by(|one, next| one == next) {
            let last = first + run.len() - 1;
            writeln!(text, "{first} {last} {}", run[0]).expect("a string takes all");
            first = last + 1;
        }
        text
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tells_what_is_missing_and_what_is_doubled() {
        let mut numbers = Numbers::default();
        assert_eq!(numbers.note(b"[{\"a\":\"~0\"},{\"a\":\"~0001x\"}]"), 2);
        assert_eq!(numbers.note(b"~1/~4 ~x ~99999999999999999999999999"), 4);
        assert_eq!(numbers.report(), "2\n0 0 1\n1 1 2\n2 3 0\n4 4 1\n");
    }
}
