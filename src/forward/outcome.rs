//! What came of a try: decided from the answer or the error alone, without I/O or clock.

use std::time::{Duration, SystemTime};

/// `Retry-After` is obeyed up to this long.
const MAX_RETRY_AFTER: Duration = Duration::from_secs(300);

/// What came of sending a batch.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Outcome {
    /// The Broker has the events.
    Delivered,
    /// It speaks of the Broker, not of the events: the same batch is tried again.
    Errored(Failure),
    /// It speaks of the events: they are not wanted.
    Rejected(Refused),
}

/// Why a batch is tried again.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Failure {
    /// How long the Broker asks to be left alone.
    pub(super) retry_after: Option<Duration>,
    /// Why, in words that say what to mend.
    pub(super) reason: String,
    /// What it answered, if it did.
    pub(super) refused: Option<Refused>,
    /// Whether it may be due to the events after all, should the Broker take others meanwhile.
    pub(super) may_be_the_events: bool,
    /// Whether the Broker said that it has too much to do.
    pub(super) is_busy: bool,
}

impl Failure {
    /// Whether a Broker had the events before it, or may have had.
    pub(super) fn reached_a_broker(&self) -> bool {
        self.refused.is_some() || self.may_be_the_events
    }
}

/// An answer that is kept with the events that it was about.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Refused {
    /// The Broker's status.
    pub(super) status: u16,
    /// The beginning of its answer.
    pub(super) answer: String,
}

/// A Broker's answer, as far as it matters.
#[derive(Clone, Copy, Debug)]
pub(super) struct Answer<'a> {
    pub(super) status: u16,
    /// The value of `Retry-After`.
    pub(super) retry_after: Option<&'a str>,
    /// The beginning of the body.
    pub(super) body: &'a str,
}

/// Whether a request that was not answered has reached the Broker.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum WasSent {
    /// There was no connection to send it on.
    Never,
    /// The connection broke, the time was up, or what came is no answer.
    Perhaps,
}

impl Refused {
    /// For the dead letter.
    pub(super) fn in_words(&self) -> String {
        let text = format!("the Broker answered {}: {}", self.status, self.answer);
        text.trim_end_matches([':', ' ']).to_owned()
    }
}

impl Outcome {
    /// What an answer means; `rejected_codes` are those that speak of the events.
    pub(super) fn of_answer(answer: Answer<'_>, rejected_codes: &[u16], now: SystemTime) -> Self {
        let status = answer.status;
        let refused = || Refused {
            status,
            answer: answer.body.to_owned(),
        };
        if (200..300).contains(&status) {
            return Self::Delivered;
        }
        if rejected_codes.contains(&status) {
            return Self::Rejected(refused());
        }
        let retry_after = answer.retry_after.and_then(|text| retry_after(text, now));
        Self::Errored(Failure {
            retry_after,
            reason: format!("it answered {status}{}", advice(status)),
            refused: Some(refused()),
            may_be_the_events: retry_after.is_none() && !speaks_of_every_request(status),
            is_busy: is_busy(status),
        })
    }

    /// What it means that there is no answer.
    pub(super) fn of_no_answer(was_sent: WasSent, reason: String) -> Self {
        Self::Errored(Failure {
            retry_after: None,
            reason,
            refused: None,
            may_be_the_events: was_sent == WasSent::Perhaps,
            is_busy: false,
        })
    }
}

/// Whether a status is about the Broker, its address or the credentials, and never about one batch among others.
fn speaks_of_every_request(status: u16) -> bool {
    is_busy(status) || matches!(status, 100..=399 | 401 | 404 | 405 | 407 | 501)
}

/// Whether a Broker says with this status that it has too much to do (RFC 6585, 4; RFC 9110, 15.6.4).
fn is_busy(status: u16) -> bool {
    matches!(status, 429 | 503)
}

fn advice(status: u16) -> &'static str {
    match status {
        301..=303 | 307 | 308 => {
            "; redirects are not followed: put the final address into broker.urls"
        }
        100..=199 | 300..=399 => {
            "; that is no answer to events: broker.urls must lead to the Broker itself"
        }
        401 | 403 => "; check broker.user, broker.password and broker.headers",
        404 | 405 => "; check the path in broker.urls",
        407 => "; a proxy asks for credentials: broker.urls must lead to the Broker itself",
        busy if is_busy(busy) => "; it is busy",
        _ => "",
    }
}

