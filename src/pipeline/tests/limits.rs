//! The limits on a whole request: exact at their edges, and nothing is kept beyond them.

use super::{Api, DecodeError, Sent};
use super::{ByteBudget, Bytes, ContentCodings, EncodedBody, HeaderMap, ready};

const JSON: &[(&str, &str)] = &[("content-type", "application/json")];

#[test]
fn as_many_events_as_allowed_and_no_more() {
    let toml = "[ingest]\nmax_events_per_request = 3";
    for (api, body, is_taken) in [
        (Api::Events, "{}{}{}", true),
        (Api::Events, "[{},{},{},{}]", false),
        (Api::Events, "[{},5,{},5]", false),
        (Api::Events, "{\"events\":[1,2,3]}", true),
        (Api::Logstash, "[{},5,{}]", true),
        (Api::Logstash, "[{},5,{}]{}", false),
        (Api::Logstash, "{}{}{} oops", true),
    ] {
        let sent = Sent {
            api,
            toml,
            headers: JSON,
            ..Sent::default()
        };
        match sent.decode(body) {
            Ok(_) => assert!(is_taken, "{body}"),
            Err(error) => {
                assert_eq!(error, DecodeError::TooManyEvents { max_events: 3 });
                assert!(!is_taken, "{body}");
            }
        }
    }
}

#[test]
fn an_envelope_that_is_too_large_is_refused_whatever_made_it_large() {
    let toml = "[ingest]\nmax_envelope_bytes = '64KiB'\nmax_event_bytes = '32KiB'";
    let long = "v".repeat(2000);
    let headers = [JSON[0], ("x-long", long.as_str())];
    let sent = Sent::to_logstash(toml, &headers);
    assert!(sent.decode("{}".repeat(10)).is_ok());
    let controls = "\u{1}".repeat(12_000);
    for body in [
        "{}".repeat(100),
        "5 ".repeat(100),
        format!("{{\"a\":\"{}\"}}", "x".repeat(20_000)).repeat(4),
        controls,
    ] {
        let error = sent.decode(&body).unwrap_err();
        assert_eq!(
            error,
            DecodeError::EnvelopeTooLarge {
                max_bytes: 64 * 1024
            },
            "{body:.40}"
        );
    }
}

#[test]
fn events_and_dead_letters_count_together() {
    let toml = "[ingest]\nmax_envelope_bytes = '64KiB'\n[validate]\nrequired = ['a']\n[enrich]\nheaders = false";
    let sent = Sent::to_logstash(toml, JSON);
    let text = "x".repeat(1000);
    let good = format!("{{\"a\":\"{text}\"}}");
    let bad = format!("{{\"b\":\"{text}\"}}");
    assert!(sent.decode(good.repeat(40)).is_ok());
    assert!(sent.decode(bad.repeat(40)).is_ok());
    let error = sent.decode((good + &bad).repeat(40)).unwrap_err();
    let max_bytes = 64 * 1024;
    assert_eq!(error, DecodeError::EnvelopeTooLarge { max_bytes });
}

#[test]
fn what_broken_lines_begin_with_is_limited_like_what_is_kept() {
    let line = format!("[{}x\n", "{},".repeat(5));
    let long = "v".repeat(2000);
    let lines = ("content-type", "application/x-ndjson");
    let (max_events, max_bytes) = (30, 64 * 1024);
    for (toml, headers, error) in [
        (
            "[ingest]\nmax_events_per_request = 30",
            &[lines][..],
            DecodeError::TooManyEvents { max_events },
        ),
        (
            "[ingest]\nmax_envelope_bytes = '64KiB'",
            &[lines, ("x-long", long.as_str())],
            DecodeError::EnvelopeTooLarge { max_bytes },
        ),
    ] {
        let sent = Sent::to_logstash(toml, headers);
        let kept = sent.decode(line.repeat(5)).unwrap();
        assert_eq!(kept.envelope.events(), 5);
        assert_eq!(sent.decode(line.repeat(7)).unwrap_err(), error);
    }
}

