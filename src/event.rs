//! The vocabulary of events: envelopes, positions, violations and where events came from. Plain values
//! that every higher room shares; no I/O, no clock.

use bytes::Bytes;

use crate::units::FieldReference;

/// The log's word: an event has the same position in memory, in the log and as a dead letter.
pub use seglog::Position;

/// What ends each event of an envelope, so that a run of events is a JSON array but for its brackets.
pub const LINE_END: &[u8] = b",\n";

/// Events as they lie in the spool and leave for a Broker: one a line, each ended by [`LINE_END`].
///
/// Inside valid JSON a newline is always white space, and white space newlines are blanked on the way
/// in, so the only newlines are those between events.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Lines {
    /// Number of events.
    pub count: usize,
    /// Their text.
    pub bytes: Bytes,
}

impl Lines {
    /// Takes as many events from the front as both limits allow, at least one if there is any.
    ///
    /// `max_bytes` is measured on the text with its line ends.
    pub fn split_front(&mut self, max_events: usize, max_bytes: usize) -> Self {
        if self.count <= max_events && self.bytes.len() <= max_bytes {
            return std::mem::take(self);
        }
        let mut taken = 0;
        let mut end = 0;
        for newline in memchr::memchr_iter(b'\n', &self.bytes) {
            if taken == max_events || (taken > 0 && newline + 1 > max_bytes) {
                break;
            }
            taken += 1;
            end = newline + 1;
        }
        self.count -= taken;
        Self {
            count: taken,
            bytes: self.bytes.split_to(end),
        }
    }

    /// Gives them a buffer of their own. What was cut out of a larger one keeps all of that in memory.
    pub fn detach(&mut self) {
        self.bytes = Bytes::copy_from_slice(&self.bytes);
    }

    /// Each event's text, without its line end.
    pub fn iter(&self) -> impl Iterator<Item = &[u8]> {
        self.bytes
            .split_inclusive(|byte| *byte == b'\n')
            .map(|line| line.strip_suffix(LINE_END).unwrap_or(line))
    }
}

/// One ingest batch as stored: the events to deliver, and those that died on arrival.
#[derive(Clone, Debug)]
pub struct Envelope {
    /// Which codec decoded them; the label of `headgate_events_received_total`.
    pub origin: Origin,
    /// Events for the output.
    pub live: Lines,
    /// Dead letters: lines of the same form, each a letter as `dead_letters` writes it.
    pub dead: Lines,
    /// How many events each source sent, for `headgate_source_events_total`.
    pub sources: Vec<SourceCount>,
}

impl Envelope {
    /// Number of events, the dead ones included.
    pub fn events(&self) -> usize {
        self.live.count + self.dead.count
    }

    /// Bytes that the envelope holds in memory.
    pub fn size(&self) -> usize {
        self.live.bytes.len() + self.dead.bytes.len()
    }
}

/// Events of one source (see `metrics.source_fields`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SourceCount {
    /// The source, as telemetry numbers them.
    pub source: usize,
    /// How many events.
    pub events: u64,
}

/// How an event came in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Origin {
    /// The codec `plain`.
    Plain,
    /// The codec `json`.
    Json,
    /// The codec `json_lines`.
    JsonLines,
    /// The codec `auto`, and the application API.
    Auto,
    /// A dead letter that was sent again.
    Replay,
}

impl Origin {
    /// Every origin, in the order of their numbers.
    pub const ALL: [Self; 5] = [
        Self::Plain,
        Self::Json,
        Self::JsonLines,
        Self::Auto,
        Self::Replay,
    ];

    /// The word in metrics.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Plain => "plain",
            Self::Json => "json",
            Self::JsonLines => "json_lines",
            Self::Auto => "auto",
            Self::Replay => "replay",
        }
    }
}

/// One rule that an event breaks.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Violation {
    /// The field it is about; none when it is the event as a whole.
    pub field: Option<FieldReference>,
    /// Which rule.
    pub code: ViolationCode,
    /// What is wrong and what is allowed, for the client. Never repeats a value of the event.
    pub message: String,
}

/// The rules that a single event can break; the words are part of the API and label metrics.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ViolationCode {
    /// The element is no JSON object.
    NotAnObject,
    /// A field of `validate.required` is missing or null.
    Required,
    /// Longer than `ingest.max_event_bytes`.
    EventTooLarge,
    /// Nested deeper than `ingest.max_depth`.
    TooDeep,
    /// More leaves than `validate.max_fields`.
    TooManyFields,
    /// The field `message` is longer than `validate.max_message_bytes`.
    MessageTooLarge,
    /// `@timestamp` lies further ahead than `validate.timestamp_max_future`.
    TimestampInFuture,
    /// `@timestamp` is older than `validate.timestamp_max_age`.
    TimestampTooOld,
    /// What the file of `validate.schema` says is not so.
    Schema,
}

impl ViolationCode {
    /// Every code, in the order of their numbers.
    pub const ALL: [Self; 9] = [
        Self::NotAnObject,
        Self::Required,
        Self::EventTooLarge,
        Self::TooDeep,
        Self::TooManyFields,
        Self::MessageTooLarge,
        Self::TimestampInFuture,
        Self::TimestampTooOld,
        Self::Schema,
    ];

    /// The word in answers, dead letters and metrics.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::NotAnObject => "not_an_object",
            Self::Required => "required",
            Self::EventTooLarge => "event_too_large",
            Self::TooDeep => "too_deep",
            Self::TooManyFields => "too_many_fields",
            Self::MessageTooLarge => "message_too_large",
            Self::TimestampInFuture => "timestamp_in_future",
            Self::TimestampTooOld => "timestamp_too_old",
            Self::Schema => "schema",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lines(events: &[&str]) -> Lines {
        let text: String = events.iter().map(|event| format!("{event},\n")).collect();
        Lines {
            count: events.len(),
            bytes: text.into(),
        }
    }

    #[test]
    fn split_front_obeys_both_limits_and_always_moves_on() {
        for (max_events, max_bytes, first) in [
            (10, 1000, 3),
            (2, 1000, 2),
            (10, 9, 2),
            (10, 8, 1),
            (10, 1, 1),
            (1, 1000, 1),
        ] {
            let mut rest = lines(&["{}", "[1]", "{\"a\":1}"]);
            let front = rest.split_front(max_events, max_bytes);
            assert_eq!(front.count, first, "{max_events} events, {max_bytes} bytes");
            assert_eq!(front.iter().count(), first);
            assert_eq!(rest.count, 3 - first);
            assert_eq!(rest.iter().count(), 3 - first);
        }
    }

    #[test]
    fn iter_gives_the_events_without_their_line_ends() {
        let all = lines(&["{\"a\":1}", "{}"]);
        assert_eq!(all.iter().collect::<Vec<_>>(), [&b"{\"a\":1}"[..], b"{}"]);
    }
}