/// Seconds, or an HTTP date (RFC 9110, 10.2.3).
fn retry_after(text: &str, now: SystemTime) -> Option<Duration> {
    let text = text.trim();
    let is_number = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    let wait = if is_number {
        // Digits that are no such number are too many: they ask for longer than any number says.
        text.parse().map_or(Duration::MAX, Duration::from_secs)
    } else {
        let date = httpdate::parse_http_date(text).ok()?;
        date.duration_since(now).unwrap_or_default()
    };
    Some(wait.min(MAX_RETRY_AFTER))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(status: u16, retry_after: Option<&str>) -> Outcome {
        let now = SystemTime::UNIX_EPOCH + Duration::from_secs(784_111_777);
        let answer = Answer {
            status,
            retry_after,
            body: "why",
        };
        Outcome::of_answer(answer, &[400, 413, 422], now)
    }

    fn failure(outcome: Outcome) -> Failure {
        match outcome {
            Outcome::Errored(failure) => failure,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn every_status_speaks_of_the_events_or_of_the_broker() {
        for status in 100..600 {
            let told = Refused {
                status,
                answer: "why".to_owned(),
            };
            match of(status, None) {
                Outcome::Delivered => assert!((200..300).contains(&status), "{status}"),
                Outcome::Rejected(refused) => {
                    assert!([400, 413, 422].contains(&status), "{status}");
                    assert_eq!(refused, told);
                }
                Outcome::Errored(failure) => {
                    assert!(!(200..300).contains(&status), "{status}");
                    assert_eq!((failure.retry_after, failure.refused), (None, Some(told)));
                    assert!(failure.reason.contains(&status.to_string()));
                }
            }
        }
    }

    #[test]
    fn answers_to_every_request_alike_never_speak_of_the_events() {
        for (status, may_be_the_events) in [
            (301, false),
            (401, false),
            (403, true),
            (404, false),
            (405, false),
            (407, false),
            (408, true),
            (418, true),
            (429, false),
            (500, true),
            (501, false),
            (502, true),
            (503, false),
            (504, true),
        ] {
            let failure = failure(of(status, None));
            assert_eq!(failure.may_be_the_events, may_be_the_events, "{status}");
        }
        assert!(!failure(of(500, Some("1"))).may_be_the_events);
    }

    #[test]
    fn the_reason_says_what_to_mend() {
        for (status, words) in [
            (101, "no answer to events"),
            (302, "redirects"),
            (304, "no answer to events"),
            (308, "redirects"),
            (401, "broker.password"),
            (403, "broker.password"),
            (404, "the path in broker.urls"),
            (405, "the path in broker.urls"),
            (407, "proxy"),
            (503, "busy"),
        ] {
            let reason = failure(of(status, None)).reason;
            assert!(reason.contains(words), "{reason}");
        }
    }

    #[test]
    fn no_answer_is_tried_again_whatever_the_reason() {
        for (was_sent, may_be_the_events) in [(WasSent::Never, false), (WasSent::Perhaps, true)] {
            let expected = Failure {
                retry_after: None,
                reason: "why".to_owned(),
                refused: None,
                may_be_the_events,
                is_busy: false,
            };
            let outcome = Outcome::of_no_answer(was_sent, "why".to_owned());
            assert_eq!(outcome, Outcome::Errored(expected));
        }
    }

    #[test]
    fn retry_after_is_seconds_or_a_date_and_bounded() {
        for (text, seconds) in [
            ("2", Some(2)),
            (" 0 ", Some(0)),
            ("86400", Some(300)),
            ("18446744073709551616", Some(300)),
            ("Sun, 06 Nov 1994 08:49:40 GMT", Some(3)),
            ("Sun, 06 Nov 1994 08:00:00 GMT", Some(0)),
            ("soon", None),
            ("-1", None),
            ("", None),
        ] {
            let after = failure(of(503, Some(text))).retry_after;
            assert_eq!(after, seconds.map(Duration::from_secs), "{text}");
        }
    }
}
