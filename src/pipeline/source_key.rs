//! Which source an event is from: the values of `metrics.source_fields`. Pure but for the shared memo.

use super::fields::{Beginning, FieldPath, Fields, Found, Value, beginning, unescape};
use super::scan::{Kind, Scanner, Span};
use crate::telemetry::Sources;
use crate::units::FieldReference;

/// The fields that tell the source.
pub(super) struct SourceKey {
    fields: Vec<FieldPath>,
}

/// The sources of the last events: those of one request mostly have one source, or a few.
#[derive(Debug, Default)]
pub(super) struct RecentSources {
    /// Of each source as many as there are fields, one source behind the other.
    spellings: Vec<Spelling>,
    numbers: [usize; MAX_RECENT],
    known: usize,
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
        let spelled = recent.spellings.len();
        for field in &self.fields {
            let value = field.value(text, found, scanner);
            let spelling = value.map_or(Spelling::NONE, |value| Spelling::of(text, value.span));
            recent.spellings.push(spelling);
        }
        let (known, own) = recent.spellings.split_at(spelled);
        let is_whole = own.iter().all(|spelling| spelling.is_whole());
        let same = known
            .chunks_exact(own.len().max(1))
            .position(|known| known == own);
        if let Some(known) = same {
            recent.spellings.truncate(spelled);
            return recent.numbers[known];
        }
        let number = self.shared_number(text, found, scanner, sources);
        if is_whole && recent.known < MAX_RECENT {
            recent.numbers[recent.known] = number;
            recent.known += 1;
        } else {
            recent.spellings.truncate(spelled);
        }
        number
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

impl Spelling {
    /// That of a field that is not there; no value is empty.
    const NONE: Self = Self {
        length: 0,
        beginning: 0,
        end: 0,
    };

    fn of(text: &[u8], value: Span) -> Self {
        Self {
            length: value.len(),
            beginning: beginning(text, value),
            end: beginning(
                text,
                Span {
                    start: value.start.max(value.end.saturating_sub(PART)),
                    end: value.end,
                },
            ),
        }
    }

    /// Whether all of the value is compared.
    fn is_whole(self) -> bool {
        self.length <= 2 * PART
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
