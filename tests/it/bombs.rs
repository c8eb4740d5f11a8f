//! Bodies that are small on the wire and large inside: refused by what they become, while they become it. The bounds of
//! each coding are in tests/it/limits.rs; `scripts/attack` measures the memory.

use tokio::task::JoinSet;

use crate::support::client::{Connection, JSON, NDJSON};
use crate::support::compress;
use crate::support::fake_broker::FakeBroker;
use crate::support::test_app::TestApp;

const MIB: usize = 1024 * 1024;

#[tokio::test]
async fn a_body_that_inflates_beyond_its_ratio_is_refused() {
    let broker = FakeBroker::start();
    let app = TestApp::start_with(&broker, "").await;
    let zeros = vec![b' '; 9 * MIB];
    for (coding, packed) in [
        ("gzip", compress::gzip(&zeros)),
        ("deflate", compress::zlib(&zeros)),
        ("zstd", compress::zstd(&zeros)),
        ("br", compress::brotli(&zeros)),
        ("gzip, gzip", compress::gzip(&compress::gzip(&zeros))),
    ] {
        let headers = [JSON, ("Content-Encoding", coding)];
        let answer = app.post("/", &headers, packed).await;
        assert_eq!(
            (answer.status, answer.problem_code().as_str()),
            (413, "body_too_large"),
            "{coding}"
        );
        assert!(
            answer.text().contains("ingest.max_inflation_ratio"),
            "{}",
            answer.text()
        );
    }
    app.finish().await;
    assert_eq!(broker.requests().len(), 0);
}

#[tokio::test]
async fn honest_batches_that_repeat_themselves_are_taken() {
    let broker = FakeBroker::start();
    let app = TestApp::start_with(&broker, "[enrich]\nheaders = false").await;
    let line = format!("{{\"message\":\"{}\"}}\n", "the same again ".repeat(30));
    // The same line again and again, as long as any body may become.
    let batch = line.repeat(7 * MIB / line.len());
    // Above that, lines that differ in their time only.
    let stamped: String = (0..75_000)
        .map(|number| {
            format!(
                "{{\"time\":\"18:{:02}:{:02}.{:03}\",\"level\":\"INFO\",\"host\":\"web-1\",\
                 \"message\":\"heartbeat of the order service: all is well, nothing to report\"}}\n",
                number / 60_000,
                number / 1000 % 60,
                number % 1000,
            )
        })
        .collect();
    assert!(stamped.len() > 8 * MIB);
    // An error storm: the same long stack trace.
    let frames: String = (0..150)
        .map(|frame| format!("\\n\\tat com.example.shop.Part{frame}.run(Part{frame}.java:{frame})"))
        .collect();
    let storm: String = (0..1100_u128)
        .map(|number| {
            let trace = number * 0x9e37_79b9_7f4a_7c15;
            format!("{{\"trace\":\"{trace:032x}\",\"message\":\"order {number}\",\"stack\":\"{frames}\"}}\n")
        })
        .collect();
    assert!(storm.len() > 8 * MIB);
    for (coding, packed) in [
        ("gzip", compress::gzip(batch.as_bytes())),
        ("zstd", compress::zstd(stamped.as_bytes())),
        ("zstd", compress::zstd(storm.as_bytes())),
    ] {
        let headers = [NDJSON, ("Content-Encoding", coding)];
        assert_eq!(
            app.post("/", &headers, packed).await.status,
            200,
            "{coding}"
        );
    }
    app.finish().await;
    assert_eq!(
        broker.delivered().len(),
        batch.len() / line.len() + 75_000 + 1100
    );
}

#[tokio::test]
async fn many_bombs_at_once_are_refused_and_health_is_answered() {
    let broker = FakeBroker::start();
    let limits =
        "max_content_length = '4MiB'\nmax_envelope_bytes = '4MiB'\nmax_in_flight_bytes = '16MiB'";
    let app = TestApp::start_with(&broker, &format!("[ingest]\n{limits}")).await;
    let zeros = vec![b' '; 16 * MIB];
    let bombs = [
        ("gzip", compress::gzip(&zeros)),
        ("zstd", compress::zstd(&zeros)),
        ("br", compress::brotli(&zeros)),
    ];
    let mut attacks = JoinSet::new();
    for number in 0..64 {
        let (coding, packed) = bombs[number % bombs.len()].clone();
        let address = app.public();
        attacks.spawn(async move {
            let mut connection = Connection::open(address).await;
            let headers = [JSON, ("Content-Encoding", coding)];
            connection.request("POST", "/", &headers, packed).await
        });
    }
    while let Some(answer) = attacks.join_next().await {
        let answer = answer.unwrap();
        let told = (answer.status, answer.problem_code());
        let allowed = [(413, "body_too_large"), (503, "overloaded")];
        assert!(allowed.contains(&(told.0, told.1.as_str())), "{told:?}");
        assert_eq!(app.get("/health").await.status, 200);
    }
    assert_eq!(app.post("/", &[JSON], "{}").await.status, 200);
    app.finish().await;
    assert_eq!(broker.delivered().len(), 1);
}

#[tokio::test]
async fn swarms_of_tiny_events_are_refused_whole() {
    let broker = FakeBroker::start();
    let toml = "[ingest]\nmax_events_per_request = 1000\nmax_envelope_bytes = '1MiB'";
    let app = TestApp::start_with(&broker, toml).await;
    for body in [
        "{}".repeat(MIB),
        "{}\n".repeat(MIB),
        "1 ".repeat(MIB),
        format!("[{}1]", "1,".repeat(MIB)),
        format!("[{}{{}}]", "{},".repeat(MIB)),
        "[]".repeat(MIB) + &"{}".repeat(1001),
        "[{}]".repeat(MIB),
        "x\n".repeat(MIB),
    ] {
        for media_type in [JSON, NDJSON] {
            let answer = app.post("/", &[media_type], &body).await;
            assert_eq!(answer.status, 413, "{:?} {media_type:?}", &body[..8]);
        }
    }
    app.finish().await;
    assert_eq!(broker.requests().len(), 0);
}