#[test]
fn an_event_alone_takes_little_more_than_its_bytes() {
    for body in [
        "{\"a\":1}".to_owned(),
        "{\"a\":1}\n".to_owned(),
        format!("{{\"a\":\"{}\"}}", "x".repeat(600)),
    ] {
        let live = Sent::to_logstash("", JSON)
            .decode(&body)
            .unwrap()
            .envelope
            .live;
        let taken = live.bytes.len();
        let held = live.bytes.try_into_mut().unwrap().capacity();
        assert!(held <= taken + taken / 4 + 256, "{held} for {taken}");
    }
}

#[test]
fn a_first_event_that_is_unlike_the_others_holds_no_more_than_is_needed() {
    let long = "x".repeat(15_000);
    let headers = [("x-long", long.as_str()), JSON[0]];
    let sent = Sent::to_logstash("", &headers);
    let body = format!("{{}}{{\"message\":\"{}\"}}", "y".repeat(25_000));
    assert_eq!(sent.decode(body).unwrap().envelope.events(), 2);
}

#[test]
fn a_budget_that_is_used_up_refuses_and_one_byte_less_never_panics() {
    let bodies = [
        ("application/json", "{\"a\":1}".repeat(50)),
        (
            "application/json",
            "[5,{\"@timestamp\":\"bad\"}]".repeat(20),
        ),
        ("application/json", "not json ".repeat(40)),
        ("text/plain; charset=iso-8859-1", "\u{7f}".repeat(300)),
    ];
    for (content_type, body) in &bodies {
        let headers = [("content-type", *content_type)];
        let mut was_refused = false;
        for budget in (body.len()..60_000).step_by(97) {
            let sent = Sent {
                budget,
                ..Sent::to_logstash("", &headers)
            };
            match sent.decode(body) {
                Ok(_) => {}
                Err(DecodeError::NoRoom | DecodeError::NeverRoom) => was_refused = true,
                Err(other) => panic!("{other}"),
            }
        }
        assert!(was_refused, "{content_type}");
        let sent = Sent {
            budget: 1024 * 1024,
            ..Sent::to_logstash("", &headers)
        };
        assert!(sent.decode(body).is_ok(), "{content_type}");
    }
}

#[test]
fn depth_is_counted_from_the_event_and_any_depth_is_survived() {
    let nested = |depth: usize| {
        format!(
            "{}{}",
            "{\"a\":".repeat(depth - 1) + "{}",
            "}".repeat(depth - 1)
        )
    };
    let sent = Sent::default();
    for (depth, is_taken) in [(1, true), (64, true), (65, false), (100_000, false)] {
        for body in [
            nested(depth),
            format!("[{}]", nested(depth)),
            format!("{{\"logs\":[{}]}}", nested(depth)),
        ] {
            let decoded = sent.decode(body).unwrap();
            assert_eq!(decoded.envelope.live.count == 1, is_taken, "{depth}");
            assert_eq!(decoded.rejected.len() == 1, !is_taken, "{depth}");
        }
    }
    for body in ["[".repeat(1_000_000), "{\"a\":".repeat(300_000)] {
        assert!(matches!(
            sent.decode(&body),
            Err(DecodeError::Malformed { .. })
        ));
        assert_eq!(Sent::to_logstash("", JSON).events(&body).len(), 1);
    }
}

#[test]
fn of_several_codings_only_the_last_body_is_held() {
    use std::io::Write;
    let gzip = |data: &[u8]| {
        let mut encoder = flate2::write::GzEncoder::new(vec![], flate2::Compression::fast());
        encoder.write_all(data).unwrap();
        encoder.finish().unwrap()
    };
    let twice = Bytes::from(gzip(&gzip(&[b' '; 300_000])));
    let budget = ByteBudget::new(usize::MAX);
    let mut reservation = budget.reservation();
    reservation.grow(twice.len()).unwrap();
    let mut headers = HeaderMap::new();
    headers.insert("content-encoding", "gzip, gzip".parse().unwrap());
    let body = EncodedBody::new(twice, ContentCodings::of(&headers).unwrap());
    let pipeline = &ready("").pipeline;
    let body = pipeline.inflate(body, &mut reservation).unwrap();
    let held = Vec::from(body).capacity();
    assert_eq!((held, reservation.bytes()), (512 * 1024, 512 * 1024));
}
