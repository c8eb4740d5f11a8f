//! Events by source: the memo that turns the values of `metrics.source_fields` into a counter. Bounded, so
//! that no client can make labels without end.

use std::collections::HashMap;
use std::sync::{OnceLock, PoisonError, RwLock};

use metrics::{Counter, Label};
use metrics_exporter_prometheus::PrometheusRecorder;

use super::names;
use super::recorder::{counter, label};
use crate::event::SourceCount;

/// The number of the source that stands for all beyond `metrics.max_sources`.
const OTHER: usize = 0;

/// A label value is cut to this many characters; a name is shorter, and the rest is noise.
const MAX_VALUE_CHARS: usize = 128;

/// Spellings are remembered within these bounds; others are decoded each time.
const SPELLINGS_PER_SOURCE: usize = 4;
const MAX_SPELLING_BYTES: usize = 1024;

/// The known sources.
pub struct Sources {
    labels: Vec<String>,
    max_sources: usize,
    known: RwLock<Known>,
}

#[derive(Default)]
struct Known {
    spellings: HashMap<Vec<u8>, usize>,
    numbers: HashMap<Vec<String>, usize>,
    sources: Vec<Source>,
}

struct Source {
    values: Vec<String>,
    /// Made when it is first counted: a source of which nothing was accepted is no time series.
    counter: OnceLock<Counter>,
}

impl Source {
    fn new(values: Vec<String>) -> Self {
        Self {
            values,
            counter: OnceLock::new(),
        }
    }
}

impl Sources {
    pub(super) fn new(labels: Vec<String>, max_sources: usize) -> Self {
        let other = vec!["other".to_owned(); labels.len()];
        Self {
            max_sources,
            known: RwLock::new(Known {
                sources: vec![Source::new(other)],
                ..Known::default()
            }),
            labels,
        }
    }

    /// The number of the source whose values an event spells as `raw`.
    ///
    /// `values` decodes them, one for each label and empty where the event has none; it is asked only when
    /// the spelling is new, for decoding allocates and this is done for each event.
    pub fn number(&self, raw: &[u8], values: impl FnOnce() -> Vec<String>) -> usize {
        let known = self.known.read().unwrap_or_else(PoisonError::into_inner);
        if let Some(number) = known.spellings.get(raw) {
            return *number;
        }
        drop(known);
        let mut values = values();
        for value in &mut values {
            if let Some((end, _)) = value.char_indices().nth(MAX_VALUE_CHARS) {
                value.truncate(end);
            }
        }
        let known = self.known.read().unwrap_or_else(PoisonError::into_inner);
        if !self.remembers(&known, raw)
            && let Some(number) = self.number_of(&known, &values)
        {
            // A client that invents sources without end must not hold up all others.
            return number;
        }
        drop(known);
        self.add(raw, values)
    }

    /// The number of these values; none where they are to get one.
    fn number_of(&self, known: &Known, values: &Vec<String>) -> Option<usize> {
        let is_full = known.numbers.len() >= self.max_sources;
        let number = known.numbers.get(values).copied();
        number.or(is_full.then_some(OTHER))
    }

    /// Whether this spelling can be remembered.
    fn remembers(&self, known: &Known, raw: &[u8]) -> bool {
        known.spellings.len() < SPELLINGS_PER_SOURCE * self.max_sources
            && raw.len() <= MAX_SPELLING_BYTES
    }

    fn add(&self, raw: &[u8], values: Vec<String>) -> usize {
        let mut known = self.known.write().unwrap_or_else(PoisonError::into_inner);
        let number = self.number_of(&known, &values).unwrap_or_else(|| {
            let number = known.sources.len();
            known.sources.push(Source::new(values.clone()));
            known.numbers.insert(values, number);
            number
        });
        if self.remembers(&known, raw) {
            known.spellings.insert(raw.to_vec(), number);
        }
        number
    }

    pub(super) fn count<'a>(
        &self,
        recorder: &PrometheusRecorder,
        counts: impl IntoIterator<Item = &'a SourceCount>,
    ) {
        let known = self.known.read().unwrap_or_else(PoisonError::into_inner);
        for count in counts {
            let source = &known.sources[count.source];
            let counter = source
                .counter
                .get_or_init(|| self.register(recorder, &source.values));
            counter.increment(count.events);
        }
    }

    fn register(&self, recorder: &PrometheusRecorder, values: &[String]) -> Counter {
        let labels: Vec<Label> = std::iter::zip(&self.labels, values)
            .map(|(name, value)| label(name.clone(), value))
            .collect();
        counter(recorder, &names::SOURCE_EVENTS, labels)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sources_beyond_the_limit_share_one_number() {
        let sources = Sources::new(vec!["application".into()], 2);
        let number = |name: &str| sources.number(name.as_bytes(), || vec![name.to_owned()]);
        let (a, b) = (number("a"), number("b"));
        assert_ne!(a, b);
        assert_eq!(number("c"), OTHER);
        assert_eq!((number("a"), number("b")), (a, b));
    }

    #[test]
    fn long_values_are_cut_at_a_character() {
        let sources = Sources::new(vec!["application".into()], 2);
        let long = "é".repeat(MAX_VALUE_CHARS + 5);
        let cut = "é".repeat(MAX_VALUE_CHARS);
        let number = |name: String| sources.number(name.as_bytes(), || vec![name.clone()]);
        assert_eq!(number(long), number(cut));
    }
}
