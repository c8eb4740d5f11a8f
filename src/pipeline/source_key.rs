//! Which source an event is from: the values of `metrics.source_fields`. Pure but for the shared memo.

use super::enrich::source::FixedValue;
use super::fields::{Beginning, FieldPath, Fields, Found, Value, beginning, member_of, unescape};
use super::scan::{self, Kind, Span};
use crate::telemetry::Sources;
use crate::units::FieldReference;

/// The fields that tell the source, of events to which the same is added.
pub(super) struct SourceKey {
    fields: Vec<SourceField>,
}

/// One of them.
struct SourceField {
    path: FieldPath,
    /// What is added in its place to every event.
    fixed: Option<Fixed>,
}

/// A fixed value, made ready to be told.
struct Fixed {
    given: FixedValue,
    value: Value,
    spelling: Spelling,
}

/// What a field of an event tells once the event is enriched.
enum Told<'a> {
    /// What the event came with, if anything.
    Own(Option<Value>),
    Fixed(&'a Fixed),
}

/// The sources of the last events: those of one request mostly have one source, or a few, and so have those
/// of a thread.
#[derive(Debug, Default)]
pub(super) struct RecentSources {
    known: usize,
    hashes: [u64; MAX_RECENT],
    numbers: [usize; MAX_RECENT],
    /// Of each source as many as there are fields, one source behind the other.
    spellings: Vec<Spelling>,
    /// Those of the source that is looked for.
    told: Vec<Spelling>,
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
    /// `fixed`: what is added in the place of a field whatever the request.
    pub(super) fn new(
        references: &[FieldReference],
        fixed: impl Fn(&FieldReference) -> Option<FixedValue>,
        fields: &mut Fields,
    ) -> Self {
        let field = |reference| SourceField {
            path: FieldPath::new(reference, fields),
            fixed: fixed(reference).map(Fixed::new),
        };
        Self {
            fields: references.iter().map(field).collect(),
        }
    }

    /// The number of an event's source.
    pub(super) fn number(
        &self,
        text: &[u8],
        found: &Found,
        recent: &mut RecentSources,
        sources: &Sources,
    ) -> usize {
        let mut hash = 0;
        recent.told.clear();
        for field in &self.fields {
            let spelling = field.told(text, found).spelling(text);
            hash = spelling.hashed_into(hash);
            recent.told.push(spelling);
        }
        if let Some(number) = recent.find(hash) {
            return number;
        }
        let told = |field| SourceField::told(field, text, found);
        let number = self.shared_number(text, sources, told);
        recent.remember(hash, number);
        number
    }

    /// The same from the shared memo.
    fn shared_number<'a>(
        &'a self,
        text: &[u8],
        sources: &Sources,
        told: impl Fn(&'a SourceField) -> Told<'a>,
    ) -> usize {
        let mut spelling = Vec::with_capacity(64);
        for field in &self.fields {
            if let Some((text, value)) = told(field).value(text) {
                spelling.extend_from_slice(value.span.of(text));
            }
            spelling.push(SEPARATOR);
        }
        sources.number(&spelling, || {
            let values = self.fields.iter().map(|field| told(field).value(text));
            values
                .map(|value| value.map_or_else(String::new, |(text, value)| label(text, value)))
                .collect()
        })
    }

    /// The number of the source of events that tell none themselves.
    pub(super) fn none(&self, sources: &Sources) -> usize {
        self.shared_number(b"", sources, |field| match &field.fixed {
            Some(fixed) => Told::Fixed(fixed),
            None => Told::Own(None),
        })
    }
}

impl SourceField {
    #[inline(always)]
    fn told(&self, text: &[u8], found: &Found) -> Told<'_> {
        match &self.fixed {
            None => Told::Own(self.path.value(text, found)),
            Some(fixed) if fixed.given.replaces_own => Told::Fixed(fixed),
            Some(fixed) => match found.get(self.path.slot()) {
                None => Told::Fixed(fixed),
                Some(own) => self.told_inside(text, own, fixed),
            },
        }
    }

    /// Goes down the objects like a merge of what is added into the event's own.
    #[inline(never)]
    fn told_inside<'a>(&self, text: &[u8], mut own: Value, fixed: &'a Fixed) -> Told<'a> {
        let mut replaced = fixed.given.replaced_on_the_way.iter();
        for name in &self.path.reference.path()[1..] {
            let replaced = replaced.next();
            if own.kind != Kind::Object {
                let is_replaced = replaced.copied().unwrap_or_default();
                return if is_replaced {
                    Told::Fixed(fixed)
                } else {
                    Told::Own(None)
                };
            }
            match member_of(text, own, name) {
                Some(member) => own = member,
                None if replaced.is_some() => return Told::Fixed(fixed),
                None => return Told::Own(None),
            }
        }
        Told::Own(Some(own))
    }
}

impl Fixed {
    fn new(given: FixedValue) -> Self {
        let scanned = scan::value(&given.json, 0, |_| {});
        let scanned = scanned.expect("what was written as JSON is valid");
        let value = Value {
            span: scanned.span,
            kind: scanned.kind,
        };
        Self {
            spelling: Spelling::of(&given.json, Some(value)),
            value,
            given,
        }
    }
}

impl<'a> Told<'a> {
    #[inline(always)]
    fn spelling(&self, text: &[u8]) -> Spelling {
        match self {
            Self::Own(value) => Spelling::of(text, *value),
            Self::Fixed(fixed) => fixed.spelling,
        }
    }

    /// The value, and the text that it lies in.
    fn value<'t>(&self, text: &'t [u8]) -> Option<(&'t [u8], Value)>
    where
        'a: 't,
    {
        match self {
            Self::Own(value) => value.map(|value| (text, value)),
            Self::Fixed(fixed) => Some((&fixed.given.json, fixed.value)),
        }
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

    /// The number of the source that [`Self::told`] spells.
    #[inline(always)]
    fn find(&self, hash: u64) -> Option<usize> {
        let known = self.of_hash(hash)?;
        let spellings = &self.spellings[known * self.told.len()..];
        spellings
            .starts_with(&self.told)
            .then(|| self.numbers[known])
    }

    /// The source of this hash, perhaps. All are looked at, for which one it is nobody can foretell.
    #[inline(always)]
    fn of_hash(&self, hash: u64) -> Option<usize> {
        let is_same = |(number, known)| u32::from(known == hash) << number;
        let same = self.hashes.into_iter().enumerate().map(is_same);
        let first = same.fold(0, |all, one| all | one).trailing_zeros() as usize;
        (first < self.known).then_some(first)
    }

    /// Keeps the number of the source that [`Self::told`] spells, where there is room and it spells all of it.
    #[inline(never)]
    fn remember(&mut self, hash: u64, number: usize) {
        if self.known < MAX_RECENT && self.told.iter().all(Spelling::is_whole) {
            self.hashes[self.known] = hash;
            self.numbers[self.known] = number;
            self.spellings.extend_from_slice(&self.told);
            self.known += 1;
        }
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
        Kind::String => unescape(value.span.of(text)).unwrap_or_default(),
        Kind::Number | Kind::True | Kind::False => {
            String::from_utf8_lossy(value.span.of(text)).into_owned()
        }
        Kind::Object | Kind::Array | Kind::Null => String::new(),
    }
}
