//! Whom events come from, through proxies and load balancers: X-Forwarded-For, and the header of the PROXY protocol in
//! front of a connection. Seen in the field `host` of what the Broker gets.

use serde_json::{Value, json};

use crate::support::client::{Connection, JSON, TEXT, head};
use crate::support::fake_broker::FakeBroker;
use crate::support::http2_client::{self, Http2Client};
use crate::support::program::Program;
use crate::support::test_app::TestApp;

const V1: &[u8] = b"PROXY TCP4 203.0.113.5 127.0.0.1 4000 80\r\n";
/// Version 2, LOCAL: what a balancer sends in front of its own health checks.
const LOCAL: &[u8] = b"\r\n\r\n\0\r\nQUIT\n\x20\0\0\0";

/// A header of version 2, PROXY.
fn v2(family: u8, body: &[u8]) -> Vec<u8> {
    let length = u16::try_from(body.len()).unwrap().to_be_bytes();
    [b"\r\n\r\n\0\r\nQUIT\n\x21", &[family][..], &length, body].concat()
}

/// Version 2 from 203.0.113.7, with `more` bytes behind the addresses.
fn v2_ip4(more: usize) -> Vec<u8> {
    let addresses = [203, 0, 113, 7, 127, 0, 0, 1, 0x1f, 0x90, 0, 80];
    v2(0x11, &[&addresses[..], &vec![4; more]].concat())
}

/// Version 2 from 2001:db8::7.
fn v2_ip6() -> Vec<u8> {
    let mut addresses = [0; 36];
    addresses[..4].copy_from_slice(&[0x20, 0x01, 0x0d, 0xb8]);
    addresses[15] = 7;
    v2(0x21, &addresses)
}

fn hosts(broker: &FakeBroker) -> Vec<Value> {
    let events = broker.delivered();
    events.iter().map(|event| event["host"].clone()).collect()
}

/// Sends events with these lines of X-Forwarded-For over one connection; who is then told to have sent them.
async fn hosts_of(trusted: &str, requests: &[&[&str]]) -> Vec<Value> {
    let broker = FakeBroker::start();
    let toml = format!("[server]\ntrusted_proxies = {trusted}");
    let app = TestApp::start_with(&broker, &toml).await;
    let mut connection = app.connect().await;
    for lines in requests {
        let lines = lines.iter().map(|line| ("X-Forwarded-For", *line));
        let headers: Vec<_> = [TEXT].into_iter().chain(lines).collect();
        let answer = connection.request("POST", "/", &headers, "x").await;
        assert_eq!(answer.status, 200);
    }
    app.finish().await;
    hosts(&broker)
}

#[tokio::test]
async fn requests_of_one_connection_have_clients_of_their_own() {
    let requests: [(&[&str], &str); 11] = [
        (&["203.0.113.9"], "203.0.113.9"),
        (&[], "127.0.0.1"),
        (&["6.6.6.6, 203.0.113.9"], "203.0.113.9"),
        (&["6.6.6.6,203.0.113.9 , 10.1.1.1"], "203.0.113.9"),
        (&["6.6.6.6", "203.0.113.9", "10.1.1.1"], "203.0.113.9"),
        (&["203.0.113.9:4711"], "203.0.113.9"),
        (&["\"[2001:db8::9]:4711\""], "2001:db8::9"),
        (&["::ffff:203.0.113.9"], "203.0.113.9"),
        (&["10.2.2.2, 10.1.1.1"], "10.2.2.2"),
        (&["6.6.6.6, unknown, 10.1.1.1"], "10.1.1.1"),
        (&["6.6.6.6, _hidden"], "127.0.0.1"),
    ];
    let trusted = "['127.0.0.1', '10.0.0.0/8']";
    let sent: Vec<&[&str]> = requests.iter().map(|(lines, _)| *lines).collect();
    let expected: Vec<&str> = requests.iter().map(|(_, host)| *host).collect();
    assert_eq!(hosts_of(trusted, &sent).await, expected);
}

#[tokio::test]
async fn nobody_who_is_not_trusted_is_believed() {
    for trusted in ["[]", "['10.0.0.0/8']", "['127.0.0.2', '::/0']"] {
        let requests: [&[&str]; 3] = [
            &["203.0.113.9"],
            &["203.0.113.9, 10.1.1.1"],
            &["127.0.0.1", "203.0.113.9"],
        ];
        assert_eq!(
            hosts_of(trusted, &requests).await,
            ["127.0.0.1"; 3],
            "{trusted}"
        );
    }
}

