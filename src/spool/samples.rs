//! What the tests of all spools put in.

use crate::event::{Envelope, Lines, Origin};

/// Events as they lie in an envelope.
pub(super) fn lines(events: &[&str]) -> Lines {
    let text: String = events.iter().map(|event| format!("{event},\n")).collect();
    Lines {
        count: events.len(),
        bytes: text.into(),
    }
}

/// An envelope of events and dead letters.
pub(super) fn envelope(live: &[&str], dead: &[&str]) -> Envelope {
    Envelope {
        origin: Origin::Json,
        live: lines(live),
        dead: lines(dead),
        sources: vec![],
    }
}
