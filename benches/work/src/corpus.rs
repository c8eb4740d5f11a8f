//! The input: the same bytes in every run.

use serde_json::{Value, json};

/// Ten members, all strings, 500 bytes: what an application's log library posts.
pub fn typical_event() -> String {
    let event = json!({
        "@timestamp": "2024-05-17T09:21:44.318Z",
        "level": "INFO",
        "logger": "com.example.checkout.OrderService",
        "thread": "http-nio-8080-exec-7",
        "service": "checkout",
        "environment": "production",
        "trace_id": "4bf92f3577b34da6a3ce929d0e0e4736",
        "span_id": "00f067aa0ba902b7",
        "message": "order 7712093 accepted for customer 55120, 3 items, total 149.90 EUR, paid by card, \
            shipped from warehouse 4 in Rotterdam with the carrier of choice, expected on Tuesday \
            between nine and noon",
        "user_agent": "Mozilla/5.0 (X11; Linux)",
    });
    event.to_string()
}

/// Escapes, Cyrillic, numbers, nesting and white space, as a stack trace from a desktop brings them.
pub fn nasty_event() -> String {
    let frames: String = (0..4)
        .map(|frame| format!("\n\tat com.example.Part{frame}.run(Part{frame}.java:{frame})"))
        .collect();
    let event = json!({
        "message": "Заказ принят: \"оплата картой\"",
        "error": {
            "type": "java.lang.IllegalStateException",
            "stack": format!("java.lang.IllegalStateException: \"closed\"{frames}"),
            "path": r"C:\Program Files\Example\example.exe",
        },
        "numbers": [1, -2.5e3, 0, true, null, { "a": { "b": [[], {}] } }],
        "handled": false,
    });
    serde_json::to_string_pretty(&event).expect("a value can be written")
}

/// About 5.5 kB like the status that nginx reports: small objects of short keys and numbers.
pub fn nested_document() -> String {
    let zone = |seed: u64| {
        json!({
            "processing": seed % 3,
            "requests": seed * 205_543,
            "responses": {
                "1xx": 0, "2xx": seed * 179_026, "3xx": seed * 12_627, "4xx": seed * 2_828,
                "5xx": seed * 1_895, "total": seed * 196_376,
            },
            "discarded": seed * 9_167, "received": seed * 64_355_461, "sent": seed * 6_490_717_598,
        })
    };
    let peer = |seed: u64| {
        json!({
            "id": seed, "server": format!("10.0.0.{seed}:8080"), "backup": seed.is_multiple_of(2), "weight": 1,
            "state": "up", "active": 0, "requests": seed * 667_231, "fails": 0, "unavail": 0,
            "health_checks": { "checks": seed * 26_214, "fails": 0, "unhealthy": 0, "last_passed": true },
            "downtime": 0, "downstart": 0, "selected": 1_446_249_499_000_u64 + seed,
        })
    };
    let zones: Vec<Value> = (1..=10).map(zone).collect();
    let peers: Vec<Value> = (1..=14).map(peer).collect();
    json!({ "version": 6, "address": "192.0.2.1", "zones": zones, "peers": peers }).to_string()
}

/// An array of so many typical events.
pub fn array(events: usize) -> String {
    format!("[{}]", vec![typical_event(); events].join(","))
}

/// So many typical events, one a line.
pub fn ndjson(events: usize) -> String {
    format!("{}\n", typical_event()).repeat(events)
}
