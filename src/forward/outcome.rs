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
    Errored {
        /// How long the Broker asks to be left alone.
        after: Option<Duration>,
        /// Why, in words that say what to mend.
        reason: String,
    },
    /// It speaks of the events: they are not wanted.
    Rejected {
        /// The Broker's status.
        status: u16,
        /// The beginning of its answer.
        answer: String,
    },
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

impl Outcome {
    /// What an answer means; `rejected_codes` are those that speak of the events.
    pub(super) fn of_answer(answer: Answer<'_>, rejected_codes: &[u16], now: SystemTime) -> Self {
        let status = answer.status;
        if (200..300).contains(&status) {
            Self::Delivered
        } else if rejected_codes.contains(&status) {
            Self::Rejected {
                status,
                answer: answer.body.to_owned(),
            }
        } else {
            Self::Errored {
                after: answer.retry_after.and_then(|text| retry_after(text, now)),
                reason: format!("it answered {status}{}", advice(status)),
            }
        }
    }
}

fn advice(status: u16) -> &'static str {
    match status {
        300..=399 => "; redirects are not followed: put the final address into broker.urls",
        401 | 403 => "; check broker.user, broker.password and broker.headers",
        404 | 405 => "; check the path in broker.urls",
        407 => "; a proxy asks for credentials: broker.urls must lead to the Broker itself",
        429 | 503 => "; it is busy",
        _ => "",
    }
}

/// Seconds, or an HTTP date (RFC 9110, 10.2.3).
fn retry_after(text: &str, now: SystemTime) -> Option<Duration> {
    let wait = match text.trim().parse() {
        Ok(seconds) => Duration::from_secs(seconds),
        Err(_) => {
            let date = httpdate::parse_http_date(text.trim()).ok()?;
            date.duration_since(now).unwrap_or_default()
        }
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

    #[test]
    fn every_status_speaks_of_the_events_or_of_the_broker() {
        for status in 100..600 {
            match (status, of(status, None)) {
                (200..300, Outcome::Delivered) => {}
                (
                    400 | 413 | 422,
                    Outcome::Rejected {
                        status: told,
                        answer,
                    },
                ) => {
                    assert_eq!((told, answer.as_str()), (status, "why"));
                }
                (200..300 | 400 | 413 | 422, other) => panic!("{status}: {other:?}"),
                (_, Outcome::Errored { after: None, .. }) => {}
                (_, other) => panic!("{status}: {other:?}"),
            }
        }
    }

    #[test]
    fn retry_after_is_seconds_or_a_date_and_bounded() {
        for (text, seconds) in [
            ("2", Some(2)),
            (" 0 ", Some(0)),
            ("86400", Some(300)),
            ("Sun, 06 Nov 1994 08:49:40 GMT", Some(3)),
            ("Sun, 06 Nov 1994 08:00:00 GMT", Some(0)),
            ("soon", None),
            ("-1", None),
        ] {
            let Outcome::Errored { after, .. } = of(503, Some(text)) else {
                panic!("a 503 speaks of the Broker");
            };
            assert_eq!(after, seconds.map(Duration::from_secs), "{text}");
        }
    }
}
