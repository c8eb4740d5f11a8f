//! Bodies of any bytes, with any codec, content coding and configuration: whatever comes, there is no panic, each line
//! of an envelope is one JSON object, its counts are right, and no byte of the budget is lost.

#![no_main]

use std::sync::OnceLock;

use bytes::Bytes;
use headgate::budget::ByteBudget;
use headgate::config::{Config, OutputType};
use headgate::event::{LINE_END, Lines};
use headgate::pipeline::{Api, Arrival, ContentCodings, EncodedBody, EnvelopeLimits, Pipeline};
use headgate::telemetry::Telemetry;
use http::{HeaderMap, HeaderValue, Method, Version, header};
use jiff::Timestamp;
use libfuzzer_sys::fuzz_target;

const CONFIGURATIONS: [&str; 4] = [
    "",
    "[enrich]\necs_compatibility = \"v1\"\non_conflict = \"overwrite\"\n[validate]\nrequired = [\"[a][b]\"]\n",
    "[ingest]\nmax_event_bytes = \"64B\"\nmax_depth = 3\n[validate]\nmax_fields = 4\non_invalid = \"tag\"\nmax_message_bytes = \"8B\"\n",
    "[ingest]\nmax_envelope_bytes = \"2KiB\"\nmax_events_per_request = 3\n[enrich.fields]\n\"[host][name]\" = \"x\"\ntags = \"mine\"\n",
];

const MEDIA_TYPES: [&str; 6] = [
    "application/json",
    "application/x-ndjson",
    "text/plain; charset=iso-8859-1",
    "text/plain",
    "application/json; charset=shift_jis",
    "application/x-ndjson; charset=\"utf-16\"",
];

const CODINGS: [&str; 8] = ["", "", "", "gzip", "deflate", "zstd", "br", "gzip, deflate"];

fn pipelines() -> &'static [Pipeline] {
    static PIPELINES: OnceLock<Vec<Pipeline>> = OnceLock::new();
    PIPELINES.get_or_init(|| {
        let pipeline = |text: &&str| {
            let folder = std::env::temp_dir().join(format!("headgate-fuzz-{}", std::process::id()));
            std::fs::create_dir_all(&folder).expect("the temporary folder can be written");
            let file = folder.join("headgate.toml");
            std::fs::write(&file, text).expect("the temporary folder can be written");
            let loaded = Config::load_with(Some(&file), std::iter::empty());
            Pipeline::new(&loaded.expect("the configurations here are right").config)
        };
        CONFIGURATIONS.iter().map(pipeline).collect()
    })
}

fn check(lines: &Lines) {
    assert!(lines.count == 0 || lines.bytes.ends_with(LINE_END));
    let mut count = 0;
    for event in lines.iter() {
        count += 1;
        let text = std::str::from_utf8(event).expect("an event is UTF-8");
        let is_object = text.starts_with('{') && text.ends_with('}');
        assert!(is_object && serde_json::from_str::<serde::de::IgnoredAny>(text).is_ok());
    }
    assert_eq!(count, lines.count);
}

fuzz_target!(|input: &[u8]| {
    let Some((&[first, second], body)) = input.split_first_chunk::<2>() else {
        return;
    };
    let pick = |byte: u8, shift: u32, of: usize| usize::from(byte >> shift) % of;
    let pipeline = &pipelines()[pick(first, 0, CONFIGURATIONS.len())];
    let api = if first & 0x80 == 0 {
        Api::Logstash
    } else {
        Api::Events
    };
    let mut headers = HeaderMap::new();
    let media_type = MEDIA_TYPES[pick(second, 0, MEDIA_TYPES.len())];
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(media_type));
    let coding = CODINGS[pick(second, 5, CODINGS.len())];
    if !coding.is_empty() {
        headers.insert(header::CONTENT_ENCODING, HeaderValue::from_static(coding));
    }
    let arrival = Arrival {
        at: Timestamp::from_second(1_795_392_000).expect("the year 2026"),
        now: "2026-11-23T00:00:00.000Z",
        client_ip: "127.0.0.1",
        method: &Method::POST,
        target: "/fuzz",
        version: Version::HTTP_11,
        host: Some("localhost:8080"),
        headers: &headers,
        request_id: "fuzz",
        key: None,
    };
    static TELEMETRY: OnceLock<Telemetry> = OnceLock::new();
    let telemetry = TELEMETRY.get_or_init(|| {
        let labels = vec![
            "application".into(),
            "environment".into(),
            "component".into(),
        ];
        Telemetry::new(labels, 10, OutputType::Http)
    });
    let budget = ByteBudget::new(1 << 20);
    let mut reservation = budget.reservation();
    if reservation.grow(body.len()).is_err() {
        return;
    }
    let Ok(codings) = ContentCodings::of(&headers) else {
        return;
    };
    let body = EncodedBody::new(Bytes::copy_from_slice(body), codings);
    if let Ok(decoded) = pipeline.decode(
        api,
        &arrival,
        body,
        EnvelopeLimits::NONE,
        &telemetry.sources,
        &mut reservation,
    ) {
        check(&decoded.envelope.live);
        check(&decoded.envelope.dead);
        let counted: u64 = decoded
            .envelope
            .sources
            .iter()
            .map(|count| count.events)
            .sum();
        assert_eq!(counted, decoded.envelope.events() as u64);
        assert!(decoded.envelope.size() <= budget.used());
    }
    drop(reservation);
    assert_eq!(budget.used(), 0);
});
