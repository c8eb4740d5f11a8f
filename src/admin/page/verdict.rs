//! What an operator is to know first: whether all is well, and if not, what is wrong and what that means. Pure.

use super::Status;
use super::text::grouped;
use crate::lifecycle::Phase;

/// An event that has waited for longer tells that its output takes none, or too few.
const LONG_WAIT_SECONDS: f64 = 60.0;

/// All that is not as it should be, the worst first.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Verdict(Vec<Trouble>);

/// Something that is not as it should be.
#[derive(Debug, PartialEq, Eq)]
struct Trouble {
    is_grave: bool,
    what: String,
    /// What it means for events and what to do.
    then: &'static str,
}

impl Verdict {
    pub(super) fn on(status: &Status) -> Self {
        let letters = dead_letters(status);
        let output = brokers(status)
            .or_else(|| local_output(status))
            .or_else(|| {
                // Why they wait is told already.
                waiting(status).filter(|_| letters.is_none())
            });
        let in_the_way = [
            spool(status),
            checkpoint(status),
            letters,
            output,
            expired(status),
            phase(status),
        ];
        let gone = [lost(status), dropped(status)];
        let mut all: Vec<Trouble> = in_the_way
            .into_iter()
            .chain(gone)
            .chain([configuration(status), certificate(status)])
            .flatten()
            .collect();
        all.sort_by_key(|trouble| !trouble.is_grave);
        Self(all)
    }

    /// `ok`, `warn` or `bad`.
    pub(super) fn severity(&self) -> &'static str {
        match self.0.first() {
            None => "ok",
            Some(trouble) if trouble.is_grave => "bad",
            Some(_) => "warn",
        }
    }

    /// In a few words.
    pub(super) fn title(&self) -> String {
        let first = self.0.first();
        first.map_or_else(
            || "all is well".to_owned(),
            |trouble| trouble.what.to_lowercase(),
        )
    }

    /// Nothing of it comes from outside but numbers.
    pub(super) fn as_html(&self) -> String {
        if self.0.is_empty() {
            return "<strong>All is well.</strong> Events are taken and passed on.".to_owned();
        }
        let line =
            |trouble: &Trouble| format!("<strong>{}.</strong> {}", trouble.what, trouble.then);
        self.0.iter().map(line).collect()
    }
}

fn grave(what: impl Into<String>, then: &'static str) -> Option<Trouble> {
    let what = what.into();
    Some(Trouble {
        is_grave: true,
        what,
        then,
    })
}

fn slight(what: impl Into<String>, then: &'static str) -> Option<Trouble> {
    let what = what.into();
    Some(Trouble {
        is_grave: false,
        what,
        then,
    })
}

fn spool(status: &Status) -> Option<Trouble> {
    if status.spool.failed {
        return grave(
            "The spool has failed",
            "Nothing more is taken. The log names the file; the program ends by itself and is to be started again.",
        );
    }
    if status.spool.full {
        return grave(
            "The spool is full",
            if status.spool.disk_full {
                "The disk has no room for it, or too many files are open. Clients are told 503 until it has, or an output takes events."
            } else {
                "Clients are told 503 until an output takes events."
            },
        );
    }
    None
}

fn checkpoint(status: &Status) -> Option<Trouble> {
    status.spool.checkpoint_failing.then_some(())?;
    slight(
        "The spool's checkpoint cannot be written",
        "What is delivered may not make room, and comes twice after a crash. The log names the file.",
    )
}

fn dead_letters(status: &Status) -> Option<Trouble> {
    status.dead_letters_failing.then_some(())?;
    grave(
        "Dead letters cannot be written",
        "They wait in the spool, and where many do nothing is delivered. The log has the reason, mostly a full disk.",
    )
}

fn brokers(status: &Status) -> Option<Trouble> {
    let (all, down) = (
        status.brokers.len(),
        status.brokers.iter().filter(|broker| !broker.up).count(),
    );
    match down {
        0 => None,
        _ if down < all => slight(
            format!("{down} of {all} Brokers down"),
            "The others get its share. The log says why.",
        ),
        _ => grave(
            if all == 1 {
                "The Broker is down"
            } else {
                "All Brokers are down"
            },
            "Events wait. The log says why.",
        ),
    }
}

fn local_output(status: &Status) -> Option<Trouble> {
    status.output_failing.then_some(())?;
    grave(
        "The output cannot be written",
        "Events wait. The log has the reason, mostly a full disk.",
    )
}

fn waiting(status: &Status) -> Option<Trouble> {
    let seconds = status.spool.oldest_event_age_seconds;
    if seconds <= LONG_WAIT_SECONDS {
        return None;
    }
    slight(
        format!("Events have waited for {} seconds", grouped(seconds as u64)),
        "The output takes none, or fewer than come. The log says what failed, if anything did.",
    )
}

fn expired(status: &Status) -> Option<Trouble> {
    let mut certificates = status.certificates.iter();
    let expired = certificates.find(|certificate| certificate.expired)?;
    grave(
        format!("The certificate of {} has expired", expired.setting),
        "Whoever checks it refuses the connection: renew it.",
    )
}

fn phase(status: &Status) -> Option<Trouble> {
    match status.phase {
        Phase::Serving => None,
        Phase::Starting => slight("Starting", "Nothing is taken yet."),
        Phase::Draining | Phase::Closing | Phase::Stopped => slight(
            "Draining",
            "The server was told to stop, and finishes what it has.",
        ),
    }
}

fn lost(status: &Status) -> Option<Trouble> {
    match status.books.counts.lost {
        0 => None,
        lost => slight(
            format!("{} events lost", grouped(lost)),
            "The spool could not be read in places. The log says where; look at the disk.",
        ),
    }
}

fn dropped(status: &Status) -> Option<Trouble> {
    match status.dead_letters_dropped {
        0 => None,
        dropped => slight(
            format!("{} dead letters dropped", grouped(dropped)),
            "dead_letters.max_bytes was reached, and the oldest are gone. Mend the cause, then replay or purge the others.",
        ),
    }
}

fn configuration(status: &Status) -> Option<Trouble> {
    status.config.refused.then_some(())?;
    slight(
        "A changed configuration was refused",
        "The old one stays in force. The log has every problem, and so has headgate check.",
    )
}

fn certificate(status: &Status) -> Option<Trouble> {
    status.config.certificate_refused.then_some(())?;
    slight(
        "A changed certificate was refused",
        "The old one is in use until it expires. The log says which file, and why.",
    )
}