#[tokio::test]
async fn a_head_full_of_addresses_is_read_as_far_as_needed() {
    let many = "6.6.6.6,".repeat(7_000);
    let far = format!("{many}203.0.113.9");
    let near = format!("203.0.113.9,{}10.0.0.1", "10.0.0.1,".repeat(6_000));
    let found = hosts_of("['127.0.0.1', '10.0.0.1']", &[&[&far], &[&near]]).await;
    assert_eq!(found, ["203.0.113.9", "203.0.113.9"]);
}

#[tokio::test]
async fn every_field_of_the_address_is_the_clients_own() {
    let broker = FakeBroker::start();
    let toml = "[server]\ntrusted_proxies = ['127.0.0.1']\n[enrich]\necs_compatibility = 'v8'";
    let app = TestApp::start_with(&broker, toml).await;
    let headers = [JSON, ("X-Forwarded-For", "203.0.113.9")];
    for target in ["/", "/v1/events"] {
        assert_eq!(app.post(target, &headers, "{}").await.status, 200);
    }
    app.finish().await;
    for event in broker.delivered() {
        assert_eq!(event["host"], json!({"ip": "203.0.113.9"}));
    }
}

/// Sends these bytes and then an event; who is then told to have sent it. None where the connection was closed without
/// an answer.
async fn host_after(app: &TestApp, broker: &FakeBroker, header: &[u8]) -> Option<Value> {
    let before = broker.delivered().len();
    let mut connection = app.connect().await;
    let request = head("POST", "/", &[TEXT], 1) + "x";
    // The server may have closed it already.
    let _closed = connection
        .try_send([header, request.as_bytes()].concat())
        .await;
    if connection.is_closed_unanswered().await {
        return None;
    }
    assert_eq!(connection.answer().await.status, 200);
    Some(hosts(broker).swap_remove(before))
}

#[tokio::test]
async fn a_header_names_the_client_of_its_connection() {
    let unix = v2(0x31, &[b'/'; 216]);
    let headers: [(&[u8], &str); 10] = [
        (V1, "203.0.113.5"),
        (b"PROXY TCP6 2001:db8::5 ::1 4000 80\r\n", "2001:db8::5"),
        (
            b"PROXY TCP6 ::ffff:203.0.113.5 ::1 4000 80\r\n",
            "203.0.113.5",
        ),
        (b"PROXY UNKNOWN\r\n", "127.0.0.1"),
        (b"PROXY UNKNOWN whatever follows\r\n", "127.0.0.1"),
        (&v2_ip4(0), "203.0.113.7"),
        (&v2_ip4(4 * 1024), "203.0.113.7"),
        (&v2_ip6(), "2001:db8::7"),
        (&unix, "127.0.0.1"),
        (LOCAL, "127.0.0.1"),
    ];
    for mode in ["optional", "required"] {
        for trusted in ["[]", "['127.0.0.1']"] {
            let broker = FakeBroker::start();
            let toml = format!("[server]\nproxy_protocol = '{mode}'\ntrusted_proxies = {trusted}");
            let app = TestApp::start_with(&broker, &toml).await;
            for (header, host) in headers {
                let found = host_after(&app, &broker, header).await;
                assert_eq!(found, Some(host.into()), "{mode} {trusted} {header:?}");
            }
            app.finish().await;
        }
    }
}

#[tokio::test]
async fn without_a_header_a_connection_is_served_where_none_is_required() {
    for (mode, host) in [
        ("off", Some("127.0.0.1".into())),
        ("optional", Some("127.0.0.1".into())),
        ("required", None),
    ] {
        for trusted in ["[]", "['127.0.0.1']", "['192.0.2.1']"] {
            let broker = FakeBroker::start();
            let toml = format!("[server]\nproxy_protocol = '{mode}'\ntrusted_proxies = {trusted}");
            let app = TestApp::start_with(&broker, &toml).await;
            assert_eq!(
                host_after(&app, &broker, b"").await,
                host,
                "{mode} {trusted}"
            );
            app.finish().await;
        }
    }
}

