//! Which source an event is from: the values of `metrics.source_fields`. Pure but for the shared memo.

use super::fields::{Beginning, FieldPath, Fields, Found, Value, beginning, unescape};
use super::scan::{Kind, Scanner, Span};
use crate::telemetry::Sources;
use crate::units::FieldReference;

/// The fields that tell the source.
pub(super) struct SourceKey {
    fields: Vec<FieldPath>,
}

/// The sources of the last events: those of one request mostly have one source, or a few, and so have those of a thread.
#[derive(Debug, Default)]
pub(super) struct RecentSources {
    known: usize,
    hashes: [u64; MAX_RECENT],
    numbers: [usize; MAX_RECENT],
    /// Of each source as many as there are fields, one source behind the other.
    spellings: Vec<Spelling>,
}

/// A value as it is written, or as much of a long one as is compared at once.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Spelling {
    length: usize,
    beginning: Beginning,
    end: Beginning,
}

/// Beyond this many the shared memo is asked each time.
const MAX_RECENT: usize = 8;

/// Bytes of a value that are compared at once, at each of its ends.
const PART: usize = size_of::<Beginning>();

/// Separates spellings: no JSON text holds this byte.
const SEPARATOR: u8 = 0xff;

impl SourceKey {
    pub(super) fn new(references: &[FieldReference], fields: &mut Fields) -> Self {
        Self {
            fields: references
                .iter()
                .map(|reference| FieldPath::new(reference, fields))
                .collect(),
        }
    }

    /// The number of an event's source.
    pub(super) fn number(
        &self,
        text: &[u8],
        found: &Found,
        scanner: &mut Scanner,
        recent: &mut RecentSources,
        sources: &Sources,
    ) -> usize {
        let mut hash = 0;
        for field in &self.fields {
            let spelling = Spelling::of(text, field.value(text, found, scanner));
            hash = spelling.hashed_into(hash);
        }
        if let Some(known) = recent.find(hash) {
            let spellings = &recent.spellings[known * self.fields.len()..];
            let is_same = |(field, known): (&FieldPath, &Spelling)| {
                *known == Spelling::of(text, field.value(text, found, scanner))
            };
            if std::iter::zip(&self.fields, spellings).all(is_same) {
                return recent.numbers[known];
            }
        }
        let number = self.shared_number(text, found, scanner, sources);
        self.remember(hash, number, text, found, scanner, recent);
        number
    }

    #[inline(never)]
    fn remember(
        &self,
        hash: u64,
        number: usize,
        text: &[u8],
        found: &Found,
        scanner: &mut Scanner,
        recent: &mut RecentSources,
    ) {
        let before = recent.spellings.len();
        let spelling = |field: &FieldPath| Spelling::of(text, field.value(text, found, scanner));
        recent.spellings.extend(self.fields.iter().map(spelling));
        let are_whole = recent.spellings[before..].iter().all(Spelling::is_whole);
        if are_whole && recent.known < MAX_RECENT {
            recent.hashes[recent.known] = hash;
            recent.numbers[recent.known] = number;
            recent.known += 1;
        } else {
            recent.spellings.truncate(before);
        }
    }

    /// The same from the shared memo.
    fn shared_number(
        &self,
        text: &[u8],
        found: &Found,
        scanner: &mut Scanner,
        sources: &Sources,
    ) -> usize {
        let mut spelling = Vec::with_capacity(64);
        for field in &self.fields {
            if let Some(value) = field.value(text, found, scanner) {
                spelling.extend_from_slice(value.span.of(text));
            }
            spelling.push(SEPARATOR);
        }
        sources.number(&spelling, || {
            let value = |field: &FieldPath| field.value(text, found, scanner);
            let values = self.fields.iter().map(value);
            values
                .map(|value| value.map_or_else(String::new, |value| label(text, value)))
                .collect()
        })
    }

    /// The number of the source of events that tell none.
    pub(super) fn none(&self, sources: &Sources) -> usize {
        let spelling = vec![SEPARATOR; self.fields.len()];
        sources.number(&spelling, || vec![String::new(); self.fields.len()])
    }
}

impl RecentSources {
    /// Forgets all when no further source could be remembered.
    pub(super) fn make_room(&mut self) {
        if self.known == MAX_RECENT {
            self.known = 0;
            self.spellings.clear();
        }
    }

    /// The source of this hash, perhaps. All are looked at, for which one it is nobody can foretell.
    #[inline(always)]
    fn find(&self, hash: u64) -> Option<usize> {
        let is_same = |(number, known)| u32::from(known == hash) << number;
        let same = self.hashes.into_iter().enumerate().map(is_same);
        let first = same.fold(0, |all, one| all | one).trailing_zeros() as usize;
        (first < self.known).then_some(first)
    }
}

impl Spelling {
    /// That of a field that is not there; no value is empty.
    const NONE: Self = Self {
        length: 0,
        beginning: 0,
        end: 0,
    };

    #[inline(always)]
    fn of(text: &[u8], value: Option<Value>) -> Self {
        let Some(Value { span, .. }) = value else {
            return Self::NONE;
        };
        let end = Span {
            start: span.end.saturating_sub(PART),
            end: span.end,
        };
        Self {
            length: span.len(),
            beginning: beginning(text, span),
            end: if span.len() > PART {
                beginning(text, end)
            } else {
                0
            },
        }
    }

    /// Whether all of the value is compared.
    fn is_whole(&self) -> bool {
        self.length <= 2 * PART
    }

    /// A hash of what came before and this; not one that withstands bad will, for it only says where to look first.
    #[inline(always)]
    fn hashed_into(self, hash: u64) -> u64 {
        const ODD: u64 = 0x9e37_79b9_7f4a_7c15;
        let both = self.beginning ^ self.end.rotate_left(8);
        let mixed = hash ^ both as u64 ^ (both >> 64) as u64 ^ (self.length as u64) << 56;
        mixed.wrapping_mul(ODD).rotate_left(29)
    }
}

/// A value as a label: text as it reads, numbers and truth values as written, all else empty.
fn label(text: &[u8], value: Value) -> String {
    match value.kind {
        Kind::String => {
            let inside = Span {
                start: value.span.start + 1,
                end: value.span.end - 1,
            };
            unescape(text, inside).unwrap_or_default()
        }
        Kind::Number | Kind::True | Kind::False => {
            String::from_utf8_lossy(value.span.of(text)).into_owned()
        }
        Kind::Object | Kind::Array | Kind::Null => String::new(),
    }
}
