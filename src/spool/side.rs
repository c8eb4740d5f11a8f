//! The two sides of a record, events and dead letters, and their lines a bounded piece at a time, however
//! long the record is. Where the bytes come from is the caller's.

use std::io;
use std::ops::Range;

use bytes::Bytes;
use seglog::{Reader, StoredRecord};

use super::Part;
use super::envelope::{self, EnvelopeHead};
use crate::event::{Lines, Position};

/// Which lines of a record.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Side {
    /// Events for the output.
    Live,
    /// Dead letters.
    Dead,
}

/// The lines of one side that are still to be read.
#[derive(Clone, Debug)]
pub(super) struct SideLines {
    /// Bytes of the payload.
    rest: Range<u64>,
    positions: Range<Position>,
}

impl SideLines {
    pub(super) fn new(record: &StoredRecord, head: &EnvelopeHead, side: Side) -> Self {
        let live_from = envelope::HEAD_BYTES as u64;
        let live_to = live_from + head.live_bytes;
        let first_dead = record.first + Position::from(head.live);
        match side {
            Side::Live => Self {
                rest: live_from..live_to,
                positions: record.first..first_dead,
            },
            Side::Dead => Self {
                rest: live_to..record.payload_bytes,
                positions: first_dead..record.end(),
            },
        }
    }

    /// The positions of the lines.
    pub(super) fn positions(&self) -> Range<Position> {
        self.positions.clone()
    }

    pub(super) fn is_over(&self) -> bool {
        self.positions.is_empty()
    }

    /// The next whole lines, at least one. `read` appends a range of the payload, at most [`Reader::PIECE_BYTES`] long.
    ///
    /// # Errors
    /// Those of `read`; `InvalidData` where the lines are not as many as the head says.
    pub(super) fn next(
        &mut self,
        mut read: impl FnMut(Range<u64>, &mut Vec<u8>) -> io::Result<()>,
    ) -> io::Result<Part> {
        let mut text: Vec<u8> = Vec::new();
        loop {
            let at = self.rest.start + text.len() as u64;
            let end = self.rest.end.min(at + Reader::PIECE_BYTES as u64);
            if at == end {
                return Err(io::ErrorKind::InvalidData.into());
            }
            let before = text.len();
            read(at..end, &mut text)?;
            if let Some(newline) = memchr::memrchr(b'\n', &text[before..]) {
                text.truncate(before + newline + 1);
                break;
            }
        }
        // What was read of a long line behind it would wait with it.
        if text.capacity() > 2 * text.len() {
            text.shrink_to_fit();
        }
        let count = memchr::memchr_iter(b'\n', &text).count();
        let first = self.positions.start;
        let end = first + count as Position;
        let is_last = self.rest.start + text.len() as u64 == self.rest.end;
        if end > self.positions.end || (is_last && end < self.positions.end) {
            return Err(io::ErrorKind::InvalidData.into());
        }
        self.rest.start += text.len() as u64;
        self.positions.start = end;
        Ok(Part {
            first,
            lines: Lines {
                count,
                bytes: Bytes::from(text),
            },
        })
    }
}

/// The parts of a part that lie in these ranges, which are in order. Where they are less than half of it they leave it.
pub(super) fn cut(part: Part, ranges: impl Iterator<Item = Range<Position>>) -> Vec<Part> {
    let whole = part.lines.bytes.len();
    let mut rest = part;
    let mut parts = Vec::new();
    let mut kept = 0;
    for range in ranges {
        let _left_out = take(&mut rest, range.start);
        let lines = take(&mut rest, range.end);
        kept += lines.bytes.len();
        parts.push(Part {
            first: range.start,
            lines,
        });
    }
    if kept < whole / 2 {
        parts.iter_mut().for_each(|part| part.lines.detach());
    }
    parts
}

/// Takes the lines below a position from the front.
fn take(part: &mut Part, end: Position) -> Lines {
    let count = end - part.first;
    part.first = end;
    if count == 0 {
        return Lines::default();
    }
    let count = usize::try_from(count).expect("they are in memory");
    part.lines.split_front(count, usize::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn part(first: Position, texts: &[&str]) -> Part {
        let text: String = texts.iter().map(|text| format!("{text},\n")).collect();
        Part {
            first,
            lines: Lines {
                count: texts.len(),
                bytes: text.into(),
            },
        }
    }

    #[test]
    fn a_part_is_cut_to_ranges() {
        let whole = part(10, &["a", "b", "c", "d", "e"]);
        let parts = cut(whole.clone(), [10..11, 13..15].into_iter());
        let seen: Vec<_> = parts
            .iter()
            .map(|part| (part.first, part.lines.clone()))
            .collect();
        let expected = [part(10, &["a"]), part(13, &["d", "e"])];
        assert_eq!(seen, expected.map(|part| (part.first, part.lines)));
        let whole_again = cut(whole.clone(), std::iter::once(10..15));
        assert_eq!(whole_again[0].lines, whole.lines);
    }

    #[test]
    fn a_few_lines_of_a_long_part_keep_nothing_else_in_memory() {
        let whole = part(10, &["a", &"b".repeat(1_000), "c"]);
        let own = cut(whole.clone(), [10..11, 12..13].into_iter());
        assert!(own.iter().all(|part| part.lines.bytes.is_unique()));
        let shared = cut(whole.clone(), std::iter::once(10..12));
        assert!(!shared[0].lines.bytes.is_unique(), "most of it is kept");
    }

    #[test]
    fn there_are_as_many_lines_as_positions_or_it_is_told() {
        let text = b"a,\nb,\nc,\n";
        for (end, fits) in [(12, false), (13, true), (14, false)] {
            let mut lines = SideLines {
                rest: 0..text.len() as u64,
                positions: 10..end,
            };
            let read = |range: Range<u64>, out: &mut Vec<u8>| {
                out.extend_from_slice(&text[range.start as usize..range.end as usize]);
                Ok(())
            };
            match lines.next(read) {
                Ok(_) => assert!(fits, "{end}"),
                Err(error) => {
                    assert!(!fits && error.kind() == io::ErrorKind::InvalidData, "{end}");
                    assert_eq!(lines.positions(), 10..end);
                }
            }
        }
    }

    #[test]
    fn what_follows_a_line_is_let_go() {
        let text = format!("a,\n{}", "b".repeat(100_000));
        let mut lines = SideLines {
            rest: 0..text.len() as u64 + 2,
            positions: 0..2,
        };
        let read = |range: Range<u64>, out: &mut Vec<u8>| {
            let range = range.start as usize..(range.end as usize).min(text.len());
            out.extend_from_slice(&text.as_bytes()[range]);
            Ok(())
        };
        let first = lines.next(read).unwrap();
        assert_eq!(first.lines.bytes, "a,\n");
        let kept = first.lines.bytes.try_into_mut().unwrap();
        assert!(kept.capacity() < 100, "{}", kept.capacity());
    }
}