#[tokio::test]
async fn where_it_is_off_a_header_is_no_http_and_is_counted() {
    let app = TestApp::start("").await;
    for header in [V1, &v2_ip4(0), LOCAL] {
        let mut connection = app.connect().await;
        connection.send(header).await;
        let answer = String::from_utf8(connection.rest().await).unwrap();
        assert!(answer.starts_with("HTTP/1.1 400 "), "{header:?}: {answer}");
    }
    assert_eq!(app.request("PROXY", "/TCP4", &[], "").await.status, 405);
    let samples = app.samples().await;
    let counted = samples.value(
        "headgate_proxy_headers_refused_total",
        &[("reason", "unexpected")],
    );
    assert_eq!(counted, Some(3.0));
    app.finish().await;
}

#[tokio::test]
async fn a_header_that_may_not_be_believed_closes_its_connection_and_is_counted() {
    let too_long = format!("PROXY UNKNOWN {}\r\n", "x".repeat(100));
    let malformed: [&[u8]; 4] = [
        b"PROXY TCP4 203.0.113.5 127.0.0.1 4000\r\n",
        b"PROXY TCP4 203.0.113.5 127.0.0.1 4000 80\n",
        too_long.as_bytes(),
        b"\r\n\r\n\0\r\nQUIT\n\x21\x11\0\x0b0123456789a",
    ];
    for mode in ["optional", "required"] {
        let broker = FakeBroker::start();
        let toml = format!("[server]\nproxy_protocol = '{mode}'\ntrusted_proxies = ['192.0.2.1']");
        let app = TestApp::start_with(&broker, &toml).await;
        for header in malformed {
            assert_eq!(host_after(&app, &broker, header).await, None, "{header:?}");
        }
        for header in [V1, &v2_ip4(0), LOCAL] {
            assert_eq!(host_after(&app, &broker, header).await, None, "{header:?}");
        }
        let missing = f64::from(mode == "required");
        let without = host_after(&app, &broker, b"").await;
        assert_eq!(without.is_none(), mode == "required");
        let mut cut = app.connect().await;
        cut.send(&V1[..20]).await;
        cut.half_close().await;
        assert!(cut.is_closed_unanswered().await);
        let samples = app.samples().await;
        for (reason, count) in [
            ("malformed", 4.0),
            ("untrusted", 3.0),
            ("missing", missing),
            ("incomplete", 1.0),
        ] {
            let counted = samples.value(
                "headgate_proxy_headers_refused_total",
                &[("reason", reason)],
            );
            assert_eq!(counted, Some(count), "{mode} {reason}");
        }
        app.finish().await;
        assert_eq!(broker.delivered().len(), usize::from(mode == "optional"));
    }
}

#[tokio::test]
async fn a_header_may_come_byte_by_byte_and_be_followed_by_anything() {
    let broker = FakeBroker::start();
    let app = TestApp::start_with(&broker, "[server]\nproxy_protocol = 'required'").await;
    let request = head("POST", "/", &[TEXT], 1) + "x";
    for header in [V1, &v2_ip4(3)] {
        let mut slow = app.connect().await;
        for byte in [header, request.as_bytes()].concat() {
            slow.send([byte]).await;
        }
        assert_eq!(slow.answer().await.status, 200);
        let mut quick = app.connect().await;
        quick
            .send([header, request.as_bytes(), request.as_bytes()].concat())
            .await;
        for _ in 0..2 {
            assert_eq!(quick.answer().await.status, 200);
        }
    }
    app.finish().await;
    let mut found = hosts(&broker);
    found.sort_by_key(ToString::to_string);
    let (v1, v2) = (["203.0.113.5"; 3], ["203.0.113.7"; 3]);
    assert_eq!(found, [v1, v2].concat());
}

#[tokio::test]
async fn http2_follows_a_header_too() {
    let broker = FakeBroker::start();
    let toml =
        "[server]\nproxy_protocol = 'required'\ntrusted_proxies = ['127.0.0.1', '203.0.113.7']";
    let app = TestApp::start_with(&broker, toml).await;
    let client = Http2Client::open_behind(app.public(), &v2_ip4(100)).await;
    let direct = http2_client::post("/", "text/plain", "x");
    assert_eq!(client.request(direct).await.status, 200);
    let mut forwarded = http2_client::post("/", "text/plain", "x");
    let value = "6.6.6.6, 198.51.100.4".parse().unwrap();
    forwarded.headers_mut().insert("x-forwarded-for", value);
    assert_eq!(client.request(forwarded).await.status, 200);
    drop(client);
    app.finish().await;
    assert_eq!(hosts(&broker), ["203.0.113.7", "198.51.100.4"]);
}

