//! Compression towards Brokers: what arrives inflates to the batch.

use std::io::Read;

use serde_json::{Value, json};

use crate::support::client::NDJSON;
use crate::support::fake_broker::FakeBroker;
use crate::support::test_app::TestApp;

#[tokio::test]
async fn what_is_compressed_inflates_to_exactly_the_batch() {
    for events in [1, 2000] {
        let mut bodies = Vec::new();
        for compression in ["none", "gzip", "zstd"] {
            let broker = FakeBroker::start();
            let toml = format!(
                "[enrich]\nheaders = false\n[broker]\ncompression = '{compression}'\nmax_batch_events = 2000\nmax_in_flight = 1"
            );
            let app = TestApp::start_with(&broker, &toml).await;
            let line =
                |number| json!({"@timestamp": "2026-01-01T00:00:00Z", "n": number}).to_string();
            let lines: Vec<String> = (0..events).map(line).collect();
            assert_eq!(app.post("/", &[NDJSON], lines.join("\n")).await.status, 200);
            app.finish().await;
            let [request] = &broker.requests()[..] else {
                panic!("one batch");
            };
            let length = request.body.len().to_string();
            assert_eq!(request.headers["content-length"], length);
            assert_eq!(request.headers["content-type"], "application/json");
            let coding = request.headers.get("content-encoding");
            assert_eq!(
                coding.map_or("none", |coding| coding.to_str().unwrap()),
                compression
            );
            bodies.push(inflated(compression, &request.body));
        }
        let batch: Vec<Value> = serde_json::from_slice(&bodies[0]).unwrap();
        assert_eq!(batch.len(), events);
        assert!(bodies.iter().all(|body| *body == bodies[0]));
    }
}

fn inflated(compression: &str, body: &[u8]) -> Vec<u8> {
    match compression {
        "gzip" => {
            let mut inflated = Vec::new();
            flate2::read::GzDecoder::new(body)
                .read_to_end(&mut inflated)
                .unwrap();
            inflated
        }
        "zstd" => zstd::decode_all(body).unwrap(),
        _ => body.to_vec(),
    }
}
