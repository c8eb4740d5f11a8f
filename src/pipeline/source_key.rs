//! Which source an event is from: the values of `metrics.source_fields`. Pure but for the shared memo.

use super::fields::{FieldPath, Fields, Found, Value, unescape};
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
    scratch: Vec<u8>,
    known: Vec<(Vec<u8>, usize)>,
}

/// Beyond this many the shared memo is asked each time.
const MAX_RECENT: usize = 8;

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
        let spelling = &mut recent.scratch;
        spelling.clear();
        for field in &self.fields {
            if let Some(value) = field.value(text, found, scanner) {
                spelling.extend_from_slice(value.span.of(text));
            }
            spelling.push(SEPARATOR);
        }
        let known = recent.known.iter().find(|(known, _)| known == spelling);
        if let Some((_, number)) = known {
            return *number;
        }
        let number = sources.number(spelling, || {
            let value = |field: &FieldPath| field.value(text, found, scanner);
            let values = self.fields.iter().map(value);
            values
                .map(|value| value.map_or_else(String::new, |value| label(text, value)))
                .collect()
        });
        if recent.known.len() < MAX_RECENT {
            recent.known.push((spelling.clone(), number));
        }
        number
    }

    /// The number of the source of events that tell none.
    pub(super) fn none(&self, sources: &Sources) -> usize {
        let spelling = vec![SEPARATOR; self.fields.len()];
        sources.number(&spelling, || vec![String::new(); self.fields.len()])
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