#[tokio::test]
async fn the_header_of_a_connection_and_those_of_its_requests_are_one_chain() {
    for (trusted, host) in [
        ("['127.0.0.1']", "203.0.113.5"),
        ("['127.0.0.1', '203.0.113.5']", "198.51.100.4"),
        ("[]", "203.0.113.5"),
    ] {
        let broker = FakeBroker::start();
        let toml = format!("[server]\nproxy_protocol = 'optional'\ntrusted_proxies = {trusted}");
        let app = TestApp::start_with(&broker, &toml).await;
        let mut connection = app.connect().await;
        connection.send(V1).await;
        let headers = [TEXT, ("X-Forwarded-For", "6.6.6.6, 198.51.100.4")];
        let answer = connection.request("POST", "/", &headers, "x").await;
        assert_eq!(answer.status, 200);
        app.finish().await;
        assert_eq!(hosts(&broker), [host], "{trusted}");
    }
}

#[tokio::test]
async fn a_balancers_health_checks_bear_a_header() {
    let toml = "[server]\nproxy_protocol = 'required'\ntrusted_proxies = ['127.0.0.1']";
    let app = TestApp::start(toml).await;
    for header in [LOCAL, b"PROXY UNKNOWN\r\n", &v2_ip4(0)] {
        let mut check = app.connect().await;
        check.send(header).await;
        let answer = check.request("GET", "/health", &[], "").await;
        assert_eq!(answer.json(), json!({"status": "ok"}));
    }
    app.finish().await;
}

#[tokio::test]
async fn a_header_has_the_time_of_a_head_and_silence_around_it_that_of_an_idle_connection() {
    let toml = "[server]\nproxy_protocol = 'optional'\nheader_read_timeout = '50ms'";
    let app = TestApp::start(toml).await;
    let mut silent = app.connect().await;
    let mut behind = app.connect().await;
    behind.send(V1).await;
    let whole = v2_ip4(500);
    for beginning in [&V1[..1], &V1[..20], &whole[..14], &whole[..100]] {
        let mut slow = app.connect().await;
        slow.send(beginning).await;
        assert!(slow.is_closed_unanswered().await, "{beginning:?}");
    }
    for connection in [&mut silent, &mut behind] {
        let answer = connection.request("GET", "/health", &[], "").await;
        assert_eq!(answer.status, 200);
    }
    let samples = app.samples().await;
    let counted = samples.value(
        "headgate_proxy_headers_refused_total",
        &[("reason", "incomplete")],
    );
    assert_eq!(counted, Some(4.0));
    app.finish().await;
    let toml = "[server]\nproxy_protocol = 'required'\nkeep_alive_timeout = '50ms'";
    let app = TestApp::start(toml).await;
    for beginning in [&b""[..], V1] {
        let mut idle = app.connect().await;
        idle.send(beginning).await;
        idle.expect_closed().await;
    }
    app.finish().await;
}

#[tokio::test]
async fn refused_headers_do_not_fill_the_log() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("own.toml");
    let toml = "[server]\nlisten = '127.0.0.1:0'\ndrain_delay = '0s'\nproxy_protocol = 'required'\n[admin]\nlisten = '127.0.0.1:0'\n[log]\nformat = 'json'\n";
    std::fs::write(&file, toml).unwrap();
    let program = Program::serve(&file, folder.path());
    for _ in 0..5 {
        let mut scanner = Connection::open(program.public).await;
        scanner.send("GET / HTTP/1.1\r\nHost: x\r\n\r\n").await;
        assert!(scanner.is_closed_unanswered().await);
    }
    program.signal("TERM");
    let (status, _, log) = program.end();
    assert_eq!(status, Some(0), "{log:#?}");
    let told: Vec<&String> = log
        .iter()
        .filter(|line| line.contains("PROXY header"))
        .collect();
    assert_eq!(told.len(), 1, "{told:#?}");
    assert!(
        told[0].contains("\"WARN\"") && told[0].contains("127.0.0.1"),
        "{told:#?}"
    );
}
